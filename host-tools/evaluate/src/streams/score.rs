//! Judges which detections are right, and counts them.
//!
//! A detection of a word's own label, decided between the word's start and [`LATE_MS`] after its end, is a hit.
//! Each word has one: a second is a repetition. A detection of another label there is a substitution, which leaves
//! the word missed unless its own label comes as well. Any other detection is a false alarm.

use zerda_firmware::decoder::Word;

/// Time after a word's end, in ms, in which it may be decided: thrice the 160 ms that the product allows, so that a
/// late decision counts as late, in the delays, and not as a miss with a false alarm.
pub const LATE_MS: f64 = 500.0;

/// A command that is spoken in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    pub label: usize,
    /// Time in ms at which the word starts, from the start of the stream.
    pub start_ms: f64,
    pub end_ms: f64,
    /// Number of the clip that the word was taken from.
    pub clip: usize,
    /// Background that the word is heard in.
    pub background: Background,
}

/// Kind of sound that was added around and under a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Background {
    Noise,
    Speech,
}

impl Background {
    pub fn name(self) -> &'static str {
        match self {
            Background::Noise => "noise",
            Background::Speech => "speech",
        }
    }
}

/// Says whether a detection is right, and else what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The detection is of this word, and came `delay_ms` after its end.
    Hit {
        word: usize,
        delay_ms: f64,
    },
    /// The detection is of this word, which was hit already.
    Repetition(usize),
    /// The detection came in the time of this word, but is of another label.
    Substitution(usize),
    FalseAlarm,
}

/// Judges the detections of a stream; both they and the words are in the order of their times. Where the times of two
/// words overlap, as those of a wake word and a command soon after it do, a detection belongs to the one that it is the
/// label of.
pub fn judge(words: &[Spoken], detections: impl IntoIterator<Item = Word>) -> Vec<(Word, Verdict)> {
    let mut hit = vec![false; words.len()];
    let judged = detections.into_iter().map(|detection| {
        let at = f64::from(detection.decided_ms);
        let own = |&word: &usize| words[word].label == usize::from(detection.label);
        let first = words.partition_point(|word| word.end_ms + LATE_MS < at);
        let mut here = (first..words.len()).take_while(|&word| words[word].start_ms < at);
        let said = here.clone().filter(own).min_by_key(|&word| hit[word]);
        let verdict = match (said, here.next()) {
            (Some(word), _) if hit[word] => Verdict::Repetition(word),
            (Some(word), _) => {
                hit[word] = true;
                let delay_ms = at - words[word].end_ms;
                Verdict::Hit { word, delay_ms }
            }
            (None, Some(other)) => Verdict::Substitution(other),
            (None, None) => Verdict::FalseAlarm,
        };
        (detection, verdict)
    });
    judged.collect()
}

/// Counts what was said and detected of one label, in streams with words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub words: u64,
    pub hits: u64,
    /// Number of times that each other label, by its number, was wrongly detected in words of this one.
    pub answered: std::collections::BTreeMap<usize, u64>,
    /// Number of times that this label was detected in words of another.
    pub substitutions: u64,
    pub repetitions: u64,
    pub false_alarms: u64,
    /// Times in ms from the end of a word to its detection, for the hits.
    pub delays_ms: Vec<f64>,
}

impl Counts {
    pub fn misses(&self) -> u64 {
        self.words - self.hits
    }

    pub fn add(&mut self, other: &Counts) {
        self.words += other.words;
        self.hits += other.hits;
        self.substitutions += other.substitutions;
        self.repetitions += other.repetitions;
        self.false_alarms += other.false_alarms;
        self.delays_ms.extend(&other.delays_ms);
        for (&label, &count) in &other.answered {
            *self.answered.entry(label).or_default() += count;
        }
    }
}

/// Counts what was said and detected in streams with words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Counts of the labels, which are indexed by the number of the label.
    pub labels: Vec<Counts>,
    /// Number of words and of hits by the background that they were heard in: noise, speech.
    pub backgrounds: [(u64, u64); 2],
    /// Numbers of the clips whose words were missed.
    pub missed: Vec<usize>,
}

impl Tally {
    pub fn new(labels: usize) -> Tally {
        Tally {
            labels: vec![Counts::default(); labels],
            ..Tally::default()
        }
    }

    /// Counts the words and the judged detections of a stream.
    pub fn add(&mut self, words: &[Spoken], judged: &[(Word, Verdict)]) {
        let mut hit = vec![false; words.len()];
        for &(detection, verdict) in judged {
            let label = usize::from(detection.label);
            match verdict {
                Verdict::Hit { word, delay_ms } => {
                    hit[word] = true;
                    self.labels[label].hits += 1;
                    self.labels[label].delays_ms.push(delay_ms);
                }
                Verdict::Repetition(_) => self.labels[label].repetitions += 1,
                Verdict::Substitution(word) => {
                    self.labels[label].substitutions += 1;
                    let answered = &mut self.labels[words[word].label].answered;
                    *answered.entry(label).or_default() += 1;
                }
                Verdict::FalseAlarm => self.labels[label].false_alarms += 1,
            }
        }
        for (word, hit) in words.iter().zip(hit) {
            self.labels[word.label].words += 1;
            let (words, hits) = &mut self.backgrounds[word.background as usize];
            *words += 1;
            *hits += u64::from(hit);
            if !hit {
                self.missed.push(word.clip);
            }
        }
    }

    /// Returns the counts of all labels together.
    pub fn all(&self) -> Counts {
        let mut all = Counts::default();
        self.labels.iter().for_each(|label| all.add(label));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO: u8 = 0;
    const STOP: u8 = 1;

    fn word(label: u8, start_ms: f64, end_ms: f64) -> Spoken {
        Spoken {
            label: label.into(),
            start_ms,
            end_ms,
            clip: start_ms as usize,
            background: Background::Speech,
        }
    }

    fn detection(label: u8, decided_ms: u32) -> Word {
        Word {
            label,
            score: 200,
            decided_ms,
            ..Word::default()
        }
    }

    /// `go` from 1.0 to 1.5 s, `stop` from 3.0 to 3.4 s.
    fn judged(detections: &[(u8, u32)]) -> Vec<Verdict> {
        let words = [word(GO, 1000.0, 1500.0), word(STOP, 3000.0, 3400.0)];
        let detections = detections.iter().map(|&(label, at)| detection(label, at));
        let judged = judge(&words, detections).into_iter();
        judged.map(|(_, verdict)| verdict).collect()
    }

    fn hit(word: usize, delay_ms: f64) -> Verdict {
        Verdict::Hit { word, delay_ms }
    }

    #[test]
    fn a_word_is_hit_from_its_start_until_half_a_second_after_its_end() {
        assert_eq!(judged(&[(GO, 1620)]), [hit(0, 120.0)]);
        assert_eq!(judged(&[(GO, 1001)]), [hit(0, -499.0)]);
        assert_eq!(judged(&[(GO, 2000)]), [hit(0, 500.0)]);
        assert_eq!(
            judged(&[(GO, 1000), (GO, 2001)]),
            [Verdict::FalseAlarm, Verdict::FalseAlarm]
        );
        assert_eq!(
            judged(&[(GO, 10), (STOP, 3500), (STOP, 9000)]),
            [Verdict::FalseAlarm, hit(1, 100.0), Verdict::FalseAlarm]
        );
    }

    #[test]
    fn a_second_hit_is_a_repetition_and_another_label_a_substitution() {
        let verdicts = judged(&[(STOP, 1300), (GO, 1600), (GO, 1950), (GO, 3100)]);
        assert_eq!(
            verdicts,
            [
                Verdict::Substitution(0),
                hit(0, 100.0),
                Verdict::Repetition(0),
                Verdict::Substitution(1)
            ]
        );
    }

    /// `go` from 1.0 to 1.5 s, `stop` 300 ms later, so that the times overlap from 1.8 to 2.0 s.
    #[test]
    fn where_two_words_are_close_a_detection_belongs_to_the_one_it_names() {
        let words = [word(GO, 1000.0, 1500.0), word(STOP, 1800.0, 2200.0)];
        let verdicts = |detections: &[(u8, u32)]| -> Vec<Verdict> {
            let detections = detections.iter().map(|&(label, at)| detection(label, at));
            let judged = judge(&words, detections).into_iter();
            judged.map(|(_, verdict)| verdict).collect()
        };
        assert_eq!(
            verdicts(&[(GO, 1900), (STOP, 1990)]),
            [hit(0, 400.0), hit(1, -210.0)]
        );
        assert_eq!(
            verdicts(&[(STOP, 1700), (STOP, 1900), (GO, 2100)]),
            [
                Verdict::Substitution(0),
                hit(1, -300.0),
                Verdict::Substitution(1)
            ]
        );
    }

    #[test]
    fn every_word_and_every_detection_is_counted_once() {
        let words = [word(GO, 1000.0, 1500.0), word(STOP, 3000.0, 3400.0)];
        let detections = [(STOP, 1300), (GO, 1600), (GO, 1950), (GO, 3100), (GO, 6000)];
        let detections = detections.iter().map(|&(label, at)| detection(label, at));
        let mut tally = Tally::new(2);
        tally.add(&words, &judge(&words, detections));
        let [go, stop] = [&tally.labels[0], &tally.labels[1]];
        assert_eq!((go.words, go.hits, go.misses()), (1, 1, 0));
        assert_eq!(
            (go.repetitions, go.substitutions, go.false_alarms),
            (1, 1, 1)
        );
        assert_eq!((stop.words, stop.misses(), stop.substitutions), (1, 1, 1));
        // `go` was answered in `stop`, and `stop` in `go`, which was hit as well.
        assert_eq!((stop.answered[&0], go.answered[&1]), (1, 1));
        assert_eq!((tally.all().words, tally.all().delays_ms), (2, vec![100.0]));
        assert_eq!(tally.backgrounds, [(0, 0), (2, 1)]);
        assert_eq!(tally.missed, [3000]);
    }
}
