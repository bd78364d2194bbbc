//! Says what to do where an operator stands out, by few rules that have a threshold each.

use serde::Serialize;

use super::{Int8Cost, Row};

/// Share of values beyond the range, 0 to 1, from which a tensor counts as saturated, if they also
/// make the larger part of its noise: a range that is best for most values leaves some outside.
const SATURATION: f64 = 0.001;
const SATURATION_NOISE: f64 = 0.5;

/// Ratio of the largest channel to the median one from which channels count as unequal: at 8, the
/// median channel has 5 of its 8 bits.
const CHANNEL_RATIO: f64 = 8.0;
/// Gain in dB that sparing such a tensor must bring at least: a ninth of all noise.
const CHANNEL_REGAINED: f64 = 0.5;

/// Gain in dB from which an operator stands out for itself if it is spared: 3 tenths of all noise.
const REGAINED: f64 = 1.5;

/// SQNR of the logits, in dB, below which their noise, a tenth of their amplitude, changes answers.
const LOGITS: f64 = 20.0;

/// A rule that something trips, and what to do about it.
#[derive(Serialize)]
pub struct Advice {
    pub rule: Rule,
    /// Numbers of the operators that trip it, those that matter most first.
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

pub fn advice(report: &Int8Cost) -> Vec<Advice> {
    let mut all = Vec::new();
    for rule in [
        Rule::Saturation,
        Rule::UnequalChannels,
        Rule::CostlyOperator,
    ] {
        let tripping = |row: &&Row| self::rule(row) == Some(rule);
        let mut rows: Vec<_> = report.operators.iter().filter(tripping).collect();
        rows.sort_by(|a, b| b.regained_db.total_cmp(&a.regained_db));
        let Some(worst) = rows.first() else { continue };
        let others = match rows.len() - 1 {
            0 => String::new(),
            1 => " (and one other)".into(),
            others => format!(" (and {others} others)"),
        };
        all.push(Advice {
            rule,
            operators: rows.iter().filter_map(|row| row.number).collect(),
            text: format!("{}{others} {}", worst.label(), text(rule, worst)),
        });
    }
    let decibels = report.end_to_end.sqnr_db;
    if all.is_empty() && decibels < LOGITS {
        all.push(Advice {
            rule: Rule::NoiseEverywhere,
            operators: Vec::new(),
            text: format!(
                "the logits are at {decibels:.1} dB and no operator stands out: the noise comes from \
                 everywhere; train with quantization in the loop (QAT)."
            ),
        });
    }
    all
}

/// Returns the first rule that an operator trips.
fn rule(row: &Row) -> Option<Rule> {
    let saturated = row.saturation >= SATURATION && row.saturation_noise >= SATURATION_NOISE;
    let unequal = row
        .channel_ratio
        .is_some_and(|ratio| ratio >= CHANNEL_RATIO);
    match row.regained_db {
        _ if row.calibrated && saturated => Some(Rule::Saturation),
        CHANNEL_REGAINED.. if row.calibrated && unequal => Some(Rule::UnequalChannels),
        REGAINED.. => Some(Rule::CostlyOperator),
        _ => None,
    }
}

fn text(rule: Rule, row: &Row) -> String {
    match rule {
        Rule::Saturation => format!(
            "saturates: {:.2} % of its values lie outside {}; calibrate on more recordings like these, \
             louder ones too, or with --ranges min-max.",
            100.0 * row.saturation,
            row.range_text()
        ),
        Rule::UnequalChannels => format!(
            "has one scale for unequal channels, the largest {:.0} times the median one, which costs \
             {:.1} dB; equalization did not reach them: normalize before it, or train with \
             quantization in the loop (QAT).",
            row.channel_ratio.unwrap_or_default(),
            row.regained_db
        ),
        _ => format!(
            "costs {:.1} dB, so much better would the logits be with it alone in float; train with \
             quantization in the loop (QAT), so that the network learns to live with its rounding.",
            row.regained_db
        ),
    }
}
