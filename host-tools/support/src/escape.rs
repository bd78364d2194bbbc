//! Escapes what text from outside (labels, telemetry, names of files and boards) could do to a terminal, a log or a
//! page: colours, titles, lines that nobody wrote, text that runs backwards.
//!
//! Whatever is printed passes [`text`], in [`crate::output::print`] and [`crate::error::Error::report`]. What stands
//! within a line passes [`line()`] or [`path()`] before, since afterwards its line breaks look like ours. The escapes are
//! those of JSON, so that JSON stays the same value.

use std::fmt::Write;
use std::path::Path;

/// Escapes all that is no line break of a text.
pub fn text(text: &str) -> String {
    escape(text, |c| is_hostile(c) && c != '\n')
}

/// Escapes a part of a line, line breaks and tabs included.
pub fn line(text: &str) -> String {
    escape(text, is_hostile)
}

/// Escapes the name of a file as a part of a line.
pub fn path(path: &Path) -> String {
    line(&path.display().to_string())
}

fn escape(text: &str, hostile: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Says whether a character does something instead of being shown: control characters, breaks of lines and
/// paragraphs, directions, what has no width, and tags.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_unicode_that_does_something_is_left() {
        // ESC, the 8-bit CSI, DEL, bell, right-to-left override, a tag beyond 16 bits.
        let hostile = "\u{1b}[2J \u{9b}31m \u{7f}\u{7} \u{202e}\u{2066} \u{e0041}";
        let expected = r"\u001b[2J \u009b31m \u007f\u0007 \u202e\u2066 \udb40\udc41";
        assert_eq!(text(hostile), expected);
        for c in '\0'..=char::MAX {
            let left = line(&c.to_string());
            assert!(!left.contains(|c: char| c.is_control()), "{c:?}");
        }
    }

    #[test]
    fn text_of_people_is_left_as_it_is() {
        let plain = "C:\\Müller\\\"go\" \u{65}\u{301} 你好 שלום 🎤";
        assert_eq!((line(plain), text(plain)), (plain.into(), plain.into()));
    }

    #[test]
    fn line_breaks_are_left_in_a_text_and_not_in_a_line() {
        assert_eq!(text("a\nb\r\n"), "a\nb\\u000d\n");
        assert_eq!(line("a\nb\tc"), r"a\u000ab\u0009c");
    }

    #[test]
    fn json_is_the_same_value() {
        let value = serde_json::json!({ "name\u{202e}": "\u{1b}\u{7f}\u{9b}\u{e0041}\n\"\\" });
        let escaped = text(&value.to_string());
        assert!(escaped.is_ascii());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&escaped).unwrap(),
            value
        );
    }
}
