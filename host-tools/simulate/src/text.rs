//! Prints the report on a terminal, and as Markdown.

use super::latency::Parts;
use super::report::{Rest, Simulation};

/// Number of characters that the longest bar on a terminal has.
const BAR: f64 = 30.0;

pub fn page(report: &Simulation) -> String {
    let (step, fill, load) = (&report.step_ms, &report.fill, &report.load);
    let mut text = format!("{}\n{}\n\n", title(report), report.basis);
    let mut line = |name: &str, value: String| text += &format!("{name:<17} {value}\n");
    line(
        "a step",
        format!(
            "min {:.2}, p50 {:.2}, p99 {:.2}, max {:.2} ms from its last sample, of {:.0} ms",
            step.min, step.p50, step.p99, step.max, report.period_ms
        ),
    );
    line(
        "as caches fill",
        format!(
            "{:.2} ms at first, {:.2} ms from step {} on, then flat: {:.2} to {:.2}",
            fill.first_ms, fill.full_ms, fill.steps, fill.full_min_ms, fill.full_max_ms
        ),
    );
    line(
        "load",
        format!(
            "core {:.1} %{}; real-time factor {:.3}",
            100.0 * load.core,
            match report.npu {
                Some(_) => format!(", NPU {:.1} %", 100.0 * load.npu),
                None => String::new(),
            },
            report.real_time_factor
        ),
    );
    line(
        "deadlines",
        format!(
            "{} missed, {} overruns in {} s",
            report.deadline_misses, report.overruns, report.seconds
        ),
    );
    line(
        "500 frames",
        format!(
            "{:.1} ms in one piece, limit {:.0}; the front end beside it {:.1} ms",
            report.sequence_500_ms, report.limit_ms, report.front_end_500_ms
        ),
    );
    line("300 frames", format!("{:.1} ms", report.sequence_300_ms));
    if let Some(quiet) = &report.quiet {
        line("quiet", rest(quiet));
    }
    line("word to detection", words(report));
    if let Some(words) = &report.word_end_to_detection_ms {
        for (name, ms) in Parts::NAMES.iter().zip(words.parts.all()) {
            line("", format!("{name:<20} {ms:>7.2} ms on average"));
        }
    }
    text += "\nms of a step with full caches\n";
    let most = report.stages.first().map_or(1.0, |stage| stage.ms);
    for stage in &report.stages {
        let bar = "#".repeat((BAR * stage.ms / most).round() as usize);
        text += &format!("  {:<18} {:>8.3} {bar}\n", stage.name, stage.ms);
    }
    text + &format!("\n{}", report.verdict.to_uppercase())
}

pub fn title(report: &Simulation) -> String {
    format!(
        "{}: {} at {} MHz{}, {}, chunk {}, step {}, left context {} frames",
        report.board,
        report.core,
        report.clock_mhz,
        report
            .npu
            .map_or(String::new(), |npu| format!(" with {npu}")),
        report.image,
        report.chunk,
        report.step,
        report.left_context
    )
}

/// Says what it costs and saves that the network rests.
fn rest(quiet: &Rest) -> String {
    format!(
        "{:.1} % of the steps run in these recordings, core {:.1} %; after a cold start {} steps make up for what was kept, \
         the ring holds at most {} of {} blocks",
        100.0 * quiet.duty,
        100.0 * quiet.load.core,
        quiet.burst_steps,
        quiet.ring_blocks,
        quiet.ring_capacity
    )
}

/// Says how long words take from their end to their detection.
pub fn words(report: &Simulation) -> String {
    match &report.word_end_to_detection_ms {
        Some(words) => format!(
            "p50 {:.0}, p95 {:.0}, max {:.0} ms of {} words, {} missed; limit {:.0} for p95",
            words.p50, words.p95, words.max, words.words, words.missed, report.limit_ms
        ),
        None if report.overruns > 0 => "not timed, since audio is lost".into(),
        None => "no word was detected".into(),
    }
}

pub fn markdown(report: &Simulation) -> String {
    let mut text = match report.verdict {
        "pass" => "### Latency: PASS ✅\n\n".to_string(),
        _ => "### Latency: FAIL ❌\n\n".to_string(),
    };
    for failure in &report.failures {
        text += &format!("- {failure}\n");
    }
    if !report.failures.is_empty() {
        text.push('\n');
    }
    let limit = format!("{:.0} ms", report.limit_ms);
    let load = match report.npu {
        Some(_) => format!(
            "core {:.1} %, NPU {:.1} %",
            100.0 * report.load.core,
            100.0 * report.load.npu
        ),
        None => format!("core {:.1} %", 100.0 * report.load.core),
    };
    let p95 = match &report.word_end_to_detection_ms {
        Some(words) => format!("{:.0} ms of {} words", words.p95, words.words),
        None => words(report),
    };
    let step = &report.step_ms;
    text += &format!("{}\n\n| | | limit |\n|---|---:|---:|\n", title(report));
    for (name, value, limit) in [
        (
            "500 frames in one piece",
            format!("{:.1} ms", report.sequence_500_ms),
            &limit[..],
        ),
        ("end of a word to its detection, p95", p95, &limit),
        (
            "a step, p50 / p99 / max",
            format!("{:.2} / {:.2} / {:.2} ms", step.p50, step.p99, step.max),
            &format!("{:.0} ms", report.period_ms),
        ),
        (
            "300 frames in one piece",
            format!("{:.1} ms", report.sequence_300_ms),
            "",
        ),
        (
            "front end of 500 frames",
            format!("{:.1} ms", report.front_end_500_ms),
            "",
        ),
        ("load", load, ""),
        (
            "missed deadlines, overruns",
            format!("{}, {}", report.deadline_misses, report.overruns),
            "0",
        ),
    ] {
        text += &format!("| {name} | {value} | {limit} |\n");
    }
    text += &format!(
        "\n{}.\n\n<details><summary>Where the time goes</summary>\n\n",
        report.basis
    );
    text += "| stage of a step with full caches | ms |\n|---|---:|\n";
    for stage in &report.stages {
        text += &format!("| {} | {:.3} |\n", stage.name, stage.ms);
    }
    if let Some(words) = &report.word_end_to_detection_ms {
        text += "\n| end of a word to its detection, on average | ms |\n|---|---:|\n";
        for (name, ms) in Parts::NAMES.iter().zip(words.parts.all()) {
            text += &format!("| {name} | {ms:.2} |\n");
        }
    }
    text + "\n</details>\n"
}
