//! What to do where an operator stands out: few rules, each with its threshold.

use serde::Serialize;

use super::{Report, Row};

/// Share of values beyond the range from which a tensor counts as saturated, if that is also the
/// larger part of what is wrong with it: a range that is best for most values leaves some outside.
const SATURATION: f64 = 0.001;
const SATURATION_NOISE: f64 = 0.5;

/// Largest channel over the median one: at 8, the median channel has 5 of its 8 bits.
const CHANNEL_RATIO: f64 = 8.0;
/// What sparing such a tensor must regain at least, dB: a ninth of all noise.
const CHANNEL_REGAINED: f64 = 0.5;

/// What sparing an operator regains where it stands out for itself, dB: a fifth of all noise.
const REGAINED: f64 = 1.0;

/// SQNR of the logits below which their noise, a tenth of their amplitude, changes answers, dB.
const LOGITS: f64 = 20.0;

/// One rule that something trips.
#[derive(Serialize)]
pub struct Advice {
    pub rule: Rule,
    /// Numbers, those that matter most first.
    pub operators: Vec<usize>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Saturation,
    UnequalChannels,
    CostlyOperator,
    NoiseEverywhere,
}

pub fn advice(report: &Report) -> Vec<Advice> {
    let saturated = |row: &&Row| {
        row.calibrated && row.saturation >= SATURATION && row.saturation_noise >= SATURATION_NOISE
    };
    let unequal = |row: &&Row| {
        row.calibrated
            && row
                .channel_ratio
                .is_some_and(|ratio| ratio >= CHANNEL_RATIO)
            && row.regained_db >= CHANNEL_REGAINED
    };
    let costly = |row: &&Row| row.regained_db >= REGAINED && !saturated(row) && !unequal(row);
    let mut advice = Vec::new();
    let mut add = |rule, mut rows: Vec<&Row>, text: &dyn Fn(&Row, &str) -> String| {
        rows.sort_by(|a, b| b.regained_db.total_cmp(&a.regained_db));
        if let Some(&worst) = rows.first() {
            let others = match rows.len() - 1 {
                0 => String::new(),
                1 => " (and one other)".into(),
                others => format!(" (and {others} others)"),
            };
            let operators = rows.iter().filter_map(|row| row.number).collect();
            let text = text(worst, &others);
            advice.push(Advice {
                rule,
                operators,
                text,
            });
        }
    };
    let rows = || report.operators.iter();
    add(
        Rule::Saturation,
        rows().filter(saturated).collect(),
        &|row, others| {
            format!(
                "{}{others} saturates: {:.2} % of its values lie outside {}; calibrate on more recordings \
             like these, louder ones too, or with `--ranges min-max`.",
                row.label(),
                100.0 * row.saturation,
                row.range_text()
            )
        },
    );
    add(
        Rule::UnequalChannels,
        rows().filter(unequal).collect(),
        &|row, others| {
            format!(
                "{}{others}: its largest channel is {:.0} times the median one, and one scale serves \
             both, which costs {:.1} dB; put a normalization before it, or equalize its channels.",
                row.label(),
                row.channel_ratio.unwrap_or_default(),
                row.regained_db
            )
        },
    );
    add(
        Rule::CostlyOperator,
        rows().filter(costly).collect(),
        &|row, others| {
            format!(
                "{}{others}: in float it alone would give the logits {:.1} dB back; train with \
             quantization in the loop (QAT), so that its weights learn to live with the rounding.",
                row.label(),
                row.regained_db
            )
        },
    );
    if advice.is_empty() && report.end_to_end.sqnr_db < LOGITS {
        advice.push(Advice {
            rule: Rule::NoiseEverywhere,
            operators: Vec::new(),
            text: format!(
                "The logits are at {:.1} dB and no operator stands out: the noise is everywhere; \
                 train with quantization in the loop (QAT).",
                report.end_to_end.sqnr_db
            ),
        });
    }
    advice
}
