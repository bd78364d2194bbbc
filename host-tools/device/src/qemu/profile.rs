//! Says what a board would have to do: the instructions of each stage, and whether it keeps up.
//!
//! Instructions are counted by QEMU. That one takes one cycle is assumed: it is the best case of
//! code in single-cycle memory on a Cortex-M4 or M55.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use zerda_firmware::Image;

use zerda_support::audio;
use zerda_support::config::Config;
use zerda_support::error::{Error, Result};
use zerda_support::operators::{describe, macs_per_step};
use zerda_support::output::print;

/// Share of the processor's time that may be taken. The rest is for what else a product does, and
/// for waiting on memory.
const LIMIT: f64 = 0.7;

/// Number of steps after the caches have filled that the steady state is taken at.
const SETTLED: usize = 10;

/// Instructions that one step takes.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// Instructions that the front end takes for the frames since the step before.
    pub front_end: u64,
    pub decoder: u64,
    pub operators: Vec<u64>,
}

impl Step {
    pub fn total(&self) -> u64 {
        self.front_end + self.decoder + self.operators.iter().sum::<u64>()
    }
}

pub struct Profile<'a> {
    pub board: &'a str,
    pub kernels: &'a str,
    pub image: &'a Image<'a>,
    pub stack_bytes: u32,
    pub clock_mhz: f64,
    /// Steps that were counted, from the first on.
    pub steps: Vec<Step>,
    /// Number of steps that would have run if the network never rested, where it may rest.
    pub possible: Option<u64>,
}

/// Reads the file that the firmware writes: a line `step FRONT_END DECODER OPERATOR...` for each
/// step, and `rest FRONT_END` for what follows. Too few steps for the steady state are an error. Where the network may
/// rest, its steps have the average front end of all `samples`, rest included.
pub fn read(path: &Path, image: &Image<'_>, samples: u64) -> Result<Vec<Step>> {
    let text = fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
    let (text, rest) = text.rsplit_once("rest ").unwrap_or((&text, ""));
    let step = |line: &str| {
        let counts = line.strip_prefix("step ")?.split(' ');
        let counts: Vec<u64> = counts
            .map(|count| count.parse().ok())
            .collect::<Option<_>>()?;
        match counts.as_slice() {
            &[front_end, decoder, ref operators @ ..] if operators.len() == image.ops().count() => {
                Some(Step {
                    front_end,
                    decoder,
                    operators: operators.to_vec(),
                })
            }
            _ => None,
        }
    };
    let steps = text.lines().map(|line| {
        step(line).ok_or_else(|| Error::check(format!("the firmware's profile reads `{line}`")))
    });
    let mut steps = steps.collect::<Result<Vec<_>>>()?;
    if image.quiet().is_some() {
        let rest: u64 = rest.trim().parse().unwrap_or_default();
        let all = rest + steps.iter().map(|step| step.front_end).sum::<u64>();
        let average = all / audio::steps(image, samples).max(1);
        steps.iter_mut().for_each(|step| step.front_end = average);
    }
    let needed = match image.quiet() {
        Some(_) => 1,
        None => full(image) + SETTLED + 1,
    };
    if steps.len() < needed {
        return Err(Error::usage(format!(
            "the first file gives {} steps, --profile needs {needed}: the caches fill in {}, \
             expected at least {:.1} s of audio",
            steps.len(),
            full(image),
            needed as f64 * step_s(image) + 0.1,
        )));
    }
    Ok(steps)
}

/// Returns the number of the first step whose caches are full.
fn full(image: &Image<'_>) -> usize {
    let stream = image.manifest().stream;
    stream.left_context.div_ceil(stream.step).into()
}

/// Returns the seconds of audio that a step is for.
fn step_s(image: &Image<'_>) -> f64 {
    let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
    let samples = u32::from(stream.step) * u32::from(front_end.hop);
    f64::from(samples) / f64::from(zerda_support::audio::SAMPLE_RATE)
}

impl Profile<'_> {
    /// Prints the profile; the verdict, if it is a bad one, comes as the inner error.
    pub fn print(&self, json: bool) -> Result<Result<()>> {
        let estimates = self.estimates(&Config::load(None)?);
        let verdict = self.verdict(&estimates);
        match json {
            true => print(&json!({ "profile": self.json(&estimates) }).to_string())?,
            false => print(self.table().trim_end())?,
        }
        Ok(verdict)
    }

    fn steady(&self) -> &Step {
        &self.steps[self.steady_at()]
    }

    /// Returns the number of the step that stands for all with full caches: where the network may rest, the one that
    /// takes most.
    fn steady_at(&self) -> usize {
        match self.possible {
            Some(_) => self.peak().0,
            None => full(self.image) + SETTLED,
        }
    }

    /// Returns the share of the steps that ran, and the million instructions a second on average, where the network may
    /// rest.
    fn average(&self) -> Option<(f64, f64)> {
        let possible = self.possible?.max(1) as f64;
        let front_end = self.steps[0].front_end as f64 * possible;
        let steps = self.steps.iter().map(|step| step.total() - step.front_end);
        let all = front_end + steps.sum::<u64>() as f64;
        let duty = self.steps.len() as f64 / possible;
        Some((duty, all / (possible * step_s(self.image)) / 1e6))
    }

    /// Returns the largest difference of a step with full caches from [`Self::steady`], as a
    /// fraction.
    fn spread(&self) -> f64 {
        let steady = self.steady().total();
        let first = match self.possible {
            Some(_) => self.steps.len(),
            None => full(self.image),
        };
        let steps = self.steps[first..].iter();
        let most = steps.map(|step| step.total().abs_diff(steady)).max();
        most.unwrap_or_default() as f64 / steady as f64
    }

    /// Returns the number and the instructions of the step that takes most.
    fn peak(&self) -> (usize, u64) {
        let totals = self.steps.iter().map(Step::total).enumerate();
        let peak = totals.max_by_key(|&(_, total)| total);
        peak.unwrap_or_default()
    }

    /// Returns the million instructions a second that real time takes.
    fn mips(&self) -> f64 {
        self.steady().total() as f64 / step_s(self.image) / 1e6
    }

    fn load(&self) -> f64 {
        self.mips() / self.clock_mhz
    }

    /// Estimates the load (1 is all of the clock) of each profile that can be compiled, smallest
    /// first: the front end and the decoder as counted, the operators by multiply-accumulates.
    fn estimates(&self, config: &Config) -> Vec<(String, f64)> {
        let (steady, seconds) = (self.steady(), step_s(self.image));
        let hop = step_s(self.image) / f64::from(self.image.manifest().stream.step);
        let per_frame = (steady.front_end + steady.decoder) as f64 / seconds;
        let operators = steady.operators.iter().sum::<u64>() as f64;
        let per_mac = operators / macs_per_step(self.image) as f64;
        let models = &config.models;
        let classes = self.image.labels().count() as u64;
        let load = |profile: &zerda_support::config::Profile| {
            let macs = profile.macs_per_step(models.front_end.mels, classes) as f64;
            let network = macs * per_mac / (f64::from(profile.step) * hop);
            (per_frame + network) / 1e6 / self.clock_mhz
        };
        let profiles = models.profiles.iter();
        let mut loads: Vec<_> = profiles.map(|(name, p)| (name.clone(), load(p))).collect();
        loads.sort_by(|a, b| a.1.total_cmp(&b.1));
        loads
    }

    fn verdict(&self, estimates: &[(String, f64)]) -> Result<()> {
        if self.load() <= LIMIT {
            return Ok(());
        }
        let fits: Vec<String> = estimates
            .iter()
            .filter(|(_, load)| *load <= LIMIT)
            .map(|(name, load)| format!("{name} (about {:.0} %)", load * 100.0))
            .collect();
        let fits = match fits.as_slice() {
            [] => "no profile of models.toml would fit".to_string(),
            fits => format!("of models.toml would fit, estimated: {}", fits.join(", ")),
        };
        Err(Error::check(format!(
            "{}: {:.1} % load at {} MHz, limit {:.0} %; {fits}; this one needs {:.0} MHz",
            self.board,
            self.load() * 100.0,
            self.clock_mhz,
            LIMIT * 100.0,
            self.needed_mhz(),
        )))
    }

    fn needed_mhz(&self) -> f64 {
        (self.mips() / LIMIT).ceil()
    }

    fn json(&self, estimates: &[(String, f64)]) -> Value {
        let steady = self.steady();
        let operators = self.image.ops().zip(&steady.operators).enumerate();
        let operators: Vec<Value> = operators
            .map(|(number, (op, count))| {
                let (name, shape) = describe(self.image, op);
                json!({ "number": number, "name": name, "shape": shape, "instructions": count })
            })
            .collect();
        let totals: Vec<u64> = self.steps.iter().map(Step::total).collect();
        let (peak_step, peak) = self.peak();
        let estimates = estimates.iter().map(|(name, load)| {
            json!({ "profile": name, "load": load, "fits": *load <= LIMIT, "figure": "estimated" })
        });
        json!({
            "board": self.board,
            "kernels": self.kernels,
            "figure": "counted",
            "unit": "instructions",
            "step_ms": step_s(self.image) * 1000.0,
            "steady_step": self.steady_at(),
            "front_end": steady.front_end,
            "operators": operators,
            "decoder": steady.decoder,
            "step": steady.total(),
            "full_from": full(self.image),
            "spread": self.spread(),
            "steps": totals,
            "peak": peak,
            "peak_step": peak_step,
            "stack_bytes": self.stack_bytes,
            "mips": self.mips(),
            "duty": self.average().map(|(duty, _)| duty),
            "average_mips": self.average().map(|(_, mips)| mips),
            "clock_mhz": self.clock_mhz,
            "cycles_per_instruction": 1.0,
            "load": self.load(),
            "limit": LIMIT,
            "verdict": if self.load() <= LIMIT { "PASS" } else { "FAIL" },
            "needed_mhz": self.needed_mhz(),
            "profiles": estimates.collect::<Vec<_>>(),
        })
    }

    fn table(&self) -> String {
        let steady = self.steady();
        let total = steady.total();
        let number = self.steady_at();
        let mut text = format!(
            "{}, {} kernels: instructions of step {number}, counted in QEMU\n",
            self.board, self.kernels
        );
        // Writing to a string does not fail.
        let mut row = |stage: &str, count: u64| {
            let percent = count as f64 / total as f64 * 100.0;
            let _ = writeln!(text, "  {stage:<42} {count:>9} {percent:>5.1} %");
        };
        row("front end", steady.front_end);
        for (number, (op, &count)) in self.image.ops().zip(&steady.operators).enumerate() {
            let (name, shape) = describe(self.image, op);
            row(&format!("{number:>3} {name:<16} {shape}"), count);
        }
        row("decoder", steady.decoder);
        row("step", total);
        let shown = self.steps.iter().take(number + SETTLED);
        let totals: Vec<u64> = shown.map(Step::total).collect();
        let _ = writeln!(
            text,
            "each step, from the first (caches fill in {}):",
            full(self.image)
        );
        for line in totals.chunks(10) {
            let line: Vec<String> = line.iter().map(|total| format!("{total:>9}")).collect();
            let _ = writeln!(text, "  {}", line.join(" "));
        }
        let (peak_step, peak) = self.peak();
        let _ = writeln!(
            text,
            "steady steps within {:.2} % of step {number}; peak {peak} in step {peak_step}; stack {} \
             bytes\n{:.2} MIPS for real time, a step each {} ms; at one instruction a cycle, assumed: \
             {:.1} % of {} MHz, limit {:.0} %: {}",
            self.spread() * 100.0,
            self.stack_bytes,
            self.mips(),
            step_s(self.image) * 1000.0,
            self.load() * 100.0,
            self.clock_mhz,
            LIMIT * 100.0,
            if self.load() <= LIMIT { "PASS" } else { "FAIL" },
        );
        if let Some((duty, mips)) = self.average() {
            let (ran, front_end) = (self.steps.len(), steady.front_end);
            let _ = writeln!(
                text,
                "the network rested: {ran} steps ran, {:.1} % of all; {mips:.2} MIPS on average, of which front end and gate {:.2}",
                duty * 100.0,
                front_end as f64 / step_s(self.image) / 1e6,
            );
        }
        text
    }
}
