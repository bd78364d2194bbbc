//! The facts of an image are one line of JSON for the page.

use core::fmt::{self, Write};

use zerda_firmware::Image;
use zerda_firmware::kernels::choice::Choice;

use crate::page::Text;

/// Says what an image of so many bytes is. Thresholds are of 256, and 0 where a label is never detected.
pub fn write(image: &Image<'_>, bytes: usize) -> fmt::Result {
    let head = image.manifest();
    let kernels = Choice::default().kernels().name;
    write!(
        Text,
        r#"{{"bytes":{bytes},"memory":{},"kernels":"{kernels}","checksum":"{:08x}","#,
        image.memory_bytes(),
        image.checksum()
    )?;
    let (stream, front_end) = (head.stream, head.front_end);
    write!(
        Text,
        r#""hop":{},"window":{},"step":{},"chunk":{},"left_context":{},"labels":["#,
        front_end.hop, front_end.window, stream.step, stream.chunk, stream.left_context
    )?;
    let wake = image.wake();
    let wake_words = wake.map_or(&[][..], |wake| wake.words);
    for ((number, label), threshold) in (0u8..).zip(image.labels()).zip(image.thresholds()) {
        let comma = if number > 0 { "," } else { "" };
        let name = Json(label.name);
        let wakes = wake_words.contains(&number);
        write!(
            Text,
            r#"{comma}{{"name":{name},"threshold":{threshold},"wake":{wakes}}}"#
        )?;
    }
    Text.write_str(r#"],"commands":["#)?;
    for (number, command) in image.commands().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        write!(Text, "{comma}{}", Json(command.name))?;
    }
    Text.write_str("]")?;
    if let Some(wake) = wake {
        let (window_ms, extend) = (wake.window_ms, wake.extend);
        write!(
            Text,
            r#","wake":{{"window_ms":{window_ms},"extend":{extend}}}"#
        )?;
    }
    if let Some(quiet) = image.quiet() {
        let (sensitivity, hangover_ms) = (quiet.sensitivity, quiet.hangover_ms);
        write!(
            Text,
            r#","quiet":{{"sensitivity":{sensitivity},"hangover_ms":{hangover_ms}}}"#
        )?;
    }
    Text.write_str("}")
}

/// Writes a string as JSON has it.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\0'..=' ' if character != ' ' => write!(f, "\\u{:04x}", character as u32)?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}
