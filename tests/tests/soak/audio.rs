//! What the microphone hears: words, speech, noise and silence, one after the other.

use std::path::{Path, PathBuf};

use fastrand::Rng;
use zerda_support::audio;
use zerda_tests::{repository, say_skipped};

/// The clips of each kind that are held at most.
const CLIPS: usize = 50;
/// The most samples that are heard of one recording.
const MOST: usize = 96_000;

pub struct Microphone {
    words: Vec<Vec<i16>>,
    noise: Vec<Vec<i16>>,
    /// What is heard now, and how many samples of it were.
    now: Vec<i16>,
    heard: usize,
    random: Rng,
    pub recorded: bool,
}

impl Microphone {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let data = std::env::var_os("ZERDA_DATA").map(PathBuf::from);
        let recorded = data.is_some();
        let (words, noise) = match &data {
            Some(data) => (
                ["speech_commands/test", "wake_words", "librispeech/test"]
                    .map(|folder| clips(&data.join(folder), &mut random))
                    .concat(),
                clips(&data.join("noise"), &mut random),
            ),
            None => {
                say_skipped("soak on recorded speech", "ZERDA_DATA is not set");
                (
                    clips(&repository("models/samples"), &mut random),
                    Vec::new(),
                )
            }
        };
        assert!(!words.is_empty());
        Self {
            words,
            noise,
            now: Vec::new(),
            heard: 0,
            random,
            recorded,
        }
    }

    /// Returns the next 10 ms.
    pub fn next(&mut self) -> [i16; 160] {
        core::array::from_fn(|_| {
            if self.heard == self.now.len() {
                self.draw();
            }
            self.heard += 1;
            self.now[self.heard - 1]
        })
    }

    fn draw(&mut self) {
        self.heard = 0;
        self.now.clear();
        let random = &mut self.random;
        match random.u8(0..8) {
            0 => self.now.resize(random.usize(1_000..80_000), 0),
            1 => {
                let level = f32::from(1u16 << random.u8(2..12));
                let samples = random.usize(8_000..80_000);
                let noise = |_| (level * (random.f32() + random.f32() - 1.0)) as i16;
                self.now.extend((0..samples).map(noise));
            }
            2 if !self.noise.is_empty() => {
                let clip = &self.noise[random.usize(0..self.noise.len())];
                self.now.extend_from_slice(clip);
            }
            _ => {
                self.now.resize(random.usize(800..16_000), 0);
                let clip = &self.words[random.usize(0..self.words.len())];
                self.now.extend_from_slice(clip);
                self.now
                    .resize(self.now.len() + random.usize(800..8_000), 0);
            }
        }
        // It is never empty.
        self.now.push(0);
    }
}

/// Some recordings of a folder and the folders in it.
fn clips(folder: &Path, random: &mut Rng) -> Vec<Vec<i16>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.map(|entry| entry.unwrap().path()) {
            let name = entry.extension().and_then(|end| end.to_str());
            match name {
                _ if entry.is_dir() => folders.push(entry),
                Some("wav" | "flac") => files.push(entry), // which take little time
                _ => {}
            }
        }
    }
    files.sort();
    random.shuffle(&mut files);
    let read = |path: &PathBuf| audio::read_start(path, MOST).unwrap();
    files.iter().take(CLIPS).map(read).collect()
}
