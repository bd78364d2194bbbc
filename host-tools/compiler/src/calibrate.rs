//! Observes which values the tensors take while the float network runs over recorded speech.

use std::path::PathBuf;

use zerda_firmware::Image;
use zerda_quantize::graph::Graph;
use zerda_quantize::observations::{Observation, Observations};
use zerda_support::audio;
use zerda_support::batch::{Batch, Turn};
use zerda_support::error::{Error, Result};

use super::float::observed;
use crate::tract_step::{FloatStep, features};

/// Largest number of recordings that are read from a folder, evenly spread over it. More change no range by
/// much.
const RECORDINGS: usize = 500;

/// Number of recordings that run between two cold starts. Caches fill in about as many steps as one
/// recording has, so both warm-up and old context are seen.
const RECORDINGS_A_STREAM: usize = 3;

/// Number of parts in which the streams are observed. They are merged in order, so the sums are the same on
/// any number of cores.
const PARTS: usize = 8;

/// Least number of samples that recordings must have together, 0.5 s, for ranges to mean something.
const LEAST_SAMPLES: usize = 8000;

/// Largest sample that silence has: -60 dBFS.
const SILENT: u16 = 32;

/// Reads the recordings to calibrate on; a folder contributes at most `RECORDINGS`, evenly spread over it. Together they are
/// at most [`audio::MOST_HELD`] samples, since calibration runs over them several times.
pub fn recordings(paths: &[PathBuf]) -> Result<Vec<Vec<i16>>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let listed = audio::list(path)?;
        let every = listed.len().div_ceil(RECORDINGS).max(1);
        files.extend(listed.into_iter().step_by(every));
    }
    if files.is_empty() {
        return Err(Error::usage(
            "no recordings to calibrate on; name some with --calibrate",
        ));
    }
    let mut left = audio::MOST_HELD;
    let mut recordings = Vec::new();
    let take = |recording: Result<Vec<i16>>| {
        let recording = recording?;
        left = left.checked_sub(recording.len()).ok_or_else(|| {
            Error::usage(format!(
                "the recordings to calibrate on last longer than {} minutes together, the most that is held in memory; name \
                 fewer of them",
                audio::MOST_HELD_MINUTES
            ))
        })?;
        recordings.push(recording);
        Ok(())
    };
    Batch::new(&files).each((), |(), turn| audio::read(turn.item), take)?;
    Ok(recordings)
}

/// Checks that recordings (16 kHz) are long enough, and that something is heard in them.
pub fn check(recordings: &[Vec<i16>]) -> Result<()> {
    let samples: usize = recordings.iter().map(Vec::len).sum();
    if samples < LEAST_SAMPLES {
        return Err(Error::usage(format!(
            "the recordings to calibrate on last {} ms together; expected 500 ms or more of speech as the device will hear it",
            samples / 16
        )));
    }
    let peak = recordings
        .iter()
        .flatten()
        .map(|sample| sample.unsigned_abs())
        .max();
    match peak.is_none_or(|peak| peak <= SILENT) {
        true => Err(Error::usage(
            "the recordings to calibrate on hold silence, nothing in them is above -60 dBFS; expected speech as the device \
             will hear it",
        )),
        false => Ok(()),
    }
}

/// Runs the float network over `recordings` (16 kHz) and returns what was observed. `step` must put out the
/// tensors that [`observed`] names; `draft` is an image whose front end computes the features.
pub fn observe(
    graph: &Graph,
    step: &FloatStep,
    draft: &Image,
    recordings: &[Vec<i16>],
) -> Result<Observations> {
    let streams: Vec<Vec<i16>> = recordings
        .chunks(RECORDINGS_A_STREAM)
        .map(<[_]>::concat)
        .collect();
    let parts: Vec<_> = streams
        .chunks(streams.len().div_ceil(PARTS).max(1))
        .collect();
    let part = |step: &mut FloatStep, turn: &Turn<'_, &[Vec<i16>], Result<Observations>>| {
        let mut seen = empty(graph);
        for stream in *turn.item {
            step.reset();
            for chunk in chunks(graph, draft, stream) {
                let absent = step.absent();
                let outputs = step.step_observed(&chunk)?;
                record(graph, &mut seen, &outputs[1..], absent)?;
            }
            turn.heard(stream.len());
        }
        Ok(seen)
    };
    let mut total = empty(graph);
    let samples = |part: &&[Vec<i16>]| part.iter().map(|stream| stream.len() as u64).sum();
    let batch = Batch::new(&parts).shown("parts", samples);
    batch.each(step.clone(), part, |seen| {
        for (total, seen) in total.iter_mut().flatten().zip(seen?.iter().flatten()) {
            total.merge(seen);
        }
        Ok(())
    })?;
    Ok(total)
}

fn empty(graph: &Graph) -> Observations {
    let mut seen = vec![None; graph.tensors.len()];
    for id in observed(graph) {
        seen[id] = Some(Observation::new(graph.tensors[id].cols));
    }
    seen
}

/// Returns the features of each step of a stream, shape [C, mels].
pub fn chunks(graph: &Graph, draft: &Image, samples: &[i16]) -> Vec<Vec<f32>> {
    let mels = usize::from(draft.manifest().front_end.mels);
    let (chunk, step) = (
        usize::from(graph.stream.chunk),
        usize::from(graph.stream.step),
    );
    features(draft, samples)
        .windows(chunk * mels)
        .step_by(step * mels)
        .map(<[f32]>::to_vec)
        .collect()
}

fn record(
    graph: &Graph,
    seen: &mut Observations,
    outputs: &[Vec<f32>],
    absent: usize,
) -> Result<()> {
    for (id, rows) in observed(graph).into_iter().zip(outputs) {
        let tensor = &graph.tensors[id];
        if !rows.iter().all(|value| value.is_finite()) {
            return Err(Error::check(format!(
                "the float network computes NaN or infinity, first in `{}`; expected a network that was trained on such \
                 recordings",
                tensor.name
            )));
        }
        let absent = if tensor.keys { absent } else { 0 };
        let Some(seen) = &mut seen[id] else { continue };
        rows.chunks(tensor.cols)
            .for_each(|row| seen.row(row, absent));
    }
    Ok(())
}
