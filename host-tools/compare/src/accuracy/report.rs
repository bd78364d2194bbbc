//! Makes the report of `zerda eval`, as text or JSON.

use serde_json::{Map, Value, json};
use zerda_support::error::Result;
use zerda_support::output::print;

use super::Outcome;

pub struct AccuracyReport<'a> {
    pub labels: &'a [&'a str],
    /// Says of each label whether it is a command.
    pub commands: Vec<bool>,
    /// Folders whose clips do not count.
    pub left_out: Vec<String>,
    pub why_left_out: &'static str,
    pub macs_per_step: u64,
    pub outcomes: &'a [Outcome],
}

/// Shares of clips, 0 to 1, that are answered rightly: of all clips and of those of commands alone;
/// `None` where there are no clips.
#[derive(Debug, PartialEq)]
struct Top1 {
    all: Option<f64>,
    keywords: Option<f64>,
}

impl AccuracyReport<'_> {
    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json {
            format!("{}\n", self.json())
        } else {
            self.text()
        };
        print(text.trim_end_matches('\n'))
    }

    /// Returns the share, 0 to 1, of the clips picked by `of` for which `holds` is true; `None` if
    /// none is picked.
    fn share(
        &self,
        of: impl Fn(&Outcome) -> bool,
        holds: impl Fn(&Outcome) -> bool,
    ) -> Option<f64> {
        let picked: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| of(outcome)).collect();
        let count = picked.iter().filter(|outcome| holds(outcome)).count();
        (!picked.is_empty()).then(|| count as f64 / picked.len() as f64)
    }

    fn top1(&self, answer: impl Fn(&Outcome) -> Option<usize>) -> Top1 {
        let right = |outcome: &Outcome| answer(outcome) == Some(outcome.label);
        let answered = |outcome: &Outcome| answer(outcome).is_some();
        let keyword = |outcome: &Outcome| answered(outcome) && self.commands[outcome.label];
        Top1 {
            all: self.share(answered, right),
            keywords: self.share(keyword, right),
        }
    }

    fn float(&self) -> Top1 {
        self.top1(|outcome| Some(outcome.float))
    }

    fn int8(&self) -> Top1 {
        self.top1(|outcome| Some(outcome.int8))
    }

    fn after_speech(&self) -> Top1 {
        self.top1(|outcome| outcome.int8_after_speech)
    }

    fn disagree(&self) -> Option<f64> {
        self.share(|_| true, |outcome| outcome.float != outcome.int8)
    }

    /// Counts the clips that INT8 answered, with shape [label said, label answered].
    fn confusion(&self) -> Vec<Vec<usize>> {
        let mut confusion = vec![vec![0; self.labels.len()]; self.labels.len()];
        for outcome in self.outcomes {
            confusion[outcome.label][outcome.int8] += 1;
        }
        confusion
    }

    /// Returns the labels that have clips, each with their number.
    fn classes(&self) -> Vec<(usize, usize)> {
        let clips = |label| {
            self.outcomes
                .iter()
                .filter(|outcome| outcome.label == label)
                .count()
        };
        let counted = (0..self.labels.len()).map(|label| (label, clips(label)));
        counted.filter(|&(_, clips)| clips > 0).collect()
    }

    /// Returns the recall of one label, 0 to 1, by the float network and by INT8.
    fn recall(&self, label: usize) -> [Option<f64>; 2] {
        let of = |outcome: &Outcome| outcome.label == label;
        [
            self.share(of, |outcome| outcome.float == label),
            self.share(of, |outcome| outcome.int8 == label),
        ]
    }

    fn json(&self) -> Value {
        let (float, int8, after) = (self.float(), self.int8(), self.after_speech());
        let recall = self.classes().into_iter().map(|(label, clips)| {
            let [float, int8] = self.recall(label);
            let name = self.labels[label].to_string();
            (
                name,
                json!({ "clips": clips, "float": float, "int8": int8 }),
            )
        });
        json!({
            "classes": self.classes().len(),
            "clips": self.outcomes.len(),
            "float": { "top1": float.all, "keywords_top1": float.keywords },
            "int8": {
                "top1": int8.all,
                "keywords_top1": int8.keywords,
                "top1_after_speech": after.all,
                "keywords_top1_after_speech": after.keywords,
            },
            "disagree": self.disagree(),
            "macs_per_step": self.macs_per_step,
            "recall": recall.collect::<Map<_, _>>(),
            "labels": self.labels,
            "confusion": self.confusion(),
            "left_out": self.left_out,
        })
    }

    fn text(&self) -> String {
        let classes = self.classes();
        let mut text = format!("{} clips of {} classes", self.outcomes.len(), classes.len());
        if !self.left_out.is_empty() {
            let names = self.left_out.join(" ");
            text += &format!("; left out, {}: {names}", self.why_left_out);
        }
        text += "\n\ntop-1                            all   keywords\n";
        for (name, top1) in [
            ("float, in tract", self.float()),
            ("INT8, in the firmware crate", self.int8()),
            ("INT8 after 1.2 s of speech", self.after_speech()),
        ] {
            let (all, keywords) = (percent(top1.all), percent(top1.keywords));
            text += &format!("{name:<28} {all} {keywords:>10}\n");
        }
        text += &format!(
            "\nfloat and INT8 answer {} of the clips differently\n\
             {} multiply-accumulates a step\n\n\
             recall         clips    float     INT8\n",
            percent(self.disagree()).trim_start(),
            self.macs_per_step
        );
        for (label, clips) in classes {
            let [float, int8] = self.recall(label).map(percent);
            text += &format!("{:<12} {clips:>7} {float} {int8}\n", self.labels[label]);
        }
        text += "\nINT8, said (down) and answered (across)\n            ";
        for label in self.labels {
            text += &format!(" {:>5.5}", label.trim_matches('_'));
        }
        for (label, row) in self.labels.iter().zip(self.confusion()) {
            text += &format!("\n{label:<12}");
            for count in row {
                let count = if count == 0 {
                    "·".into()
                } else {
                    count.to_string()
                };
                text += &format!(" {count:>5}");
            }
        }
        text + "\n"
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or("       -".into(), |share| {
        format!("{:>6.2} %", share * 100.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_all_clips_and_those_of_commands() {
        let outcome = |label, float, int8, int8_after_speech| Outcome {
            label,
            float,
            int8,
            int8_after_speech,
        };
        let outcomes = [
            outcome(0, 0, 0, Some(0)),
            outcome(0, 0, 1, Some(1)),
            outcome(1, 1, 1, None),
            outcome(2, 2, 2, Some(0)),
        ];
        let report = AccuracyReport {
            labels: &["go", "no", "_silence_"],
            commands: vec![true, true, false],
            left_out: vec!["off".into()],
            why_left_out: "as no labels of the model",
            macs_per_step: 7,
            outcomes: &outcomes,
        };
        let json = report.json();
        assert_eq!(json["classes"], 3);
        assert_eq!(json["clips"], 4);
        assert_eq!(json["float"]["top1"], 1.0);
        assert_eq!(json["int8"]["top1"], 0.75);
        assert_eq!(json["int8"]["keywords_top1"], 2.0 / 3.0);
        assert_eq!(json["int8"]["top1_after_speech"], 1.0 / 3.0);
        assert_eq!(json["disagree"], 0.25);
        assert_eq!(json["macs_per_step"], 7);
        assert_eq!(json["recall"]["go"]["int8"], 0.5);
        assert_eq!(json["confusion"], json!([[1, 1, 0], [0, 1, 0], [0, 0, 1]]));
        assert!(
            report
                .text()
                .contains("left out, as no labels of the model: off")
        );
    }
}
