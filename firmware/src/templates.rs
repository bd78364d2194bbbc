//! Templates tell of phrases that the network was never taught, by a few recordings of each.
//!
//! A template is a short sequence of rows: each says what the network's head reads in one step, averaged over the
//! committed frames of the step and scaled to one length. [`Matcher`] makes such a row of each step that runs
//! ([`Event::Encoded`](crate::Event::Encoded)), and looks in the stream for stretches that are similar to a template, said
//! up to twice as fast or as slowly. What it finds has a **similarity**: the mean cosine between the rows of the
//! stretch and those of the template. 1 is the same, 0 is nothing in common. It tells phrases apart and hardly
//! speakers: another speaker who says the phrase is often found, too.
//!
//! A phrase is told of at any time, whether the device is asleep or awake ([`crate::gate`]), and opens no window. Where the
//! network rests while nobody speaks ([`crate::quiet`]), the matcher rests with it, and begins anew when the network starts cold.
//!
//! Templates belong to one network ([`Image::network`](crate::Image::network)), whose rows mean nothing to another; they hold when
//! thresholds, commands and wake words change.
//!
//! ```
//! # use zerda_firmware::{Image, Recognizer};
//! # use zerda_firmware::templates::{Cell, Match, Matcher, Misfit, Templates};
//! # fn example(image: &Image<'_>, memory: &mut [i8], file: &[u8], pcm: &[i16]) -> Result<(), Misfit> {
//! # let mut recognizer = Recognizer::new(image, memory).unwrap();
//! # let templates = Templates::parse(file).unwrap();
//! # let mut cells = [Cell::START; 800];
//! let mut matcher = Matcher::new(templates, &recognizer, &mut cells)?;
//! recognizer.push_events(pcm, |event| {
//!     if let Some(Match { name, similarity, .. }) = matcher.push(&event) {
//! # let _ = (name, similarity);
//!     }
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # Format, version 1
//!
//! `zerda enroll` writes it, to lie in flash beside the image. All integers are little-endian; no alignment is needed.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..4 | magic | `ZRDT` |
//! | 4..6 | format version | 1 |
//! | 6..8 | templates | how many there are, 1 to [`MAX_TEMPLATES`] |
//! | 8..12 | total length | of all of it, in bytes |
//! | 12..16 | checksum | CRC-32 (ISO-HDLC) of bytes 0..12 and of 16 to the end |
//! | 16..20 | network | [`Image::network`](crate::Image::network) of the image that heard the recordings |
//! | 20..22 | columns | of a row, 1 to [`MAX_COLUMNS`] |
//! | 22..24 | rows | of all templates together |
//!
//! Each template follows the one before it:
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..32 | name | UTF-8, 1 to [`MAX_NAME`] bytes, no control characters, then zeros; no two are the same |
//! | 32..34 | threshold | the least similarity that is a detection, Q0.15, 1 to 32768 |
//! | 34..36 | rows | of the template, [`MIN_ROWS`] to [`MAX_ROWS`] |
//! | 36.. | elements | int8, `[rows, columns]`, each row 127 long |
//!
//! # Cost
//!
//! A template of 10 rows, which is a word of half a second, takes 676 bytes of flash and 120 bytes of RAM. One of 16 rows takes
//! 11,900 of the 2.18 million instructions of a step of `shrunk` on `mps2-an386` (Cortex-M4, `dsp`), and 5,200 of 0.54 million
//! on `mps3-an547` (Cortex-M55, `mve`), counted in QEMU.
//!
//! # Bounds
//!
//! [`Templates::parse`] takes any bytes and gives templates or a [`TemplateError`]; afterwards nothing can go out of bounds,
//! overflow or panic, whatever the elements are. A step takes time linear in the rows of all templates, and the memory is
//! one [`Cell`] of 12 bytes a row.

mod error;
mod matcher;
mod rows;

use core::ops::Range;

pub use error::{Misfit, TemplateError};
pub use matcher::{Cell, Ending, Match, Matcher, Phrases};
pub use rows::{heard_by_head, unit_row};

use crate::crc::{CRC, update};

/// Holds the four bytes that templates start with.
pub const MAGIC: [u8; 4] = *b"ZRDT";
/// The one format version that this crate reads.
pub const VERSION: u16 = 1;
/// The number of bytes that the header takes.
pub const HEADER_BYTES: usize = 24;
/// The number of bytes that a template takes before its elements.
pub const RECORD_BYTES: usize = 36;
/// The most templates that there may be.
pub const MAX_TEMPLATES: usize = 8;
/// The most columns that a row may have.
pub const MAX_COLUMNS: usize = 128;
/// The fewest rows that a template may have.
pub const MIN_ROWS: usize = 4;
/// The most rows that a template may have.
pub const MAX_ROWS: usize = 100;
/// The most bytes that the name of a template may have.
pub const MAX_NAME: usize = 32;
/// The similarity of what is the same, Q0.15.
pub const SAME: u16 = 1 << 15;

/// Says where the header's fields lie: each constant is a range of bytes.
pub mod field {
    use core::ops::Range;

    /// Holds the bytes of [`super::MAGIC`].
    pub const MAGIC: Range<usize> = 0..4;
    /// Holds the format version, a u16.
    pub const VERSION: Range<usize> = 4..6;
    /// Holds the number of templates, a u16.
    pub const TEMPLATES: Range<usize> = 6..8;
    /// Holds the length of all of it in bytes, a u32.
    pub const TOTAL_LENGTH: Range<usize> = 8..12;
    /// Holds the checksum of all other bytes, a u32.
    pub const CHECKSUM: Range<usize> = 12..16;
    /// Holds what tells the network, a u32.
    pub const NETWORK: Range<usize> = 16..20;
    /// Holds the number of columns of a row, a u16.
    pub const COLUMNS: Range<usize> = 20..22;
    /// Holds the number of rows of all templates, a u16.
    pub const ROWS: Range<usize> = 22..24;
    /// Holds the name of a template, from the start of its record.
    pub const NAME: Range<usize> = 0..32;
    /// Holds the threshold of a template, a u16, from the start of its record.
    pub const THRESHOLD: Range<usize> = 32..34;
    /// Holds the number of rows of a template, a u16, from the start of its record.
    pub const TEMPLATE_ROWS: Range<usize> = 34..36;
}

/// Returns the checksum of templates: the CRC-32 (ISO-HDLC) of all of them except the checksum.
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    for part in [
        bytes.get(..field::CHECKSUM.start),
        bytes.get(field::CHECKSUM.end..),
    ] {
        update(&mut digest, part.unwrap_or_default());
    }
    digest.finalize()
}

/// Returns the number of [`Cell`]s that a [`Matcher`] of these templates needs, as their header states it. It is a
/// constant if the templates are one. It is 0 if they are none.
pub const fn cells(bytes: &[u8]) -> usize {
    match bytes.first_chunk::<HEADER_BYTES>() {
        Some(header @ [b'Z', b'R', b'D', b'T', ..]) => {
            u16::from_le_bytes([header[field::ROWS.start], header[field::ROWS.start + 1]]) as usize
        }
        _ => 0,
    }
}

/// Templates that were checked, as they lie in flash.
#[derive(Clone, Copy, Debug)]
pub struct Templates<'a> {
    /// Holds the records of all templates.
    records: &'a [u8],
    network: u32,
    columns: usize,
    rows: usize,
}

/// A phrase that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template<'a> {
    /// The name that people read.
    pub name: &'a str,
    /// The least similarity that is a detection, Q0.15.
    pub threshold: u16,
    /// Holds the elements of the rows, `[rows, columns]`.
    pub elements: &'a [i8],
}

impl<'a> Templates<'a> {
    /// Checks all templates, in time linear in their length.
    ///
    /// # Errors
    ///
    /// Returns a [`TemplateError`] that says what is wrong, and in which template and field. Any bytes give either templates or
    /// an error.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TemplateError> {
        let templates = Self::find_records(bytes)?;
        let wrong = |index, field, problem| TemplateError::Template {
            index,
            field,
            problem,
        };
        let (mut rest, mut rows) = (templates.records, 0usize);
        for index in 0..u16_at(bytes, field::TEMPLATES) {
            let record = take(&mut rest, templates.columns).ok_or(wrong(
                index,
                "length",
                "ends beyond all of it",
            ))?;
            let template = record.map_err(|(field, problem)| wrong(index, field, problem))?;
            let before = templates.iter().take(index.into());
            if before.into_iter().any(|other| other.name == template.name) {
                return Err(wrong(index, "name", "is there twice"));
            }
            let columns = templates.columns.max(1);
            rows = rows.saturating_add(template.elements.len() / columns);
        }
        let wrong = |field, problem| Err(TemplateError::Header { field, problem });
        if !rest.is_empty() {
            return wrong("templates", "are followed by more bytes");
        }
        if rows != templates.rows {
            return wrong("rows", "must be those of all templates");
        }
        Ok(templates)
    }

    /// Returns templates with a valid header, whose records are not checked yet.
    fn find_records(bytes: &'a [u8]) -> Result<Self, TemplateError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(TemplateError::NotTemplates);
        }
        let (found, expected) = (bytes.len(), HEADER_BYTES);
        let Some((_, records)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(TemplateError::Length { expected, found });
        };
        let version = u16_at(bytes, field::VERSION);
        if version != VERSION {
            return Err(TemplateError::Version { found: version });
        }
        let expected = u32_at(bytes, field::TOTAL_LENGTH) as usize;
        if expected != found {
            return Err(TemplateError::Length { expected, found });
        }
        let (expected, found) = (u32_at(bytes, field::CHECKSUM), checksum(bytes));
        if expected != found {
            return Err(TemplateError::Checksum { expected, found });
        }
        let wrong = |field, problem| Err(TemplateError::Header { field, problem });
        if !(1..=MAX_TEMPLATES).contains(&u16_at(bytes, field::TEMPLATES).into()) {
            return wrong("templates", "must be 1..=8");
        }
        let columns = u16_at(bytes, field::COLUMNS).into();
        if !(1..=MAX_COLUMNS).contains(&columns) {
            return wrong("columns", "must be 1..=128");
        }
        Ok(Self {
            records,
            network: u32_at(bytes, field::NETWORK),
            columns,
            rows: u16_at(bytes, field::ROWS).into(),
        })
    }

    /// Returns the templates in their order.
    pub fn iter(&self) -> impl Iterator<Item = Template<'a>> + use<'a> {
        let (mut rest, columns) = (self.records, self.columns);
        core::iter::from_fn(move || take(&mut rest, columns)?.ok())
    }

    /// Returns the template with this number, from 0.
    pub fn get(&self, number: u8) -> Option<Template<'a>> {
        self.iter().nth(number.into())
    }

    /// Returns what tells the network that the templates belong to: [`Image::network`](crate::Image::network).
    pub fn network(&self) -> u32 {
        self.network
    }

    /// Returns the number of columns of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the number of rows of all templates, which is that of the [`Cell`]s that a [`Matcher`] needs.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Takes the next template; `None` at the end, or where it would lie beyond the end.
#[allow(clippy::type_complexity)] // field and problem, as a `TemplateError` has them
fn take<'a>(
    rest: &mut &'a [u8],
    columns: usize,
) -> Option<Result<Template<'a>, (&'static str, &'static str)>> {
    let (record, after) = rest.split_at_checked(RECORD_BYTES)?;
    let rows = usize::from(u16_at(record, field::TEMPLATE_ROWS));
    let elements;
    (elements, *rest) = after.split_at_checked(rows.checked_mul(columns)?)?;
    if !(MIN_ROWS..=MAX_ROWS).contains(&rows) {
        return Some(Err(("rows", "must be 4..=100")));
    }
    let threshold = u16_at(record, field::THRESHOLD);
    if !(1..=SAME).contains(&threshold) {
        return Some(Err(("threshold", "must be 1..=32768")));
    }
    let name = record.get(field::NAME).unwrap_or_default();
    let length = name.iter().position(|&byte| byte == 0);
    let (name, zeros) = name.split_at_checked(length.unwrap_or(name.len()))?;
    let plain = |name: &&str| !name.is_empty() && !name.chars().any(char::is_control);
    let name = core::str::from_utf8(name).ok().filter(plain);
    let Some(name) = name.filter(|_| zeros.iter().all(|&byte| byte == 0)) else {
        let problem = "must have 1..=32 bytes of UTF-8 and no control characters, then zeros";
        return Some(Err(("name", problem)));
    };
    Some(Ok(Template {
        name,
        threshold,
        elements: bytemuck::cast_slice(elements),
    }))
}

fn u16_at(bytes: &[u8], at: Range<usize>) -> u16 {
    let bytes = bytes.get(at).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |&bytes| u16::from_le_bytes(bytes))
}

fn u32_at(bytes: &[u8], at: Range<usize>) -> u32 {
    let bytes = bytes.get(at).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |&bytes| u32::from_le_bytes(bytes))
}

#[cfg(test)]
pub(crate) mod tests;
