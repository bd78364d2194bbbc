//! An update comes over the serial line, is tried, and runs from then on.

use std::fs;
use std::process::Command;

use zerda_firmware::hostile;
use zerda_support::audio;
use zerda_support::image_file::ImageFile;

use crate::serial_port::served;
use crate::{BOARDS, common, objects, root, run, samples, tools, write_wav, zerda};

#[test]
fn an_update_over_the_line_is_tried_and_confirmed_and_runs_after_the_power_was_off() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let board = BOARDS[1].0;
    // Another network, of 2 KB: the line of the emulated board takes some KB a second.
    fs::write(path("mine.zerda"), hostile::valid()[0].get()).unwrap();
    for key in ["key", "other"] {
        let (key, update) = (path(&format!("{key}.pem")), path(&format!("{key}.zup")));
        assert_eq!(run(&["keygen", "-o", &key]).0, 0);
        let image = path("mine.zerda");
        let sign = [
            "sign",
            &image,
            "--version",
            "2",
            "--board",
            board,
            "-o",
            &update,
        ];
        assert_eq!(run(&[&sign[..], &["--key", &key]].concat()).0, 0);
    }
    let (flash, key) = (path("flash"), path("key.pem.pub"));
    let with_key = |mut command: Command| {
        command.env("ZERDA_UPDATE_KEY", &key);
        command
    };

    // A file that is no flash stays as it is.
    let refused = with_key(zerda(&[
        "qemu",
        "--board",
        board,
        "--flash",
        &key,
        &samples()[0],
    ]));
    let (code, _, stderr) = common::outcome({ refused }.output().unwrap());
    let text = fs::read(&key).unwrap();
    let expected = format!(
        "{key}: has {} bytes, expected the 2072576 of a flash",
        text.len()
    );
    assert!(code == 2 && stderr.contains(&expected), "{stderr}");

    // Three samples: 10 s of them confirm the image.
    let pcm = samples()
        .into_iter()
        .take(3)
        .flat_map(|sample| audio::read(sample.as_ref()).unwrap());
    let long = write_wav(&folder, "long.wav", &pcm.collect::<Vec<_>>());
    let (mut qemu, _stderr, address) = served(|address| {
        with_key(zerda(&[
            "qemu", "--board", board, "--flash", &flash, "--serve", address, &long,
        ]))
    });
    let port = format!("tcp:{address}");
    let (code, stdout, stderr) = run(&["update", &path("other.zup"), "--port", &port]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let refused =
        "other.zup: is not signed with the key that belongs to the public one in the firmware\n";
    assert!(
        stderr.ends_with(refused) && stderr.lines().count() == 1,
        "{stderr}"
    );
    let (code, stdout, stderr) = run(&["update", &path("key.zup"), "--port", &port]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(
        stdout.ends_with("version 2 ran well and is confirmed\n"),
        "{stdout}"
    );
    assert!(qemu.wait().unwrap().success());

    // The silence behind what QEMU hears is that of the image that was built in, which is longer.
    let heard = audio::read(&root().join("models/samples/answers.wav")).unwrap();
    let silence =
        |path: &str| audio::tail(&ImageFile::open(path.as_ref()).unwrap().image().unwrap()).len();
    let shipped = root().join("models/shrunk.zerda").display().to_string();
    let more = silence(&shipped) - silence(&path("mine.zerda"));
    let on_board = write_wav(&folder, "board.wav", &heard);
    let here = write_wav(&folder, "here.wav", &[heard, vec![0; more]].concat());
    let command = with_key(zerda(&[
        "qemu", "--json", "--board", board, "--flash", &flash, &on_board,
    ]));
    let (code, stdout, stderr) = common::outcome({ command }.output().unwrap());
    assert_eq!(code, 0, "{stderr}");
    let outcomes = [
        stdout,
        run(&["run", "--json", "--image", &path("mine.zerda"), &here]).1,
    ];
    let [(on_board, board), (here, laptop)] = outcomes.map(|stdout| {
        let (mut detections, summary) = objects(&stdout);
        detections
            .iter_mut()
            .for_each(|one| one["file"] = "".into());
        (detections, summary)
    });
    assert_eq!(on_board, here);
    for field in ["detections", "steps", "logits_crc32"] {
        assert_eq!(board[field], laptop[field], "{field}");
    }
}

#[test]
fn a_board_without_a_key_says_that_updates_are_off_and_takes_thresholds() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(run(&["keygen", "-o", &path("key.pem")]).0, 0);
    let image = root().join("models/shrunk.zerda").display().to_string();
    let (key, update) = (path("key.pem"), path("mine.zup"));
    let sign = [
        "sign",
        &image,
        "--key",
        &key,
        "--version",
        "2",
        "--board",
        BOARDS[1].0,
        "-o",
        &update,
    ];
    assert_eq!(run(&sign).0, 0);
    let answers = audio::read(&root().join("models/samples/answers.wav")).unwrap();
    let answers = write_wav(&folder, "answers.wav", &answers.repeat(2));
    let (mut qemu, _stderr, address) =
        served(|address| zerda(&["qemu", "--board", BOARDS[1].0, "--serve", address, &answers]));
    let port = format!("tcp:{address}");
    let (code, _, stderr) = run(&["update", &update, "--port", &port]);
    assert_eq!(code, 1);
    let off =
        "zerda: updates are off: the firmware was built without a public key (ZERDA_UPDATE_KEY)\n";
    assert_eq!(stderr, off);
    let (code, _, stderr) = run(&["monitor", "--set", "ja=0.5", &port]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("ja: the device detects no such word, expected one of yes, no, "),
        "{stderr}"
    );

    let set = [
        "monitor",
        "--json",
        "--set",
        "yes=off",
        "--set",
        "no=0.25",
        "--smoothing",
        "6",
    ];
    let (code, stdout, stderr) = run(&[&set[..], &[&port]].concat());
    assert_eq!(code, 0, "{stderr}");
    let (reports, _) = objects(&stdout);
    let settings = reports
        .iter()
        .find_map(|one| one.get("settings"))
        .expect("what is in force");
    assert_eq!(settings["smoothing"]["frames"], 6);
    assert_eq!(settings["words"]["yes"]["threshold"], 0.0);
    assert_eq!(settings["words"]["no"]["threshold"], 0.25);
    assert_eq!(
        settings["words"]["up"]["threshold"],
        settings["words"]["up"]["image"]
    );
    // Audio may have gone on before the request came.
    let mut after = reports
        .iter()
        .skip_while(|one| one.get("settings").is_none());
    assert!(after.clone().count() > 1);
    assert!(after.all(|one| one["command"] != "yes"));
    assert!(qemu.wait().unwrap().success());
}
