//! The gate for the quiet, at its default sensitivity, over a time like an office's.

mod office;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::image_file::ImageFile;
use zerda_tests::{say_skipped, shipped_image, shipped_image_with};

use office::{Said, office};

/// Samples of a millisecond.
const MS: usize = 16;
/// A word may be detected so long after its end.
const LATE_MS: usize = 500;

/// Which commands a recognizer finds, and how many steps it runs.
fn hear(image: &Image<'_>, pcm: &[i16], said: &[Said]) -> (Vec<bool>, usize) {
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).unwrap();
    let (mut found, mut steps) = (vec![false; said.len()], 0);
    recognizer.push_events(pcm, |event| match event {
        Event::Step { .. } => steps += 1,
        Event::Detection(detection) => {
            let word = image.command(detection.command).unwrap();
            let at = detection.decided_ms as usize * MS;
            let said = said.iter().position(|said| {
                let Said { samples, .. } = said;
                said.word == word && samples.start <= at && at < samples.end + LATE_MS * MS
            });
            if let Some(number) = said {
                found[number] = true;
            }
        }
        _ => {}
    });
    (found, steps)
}

#[derive(Clone, Copy, Default)]
struct Counts {
    said: usize,
    /// Found neither way.
    missed: usize,
    /// Found without the gate alone.
    lost: usize,
    /// Found with the gate alone.
    gained: usize,
}

impl Counts {
    fn of([with, without]: [bool; 2]) -> Self {
        Self {
            said: 1,
            missed: usize::from(!with && !without),
            lost: usize::from(!with && without),
            gained: usize::from(with && !without),
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            said: self.said + other.said,
            missed: self.missed + other.missed,
            lost: self.lost + other.lost,
            gained: self.gained + other.gained,
        }
    }

    /// By how many points more are missed with the gate, and the standard error of that (McNemar).
    fn more(&self) -> (f64, f64) {
        let percent = |count: f64| 100.0 * count / self.said as f64;
        let net = self.lost as f64 - self.gained as f64;
        (
            percent(net),
            percent(((self.lost + self.gained) as f64).sqrt()),
        )
    }
}

/// What becomes of the commands of some time like an office's.
struct Office {
    /// The share of the steps that run, in percent.
    share: f64,
    /// By whether a command is 10 dB above the noise, or said in a quiet room; and its word.
    counts: BTreeMap<(bool, &'static str), Counts>,
}

fn heard(data: &Path, seconds: usize, seed: u64) -> Office {
    let (pcm, said) = office(data, seconds, seed);
    let (gated, plain) = (shipped_image_with("[quiet]"), shipped_image());
    let hear = |image: &ImageFile| hear(&image.image().unwrap(), &pcm, &said);
    let ((with, steps), (without, all)) = rayon::join(|| hear(&gated), || hear(&plain));
    let mut counts = BTreeMap::<_, Counts>::new();
    for (said, (with, without)) in said.iter().zip(with.into_iter().zip(without)) {
        let counts = counts.entry((said.over_noise, said.word)).or_default();
        *counts = counts.plus(&Counts::of([with, without]));
    }
    let share = 100.0 * steps as f64 / all as f64;
    Office { share, counts }
}

/// The sum over several of them.
fn sum(offices: &[Office], of: impl Fn(&(bool, &'static str)) -> bool) -> Counts {
    let all = offices.iter().flat_map(|office| &office.counts);
    let counted = all.filter(|(kind, _)| of(kind));
    counted.fold(Counts::default(), |sum, (_, counts)| sum.plus(counts))
}

fn say(offices: &[Office]) {
    // Past the test harness, which shows the output of failing tests only.
    let mut out = std::io::stderr();
    let shares: Vec<_> = offices
        .iter()
        .map(|office| format!("{:.1}", office.share))
        .collect();
    let _ = writeln!(out, "measured: of the steps ran {} %", shares.join(", "));
    let kinds = [("10 dB above noise", true), ("in a quiet room", false)];
    let kinds = kinds.map(|(name, over_noise)| (name, sum(offices, |kind| kind.0 == over_noise)));
    let words = office::WORDS.map(|word| (word, sum(offices, |kind| kind.1 == word)));
    for (name, counts) in kinds.into_iter().chain(words) {
        let Counts {
            said,
            missed,
            lost,
            gained,
        } = counts;
        let _ = writeln!(
            out,
            "measured: {said} commands, {name}: {missed} missed with the gate and without, {lost} with it alone, \
             {gained} without it alone"
        );
    }
}

fn data(name: &str) -> Option<std::ffi::OsString> {
    let data = std::env::var_os("ZERDA_DATA");
    if data.is_none() {
        say_skipped(name, "ZERDA_DATA names no folder of recorded speech");
    }
    data
}

#[test]
fn most_of_an_office_s_time_is_quiet_and_its_commands_are_heard() {
    let Some(data) = data("quiet office") else {
        return;
    };
    let offices = [heard(Path::new(&data), 360, 22)];
    say(&offices);
    let all = sum(&offices, |_| true);
    assert!(offices[0].share <= 40.0 && all.lost <= all.gained + 2);
}

/// Six hours with 400 commands each; one hour has too few to tell half a point.
#[test]
#[ignore = "takes minutes: cargo test --release --test quiet -- --ignored"]
fn in_an_office_a_third_of_the_steps_run_and_at_most_a_point_more_is_missed() {
    let data = data("quiet offices").expect("it measures on recorded speech");
    let offices: Vec<_> = (1..=6)
        .into_par_iter()
        .map(|seed| heard(Path::new(&data), 3600, seed))
        .collect();
    say(&offices);
    for office in &offices {
        assert!(office.share <= 35.0, "{} % of the steps", office.share);
    }
    for over_noise in [true, false] {
        let (more, _) = sum(&offices, |kind| kind.0 == over_noise).more();
        assert!(more <= 1.0, "{more} points");
    }
    // The shortest word is not lost more than others, as far as so many tell.
    let (up, error) = sum(&offices, |kind| kind.1 == "up").more();
    let (others, _) = sum(&offices, |kind| kind.1 != "up").more();
    assert!(
        up <= others + 2.0 * error,
        "{up} +- {error}, others {others}"
    );
}
