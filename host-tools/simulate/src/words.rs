//! Finds where spoken commands end in recordings, and the step that detects each: the firmware crate says
//! so, sample by sample, whatever the board.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::audio::{self, SAMPLE_RATE};
use zerda_support::clips::{self, Wanted};
use zerda_support::error::{Error, Result};
use zerda_support::speech::Levels;

use super::device::Shape;

/// Number of samples that a hop of 10 ms has.
const HOP: usize = SAMPLE_RATE as usize / 100;
/// Samples of silence that follow a recording: a word that it ends with may be detected so late.
const TAIL: usize = 50 * HOP;

/// Spoken command that was detected.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectedWord {
    pub file: PathBuf,
    pub label: String,
    /// Sample at which its last 10 ms hop within 25 dB of the loudest ends.
    pub end: u64,
    /// Step (from 0) whose decoder output gave the detection.
    pub step: u64,
    /// Number of samples by which the step ran later than its chunk was complete, since it made up for kept frames.
    pub late: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectedWords {
    pub detected: Vec<DetectedWord>,
    /// Number of commands of a labelled folder that gave no right detection.
    pub missed: usize,
    /// Says whether folders told every word: then those that were missed are known.
    pub labelled: bool,
    /// Number of steps that ran, and that would have if the network never rested.
    pub steps: [u64; 2],
}

/// Recording and, where its folder says it, the number of the command in it.
type Recording = (PathBuf, Option<usize>);

/// Runs the firmware crate over recordings. In a folder as `zerda eval` reads it, of one word a clip, the
/// first detection of the folder's own label is that of the word; folders of no command are left out. Where
/// commands count after a wake word only, those of such a folder count as if it had been said. In any other
/// file a detection belongs to the last stretch of speech that begins before it was decided. Words that no
/// pause of 200 ms separates are one stretch: of its detections only the last is told, since the end of the
/// others is not known.
pub fn words(image: &Image<'_>, inputs: &[PathBuf]) -> Result<DetectedWords> {
    let mut recordings = Vec::new();
    for input in inputs {
        find(image, input, &mut recordings)?;
    }
    if recordings.is_empty() {
        return Err(Error::usage(
            "no recordings of commands to take words from; name files or folders of them",
        ));
    }
    let memory = || vec![0i8; image.memory_bytes()];
    let found = recordings
        .par_iter()
        .map_init(memory, |memory, recording| of(image, memory, recording));
    let mut words = DetectedWords {
        labelled: recordings.iter().all(|(_, label)| label.is_some()),
        ..DetectedWords::default()
    };
    for found in found.collect::<Result<Vec<_>>>()? {
        words.missed += found.missed;
        words.steps[0] += found.steps[0];
        words.steps[1] += found.steps[1];
        words.detected.extend(found.detected);
    }
    Ok(words)
}

/// Finds the recordings that an input names.
fn find(image: &Image<'_>, input: &Path, recordings: &mut Vec<Recording>) -> Result<()> {
    if !input.is_dir() {
        recordings.push((input.into(), None));
        return Ok(());
    }
    let labels: Vec<_> = image.labels().collect();
    let names: Vec<_> = labels.iter().map(|label| label.name).collect();
    if names.iter().any(|name| input.join(name).is_dir()) {
        let clips = clips::find(&[input.into()], &names, &Wanted::default())?
            .files
            .into_iter();
        let spoken = clips.filter(|&(label, _)| labels[label].threshold > 0);
        recordings.extend(spoken.map(|(label, clip)| (clip, Some(label))));
    } else {
        let files = audio::list(input)?.into_iter();
        recordings.extend(files.map(|file| (file, None)));
    }
    Ok(())
}

/// Finds the words of one recording.
fn of(image: &Image<'_>, memory: &mut [i8], (file, label): &Recording) -> Result<DetectedWords> {
    let awake = image.always_awake();
    let hearing = if label.is_some() { &awake } else { image };
    let Hearing {
        detections,
        speech,
        steps,
    } = hear(hearing, memory, file)?;
    let name = |label: usize| image.labels().nth(label).map_or("", |label| label.name);
    let word = |end, (label, step, late)| DetectedWord {
        file: file.clone(),
        label: name(label).into(),
        end,
        step,
        late,
    };
    let mut words = DetectedWords {
        steps,
        ..DetectedWords::default()
    };
    if let Some(label) = label {
        let right = detections
            .into_iter()
            .find(|(detected, ..)| detected == label);
        match (speech.last(), right) {
            (Some(speech), Some(detection)) => words.detected.push(word(speech.end, detection)),
            _ => words.missed = 1,
        }
        return Ok(words);
    }
    // Without buffers: when a step can be run, not when a board runs it.
    let shape = Shape::of(image, 0.0);
    for detection in detections {
        let decided = shape.complete(detection.1) + detection.2;
        let stretch = speech.iter().rfind(|stretch| stretch.start < decided);
        let Some(end) = stretch.map(|stretch| stretch.end) else {
            continue;
        };
        words.detected.pop_if(|before| before.end == end);
        words.detected.push(word(end, detection));
    }
    Ok(words)
}

/// A detection is its label, the step that gave it, and the samples by which that was late.
type Detection = (usize, u64, u64);

/// What was heard of a file.
struct Hearing {
    detections: Vec<Detection>,
    /// Samples of each stretch of speech.
    speech: Vec<Range<u64>>,
    /// Number of steps that ran, and that would have if the network never rested.
    steps: [u64; 2],
}

/// Hears a file as it is decoded, however long it is.
fn hear(image: &Image<'_>, memory: &mut [i8], file: &Path) -> Result<Hearing> {
    let mut recognizer =
        Recognizer::new(image, memory).map_err(|error| Error::usage(error.to_string()))?;
    let (mut step, mut ran, mut samples) = (0, 0, 0);
    let (mut detections, mut levels) = (Vec::new(), Levels::default());
    let shape = Shape::of(image, 0.0);
    let mut push = |pcm: &[i16]| {
        samples += pcm.len() as u64;
        recognizer.push_events(pcm, |event| match event {
            Event::Step { index, .. } => (step, ran) = (index, ran + 1),
            Event::Word(word) => {
                let decided = u64::from(word.decided_ms) * u64::from(SAMPLE_RATE / 1000);
                let late = decided.saturating_sub(shape.complete(step));
                detections.push((word.label.into(), step, late));
            }
            _ => {}
        });
    };
    let mut recording = audio::Recording::open(file, None)?;
    while let Some(piece) = recording.next_piece()? {
        levels.push(piece);
        push(piece);
    }
    push(&[0; TAIL]);
    Ok(Hearing {
        detections,
        speech: levels.stretches(),
        steps: [ran, audio::steps(image, samples)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::test_support::{repository, shrunk};
    use zerda_support::wake;

    /// Commands and their ends are those of the file that tells how the sample was made.
    #[test]
    fn the_commands_of_a_sample_are_found_with_their_ends() {
        let path = repository("models/samples/robot.wav");
        let truth = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let truth = truth["commands"].as_array().unwrap();
        let file = shrunk();
        let image = file.image().unwrap();
        let found = words(&image, &[path]).unwrap();
        assert_eq!((found.detected.len(), found.missed), (truth.len(), 0));
        assert!(!found.labelled);
        for (word, truth) in found.detected.iter().zip(truth) {
            assert_eq!(word.label, truth["command"]);
            // The sample's end is that of the voice's file, faint tail included.
            let end_ms = word.end as f64 / 16.0;
            let truth = truth["end_ms"].as_f64().unwrap();
            assert!(
                (truth - 200.0..=truth + 10.0).contains(&end_ms),
                "{end_ms} of {truth}"
            );
            let heard_ms = Shape::of(&image, 0.0).complete(word.step) as f64 / 16.0;
            assert!((end_ms - 200.0..end_ms + 300.0).contains(&heard_ms));
        }
    }

    #[test]
    fn a_labelled_folder_counts_right_detections_only_and_leaves_out_what_is_no_command() {
        let folder = tempfile::tempdir().unwrap();
        let samples = audio::read(&repository("models/samples/robot.wav")).unwrap();
        // `go`, which is said from 600 to 1050 ms; `left` begins at 1950.
        let go = &samples[..1_700 * 16];
        for label in ["go", "stop", "_unknown_"] {
            std::fs::create_dir(folder.path().join(label)).unwrap();
            let path = folder.path().join(label).join("clip.wav");
            audio::write(&path, go).unwrap();
        }
        let file = shrunk();
        let found = words(&file.image().unwrap(), &[folder.path().into()]).unwrap();
        let labels: Vec<_> = found.detected.iter().map(|word| &word.label[..]).collect();
        assert_eq!((labels, found.missed), (vec!["go"], 1));
        assert!(found.labelled);
        // As if the wake word had been said before each clip.
        let wake: wake::Words = "yes".parse().unwrap();
        let file = wake::with_wake(&file, &wake).unwrap();
        let gated = words(&file.image().unwrap(), &[folder.path().into()]).unwrap();
        assert_eq!(gated, found);
    }

    #[test]
    fn behind_a_gate_words_are_those_that_it_lets_through() {
        let path = repository("models/samples/robot.wav");
        let wake: wake::Words = "stop".parse().unwrap();
        let file = wake::with_wake(&shrunk(), &wake).unwrap();
        let found = words(&file.image().unwrap(), std::slice::from_ref(&path)).unwrap();
        let labels: Vec<_> = found.detected.iter().map(|word| &word.label[..]).collect();
        assert_eq!(labels, ["stop", "right", "go", "stop"]);
        // As late as without.
        let shipped = shrunk();
        let all = words(&shipped.image().unwrap(), &[path]).unwrap();
        assert_eq!(found.detected, all.detected[2..]);
    }

    #[test]
    fn no_recording_is_an_error_of_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = shrunk();
        let image = file.image().unwrap();
        let message = |input: PathBuf| words(&image, &[input]).unwrap_err().to_string();
        assert!(message(folder.path().into()).starts_with("no recordings"));
        assert!(message("none.wav".into()).starts_with("none.wav: cannot be read"));
    }
}
