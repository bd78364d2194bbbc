//! What a command reads stays as it is, unless it is asked to change it.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{folder, outcome, root, run, write, zerda};

/// The inputs of most commands, in a folder of their own. Some weights of the model lie beside it.
fn inputs() -> (TempDir, [String; 5]) {
    let folder = folder();
    let read = |from: &str| fs::read(root().join(from)).unwrap();
    let copy = |from: &str, name: &str| write(&folder, name, &read(from));
    let files = [
        write(
            &folder,
            "m.onnx",
            &with_data_beside(read("models/shrunk.onnx")),
        ),
        write(&folder, "m.onnx.data", &1.0f32.to_le_bytes()),
        copy("models/shrunk.zerda", "m.zerda"),
        copy("models/samples/robot.wav", "audio/t.wav"),
        copy("models/samples/robot.json", "audio/t.json"),
    ];
    (folder, files)
}

/// An ONNX file that has one more constant, of a float in `m.onnx.data`. Protobuf adds up what two parts of a file say.
fn with_data_beside(mut onnx: Vec<u8>) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    // The numbers of onnx.proto.
    let (model_graph, graph_initializer) = (7, 5);
    let [dims_1, type_float, location_external] = [[1 << 3, 1], [2 << 3, 1], [14 << 3, 1]];
    let entry = [field(1, b"location"), field(2, b"m.onnx.data")].concat();
    let tensor = [
        &dims_1[..],
        &type_float,
        &field(8, b"beside"),
        &field(13, &entry),
        &location_external,
    ];
    onnx.extend(field(
        model_graph,
        &field(graph_initializer, &tensor.concat()),
    ));
    onnx
}

#[test]
fn a_file_that_a_command_reads_is_not_written_over() {
    let (folder, files) = inputs();
    let [onnx, weights, image, wav, label] = files.each_ref().map(String::as_str);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (audio, simulated, my_config) = (at("audio"), at(""), at("my-config"));
    let (hard, soft) = (at("hard"), at("soft"));
    let (new, dangling) = (at("new.json"), at("dangling.json"));
    fs::hard_link(weights, &hard).unwrap();
    let latency = write(&folder, "latency.json", b"a board, by an odd name");
    let config = write(&folder, "my-config/commands.toml", b"commands");
    write(&folder, "my-config/models.toml", b"models");
    let clips = at("clips");
    write(&folder, "clips/go/a.wav", &fs::read(wav).unwrap());
    let compile = ["compile", onnx, "--calibrate", &audio];
    let compile_with_report = |file| [&compile[..], &["--report", file]].concat();
    let npu = ["npu", image, "--target", "ethos-u55-256"];
    let heard = |input| vec!["run", "--image", image, "--explain", input];
    let mut cases: Vec<(Vec<&str>, &str, &str)> = vec![
        (compile.to_vec(), "-o", onnx),
        (compile.to_vec(), "-o", weights),
        (compile.to_vec(), "-o", &hard),
        (compile.to_vec(), "-o", wav),
        (compile_with_report(&new), "-o", &new),
        (vec!["export", image], "-o", image),
        (vec!["commands", image], "-o", image),
        (
            vec!["commands", image, "--config", &my_config],
            "-o",
            &config,
        ),
        (npu.to_vec(), "-o", image),
        ([&npu[..], &["--vela", &latency]].concat(), "-o", &latency),
        (vec!["run", "--image", image, wav], "--trace", wav),
        (heard(wav), "--trace", label),
        (heard(&audio), "--trace", label),
        (
            vec!["tune", "--image", image, "--negatives", &audio],
            "--output",
            image,
        ),
        (
            vec!["eval", &clips, "--stream", "--negatives", &audio],
            "--report",
            wav,
        ),
        (
            vec!["simulate", "--image", image, "--board", &latency],
            "--output",
            &simulated,
        ),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("audio/t.json", &soft).unwrap();
        std::os::unix::fs::symlink("new.json", &dangling).unwrap();
        cases.push((heard(&audio), "--trace", &soft));
        cases.push((compile_with_report(&dangling), "-o", &new));
    }
    let before = contents(folder.path());
    for (arguments, option, output) in &cases {
        let (code, stdout, stderr) = run(&[&arguments[..], &[option, output]].concat());
        assert_eq!((code, &stdout[..]), (2, ""), "{arguments:?}: {stderr}");
        let said = stderr.contains(output) && stderr.contains("name another file");
        assert!(
            said && stderr.lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
        assert!(before == contents(folder.path()), "{arguments:?}");
    }
}

#[test]
fn commands_go_into_a_new_file_whose_name_is_said_or_in_place_where_that_is_meant() {
    let (folder, [_, _, image, ..]) = inputs();
    let before = fs::read(&image).unwrap();
    let config = folder.path().join("my-config");
    let text = fs::read_to_string(root().join("config/commands.toml")).unwrap();
    write(
        &folder,
        "my-config/commands.toml",
        text.replace("smoothing = 5", "smoothing = 7").as_bytes(),
    );
    let commands = ["commands", &image, "--config", config.to_str().unwrap()];
    let new = folder.path().join("m.commands.zerda");
    let said = (0, format!("{}\n", new.display()), String::new());
    assert_eq!(run(&commands), said);
    assert!(before == fs::read(&image).unwrap() && before != fs::read(&new).unwrap());
    let (code, stdout, _) = run(&[&commands[..], &["--in-place"]].concat());
    assert_eq!((code, stdout), (0, format!("{image}\n")));
    assert!(fs::read(&image).unwrap() == fs::read(new).unwrap());
}

/// The pages that show commands of `zerda`.
const PAGES: [&str; 8] = [
    "README.md",
    "config/README.md",
    "host-tools/compare/README.md",
    "host-tools/evaluate/README.md",
    "host-tools/simulate/README.md",
    "memory-report/README.md",
    "models/train/README.md",
    "firmware/boards/README.md",
];

/// The commands of the pages and of `--help`, without `cargo run --release --` or `zerda` before them.
fn documented() -> Vec<String> {
    let pages = PAGES.map(|page| fs::read_to_string(root().join(page)).unwrap());
    let pages = pages.concat();
    // On a wide terminal no line is broken.
    let help = zerda(&["--help"]).env("COLUMNS", "1000").output();
    let help = outcome(help.unwrap()).1;
    let commands = pages
        .lines()
        .filter_map(|line| line.split_once("cargo run --release -- "));
    let examples = help.lines().filter_map(|line| line.split_once("  zerda "));
    let commands = commands.chain(examples).map(|(_, command)| command);
    commands
        .map(|command| command.split(" #").next().unwrap().trim().to_string())
        .collect()
}

#[test]
fn what_the_documents_write_is_under_target() {
    let commands = documented();
    assert!(commands.len() > 35, "{} commands", commands.len());
    for command in &commands {
        let words: Vec<_> = command.split(' ').collect();
        let mut written = words
            .windows(2)
            .filter(|pair| matches!(pair[0], "-o" | "--output" | "--report" | "--trace"));
        assert!(
            written.all(|pair| pair[1].starts_with("target/")),
            "{command}"
        );
        let beside = matches!(words[0], "compile" | "export" | "npu" | "commands");
        let read = |word: &&str| word.starts_with("target/");
        assert!(!beside || words.iter().any(read), "{command}");
    }
}

/// Every file below a folder with its bytes, but for `target`.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => files.extend(contents(&path)),
            false => files.push((path.clone(), fs::read(path).unwrap_or_default())),
        }
    }
    files.sort();
    files
}

/// A folder like the repository, as far as the commands of the documents read it, with a recording and a folder of
/// settings, as a user has.
fn like_the_repository() -> TempDir {
    let folder = folder();
    let copy = |from: &str, to: &str| {
        write(&folder, to, &fs::read(root().join(from)).unwrap());
    };
    for sample in super::samples() {
        let sample = Path::new(&sample).file_stem().unwrap().to_str().unwrap();
        for form in ["wav", "json"] {
            let path = format!("models/samples/{sample}.{form}");
            copy(&path, &path);
        }
    }
    copy("models/shrunk.zerda", "models/shrunk.zerda");
    fs::create_dir(folder.path().join("target")).unwrap();
    for board in ["mps2-an386", "mps3-an547"] {
        let board = format!("firmware/boards/{board}/board.toml");
        copy(&board, &board);
    }
    copy("config/commands.toml", "my-config/commands.toml");
    for form in ["wav", "json"] {
        let sample = format!("models/samples/robot.{form}");
        copy(&sample, &format!("recording.{form}"));
    }
    folder
}

/// Why a command of the documents is not run here; `None` for one that is.
fn left_out(words: &[&str]) -> Option<&'static str> {
    let has = |word| words.contains(&word);
    match words[0] {
        "qemu" | "flash" => Some("it builds firmware; tests/qemu and tests/flash run it"),
        "listen" => Some("it takes a microphone; tests/listen runs it"),
        "web" => Some("it serves until it is ended; tests/web runs it"),
        "monitor" => Some("it takes a board; tests/monitor runs it over a pipe"),
        "update" => Some("it takes a board; tests/update runs it over a pseudo-terminal"),
        "npu" => Some("it takes Vela; tests/npu.rs runs it"),
        "simulate" if has("ethos-u55-256") => Some("it takes Vela; tests/npu.rs runs it"),
        "inspect" if has("--onnx") => Some("it takes a minute; tests/int8_cost.rs runs it"),
        "enroll" => Some("it takes recordings of one speaker; enroll.rs runs it"),
        "run" if has("--templates") => Some("it takes phrases; enroll.rs runs it"),
        "eval" | "tune" | "compile" => Some("it takes hours of recorded speech"),
        _ => None,
    }
}

#[test]
fn commands_of_the_documents_run_as_written_and_change_nothing_outside_of_target() {
    let folder = like_the_repository();
    let before = contents(folder.path());
    let mut ran = Vec::new();
    for command in documented() {
        if ran.contains(&command) {
            continue;
        }
        let words: Vec<_> = command.split(' ').collect();
        if let Some(why) = left_out(&words) {
            println!("left out: {command}: {why}");
            continue;
        }
        let samples = fs::read_dir(folder.path().join("models/samples")).unwrap();
        let samples = samples.map(|entry| entry.unwrap().path().display().to_string());
        let waves: Vec<_> = samples.filter(|name| name.ends_with(".wav")).collect();
        let shell = |word| match word {
            "models/samples/*.wav" => waves.iter().map(String::as_str).collect(),
            word => vec![word],
        };
        let words: Vec<_> = words.into_iter().flat_map(shell).collect();
        let microphone = fs::File::open(folder.path().join("recording.wav")).unwrap();
        let output = zerda(&words)
            .current_dir(folder.path())
            .stdin(microphone)
            .output();
        let (code, _, stderr) = outcome(output.unwrap());
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        assert!(before == contents(folder.path()), "{command}");
        ran.push(command);
    }
    assert!(ran.len() >= 12, "{ran:?}");
}

/// The shell redirects it, so that no argument names it.
#[cfg(unix)]
#[test]
fn a_recording_that_is_standard_input_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.wav");
    fs::copy(root().join("models/samples/answers.wav"), &path).unwrap();
    let before = fs::read(&path).unwrap();
    let mut command = zerda(&["run", "-", "--trace", path.to_str().unwrap()]);
    let input = fs::File::open(&path).unwrap();
    let (code, _, stderr) = outcome(command.stdin(input).output().unwrap());
    assert_eq!(code, 2);
    let expected = "zerda: /dev/stdin: cannot be read: it would be written over, as ";
    assert!(stderr.starts_with(expected), "{stderr}");
    assert!(fs::read(&path).unwrap() == before);
}
