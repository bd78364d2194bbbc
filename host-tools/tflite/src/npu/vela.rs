//! Calls Arm's Vela compiler in the pinned version, and reads what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use zerda_firmware::image::section::{MemoryMode, constants_offset};
use zerda_support::error::{Error, Result};
use zerda_support::ethos_u::Target;
use zerda_support::files;
use zerda_support::venv::{last_line, venv};

use super::compiled::Compiled;
use super::tools;

/// Pinned version of Vela, whose estimates and formulations are known.
pub const VERSION: &str = "5.2.0";
/// Vela and all that it needs, with their hashes, as pip takes them.
const PACKAGES: &str = include_str!("vela.txt");

/// Returns the name that Vela has for a memory mode.
pub fn name(memory_mode: MemoryMode) -> &'static str {
    match memory_mode {
        MemoryMode::SharedSram => "Shared_Sram",
        MemoryMode::SramOnly => "Sram_Only",
    }
}

/// Figures that Vela estimates for a step, none of them measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Share of the operators that are on the NPU, in percent, as Vela counts its own.
    pub npu_percent: f64,
    pub clock_hz: f64,
    /// Cycles that the step takes, accesses to memory included.
    pub cycles: f64,
    /// Cycles that the NPU's arithmetic takes.
    pub npu_cycles: f64,
    /// Bytes of SRAM, those of constants included where they lie there.
    pub sram_bytes: f64,
    /// Bytes of constants, which are in flash, or in DRAM where the system has no flash; where they lie in SRAM, flash
    /// still holds what is copied.
    pub flash_bytes: f64,
}

impl Estimate {
    pub fn step_ms(&self) -> f64 {
        self.cycles / self.clock_hz * 1000.0
    }
}

/// Vela that is installed in the pinned version.
pub struct Vela {
    program: PathBuf,
}

impl Vela {
    /// Finds the Vela at `path`, or the one that the first call without a path installs.
    pub fn find(path: Option<&Path>) -> Result<Vela> {
        let program = match path {
            Some(path) => {
                files::note(path)?;
                path.into()
            }
            None => install()?,
        };
        let vela = Vela { program };
        let output = vela.run(Command::new(&vela.program).arg("--version"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match said.trim() {
            VERSION if output.status.success() => Ok(vela),
            said => Err(Error::usage(format!(
                "{}: expected Vela {VERSION}, `--version` says {:?}; name another with --vela, or \
                 leave it out and zerda installs its own",
                vela.program.display(),
                said.lines().next().unwrap_or_default()
            ))),
        }
    }

    /// Compiles a TFLite model for a target; returns the result and what Vela estimates of it.
    pub fn compile(
        &self,
        model: &[u8],
        target: Target,
        memory_mode: MemoryMode,
    ) -> Result<(Compiled, Estimate)> {
        let folder =
            tempfile::tempdir().map_err(|error| Error::write("a temporary folder", error))?;
        let folder = folder.path();
        let input = folder.join("step.tflite");
        fs::write(&input, model).map_err(|error| Error::write(&input, error))?;
        let mut command = Command::new(&self.program);
        command
            .arg(&input)
            .args(["--accelerator-config", target.name()])
            .args(["--config", "Arm/vela.ini"])
            .args(["--system-config", target.system()])
            .args(["--memory-mode", name(memory_mode)])
            .arg("--output-dir")
            .arg(folder);
        let output = self.run(&mut command)?;
        let failed = |why: &str| {
            let program = self.program.display();
            Error::check(format!("{program}, for {}: {why}", target.name()))
        };
        if !output.status.success() {
            return Err(failed(last_line(&String::from_utf8_lossy(&output.stderr))));
        }
        let read = |name: &str| {
            fs::read(folder.join(name)).map_err(|_| failed(&format!("it left no {name}")))
        };
        let compiled = Compiled::read(&read("step_vela.tflite")?).map_err(|why| failed(&why))?;
        let name = format!("step_summary_{}.csv", target.system());
        let summary = read(&name)?;
        let summary = String::from_utf8_lossy(&summary);
        let said = String::from_utf8_lossy(&output.stdout);
        let mut estimate = estimate(&said, &summary).map_err(|why| failed(&why))?;
        if memory_mode == MemoryMode::SramOnly {
            // The summary counts neither the constants in SRAM nor the flash that they come from.
            estimate.flash_bytes = compiled.constants.len() as f64;
            let offset = constants_offset(estimate.sram_bytes as usize);
            estimate.sram_bytes = offset as f64 + estimate.flash_bytes;
        }
        Ok((compiled, estimate))
    }

    fn run(&self, command: &mut Command) -> Result<Output> {
        command.output().map_err(|error| {
            let program = self.program.display();
            Error::usage(format!("{program}: Vela cannot be started: {error}"))
        })
    }
}

/// Reads the figures from what Vela prints and from its summary, which has a line of names and one of
/// values.
fn estimate(said: &str, summary: &str) -> Result<Estimate, String> {
    // "NPU operators = 162 (100.0%)"
    let operators = |on: &str| {
        let count = said.lines().find_map(|line| line.strip_prefix(on));
        let count = count.and_then(|count| count.split_whitespace().next()?.parse::<f64>().ok());
        count.ok_or_else(|| format!("it does not print {on:?} and a number"))
    };
    let on_npu = operators("NPU operators = ")?;
    let all = on_npu + operators("CPU operators = ")?;

    let mut lines = summary.lines().map(|line| line.split(','));
    let [names, values] = [lines.next(), lines.next()].map(|line| line.into_iter().flatten());
    let table: Vec<_> = names.zip(values).collect();
    let figure = |name: &str| {
        let value = table.iter().find(|(other, _)| *other == name);
        let value = value.and_then(|(_, value)| value.parse::<f64>().ok());
        value
            .filter(|value| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| format!("its summary has no number {name}"))
    };
    let bytes = |name: &str| Ok::<_, String>((figure(name)? * 1024.0).round());
    Ok(Estimate {
        npu_percent: on_npu / all * 100.0,
        clock_hz: figure("core_clock")?,
        cycles: figure("cycles_total")?,
        npu_cycles: figure("cycles_npu")?,
        sram_bytes: bytes("sram_memory_used")?,
        flash_bytes: bytes("off_chip_flash_memory_used")?
            + bytes("on_chip_flash_memory_used")?
            + bytes("dram_memory_used")?,
    })
}

fn install() -> Result<PathBuf> {
    let folder = tools::folder()?.join(format!("vela-{VERSION}"));
    let bin = venv(&folder, PACKAGES, &format!("Vela {VERSION}"));
    let cannot = |why| Error::usage(format!("Vela {VERSION} cannot be installed: {why}"));
    Ok(bin.map_err(cannot)?.join("vela"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_vela_does_not_give_is_named() {
        let said = "CPU operators = 1 (25.0%)\nNPU operators = 3 (75.0%)\n";
        let names = "core_clock,cycles_total,cycles_npu,sram_memory_used,\
                     off_chip_flash_memory_used,on_chip_flash_memory_used,dram_memory_used";
        let read = estimate(said, &format!("{names}\n5e8,1000,600,1.5,2,0,0\n")).unwrap();
        assert_eq!((read.npu_percent, read.step_ms()), (75.0, 0.002));
        assert_eq!((read.sram_bytes, read.flash_bytes), (1536.0, 2048.0));
        let why = estimate(said, &format!("{names}\n5e8,-,600,1.5,2,0,0\n")).unwrap_err();
        assert_eq!(why, "its summary has no number cycles_total");
        let why = estimate("", "").unwrap_err();
        assert_eq!(why, "it does not print \"NPU operators = \" and a number");
    }
}
