//! Tells where 20 MB went: the profile `baseline` in float32 beside the image in INT8.
//!
//! The baseline is estimated from its shapes, of a sequence of [`FRAMES`] frames in one piece, as a network
//! without a stream runs. With hidden H, feed-forward F, kernel K, heads h, chunk C, left context L, and 4 bytes
//! each:
//!
//! - weights: `mels H + layers (2 * 2 H F + 4 H^2 + K H + 3 H^2) + H classes`: two half-step feed-forwards, four
//!   projections of attention, the convolution with the two linears of its GLU and the one after it; as
//!   [`zerda_support::config::Profile::macs_per_step`] multiplies them.
//! - biases: one of each output channel, and the position bias `[h, C, L + C]` of each layer. Batch norms are folded
//!   away.
//! - attention scores: `[h, FRAMES, FRAMES]`, of one layer at a time.
//! - activations: the widest, `[FRAMES, F]`.

use serde::Serialize;
use zerda_firmware::Image;
use zerda_firmware::plan::Op;
use zerda_support::config::Profile;
use zerda_support::image_file::ImageFile;
use zerda_support::image_parts;
use zerda_support::operators::bytes;

/// Number of frames that 5 s have: no command is longer.
pub const FRAMES: u64 = 500;
const FLOAT: u64 = 4;

/// Line of the table, whose figures are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: &'static str,
    /// Bytes that are estimated from the shapes of the profile.
    pub baseline: u64,
    /// Bytes that are measured on the image.
    pub image: u64,
}

/// Returns the rows, and their sum as the last.
pub fn table(profile: &Profile, mels: u16, file: &ImageFile, image: &Image<'_>) -> Vec<Row> {
    let of = |kinds: &[&str]| {
        let parts = image_parts::parts(file.bytes(), image).into_iter();
        let parts = parts.filter(|part| kinds.contains(&part.kind));
        parts.map(|part| part.range.len() as u64).sum()
    };
    let [layers, heads, hidden, feed_forward, kernel] = [
        profile.layers,
        profile.heads,
        profile.hidden,
        profile.feed_forward,
        profile.kernel,
    ]
    .map(u64::from);
    let [chunk, cached, mels] = [profile.chunk, profile.cached, mels].map(u64::from);
    let classes = u64::from(image.manifest().classes);
    let layer = 4 * hidden * feed_forward + 7 * hidden * hidden + kernel * hidden;
    let weights = mels * hidden + layers * layer + hidden * classes;
    let channels = 2 * (feed_forward + hidden) + 8 * hidden;
    let position = heads * chunk * (cached + chunk);
    let biases = hidden + layers * (channels + position) + classes;
    let scores = image.ops().filter_map(|op| match op {
        Op::Scores { output, .. } => Some(bytes(image.tensor(output)?) as u64),
        _ => None,
    });
    let scores = scores.max().unwrap_or(0);
    let arena = image.arena_bytes() as u64;
    let row = |name, baseline, image| Row {
        name,
        baseline,
        image,
    };
    let mut rows = vec![
        row("weights", FLOAT * weights, of(&["weights"])),
        row(
            "biases, multipliers, tables",
            FLOAT * biases,
            of(&["biases", "multipliers", "tables", "operands"]),
        ),
        row("attention scores", FLOAT * heads * FRAMES * FRAMES, scores),
        row(
            "other activations",
            FLOAT * FRAMES * feed_forward,
            arena.saturating_sub(scores),
        ),
        row("caches of the stream", 0, image.cache_bytes() as u64),
        row(
            "front end, plan, padding",
            0,
            of(&["front_end", "header", "manifest", "other"]),
        ),
    ];
    if image.npu().is_some() {
        rows.push(row("NPU section", 0, of(&["npu"])));
    }
    let sum = |bytes: fn(&Row) -> u64| rows.iter().map(bytes).sum();
    let total = row("in all", sum(|row| row.baseline), sum(|row| row.image));
    rows.push(total);
    rows
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zerda_support::config::Config;

    use super::*;

    /// The baseline's figures are those of the design: 10.3, 8.0 and 2 MB.
    #[test]
    fn the_baseline_is_20_mb_and_the_image_is_all_counted() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shrunk.zerda");
        let file = ImageFile::open(&path).unwrap();
        let image = file.image().unwrap();
        let models = Config::load(None).unwrap().models;
        let rows = table(
            &models.profiles["baseline"],
            models.front_end.mels,
            &file,
            &image,
        );
        let tenths: Vec<_> = rows
            .iter()
            .map(|row| (row.baseline + 50_000) / 100_000)
            .collect();
        assert_eq!(tenths[..4], [103, 2, 80, 20]);
        // 20.55 MB.
        assert_eq!(tenths[6], 206);
        let all = (file.bytes().len() + image.memory_bytes()) as u64;
        assert_eq!(rows.last().unwrap().image, all);
        // As host-tools/cli/tests/inspect.rs counts them.
        assert_eq!(rows[0].image, 193_792);
    }
}
