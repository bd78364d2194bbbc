//! Counts the documentation comments whose first sentence is no sentence.
//!
//! A comment is a run of lines that begin with `///` or `//!`, outside tests; its first sentence ends at a full stop before a space
//! or a line's end, or at an empty line. It is a fragment if it
//!
//! - begins with a word of [`OPENERS`], and has no comma after which a sentence could follow; or
//! - has no verb: neither does its first word end in `s` ("Returns"), nor is one of [`VERBS`] in it. These contain `that` and
//!   `which`, as in "Memory that the NPU writes."
//!
//! This is a rule of thumb: it takes "Samples of a window" for a sentence. A comment of three words or fewer counts apart.

use crate::source::Source;

/// The most comments that may begin with a fragment, in percent.
const MOST: f64 = 3.0;

/// Words that a sentence seldom begins with.
const OPENERS: [&str; 30] = [
    "Of", "As", "What", "Likewise", "In", "For", "With", "Without", "By", "From", "To", "At", "On",
    "Whether", "How", "Where", "When", "And", "Or", "But", "Because", "Since", "Also", "Same",
    "Until", "After", "Before", "Between", "Like", "Not",
];

/// Words of which a sentence, or a noun with a clause, has one.
const VERBS: [&str; 43] = [
    "is", "are", "was", "were", "has", "have", "had", "does", "do", "can", "cannot", "may", "must",
    "would", "will", "should", "that", "which", "who", "whose", "needs", "holds", "takes", "makes",
    "says", "serves", "counts", "lies", "comes", "gives", "runs", "means", "turns", "tells",
    "reached", "ran", "opened", "aborts", "aborted", "came", "did", "failed", "stops",
];

/// Counts fragments and names the files that have most.
pub fn check(sources: &[Source]) -> (String, bool) {
    let (mut all, mut fragments, mut short) = (0, Vec::new(), Vec::new());
    for source in sources.iter().filter(|source| !source.is_test()) {
        for (line, sentence) in first_sentences(source.product()) {
            all += 1;
            let place = || format!("\n  {}:{line}: {sentence}", source.path);
            if sentence.split_whitespace().count() <= 3 {
                short.push(place());
            }
            if is_fragment(&sentence) {
                fragments.push(place());
            }
        }
    }
    let share = 100.0 * fragments.len() as f64 / f64::from(all.max(1));
    let text = format!(
        "{} of {all} comments ({share:.1} %, at most {MOST} %) begin with a fragment, {} have three words or fewer{}{}",
        fragments.len(),
        short.len(),
        fragments.concat(),
        short.concat()
    );
    (text, share <= MOST && short.is_empty())
}

/// Returns the first sentence of each documentation comment, and the line where it begins.
fn first_sentences(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut marker = None;
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        let Some(kind) = ["///", "//!"]
            .into_iter()
            .find(|kind| line.starts_with(kind))
        else {
            marker = None;
            continue;
        };
        let said = line[kind.len()..].trim();
        if said.starts_with("```") {
            marker = Some(kind);
            continue;
        }
        if marker != Some(kind) {
            (marker, open) = (Some(kind), true);
            found.push((number, String::new()));
        }
        let Some((_, sentence)) = found.last_mut().filter(|_| open) else {
            continue;
        };
        open = !said.is_empty();
        for word in said.split_whitespace() {
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            sentence.push_str(word);
            if word.ends_with('.') && word != "e.g." {
                open = false;
                break;
            }
        }
    }
    found
}

fn is_fragment(sentence: &str) -> bool {
    let mut words = sentence.split_whitespace();
    let Some(first) = words.next() else {
        return true;
    };
    if OPENERS.contains(&first) {
        return !sentence.contains(',');
    }
    let verb = |word: &str| VERBS.contains(&word.trim_matches(|c: char| !c.is_alphabetic()));
    !first.ends_with('s') && !words.any(verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_told_from_sentences() {
        for (sentence, fragment) in [
            ("Returns the number of rows.", false),
            ("Memory that the NPU writes.", false),
            ("In release, it is the same.", false),
            ("Of that word.", true),
            ("Likewise without times.", true),
            ("Bytes", false),
            ("Length in bytes.", true),
            ("", true),
        ] {
            assert_eq!(is_fragment(sentence), fragment, "{sentence}");
        }
    }

    #[test]
    fn a_comment_gives_its_first_sentence_over_lines() {
        let text = "//! One\n//! two. Three.\n\n/// Four.\n/// Five.\nfn f() {}\n    /// Six\n    ///\n    /// seven.\n";
        let found = first_sentences(text);
        let expected = [(1, "One two."), (4, "Four."), (7, "Six")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_string())));
    }
}
