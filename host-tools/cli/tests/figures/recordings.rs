//! What the figures of wake words are measured on, put together of the folder of recordings as the model card says.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, io};

use zerda_support::test_support::{commands, shrunk};
use zerda_support::{audio, detection};

use crate::common::root;

/// Writes folders of recordings and the image with the thresholds of wake words into `target/figures`.
pub fn prepare(figures: &BTreeMap<String, f64>) -> io::Result<()> {
    let Some(data) = env::var_os("ZERDA_DATA") else {
        return Ok(());
    };
    let (data, target) = (Path::new(&data), root().join("target/figures"));
    // Quarters 2 and 3 are test; the recipe holds every fifth file of a folder out of training.
    let tested = |at: usize| at % 4 >= 2;
    let held_out = |at: usize| at % 5 == 4;
    for word in ["computer", "jarvis"] {
        let from = data.join("wake_words").join(word);
        copy(&from, &target.join("wake").join(word), tested)?;
    }
    for folder in ["sentences", "noise"] {
        copy(&data.join(folder), &target.join(folder), held_out)?;
    }
    let thresholds = format!(
        "\n[thresholds]\ncomputer = {}\njarvis = {}\n",
        figures["computer_threshold"], figures["jarvis_threshold"]
    );
    let commands = commands(|text| text.replacen("\n[thresholds]\n", &thresholds, 1));
    let image = detection::with_commands(&shrunk(), &commands).unwrap();
    fs::write(target.join("wake.zerda"), image.bytes())
}

/// Copies those recordings of a folder, sorted, whose places are taken.
fn copy(from: &Path, to: &Path, takes: fn(usize) -> bool) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for (at, file) in audio::list(from).unwrap().iter().enumerate() {
        if takes(at) {
            fs::copy(file, to.join(file.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}
