//! What pages show of commands: `$ cargo run --release -- RUN`, and lines that it prints; `...` stands for lines left out.

use crate::common::run;

const PROMPT: &str = "    $ cargo run --release -- ";

/// A command, and what a page shows of its output.
pub struct Transcript {
    pub command: String,
    /// Lines without the page's indentation.
    pub lines: Vec<String>,
}

/// Returns the transcripts of a page.
pub fn of(page: &str) -> Vec<Transcript> {
    let mut found = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix(PROMPT) else {
            continue;
        };
        let mut shown = Vec::new();
        let of_it =
            |line: &&str| line.is_empty() || line.starts_with("    ") && !line.starts_with(PROMPT);
        while let Some(line) = lines.next_if(of_it) {
            // The output's own indentation follows that of the page.
            shown.push(line.strip_prefix("    ").unwrap_or_default().to_string());
        }
        while shown.last().is_some_and(String::is_empty) {
            shown.pop();
        }
        found.push(Transcript {
            command: command.into(),
            lines: shown,
        });
    }
    found
}

impl Transcript {
    /// Returns these lines as the page has them.
    pub fn text(&self, lines: &[String]) -> String {
        let indented = |line: &String| match line.is_empty() {
            true => "\n".to_string(),
            false => format!("    {line}\n"),
        };
        let lines: String = lines.iter().map(indented).collect();
        format!("{PROMPT}{}\n{lines}", self.command)
    }

    /// Returns the lines with what the command prints now; they must come in the same order, whatever their numbers.
    pub fn renewed(&self) -> Result<Vec<String>, String> {
        let words: Vec<_> = self.command.split(' ').collect();
        let (code, stdout, stderr) = run(&words);
        if code != 0 {
            return Err(format!("`zerda {}`: {}", self.command, stderr.trim()));
        }
        let mut printed = stdout.lines();
        let mut renewed = Vec::new();
        let mut left_out = false;
        for line in &self.lines {
            if line == "..." {
                left_out = true;
                renewed.push(line.clone());
                continue;
            }
            let next = match left_out {
                true => printed.find(|printed| form(printed) == form(line)),
                false => printed.next().filter(|printed| form(printed) == form(line)),
            };
            let next = next
                .ok_or_else(|| format!("`zerda {}` prints no line like: {line}", self.command))?;
            // Times of this machine stay those of the page's.
            renewed.push(match timeless(next) == timeless(line) {
                true => line.clone(),
                false => next.into(),
            });
            left_out = false;
        }
        Ok(renewed)
    }
}

/// Returns a line's words, without what is a number or the checksum of logits.
fn form(line: &str) -> String {
    let word = |word: &str| match word.contains(|c: char| c.is_ascii_digit()) {
        true => String::new(),
        false => word.to_string(),
    };
    let words = timeless(line)
        .split_whitespace()
        .map(word)
        .collect::<Vec<_>>();
    words.join(" ")
}

/// Returns a line without processing time and kernels, which are the machine's.
fn timeless(line: &str) -> String {
    match (
        line.split_once(" of audio in "),
        line.split_once(" kernels; "),
    ) {
        (Some((audio, _)), Some((_, totals))) => format!("{audio} of audio; {totals}"),
        _ => line.into(),
    }
}
