//! Commands for a test image.

use super::{Bytes, container, push};
use crate::image::{Command, Grammar, HEADER_BYTES, field};

/// Commands of the tiny image's words.
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

/// An image without commands and NPU section, with commands.
pub fn with_commands(image: &[u8], gap: u16, commands: &[Command<'_>]) -> Bytes {
    let number = |at: core::ops::Range<usize>| {
        let bytes = image[at].first_chunk();
        u32::from_le_bytes(*bytes.unwrap())
    };
    let mut records = image[HEADER_BYTES..][..number(field::MANIFEST_LENGTH) as usize].to_vec();
    let before = records.len();
    let grammar = Grammar {
        gap,
        commands: commands.len() as u8,
    };
    push(&mut records, &grammar);
    commands
        .iter()
        .for_each(|command| push(&mut records, command));
    let length = (records.len() - before) as u32;
    let segment = &image[number(field::SEGMENT_OFFSET) as usize..];
    let (caches, arena) = (number(field::CACHE_BYTES), number(field::ARENA_BYTES));
    let mut bytes = container(&records, segment, caches, arena);
    bytes.get_mut()[field::COMMANDS_LENGTH].copy_from_slice(&length.to_le_bytes());
    bytes.repair();
    bytes
}
