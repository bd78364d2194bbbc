//! This module gives a test image commands, wake words and a voice activity gate.

use super::{Bytes, container, push};
use crate::image::{Command, GrammarConfig, HEADER_BYTES, Image, Quiet, Wake, field};

/// Holds commands that the tiny image's words make.
pub const COMMANDS: [Command<'static>; 3] = [
    Command {
        name: "go stop",
        words: &[0, 1],
    },
    Command {
        name: "go",
        words: &[0],
    },
    Command {
        name: "stop stop go go",
        words: &[1, 1, 0, 0],
    },
];

/// Holds a wake word of the tiny image, which goes with [`GO_GO`].
pub const WAKE: Wake<'static> = Wake {
    window_ms: 600,
    extend: true,
    words: &[1],
    thresholds: &[90, 0, 0],
};

/// Holds commands that leave "stop" to be a wake word.
pub const GO_GO: [Command<'static>; 2] = [
    Command {
        name: "go",
        words: &[0],
    },
    Command {
        name: "go go",
        words: &[0, 0],
    },
];

/// Makes an image with commands of one that has neither commands nor an NPU section.
pub fn with_commands(image: &[u8], gap: u16, commands: &[Command<'_>]) -> Bytes {
    with_records(image, (gap, commands), None)
}

/// Makes an image with wake words of one that has neither commands nor an NPU section; it gets commands, too,
/// if there are any.
pub fn with_wake(image: &[u8], gap: u16, commands: &[Command<'_>], wake: &Wake<'_>) -> Bytes {
    with_records(image, (gap, commands), Some(wake))
}

/// Gives a gate to any image without one, whose records are those of a valid one.
pub fn with_quiet(image: &[u8], quiet: Quiet) -> Bytes {
    let mut bytes = Bytes::new(image);
    let kept = Image::find_records(bytes.get()).map(|image| {
        let manifest = image.manifest();
        Quiet::kept_bytes(manifest.stream, manifest.front_end)
    });
    let image = bytes.get_mut();
    let arena = image[field::ARENA_BYTES].first_chunk();
    let arena = arena.map_or(0, |&bytes| u32::from_le_bytes(bytes)) + kept.unwrap_or(0) as u32;
    image[field::ARENA_BYTES].copy_from_slice(&arena.to_le_bytes());
    image[field::QUIET].copy_from_slice(&quiet.field().to_le_bytes());
    bytes.repair();
    bytes
}

/// Makes an image whose first label, "go", has another name, of one without commands and an NPU section.
#[cfg(test)]
pub fn with_label(image: &[u8], name: &str) -> Bytes {
    let number =
        |at: core::ops::Range<usize>| u32::from_le_bytes(*image[at].first_chunk().unwrap());
    let records = &image[HEADER_BYTES..][..number(field::MANIFEST_LENGTH) as usize];
    let at = records
        .windows(3)
        .position(|bytes| bytes == b"\x02go")
        .unwrap();
    let name = [&[name.len() as u8], name.as_bytes()].concat();
    let records = [&records[..at], &name, &records[at + 3..]].concat();
    let segment = &image[number(field::SEGMENT_OFFSET) as usize..];
    let (caches, arena) = (number(field::CACHE_BYTES), number(field::ARENA_BYTES));
    container(&records, segment, caches, arena)
}

fn with_records(
    image: &[u8],
    (gap, commands): (u16, &[Command<'_>]),
    wake: Option<&Wake<'_>>,
) -> Bytes {
    let number = |at: core::ops::Range<usize>| {
        let bytes = image[at].first_chunk();
        u32::from_le_bytes(*bytes.unwrap())
    };
    let mut records = image[HEADER_BYTES..][..number(field::MANIFEST_LENGTH) as usize].to_vec();
    let before = records.len();
    let grammar = GrammarConfig {
        gap,
        commands: commands.len() as u8,
    };
    if !commands.is_empty() || wake.is_none() {
        push(&mut records, &grammar);
    }
    commands
        .iter()
        .for_each(|command| push(&mut records, command));
    let length = (records.len() - before) as u32;
    if let Some(wake) = wake {
        push(&mut records, wake);
    }
    let wake_length = (records.len() - before) as u32 - length;
    let segment = &image[number(field::SEGMENT_OFFSET) as usize..];
    let (caches, arena) = (number(field::CACHE_BYTES), number(field::ARENA_BYTES));
    let mut bytes = container(&records, segment, caches, arena);
    for (field, length) in [
        (field::COMMANDS_LENGTH, length),
        (field::WAKE_LENGTH, wake_length),
    ] {
        bytes.get_mut()[field].copy_from_slice(&length.to_le_bytes());
    }
    bytes.repair();
    bytes
}
