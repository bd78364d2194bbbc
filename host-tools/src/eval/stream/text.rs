//! The summary as text.

use super::summary::{Heading, OperatingPoint, Row, Summary};

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
        text += &format!("{:<34}{HEAD}", "");
        for condition in &point.conditions {
            text += &row(&condition.condition, 34, &condition.all);
        }
    }
    if let Some(point) = summary.operating_points.last() {
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
        "{name:<width$}{:>8}{:>8}{:>7.2}%{:>7.2}%{:>8}{:>7}{:>7}{:>8}{:>8}\n",
        row.misses.words,
        row.misses.misses,
        100.0 * row.misses.miss_rate,
        100.0 * row.misses.miss_rate_upper,
        row.substitutions,
        row.repetitions,
        row.false_alarms,
        ms(row.delay_p50_ms),
        ms(row.delay_p95_ms),
    )
}

pub fn clips(summary: &Summary) -> String {
    let silent = match summary.silent_clips {
        0 => String::new(),
        silent => format!(" ({silent} of them silent, left out)"),
    };
    format!(
        "{} clips of {} commands{silent}",
        summary.clips,
        summary.commands.len()
    )
}

/// Where false alarms and misses are read.
pub fn point_name(point: &OperatingPoint, summary: &Summary) -> String {
    match point.name {
        "image" => "at the image's thresholds".into(),
        "highest" => "at the highest threshold".into(),
        _ => format!("at {} false alarms an hour", summary.fa_per_hour),
    }
}

pub fn title(point: &OperatingPoint, summary: &Summary) -> String {
    let values = point.thresholds.values();
    let mut thresholds: Vec<f64> = values.filter_map(serde_json::Value::as_f64).collect();
    thresholds.sort_by(f64::total_cmp);
    let thresholds = match (thresholds.first(), thresholds.last()) {
        (Some(low), Some(high)) if low < high => format!("thresholds {low:.3} to {high:.3}"),
        (Some(one), _) => format!("threshold {one:.3}"),
        _ => "no threshold".into(),
    };
    let mut name = point_name(point, summary);
    name[..1].make_ascii_uppercase();
    format!("{name}: {thresholds}, smoothing {}", point.smoothing)
}

/// Those in the negatives.
pub fn false_alarms(point: &OperatingPoint) -> String {
    let alarms = &point.false_alarms;
    let mut by_command: Vec<_> = alarms.by_command.iter().collect();
    by_command.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let by_command = by_command
        .into_iter()
        .map(|(name, count)| format!(" {name} {count}"));
    let by_command: String = by_command.collect();
    let colon = if by_command.is_empty() { "" } else { ":" };
    format!(
        "{} false alarms in the negatives, {:.2} an hour, below {:.2}{colon}{by_command}",
        alarms.count, alarms.per_hour, alarms.per_hour_upper
    )
}

/// Misses by what was heard behind the words.
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
