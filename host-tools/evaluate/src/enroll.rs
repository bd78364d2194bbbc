//! `zerda enroll` makes a template of a phrase that the network was never taught, from a few recordings of one speaker.
//!
//! The template is the DTW barycentre of what the network's head reads of the recordings, as they are and once more over
//! noise that is made here. Its threshold lies half way between how alike the recordings are
//! and the most similar stretch of other speech.

mod alike;
mod recording;
mod threshold;

use std::path::{Path, PathBuf};

use zerda_firmware::templates::{Cell, MAX_NAME, MAX_TEMPLATES, SAME, Template};
use zerda_support::detection::DetectionSettings;
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::image_file::ImageFile;
use zerda_support::output::{self, print, warn};
use zerda_support::template_file::{Phrase, TemplateFile};

use alike::{Rows, barycentre};
use recording::{Ear, Take};
use threshold::Negatives;

/// Numbers of recordings that a template is made of.
const RECORDINGS: std::ops::RangeInclusive<usize> = 3..=5;
/// Similarity to a template of the others that the mean recording, and each of them, has at least.
const ALIKE: [f64; 2] = [0.70, 0.55];
/// Length in ms of a phrase below which false alarms are many.
const SHORT_MS: usize = 500;

pub struct Options {
    pub name: String,
    pub recordings: Vec<PathBuf>,
    pub image: PathBuf,
    /// Recordings in which the phrase is not said, and folders of them.
    pub negatives: Vec<PathBuf>,
    /// File of phrases that is made, or that the phrase is added to.
    pub output: PathBuf,
}

/// Makes a template of the recordings, and writes it with those that the output holds already.
pub fn enroll(options: &Options) -> Result<()> {
    let Options {
        name, recordings, ..
    } = options;
    check_name(name)?;
    if !RECORDINGS.contains(&recordings.len()) {
        let there = recordings.len();
        return Err(Error::usage(format!(
            "{}: expected 3 to 5 recordings of the phrase, {there} are named",
            escape::line(name)
        )));
    }
    let file = without_gate(&ImageFile::open(&options.image)?)?;
    let image = file.image()?;
    let mut ear = Ear::new(&image, &options.image)?;
    let mut phrases = phrases_of(options, image.network())?;
    let takes = recordings.iter().map(|path| Take::hear(&mut ear, path));
    let takes: Vec<_> = takes.collect::<Result<_>>()?;
    different(&takes)?;
    let alike = Alike::of(&takes)?;
    let columns = ear.head.cols.into();
    let mut phrase = Phrase {
        name: name.clone(),
        threshold: SAME,
        elements: elements(&all_rows(&takes)),
    };
    let negatives = match &options.negatives[..] {
        [] => None,
        paths => Some(Negatives::hear(&image, &ear, &template(&phrase), paths)?),
    };
    let chosen = threshold::choose(name, &alike, negatives.as_ref())?;
    phrase.threshold = (chosen.similarity * f64::from(SAME)) as u16;
    phrases.push(phrase);
    let written = TemplateFile::new(&options.output, image.network(), columns, &phrases);
    written.templates()?;
    output::replace(&options.output, written.bytes())?;
    let longest = takes.iter().map(|take| take.phrase_ms).max().unwrap_or(0);
    if longest < SHORT_MS {
        warn(&format!(
            "{}: lasts {longest} ms: short phrases raise several false alarms an hour of speech; three syllables and more \
             raise few",
            escape::line(name)
        ));
    }
    print(&format!(
        "{}: {} recordings, {:.2} alike ({:.2} at least); {}",
        escape::line(name),
        takes.len(),
        alike.mean(),
        alike.least().1,
        chosen.why
    ))?;
    print(&format!(
        "{}: {}, {} bytes",
        escape::path(&options.output),
        match phrases.len() {
            1 => "1 phrase".to_string(),
            n => format!("{n} phrases"),
        },
        written.bytes().len()
    ))
}

/// Returns the image without its gate for the quiet: where the network rests, steps would be missing.
fn without_gate(file: &ImageFile) -> Result<ImageFile> {
    let mut settings = DetectionSettings::of(&file.image()?);
    settings.quiet = None;
    settings.put(file)
}

fn check_name(name: &str) -> Result<()> {
    let why = match name {
        _ if name.trim().is_empty() => "is empty",
        _ if name.len() > MAX_NAME => "is longer than 32 bytes",
        _ if name.chars().any(char::is_control) => "has control characters",
        _ => return Ok(()),
    };
    Err(Error::usage(format!(
        "NAME {name:?} {why}: expected what people read where the phrase is heard, such as \"kitchen lamp\""
    )))
}

/// Returns the phrases that the output holds already. It is an error if it is something else, or cannot take another.
fn phrases_of(options: &Options, network: u32) -> Result<Vec<Phrase>> {
    let path = &options.output;
    if !path.exists() {
        return Ok(Vec::new());
    }
    let file = TemplateFile::open(path)?;
    let there = file.templates()?;
    let wrong = |why: String| Error::usage(format!("{}: {why}", path.display()));
    if there.network() != network {
        return Err(wrong(format!(
            "its phrases were enrolled with another network than that of {}; write this one to another file",
            options.image.display()
        )));
    }
    if there.iter().any(|phrase| phrase.name == options.name) {
        return Err(wrong(format!(
            "has a phrase {:?} already; take another name, or write it to another file",
            options.name
        )));
    }
    if there.iter().count() >= MAX_TEMPLATES {
        return Err(wrong(format!(
            "has {MAX_TEMPLATES} phrases already, the most of a file; write this one to another"
        )));
    }
    let phrases = there.iter().map(|phrase| Phrase {
        name: phrase.name.into(),
        threshold: phrase.threshold,
        elements: phrase.elements.into(),
    });
    Ok(phrases.collect())
}

/// Refuses two recordings that are the same one.
fn different(takes: &[Take]) -> Result<()> {
    for (number, take) in takes.iter().enumerate() {
        if let Some(same) = takes[..number]
            .iter()
            .find(|other| other.samples == take.samples)
        {
            return Err(Error::usage(format!(
                "{}: is the same recording as {}: say the phrase anew for each",
                take.path.display(),
                same.path.display()
            )));
        }
    }
    Ok(())
}

/// Says how alike recordings are: each beside the template that the others make.
pub struct Alike(Vec<(PathBuf, f64)>);

impl Alike {
    /// Compares recordings; those that are not alike are an error that names the one least like the others.
    fn of(takes: &[Take]) -> Result<Alike> {
        let beside_others = |number| {
            let take: &Take = &takes[number];
            (take.path.clone(), beside_others(takes, number))
        };
        let alike = Alike((0..takes.len()).map(beside_others).collect());
        let [mean, least] = ALIKE;
        let (path, lowest) = alike.least();
        if lowest >= least && alike.mean() >= mean {
            return Ok(alike);
        }
        Err(Error::usage(format!(
            "{}: is not like the other recordings: similarity {lowest:.2}, expected {least} and {mean} on average \
             ({:.2}): say the same phrase in each, and nothing else",
            path.display(),
            alike.mean()
        )))
    }

    /// Returns the mean similarity.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.0.iter().map(|(_, similarity)| similarity).sum();
        sum / self.0.len() as f64
    }

    /// Returns the recording that is least like the others.
    fn least(&self) -> (&Path, f64) {
        let least = self.0.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        least.map_or((Path::new(""), 0.0), |(path, similarity)| {
            (path, *similarity)
        })
    }
}

/// Returns the similarity of one of the recordings to the template that the others make.
fn beside_others(takes: &[Take], number: usize) -> f64 {
    let (before, after) = (&takes[..number], &takes[number + 1..]);
    let others: Vec<_> = before.iter().chain(after).flat_map(|of| &of.rows).collect();
    let phrase = Phrase {
        name: "others".into(),
        threshold: SAME,
        elements: elements(&others),
    };
    let (template, mut cells) = (template(&phrase), vec![Cell::START; phrase.elements.len()]);
    let follow = |row: &Vec<f32>| template.follow(&quantized(row), &mut cells).similarity;
    let similarities: Vec<_> = takes[number].rows[0].iter().map(follow).collect();
    // A path may end before the recording does.
    let best = similarities.iter().rev().take(3).max();
    f64::from(best.copied().unwrap_or(0)) / f64::from(SAME)
}

/// Returns the rows of all recordings, clean and over noise.
fn all_rows(takes: &[Take]) -> Vec<&Rows> {
    takes.iter().flat_map(|take| &take.rows).collect()
}

/// Returns the elements of the template of rows, as the firmware takes them.
fn elements(recordings: &[&Rows]) -> Vec<i8> {
    let centre = barycentre(recordings);
    centre.iter().flat_map(|row| quantized(row)).collect()
}

/// Returns a row of length 1 as the firmware has it, 127 long.
fn quantized(row: &[f32]) -> Vec<i8> {
    row.iter()
        .map(|element| (element * 127.0).round() as i8)
        .collect()
}

fn template(phrase: &Phrase) -> Template<'_> {
    Template {
        name: &phrase.name,
        threshold: phrase.threshold,
        elements: &phrase.elements,
    }
}

#[cfg(test)]
mod tests;
