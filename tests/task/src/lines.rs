//! Counts the lines of each file: one idea, one file.

use crate::source::Source;

/// The most lines that a file may have.
const MOST: usize = 400;

/// Names the files that have too many lines.
pub fn check(sources: &[Source]) -> (String, bool) {
    let long: Vec<String> = sources
        .iter()
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > MOST)
        .map(|(lines, path)| format!("\n  {lines} {path}"))
        .collect();
    let text = format!(
        "{} of {} files have more than {MOST} lines{}",
        long.len(),
        sources.len(),
        long.concat()
    );
    (text, long.is_empty())
}
