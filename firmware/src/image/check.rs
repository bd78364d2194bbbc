//! These are the checks behind [`Image::parse`]: after them, nothing that runs the plan can fail.

use super::{
    ALIGNMENT, HANGOVER_MS, Image, MAX_CACHES, MAX_CLASSES, MAX_COMMANDS, MAX_LEVEL_FRAMES,
    MAX_MELS, MAX_NAME, MAX_SMOOTHING, MAX_WAKE_WORDS, MAX_WORDS, ParseError, Quiet, SAMPLE_RATE,
    WINDOW_MS, ops, records::take_command, section,
};
use crate::kernels::limits::{BINS, FFT};
use crate::plan::{Element, Location, Tensor, TensorId};

/// Checks every record of an image whose records have been found.
pub(super) fn image(image: &Image<'_>) -> Result<(), ParseError> {
    head(image)?;
    labels(image)?;
    caches(image)?;
    tensors(image)?;
    front_end_tables(image)?;
    outputs(image)?;
    ops::ops(image)?;
    commands(image)?;
    wake(image)?;
    section::check::section(image)
}

fn manifest(field: &'static str, problem: &'static str) -> ParseError {
    ParseError::Manifest { field, problem }
}

/// Returns the error if the condition does not hold.
fn require(holds: bool, error: ParseError) -> Result<(), ParseError> {
    if holds { Ok(()) } else { Err(error) }
}

fn head(image: &Image<'_>) -> Result<(), ParseError> {
    let head = image.manifest();
    let (stream, front_end, decoder) = (head.stream, head.front_end, head.decoder);
    let sane = |value: f32| value.is_finite() && (0.0..=1000.0).contains(&value);
    for (holds, field, problem) in [
        (stream.chunk >= 1, "chunk", "must be at least 1"),
        (
            (1..=stream.chunk).contains(&stream.step),
            "step",
            "must be 1..=chunk",
        ),
        (
            stream.left_context.checked_add(stream.chunk).is_some(),
            "left context",
            "is too long",
        ),
        (
            front_end.sample_rate == SAMPLE_RATE,
            "sample rate",
            "must be 16000",
        ),
        (
            (1..=FFT).contains(&front_end.window.into()),
            "window",
            "must be 1..=512 samples",
        ),
        (
            (1..=front_end.window).contains(&front_end.hop),
            "hop",
            "must be 1..=window",
        ),
        (
            (1..=MAX_MELS).contains(&front_end.mels.into()),
            "mels",
            "must be 1..=80",
        ),
        (
            sane(front_end.level_decay),
            "level decay",
            "must be 0..=1000",
        ),
        (
            sane(front_end.level_floor),
            "level floor",
            "must be 0..=1000",
        ),
        (
            (1..=MAX_LEVEL_FRAMES).contains(&front_end.level_frames.into()),
            "level frames",
            "must be 0..=16",
        ),
        (
            sane(front_end.range) && front_end.range >= 0.001,
            "range",
            "must be 0.001..=1000",
        ),
        (
            (1..=MAX_SMOOTHING).contains(&decoder.smoothing.into()),
            "smoothing",
            "must be 1..=32",
        ),
        (
            (1..=MAX_CLASSES).contains(&head.classes.into()),
            "classes",
            "must be 1..=64",
        ),
        (decoder.silence < head.classes, "silence", "is no label"),
        (
            (1..=MAX_CACHES).contains(&head.caches.into()),
            "caches",
            "must be 1..=64",
        ),
    ] {
        require(holds, manifest(field, problem))?;
    }
    let hangover = |quiet: Quiet| HANGOVER_MS.contains(&quiet.hangover_ms);
    let (field, problem) = ("quiet", "must have a hangover of 300..=10000 ms");
    require(
        image.quiet().is_none_or(hangover),
        ParseError::Header { field, problem },
    )?;
    let silence = image.labels().nth(decoder.silence.into());
    require(
        silence.is_some_and(|label| label.threshold == 0),
        ParseError::Label {
            index: decoder.silence.into(),
            field: "threshold",
            problem: "silence is never detected: must be 0",
        },
    )
}

fn labels(image: &Image<'_>) -> Result<(), ParseError> {
    for (index, label) in (0..).zip(image.labels()) {
        let (field, problem) = ("name", NAME_PROBLEM);
        let error = ParseError::Label {
            index,
            field,
            problem,
        };
        require(is_name(label.name.as_bytes()), error)?;
    }
    Ok(())
}

/// Says what [`is_name`] demands.
const NAME_PROBLEM: &str = "must have 1..=64 bytes of UTF-8 and no control characters";

/// Says whether bytes are the name of a label or a command: a report holds it, and a terminal is not changed by it.
fn is_name(name: &[u8]) -> bool {
    let plain = |name: &str| !name.chars().any(char::is_control);
    (1..=MAX_NAME).contains(&name.len()) && core::str::from_utf8(name).is_ok_and(plain)
}

fn caches(image: &Image<'_>) -> Result<(), ParseError> {
    let head = image.manifest();
    let mut end = 0;
    let mut index = 0;
    for cache in image.caches() {
        let bytes = cache.byte_range();
        let room = cache.capacity.checked_sub(cache.rows);
        for (holds, field, problem) in [
            (cache.cols >= 1, "cols", "must be at least 1"),
            (
                cache.rows >= head.stream.step,
                "rows",
                "must be at least the step",
            ),
            (
                room.is_some_and(|room| room >= head.stream.step),
                "capacity",
                "must be at least rows and step",
            ),
            (bytes.start >= end, "offset", "overlaps the cache before"),
            (
                index > 0 || cache.rows == head.stream.chunk,
                "rows",
                "must be the chunk in the feature window",
            ),
            (
                index > 0 || cache.cols == head.front_end.mels,
                "cols",
                "must be the mel filters in the feature window",
            ),
        ] {
            require(
                holds,
                ParseError::Cache {
                    index,
                    field,
                    problem,
                },
            )?;
        }
        end = bytes.end;
        index += 1;
    }
    require(
        index == head.caches.into(),
        manifest("caches", "are not postcard caches"),
    )?;
    let needed = end.checked_next_multiple_of(ALIGNMENT);
    let (field, problem) = ("cache bytes", "are not what the caches need");
    require(
        needed == Some(image.cache_bytes()),
        ParseError::Header { field, problem },
    )
}

fn tensors(image: &Image<'_>) -> Result<(), ParseError> {
    let stream = image.manifest().stream;
    let keys = stream.left_context.saturating_add(stream.chunk);
    let mut end = 0;
    let mut index = 0;
    for tensor in image.tensors() {
        let fail = |field, problem| ParseError::Tensor {
            index,
            field,
            problem,
        };
        let bytes = || tensor.byte_range().ok_or(fail("offset", "is too large"));
        for (holds, field, problem) in [
            (tensor.rows >= 1, "rows", "must be at least 1"),
            (tensor.cols >= 1, "cols", "must be at least 1"),
            (tensor.scale.is_finite(), "scale", "must be finite"),
            (
                !tensor.keys || tensor.cols == keys,
                "keys",
                "must have left context and chunk as columns",
            ),
            (
                tensor.is_constant() || tensor.element == Element::I8,
                "element",
                "must be I8 outside the constants",
            ),
        ] {
            require(holds, fail(field, problem))?;
        }
        match tensor.location {
            Location::Constant { .. } => {
                let bytes = bytes()?;
                let aligned = bytes.start.is_multiple_of(ALIGNMENT);
                require(aligned, fail("offset", "must be a multiple of 16"))?;
                let inside = bytes.end <= image.segment.len();
                require(inside, fail("offset", "ends outside the tensor segment"))?;
            }
            Location::Arena { .. } => end = end.max(bytes()?.end),
            Location::Cache { cache, row } => {
                let cache = image.cache(cache.into());
                let cache = cache.ok_or(fail("offset", "names no cache"))?;
                let rows = row.checked_add(tensor.rows);
                let inside = rows.is_some_and(|rows| rows <= cache.rows);
                require(inside, fail("offset", "ends outside the cache window"))?;
                let whole = tensor.cols == cache.cols;
                require(whole, fail("cols", "must be those of the cache"))?;
            }
        }
        index += 1;
    }
    require(
        index == image.manifest().tensors,
        ParseError::Tensor {
            index,
            field: "encoding",
            problem: "is not a postcard tensor",
        },
    )?;
    let needed = end.checked_next_multiple_of(ALIGNMENT);
    let needed = needed.and_then(|tensors| tensors.checked_add(image.kept_bytes()));
    let (field, problem) = ("arena bytes", "are not what the tensors need");
    require(
        needed == Some(image.arena_bytes()),
        ParseError::Header { field, problem },
    )?;
    let sum = image.cache_bytes().checked_add(image.arena_bytes());
    require(
        sum.is_some(),
        ParseError::Header {
            field,
            problem: "are too many",
        },
    )
}

fn front_end_tables(image: &Image<'_>) -> Result<(), ParseError> {
    let front_end = image.manifest().front_end;
    let table = |id: TensorId, element, cols: usize| {
        let tensor = image.tensor(id)?;
        let fits = tensor.is_constant() && tensor.element == element;
        (fits && tensor.len() == cols).then_some(tensor)
    };
    for (id, cols, field) in [
        (
            front_end.window_table,
            front_end.window.into(),
            "window table",
        ),
        (front_end.mel_weight, BINS, "mel weight"),
    ] {
        let problem = manifest(
            field,
            "must be an F32 constant of one row a window or spectrum",
        );
        let values = image.constant_f32(table(id, Element::F32, cols).ok_or(problem)?);
        let sane = values.iter().all(|value| (-2.0..=2.0).contains(value));
        require(sane, manifest(field, "must hold values of about 0..=1"))?;
    }
    let problem = manifest("mel band", "must be an I8 constant of one row a spectrum");
    let table = table(front_end.mel_band, Element::I8, BINS).ok_or(problem)?;
    let bands = image.constant_i8(table);
    let known = bands
        .iter()
        .all(|&band| band >= -1 && i32::from(band) <= front_end.mels.into());
    require(known, manifest("mel band", "must hold -1..=mels"))
}

/// Checks the tensors that hold logits and posteriors.
fn outputs(image: &Image<'_>) -> Result<(), ParseError> {
    let head = image.manifest();
    for (id, field) in [(head.logits, "logits"), (head.posteriors, "posteriors")] {
        let fits = |tensor: Tensor| {
            let shape = (tensor.rows, tensor.cols) == (head.stream.step, head.classes.into());
            shape && matches!(tensor.location, Location::Arena { .. })
        };
        let problem = "must be an arena tensor [step, classes]";
        require(image.tensor(id).is_some_and(fits), manifest(field, problem))?;
    }
    Ok(())
}

/// Checks the commands of the grammar, if there is one.
fn commands(image: &Image<'_>) -> Result<(), ParseError> {
    let mut rest = image.commands;
    let count = image.grammar().commands;
    let problem = "must be at most 32";
    require(
        usize::from(count) <= MAX_COMMANDS,
        manifest("commands", problem),
    )?;
    for index in 0..count {
        let fail = |field, problem| ParseError::Command {
            index: index.into(),
            field,
            problem,
        };
        let encoding = fail("encoding", "is not a postcard command");
        let (name, words) = take_command(&mut rest).ok_or(encoding)?;
        require(is_name(name), fail("name", NAME_PROBLEM))?;
        let few = (1..=MAX_WORDS).contains(&words.len());
        require(few, fail("words", "must be 1..=4"))?;
        for &word in words {
            let known = is_detected(image, word);
            require(known, fail("words", "must be labels that are detected"))?;
        }
    }
    require(
        rest.is_empty(),
        manifest("commands", "do not end with the manifest"),
    )
}

/// Says whether a number is that of a label that can be detected.
fn is_detected(image: &Image<'_>, label: u8) -> bool {
    let label = image.labels().nth(label.into());
    label.is_some_and(|label| label.threshold > 0)
}

/// Checks the wake words and their window, if there are any.
fn wake(image: &Image<'_>) -> Result<(), ParseError> {
    let Some(wake) = image.wake() else {
        return Ok(());
    };
    let fail = |field, problem| ParseError::Wake { field, problem };
    let (words, own) = (wake.words, wake.thresholds);
    let window = WINDOW_MS.contains(&wake.window_ms);
    require(window, fail("window", "must be 500..=60000 ms"))?;
    let few = words.len() <= MAX_WAKE_WORDS;
    require(few, fail("words", "must be 1..=8"))?;
    let one_each = own.is_empty() || own.len() == image.manifest().classes.into();
    require(one_each, fail("thresholds", "must be one a label, or none"))?;
    for (index, word) in words.iter().enumerate() {
        let twice = words.iter().take(index).any(|before| before == word);
        let spoken = image.phrases().any(|phrase| phrase.contains(word));
        for (holds, problem) in [
            (
                is_detected(image, *word),
                "must be labels that are detected",
            ),
            (!twice, "must not be there twice"),
            (!spoken, "must be in no command"),
        ] {
            require(holds, fail("words", problem))?;
        }
    }
    for (label, &own) in (0..).zip(own) {
        let command = is_detected(image, label) && !words.contains(&label);
        let problem = "must be of labels that are detected and no wake words";
        require(own == 0 || command, fail("thresholds", problem))?;
    }
    Ok(())
}
