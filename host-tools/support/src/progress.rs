//! Shows how far a command is through its recordings, on standard error where that is a terminal.
//!
//! Progress is counted in samples, not in files, and follows the hearing within each file: so neither an hour among clips
//! nor the end of a long file lets the time that is left jump. It is told from a mean speed, of which the last 15 s make half.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::audio::SAMPLE_RATE;

/// The bar that is shown, if one is.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Prints above the bar that is shown, if one is: neither writes into the other.
pub fn above<R>(print: impl FnOnce() -> R) -> R {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*shown {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// A picture of several lines that stands below what is printed while something live is heard.
pub struct Picture(ProgressBar);

impl Picture {
    /// Begins a picture; `None` where standard error is no terminal.
    pub fn begin() -> Option<Picture> {
        let bar = ProgressBar::no_length();
        if bar.is_hidden() {
            return None;
        }
        let style = ProgressStyle::with_template("{msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Some(Picture(bar))
    }

    /// Returns how many rows and columns the terminal has now.
    pub fn size(&self) -> (u16, u16) {
        console::Term::stderr().size()
    }

    /// Shows these lines in place of those before.
    pub fn show(&self, lines: String) {
        self.0.set_message(lines);
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.finish_and_clear();
    }
}

/// Counts the samples that were heard of each of several items, and shows them as a bar.
pub struct Progress {
    bar: ProgressBar,
    /// Samples that each item is expected to have.
    expected: Vec<u64>,
    ended: Arc<AtomicU64>,
}

impl Progress {
    /// Begins a bar for items called `what`, with the samples (16 kHz) that are expected of each, unless standard error
    /// is no terminal or there is one item only.
    pub fn begin<T>(items: &[T], what: &'static str, samples: impl Fn(&T) -> u64) -> Progress {
        let bar = ProgressBar::new(0);
        if items.len() < 2 || bar.is_hidden() {
            return Progress::hidden();
        }
        let expected: Vec<u64> = items.iter().map(samples).collect();
        let counter = Arc::new(AtomicU64::new(0));
        let (ended, all) = (counter.clone(), items.len());
        let line = move |state: &ProgressState, line: &mut dyn std::fmt::Write| {
            let ended = ended.load(Ordering::Relaxed);
            let [heard, expected, second] = [
                state.pos(),
                state.len().unwrap_or(0),
                state.per_sec() as u64,
            ];
            let _ = write!(
                line,
                "{ended}/{all} {what}, {}",
                audio(heard, expected, second)
            );
        };
        let style = ProgressStyle::with_template("{wide_bar} {line}, {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("line", line));
        bar.set_length(expected.iter().sum());
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Progress {
            bar,
            expected,
            ended: counter,
        }
    }

    /// Counts without showing it.
    pub fn hidden() -> Progress {
        Progress {
            bar: ProgressBar::hidden(),
            expected: Vec::new(),
            ended: Arc::default(),
        }
    }

    /// Counts samples of an item, of which `counted` were before; at most as many as are expected of it count.
    pub fn heard(&self, number: usize, counted: &Cell<u64>, samples: u64) {
        let expected = self.expected.get(number).copied().unwrap_or_default();
        let more = samples.min(expected - counted.get());
        counted.set(counted.get() + more);
        self.bar.inc(more);
    }

    /// Counts an item as heard, however many samples it had.
    pub fn end(&self, number: usize, counted: &Cell<u64>) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.heard(number, counted, u64::MAX);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.bar.is_hidden() {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.bar.finish_and_clear();
        }
    }
}

/// Says how much audio was heard, of how much, and how fast: all three in samples, the last in each second.
fn audio(heard: u64, expected: u64, second: u64) -> String {
    let rate = u64::from(SAMPLE_RATE);
    let hours = |samples: u64| samples as f64 / (3600 * rate) as f64;
    format!(
        "{:.2} of {:.2} h at {} times real time",
        hours(heard),
        hours(expected),
        second / rate
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts in a bar of these items as a terminal would show it.
    fn expecting(expected: [u64; 3]) -> Progress {
        let mut progress = Progress::hidden();
        progress.expected = expected.into();
        progress
    }

    #[test]
    fn what_is_shown_never_goes_back_and_ends_where_it_was_expected_to() {
        let progress = expecting([100, 0, 50]);
        let mut shown = vec![0];
        let mut hear = |number, pieces: &[u64]| {
            let counted = Cell::new(0);
            for &piece in pieces {
                progress.heard(number, &counted, piece);
                shown.push(progress.bar.position());
            }
            progress.end(number, &counted);
            shown.push(progress.bar.position());
        };
        // Longer than expected, not expected at all, cut short.
        hear(0, &[60, 60, 60]);
        hear(1, &[7]);
        hear(2, &[20]);
        assert_eq!(shown, [0, 60, 100, 100, 100, 100, 100, 120, 150]);
        assert_eq!(progress.ended.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn audio_is_told_in_hours_and_speed_in_times_real_time() {
        // 1.5 h of 10 h, 400 s in a second.
        let hour = 3600 * 16_000;
        assert_eq!(
            audio(hour * 3 / 2, hour * 10, 400 * 16_000),
            "1.50 of 10.00 h at 400 times real time"
        );
    }
}
