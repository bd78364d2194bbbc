//! `zerda eval` measures accuracy on a folder of clips, of the float network in tract and of the
//! INT8 image in the firmware crate, on the same clips.
//!
//! A clip's answer is what `zerda run` would go by: the label with the highest smoothed posterior
//! over the clip, silence if none reaches one half.

mod report;

use std::path::PathBuf;

use zerda_support::audio::{self, SAMPLE_RATE};
use zerda_support::batch::Batch;
use zerda_support::clips::{Found, Wanted, find};
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;
use zerda_support::operators::macs_per_step;

use crate::answer::Answerer;
use report::AccuracyReport;

pub struct Options {
    /// Folders that have one folder a label, of recordings.
    pub directories: Vec<PathBuf>,
    pub image: PathBuf,
    pub onnx: PathBuf,
    pub json: bool,
    pub wanted: Wanted,
}

/// Label whose clips serve as other speech before a clip.
const OTHER_SPEECH: &str = "_unknown_";
/// Number of samples of other speech that come before a clip: 1.2 s, which fills the attention
/// cache.
const CONTEXT: usize = SAMPLE_RATE as usize * 12 / 10;

struct Clip {
    label: usize,
    samples: Vec<i16>,
}

/// Labels that a clip was answered with, each by its number.
struct Outcome {
    label: usize,
    float: usize,
    int8: usize,
    /// Answer of INT8 after other speech; `None` where there is none to put before the clip.
    int8_after_speech: Option<usize>,
}

pub fn eval(options: &Options) -> Result<()> {
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    let labels: Vec<&str> = image.labels().map(|label| label.name).collect();
    let Found { files, left_out } = find(&options.directories, &labels, &options.wanted)?;
    let answerer = Answerer::new(&image, &options.onnx)?;
    if files.is_empty() {
        let names = options.directories.iter().map(|path| path.display());
        let names: Vec<_> = names.map(|name| name.to_string()).collect();
        return Err(Error::usage(format!(
            "{}: the folders hold no recording",
            names.join(", ")
        )));
    }
    let clips = read(&files)?;
    let errors = clips.len() < files.len();
    if clips.is_empty() {
        return Err(Error::Reported);
    }
    let outcomes = answer_all(answerer, &labels, &clips)?;
    let report = AccuracyReport {
        labels: &labels,
        commands: image.labels().map(|label| label.threshold > 0).collect(),
        left_out,
        why_left_out: options.wanted.why_left_out(),
        macs_per_step: macs_per_step(&image),
        outcomes: &outcomes,
    };
    report.print(options.json)?;
    if errors {
        return Err(Error::Reported);
    }
    Ok(())
}

/// Reads the clips that can be read, and prints an error line for each of the others.
fn read(files: &[(usize, PathBuf)]) -> Result<Vec<Clip>> {
    let mut clips = Vec::new();
    Batch::new(files).each(
        (),
        |(), turn| {
            let &(label, ref path) = turn.item;
            audio::read(path).map(|samples| Clip { label, samples })
        },
        |clip| {
            clips.extend(clip.inspect_err(Error::report).ok());
            Ok(())
        },
    )?;
    Ok(clips)
}

/// Answers every clip on all cores; the outcomes keep the order of the clips.
fn answer_all(answerer: Answerer<'_>, labels: &[&str], clips: &[Clip]) -> Result<Vec<Outcome>> {
    let speech = labels.iter().position(|label| *label == OTHER_SPEECH);
    let speech: Vec<usize> = (0..clips.len())
        .filter(|&i| Some(clips[i].label) == speech)
        .collect();
    let answer = |answerer: &mut Answerer<'_>, index: usize, clip: &Clip| {
        let context = context(clips, &speech, index);
        let after_speech = context.map(|context| answerer.int8(&context, &clip.samples));
        Ok(Outcome {
            label: clip.label,
            float: answerer.float(&clip.samples)?,
            int8: answerer.int8(&[], &clip.samples)?,
            int8_after_speech: after_speech.transpose()?,
        })
    };
    let mut outcomes = Vec::with_capacity(clips.len());
    let batch = Batch::new(clips).shown("clips", |clip| clip.samples.len() as u64);
    batch.each(
        answerer,
        |answerer, turn| answer(answerer, turn.number, turn.item),
        |outcome| {
            outcomes.push(outcome?);
            Ok(())
        },
    )?;
    Ok(outcomes)
}

/// Returns the other speech that comes before a clip: the last [`CONTEXT`] samples of several clips
/// of unknown words, never of the clip itself, which ones depending on nothing but the clip's
/// number. It ends as its last clip ends, not within a word that would rightly be recognised late.
/// `None` means that there is no other clip of unknown words.
fn context(clips: &[Clip], speech: &[usize], index: usize) -> Option<Vec<i16>> {
    if !speech.iter().any(|&other| other != index) {
        return None;
    }
    let mut context = Vec::new();
    // Coprime to most counts, so that neighbours get different speech.
    let mut others = speech.iter().cycle().skip(index * 37 % speech.len());
    while context.len() < CONTEXT {
        let other = *others.next()?;
        if other != index {
            context.extend_from_slice(&clips[other].samples);
        }
    }
    Some(context.split_off(context.len() - CONTEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speech_before_a_clip_is_never_the_clip_and_ends_with_a_whole_one() {
        let clip = |value| Clip {
            label: 0,
            samples: vec![value; 16_000],
        };
        let clips = [clip(0), clip(1), clip(2)];
        for index in 0..3 {
            let context = context(&clips, &[1, 2], index).unwrap();
            assert_eq!(context.len(), 19_200);
            assert!(!context.contains(&(index as i16)), "clip {index}");
            let last = &context[3_200..];
            assert!(last.iter().all(|sample| *sample == last[0]));
        }
        assert!(context(&clips, &[1], 1).is_none());
    }
}
