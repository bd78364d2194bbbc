//! Commands and wake words of an image, true and lying.

use super::*;

#[test]
fn commands_come_back_and_have_names() {
    let tiny = tiny(2);
    let bytes = with_commands(tiny.get(), 30, &COMMANDS);
    let image = Image::parse(bytes.get()).unwrap();
    assert!(image.commands().eq(COMMANDS));
    assert_eq!((image.grammar().gap, image.grammar().commands), (30, 3));
    let names = [0, 1, 2, 3].map(|number| image.command(number));
    let expected = [Some("go stop"), Some("go"), Some("stop stop go go"), None];
    assert_eq!(names, expected);
    // Without them each label is one.
    let image = Image::parse(tiny.get()).unwrap();
    assert_eq!(
        (image.commands().count(), image.grammar()),
        (0, GrammarConfig::NONE)
    );
    assert_eq!((image.command(1), image.command(3)), (Some("stop"), None));
}

/// The error of the tiny image with these commands, after a change to its bytes.
fn error_of(commands: &[Command<'_>], change: impl FnOnce(&mut [u8])) -> std::string::String {
    let mut bytes = with_commands(tiny(2).get(), 30, commands);
    change(bytes.get_mut());
    bytes.repair();
    Image::parse(bytes.get()).unwrap_err().to_string()
}

#[test]
fn commands_that_lie_are_named() {
    fn error(name: &str, words: &[u8]) -> std::string::String {
        error_of(&[COMMANDS[0], Command { name, words }], |_| ())
    }
    let words = "command 1, words: must be 1..=4";
    assert_eq!(error("none", &[]), words);
    assert_eq!(error("five", &[0; 5]), words);
    // There are three labels, of which the last is silence.
    let words = "command 1, words: must be labels that are detected";
    for word in [2, 3, 63, 64, 255] {
        assert_eq!(error("it", &[0, word]), words);
    }
    let name = "command 1, name: must have 1..=64 bytes of UTF-8 and no control characters";
    assert_eq!(error("", &[0]), name);
    let long = "x".repeat(65);
    assert_eq!(error(&long, &[0]), name);
    let largest = Command {
        name: &long[1..],
        words: &[0; 4],
    };
    let fits = with_commands(tiny(2).get(), 30, &[largest; 32]);
    assert!(Image::parse(fits.get()).is_ok());
    let many = "manifest, commands: must be at most 32";
    assert_eq!(error_of(&[COMMANDS[0]; 33], |_| ()), many);

    // The commands are the last of the manifest: gap, count, then lengths before names and words.
    let start = |bytes: &[u8]| {
        let manifest = &bytes[field::MANIFEST_LENGTH][..2];
        let commands = bytes[field::COMMANDS_LENGTH.start];
        HEADER_BYTES + usize::from(u16::from_le_bytes([manifest[0], manifest[1]]))
            - usize::from(commands)
    };
    let ends = "manifest, commands: do not end with the manifest";
    assert_eq!(
        error_of(&COMMANDS, |bytes| bytes[start(bytes) + 1] = 2),
        ends
    );
    let encoding = "command 3, encoding: is not a postcard command";
    assert_eq!(
        error_of(&COMMANDS, |bytes| bytes[start(bytes) + 1] = 4),
        encoding
    );
    let encoding = "command 0, encoding: is not a postcard command";
    assert_eq!(
        error_of(&COMMANDS, |bytes| bytes[start(bytes) + 2] = 255),
        encoding
    );
    let name = "command 0, name: must have 1..=64 bytes of UTF-8 and no control characters";
    assert_eq!(
        error_of(&COMMANDS, |bytes| bytes[start(bytes) + 3] = 255),
        name
    );
    let grammar = "manifest, commands: do not begin with a grammar";
    let error = error_of(&COMMANDS, |bytes| {
        let at = start(bytes);
        bytes[at..at + 3].fill(255);
    });
    assert_eq!(error, grammar);
    let error = error_of(&COMMANDS, |bytes| bytes[field::COMMANDS_LENGTH.end - 1] = 1);
    assert_eq!(
        error,
        "header, commands length: is more than the manifest's"
    );
    // Operators that are said to be commands are missed where they are.
    let error = error_of(&COMMANDS, |bytes| bytes[field::COMMANDS_LENGTH.start] += 1);
    assert_eq!(error, "operator 11, encoding: is not a postcard operator");
}

#[test]
fn wake_words_come_back_and_have_numbers_after_those_of_the_commands() {
    let tiny = tiny(2);
    let bytes = with_wake(tiny.get(), 30, &GO_GO, &WAKE);
    let image = Image::parse(bytes.get()).unwrap();
    assert_eq!(image.wake(), Some(WAKE));
    assert!(image.commands().eq(GO_GO) && image.grammar().gap == 30);
    let named = [0, 1, 2, 3].map(|number| (image.command(number), image.is_wake_word(number)));
    let expected = [(Some("go"), false), (Some("go go"), false)];
    assert_eq!(named[..2], expected);
    assert_eq!(named[2..], [(Some("stop"), true), (None, false)]);
    assert!(image.thresholds().eq([90, 120, 0]));
    // Without a grammar all labels keep their numbers.
    let bytes = with_wake(tiny.get(), 0, &[], &WAKE);
    let image = Image::parse(bytes.get()).unwrap();
    assert_eq!((image.wake(), image.commands().count()), (Some(WAKE), 0));
    assert_eq!((image.command(1), image.command(3)), (Some("stop"), None));
    let wakes = [0, 1, 2, 3].map(|number| image.is_wake_word(number));
    assert_eq!(wakes, [false, true, false, false]);
    // Where there are none nothing is said of them.
    let image = Image::parse(tiny.get()).unwrap();
    assert!(image.wake().is_none() && image.thresholds().eq([100, 120, 0]));
}

#[test]
fn wake_words_that_lie_are_named() {
    let bytes = |wake: &Wake<'_>| with_wake(tiny(2).get(), 30, &GO_GO, wake);
    let wake_error = |wake: Wake<'_>| {
        let bytes = bytes(&wake);
        Image::parse(bytes.get()).unwrap_err().to_string()
    };
    for window_ms in [0, 499, 60_001, u16::MAX] {
        let error = wake_error(Wake { window_ms, ..WAKE });
        assert_eq!(error, "wake words, window: must be 500..=60000 ms");
    }
    for window_ms in [500, 60_000] {
        assert!(Image::parse(bytes(&Wake { window_ms, ..WAKE }).get()).is_ok());
    }
    for (words, problem) in [
        (&[][..], "must be 1..=8"),
        (&[1; 9], "must be 1..=8"),
        (&[2], "must be labels that are detected"),
        (&[3], "must be labels that are detected"),
        (&[255], "must be labels that are detected"),
        (&[1, 1], "must not be there twice"),
        (&[1, 0], "must be in no command"),
    ] {
        let error = wake_error(Wake { words, ..WAKE });
        assert_eq!(error, std::format!("wake words, words: {problem}"));
    }
    for (thresholds, problem) in [
        (&[90][..], "must be one a label, or none"),
        (&[90, 0, 0, 0], "must be one a label, or none"),
        (
            &[0, 90, 0],
            "must be of labels that are detected and no wake words",
        ),
        (
            &[0, 0, 90],
            "must be of labels that are detected and no wake words",
        ),
    ] {
        let error = wake_error(Wake { thresholds, ..WAKE });
        assert_eq!(error, std::format!("wake words, thresholds: {problem}"));
    }

    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = bytes(&WAKE);
        change(bytes.get_mut());
        bytes.repair();
        Image::parse(bytes.get()).unwrap_err().to_string()
    };
    let length = field::WAKE_LENGTH;
    let error = changed(&|bytes| bytes[length.end - 1] = 1);
    assert_eq!(error, "header, wake length: is more than the manifest's");
    // The record ends the manifest: window in two bytes, extend, lengths before words and thresholds.
    let start = |bytes: &[u8]| {
        let manifest = &bytes[field::MANIFEST_LENGTH][..2];
        let manifest = u16::from_le_bytes([manifest[0], manifest[1]]);
        HEADER_BYTES + usize::from(manifest) - usize::from(bytes[length.start])
    };
    let encoding = "wake words, encoding: is not a postcard record";
    for (at, value) in [(2, 2), (3, 255), (5, 4)] {
        let error = changed(&|bytes| bytes[start(bytes) + at] = value);
        assert_eq!(error, encoding);
    }
    let error = changed(&|bytes| bytes[start(bytes) + 5] = 2);
    assert_eq!(error, "wake words, length: is more than its record");
}
