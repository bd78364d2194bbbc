//! Commands of several words are made on the board as they are by `zerda run`.

use super::{equals_the_laptop, root, run, tools};

#[test]
fn commands_of_several_words_are_those_of_the_laptop() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut text = std::fs::read_to_string(root().join("config/commands.toml")).unwrap();
    text += "\n[grammar]\ncommands = [\"go left\", \"stop right\", \"stop\", \"up yes\"]\n";
    std::fs::write(path("commands.toml"), text).unwrap();
    let (config, image) = (folder.path().display().to_string(), path("mine.zerda"));
    let arguments = ["commands", "--config", &config, "-o", &image];
    let (code, _, stderr) = run(&arguments);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let files = ["robot", "lift"].map(|name| format!("models/samples/{name}.wav"));
    let [robot, lift] = files;
    let detections = equals_the_laptop(&[format!("--image={image}"), robot, lift]);
    let commands = detections
        .iter()
        .map(|one| one["command"].as_str().unwrap());
    let commands: Vec<_> = commands.collect();
    // Of go, left, stop, right, go and stop; of up, yes, down, no and stop.
    let expected = ["go left", "stop right", "stop", "up yes", "stop"];
    assert_eq!(commands, expected);
}
