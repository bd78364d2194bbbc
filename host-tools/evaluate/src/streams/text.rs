//! Writes the summary as text for a terminal.

use super::summary::{FalseWakes, Heading, Misses, OperatingPoint, Row, Summary};

pub fn text(summary: &Summary) -> String {
    let mut text = format!(
        "{}; negatives {:.2} h in {} files; seed {}\n{}\nupper bounds are 95 %, one-sided\n",
        clips(summary),
        summary.negatives.hours,
        summary.negatives.files,
        summary.seed,
        summary.basis
    );
    for note in &summary.notes {
        text += &format!("note: {note}\n");
    }
    for point in &summary.operating_points {
        text += &format!("\n{}\n{}\n", title(point, summary), false_alarms(point));
        if let Some(wakes) = &point.false_wakes {
            text += &gated(point, wakes);
            continue;
        }
        text += &format!("{:<34}{HEAD}", "");
        for condition in &point.conditions {
            text += &row(&condition.condition, 34, &condition.all);
        }
    }
    if let Some(point) = (summary.operating_points.last()).filter(|_| summary.wake.is_none()) {
        for condition in &point.conditions {
            text += &format!(
                "\n{}, {}\n{:<12}{HEAD}",
                condition.condition,
                point_name(point, summary),
                ""
            );
            for (command, figures) in &condition.commands {
                text += &row(command, 12, figures);
            }
            text += &backgrounds(condition);
        }
    }
    text
}

const HEAD: &str = "   words  missed    rate   below   wrong  again  false     p50     p95\n";

fn row(name: &str, width: usize, row: &Row) -> String {
    let ms = |ms: Option<f64>| ms.map_or("-".into(), |ms| format!("{ms:.0} ms"));
    format!(
        "{name:<width$}{}{:>8}{:>7}{:>7}{:>8}{:>8}\n",
        misses(&row.misses),
        row.substitutions,
        row.repetitions,
        row.false_alarms,
        ms(row.delay_p50_ms),
        ms(row.delay_p95_ms),
    )
}

/// Writes the figures of the wake words, one by one, and of pairs of them and commands.
fn gated(point: &OperatingPoint, wakes: &FalseWakes) -> String {
    let mut text = false_wakes(wakes);
    text += &format!("\n{:<48}{HEAD}", "wake words");
    for condition in &point.conditions {
        for (word, figures) in &condition.commands {
            text += &row(&format!("{word}, {}", condition.condition), 48, figures);
        }
    }
    let pairs = point.conditions.iter();
    let mut pairs = pairs
        .filter_map(|condition| Some((&condition.condition, condition.pairs.as_ref()?)))
        .peekable();
    if pairs.peek().is_some() {
        text += &format!("\n{:<48}{PAIRS_HEAD}", "wake word and command");
    }
    for (condition, pairs) in pairs {
        text += &format!(
            "{condition:<48}{}   {}{:>8}\n",
            misses(&pairs.all),
            misses(&pairs.after_wake),
            pairs.wrong_commands
        );
    }
    text
}

const PAIRS_HEAD: &str =
    "   pairs  missed    rate   below     woken  missed    rate   below   wrong\n";

fn misses(misses: &Misses) -> String {
    format!(
        "{:>8}{:>8}{:>7.2}%{:>7.2}%",
        misses.words,
        misses.misses,
        100.0 * misses.miss_rate,
        100.0 * misses.miss_rate_upper
    )
}

/// Writes a line about the false wakes of each wake word.
pub fn false_wakes(wakes: &FalseWakes) -> String {
    let words = wakes.by_word.iter().map(|(word, rate)| {
        format!(
            "{word}: {} false wakes in the negatives, {:.2} an hour, below {:.2}\n",
            rate.count, rate.per_hour, rate.per_hour_upper
        )
    });
    words.collect()
}

pub fn clips(summary: &Summary) -> String {
    let silent = match summary.silent_clips {
        0 => String::new(),
        silent => format!(" ({silent} of them silent, left out)"),
    };
    let words = summary.judged().join(" ");
    match &summary.wake {
        None => format!(
            "{} clips of {} commands{silent}",
            summary.clips,
            summary.commands.len()
        ),
        Some(wake) => format!(
            "{} clips of the wake words {words}{silent}; {} pairs of one and one of {} commands, {} to {} ms between; \
             the window is open for {} ms",
            summary.clips,
            wake.pairs,
            summary.commands.len(),
            wake.gap_ms.0,
            wake.gap_ms.1,
            wake.window_ms
        ),
    }
}

/// Names the thresholds at which false alarms and misses are counted.
pub fn point_name(point: &OperatingPoint, summary: &Summary) -> String {
    match point.name {
        "image" => "at the image's thresholds".into(),
        "highest" => "at the highest threshold".into(),
        _ => format!("at {}", summary.limit()),
    }
}

pub fn title(point: &OperatingPoint, summary: &Summary) -> String {
    let value = |word: &String| {
        point
            .thresholds
            .get(word)
            .and_then(serde_json::Value::as_f64)
    };
    let mut name = point_name(point, summary);
    name[..1].make_ascii_uppercase();
    if summary.wake.is_some() {
        let words = summary.judged().iter();
        let words = words.filter_map(|word| Some(format!("{word} {:.3}", value(word)?)));
        let words = words.collect::<Vec<_>>().join(", ");
        return format!("{name}: thresholds {words}, smoothing {}", point.smoothing);
    }
    let mut thresholds: Vec<f64> = point.thresholds.keys().filter_map(value).collect();
    thresholds.sort_by(f64::total_cmp);
    let thresholds = match (thresholds.first(), thresholds.last()) {
        (Some(low), Some(high)) if low < high => format!("thresholds {low:.3} to {high:.3}"),
        (Some(one), _) => format!("threshold {one:.3}"),
        _ => "no threshold".into(),
    };
    format!("{name}: {thresholds}, smoothing {}", point.smoothing)
}

/// Writes a line about the false alarms in the negatives; with a gate about the false commands.
pub fn false_alarms(point: &OperatingPoint) -> String {
    let alarms = &point.false_alarms;
    let mut by_command: Vec<_> = alarms.by_command.iter().collect();
    by_command.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let by_command = by_command
        .into_iter()
        .map(|(name, count)| format!(" {name} {count}"));
    let by_command: String = by_command.collect();
    let colon = if by_command.is_empty() { "" } else { ":" };
    let what = match point.false_wakes {
        Some(_) => "false commands in the negatives, awake after a false wake",
        None => "false alarms in the negatives",
    };
    format!(
        "{} {what}, {:.2} an hour, below {:.2}{colon}{by_command}",
        alarms.all.count, alarms.all.per_hour, alarms.all.per_hour_upper
    )
}

/// Writes a line about the misses in noise and one about those in speech, where words were heard in
/// both.
pub fn backgrounds(condition: &Heading) -> String {
    let kinds = [
        ("noise", &condition.in_noise),
        ("speech", &condition.in_speech),
    ];
    let kinds = kinds.into_iter().filter_map(|(kind, misses)| {
        let misses = misses.as_ref()?;
        Some(format!(
            "in {kind}: {} of {} words missed, {:.2} %\n",
            misses.misses,
            misses.words,
            100.0 * misses.miss_rate
        ))
    });
    kinds.collect()
}
