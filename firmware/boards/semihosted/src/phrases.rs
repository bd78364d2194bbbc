//! Phrases that are looked for beside the image's words, on boards that have the feature `templates`.

#[cfg(feature = "templates")]
use static_cell::ConstStaticCell;
use zerda_firmware::Recognizer;
use zerda_firmware::step::Step;
use zerda_firmware::templates::{Cell, Matcher, Templates};

use crate::{Message, message};

/// Says whether there may be phrases: without, nothing of them is linked.
pub const PHRASES: bool = cfg!(feature = "templates");

/// Phrases that are looked for, and the memory for their rows.
pub type Phrases = (&'static [u8], &'static mut [Cell]);

/// Returns the phrases that were built in, from the file that ZERDA_TEMPLATES names.
#[cfg(feature = "templates")]
pub fn phrases() -> Option<Phrases> {
    use zerda_firmware::templates::cells;
    const FILE: &[u8] = include_bytes!(env!("ZERDA_TEMPLATES"));
    static CELLS: ConstStaticCell<[Cell; cells(FILE)]> =
        ConstStaticCell::new([Cell::START; cells(FILE)]);
    Some((FILE, CELLS.take()))
}

#[cfg(not(feature = "templates"))]
pub fn phrases() -> Option<Phrases> {
    None
}

/// Makes what looks for phrases in what a recognizer hears.
#[inline(never)] // its messages leave the stack
pub fn matcher(
    bytes: &'static [u8],
    cells: &'static mut [Cell],
    recognizer: &Recognizer<'_, impl Step>,
) -> Result<Matcher<'static, 'static>, Message> {
    let templates =
        Templates::parse(bytes).map_err(|error| message(format_args!("templates: {error}")))?;
    Matcher::new(templates, recognizer, cells).map_err(|misfit| message(format_args!("{misfit}")))
}
