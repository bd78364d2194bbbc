//! `zerda simulate --fit` fits the costs of a board's kernels to instructions that are counted in QEMU.

use std::collections::BTreeMap;
use std::path::Path;

use zerda_device::boards::Project;
use zerda_device::qemu::{self, Step};
use zerda_firmware::Image;
use zerda_support::board::{COSTS, Cost, Instructions, Kernels};
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::files;
use zerda_support::image_file::ImageFile;
use zerda_support::output;
use zerda_support::output::print;

use super::Options;
use super::cost::fit::{Count, fit};
use super::cost::kernels::{self, Work};
use super::cost::{Slides, decoder, front_end};

/// Number of steps that run with full caches, besides those in which they fill.
const STEADY: u64 = 20;

/// Counts, fits, and rewrites the costs in the file of a board that has firmware.
pub fn calibrate(options: &Options) -> Result<()> {
    if options.wake.is_some() {
        return Err(Error::usage(
            "--fit with --wake: wake words change no cost of an operator; leave --wake out",
        ));
    }
    let board = options.board()?;
    let path = &board.path;
    let text = files::read_to_string(path).map_err(|error| Error::read(path, error))?;
    let Some((before, _)) = text.split_once(COSTS) else {
        return Err(Error::usage(format!(
            "{}: expected a last table {} to put costs in",
            path.display(),
            COSTS
        )));
    };
    let project = Project::open(&options.boards, &board.name)?;
    let costs = count(&project, board.instructions.kernels, &options.image)?;
    let lines: Vec<_> = costs.cost.iter().map(line).collect();
    output::replace(
        path,
        format!("{before}{COSTS}\n{}\n", lines.join("\n")).as_bytes(),
    )?;
    let terms: usize = costs.cost.values().map(BTreeMap::len).sum();
    print(&format!(
        "{}: {terms} costs, fitted to instructions counted in QEMU of {}",
        escape::path(path),
        escape::path(&options.image)
    ))
}

/// Counts and fits the costs of a board's kernels and of the plain ones, over all steps of an image as the
/// caches fill.
fn count(project: &Project, kernels: Kernels, path: &Path) -> Result<Instructions> {
    let file = ImageFile::open(path)?;
    let image = file.image()?;
    let pcm = noise(&image);
    let mut counts = Vec::new();
    // Where all kernels are plain, once is enough.
    let builds = match kernels {
        Kernels::Plain => 1,
        Kernels::Dsp | Kernels::Mve => 2,
    };
    for plain in [false, true].into_iter().take(builds) {
        let firmware = match plain {
            true => project.build_plain(&file)?,
            false => project.build(&file, None)?,
        };
        let steps = qemu::count(project, firmware, &image, &pcm)?;
        let mut frames = image.manifest().stream.chunk;
        for (step, (absent, moved)) in steps.into_iter().zip(Slides::new(&image)) {
            let Step {
                front_end: features,
                decoder: decoding,
                operators,
            } = step;
            let of = |op| kernels::work(&image, op, kernels, plain, absent);
            let mut add = |work: Work, instructions| counts.push(Count { work, instructions });
            image
                .ops()
                .map(of)
                .zip(operators)
                .for_each(|(work, count)| add(work, count));
            let next = std::mem::replace(&mut frames, image.manifest().stream.step);
            if !plain {
                add(front_end(next), features);
                add(decoder(&image, moved), decoding);
            }
        }
    }
    let mut cost = BTreeMap::<String, BTreeMap<String, Cost>>::new();
    for ((class, term), instructions) in fit(&counts) {
        let terms = cost.entry(class.into()).or_default();
        terms.insert(term.into(), Cost(instructions));
    }
    Ok(Instructions { kernels, cost })
}

/// Returns noise that is long enough for the caches to fill, and some steps more.
pub fn noise(image: &Image<'_>) -> Vec<i16> {
    let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
    let steps = u64::from(stream.left_context.div_ceil(stream.step)) + STEADY;
    let frames = u64::from(stream.chunk) + steps * u64::from(stream.step);
    let mut state = 1u32;
    let sample = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as i16 / 16
    };
    (0..frames * u64::from(front_end.hop) + u64::from(front_end.window))
        .map(sample)
        .collect()
}

/// Writes a class as a line of TOML, with four digits a cost.
fn line((class, terms): (&String, &BTreeMap<String, Cost>)) -> String {
    let term = |(term, cost): (&String, &Cost)| {
        let digits = 3usize
            .saturating_sub(cost.0.max(1.0).log10() as usize)
            .max(1);
        format!("{term} = {:.digits$}", cost.0)
    };
    let terms: Vec<_> = terms.iter().map(term).collect();
    format!("{class} = {{ {} }}", terms.join(", "))
}
