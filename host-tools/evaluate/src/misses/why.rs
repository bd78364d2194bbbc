//! Finds what decided about a command: a name for it, and one sentence.

mod false_alarm;
mod word;

use zerda_firmware::decoder::{Kind, Word, faint_threshold};
use zerda_firmware::grammar::Vouched;

use super::LATE_MS;
use super::heard::Replay;
use super::labels::Annotation;
pub use false_alarm::false_alarm;
use word::word_missed;

#[derive(Debug, PartialEq, Eq)]
pub struct Why {
    /// Name that the reason has in JSON.
    pub reason: &'static str,
    pub text: String,
}

fn why(reason: &'static str, text: String) -> Why {
    Why { reason, text }
}

/// Says why a spoken command was not detected, and the label of its word that is to blame.
pub fn missed(heard: &Replay<'_>, spoken: &Annotation) -> (u8, Why) {
    let last_ms = spoken.end_ms + LATE_MS;
    let in_time = |word: &Word| (spoken.start_ms..=last_ms).contains(&word.decided_ms);
    let mut words = heard.words().filter(&in_time);
    let mut from_ms = spoken.start_ms;
    let mut vouched = Vouched::for_command(&spoken.words);
    let mut last = None;
    for &label in &spoken.words {
        match words.find(|word| word.label == label && vouched.allows(word.kind)) {
            Some(word) => {
                (from_ms, last) = (word.end_ms + 1, Some(word));
                vouched.count(word.kind);
            }
            None => {
                let until_ms = spoken.end_ms.max(from_ms + 1);
                let needed = needed(heard, label, vouched.allows(Kind::Faint));
                return (label, word_missed(heard, label, needed, from_ms, until_ms));
            }
        }
    }
    let label = last.map_or(0, |word| word.label);
    (label, command_missed(heard, spoken, in_time))
}

/// Returns the average that is enough for a word, faint or not; Q0.8.
fn needed(heard: &Replay<'_>, label: u8, faint: bool) -> u8 {
    let threshold = heard.threshold(label);
    if faint {
        faint_threshold(threshold)
    } else {
        threshold
    }
}

/// Says why no command was made of words that were all heard.
fn command_missed(heard: &Replay<'_>, spoken: &Annotation, in_time: impl Fn(&Word) -> bool) -> Why {
    let words = &spoken.words;
    let all: Vec<Word> = heard.words().filter(in_time).collect();
    let wakes = matches!(words[..], [word] if heard.wake_words().contains(&word));
    let known = match heard.image.grammar().commands {
        _ if wakes => true,
        0 => words.len() == 1,
        _ => heard.image.commands().any(|of| of.words == words),
    };
    let gap_ms = heard.ms(heard.image.grammar().gap);
    if !known {
        let commands: Vec<_> = heard.image.commands().map(|of| of.name).collect();
        let commands = match &commands[..] {
            [] => "its words, each by itself".into(),
            _ => commands.join(", "),
        };
        why(
            "grammar",
            format!("it was heard, but the image's commands are others: {commands}"),
        )
    } else if let Some(echo) = all.iter().find(|word| word.kind == Kind::Echo) {
        let (name, ms) = (heard.name(echo.label), echo.end_ms);
        why(
            "echo",
            format!(
                "`{name}` at {ms} ms passed for a part of the same word before it: there was no pause between them, or it \
             came too soon, or was much quieter"
            ),
        )
    } else if let Some(pair) = all
        .windows(2)
        .find(|pair| pair[1].end_ms > pair[0].end_ms + gap_ms)
    {
        let apart = pair[1].end_ms - pair[0].end_ms;
        why(
            "gap",
            format!("its words were decided {apart} ms apart, and `gap_ms` allows {gap_ms}"),
        )
    } else {
        let heard: Vec<_> = all.iter().map(|word| heard.name(word.label)).collect();
        why(
            "grammar",
            format!("the words heard, {}, make another command", heard.join(" ")),
        )
    }
}
