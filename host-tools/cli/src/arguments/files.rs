//! Says which files a command reads and which it writes, for none to be both unless that is meant.

use std::path::{Path, PathBuf};

use zerda_support::error::Result;
use zerda_support::output;

use super::{Command, CommandsArgs, CompileArgs, ExportArgs, NpuArgs};

impl Command {
    /// Refuses a file to write to that the command reads.
    pub fn keep_inputs(&self) -> Result<()> {
        let (outputs, inputs) = self.files();
        output::refuse_inputs(&outputs, &inputs)
    }

    /// Returns what the command writes and what it reads, but for what it is asked to change in place.
    fn files(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let (mut outputs, mut inputs) = (Vec::new(), Vec::new());
        match self {
            Command::Run(args) => {
                outputs.extend(args.trace.clone());
                inputs.push(args.image.image.clone());
                inputs.extend(args.inputs.clone());
                let labels = args.inputs.iter().map(|input| input.with_extension("json"));
                inputs.extend(labels.filter(|_| args.explain));
            }
            Command::Eval(args) => {
                outputs.extend(args.stream.report.clone());
                inputs.extend([args.image.image.clone(), args.onnx.clone()]);
                let folders = [
                    &args.directories,
                    &args.stream.negatives,
                    &args.stream.noise,
                ];
                inputs.extend(folders.into_iter().flatten().cloned());
            }
            Command::Tune(args) => {
                outputs.extend(args.output.clone());
                inputs.push(args.image.image.clone());
                inputs.extend(args.negatives.iter().chain(&args.commands).cloned());
                inputs.extend(config(&args.config));
            }
            Command::Compile(args) => {
                outputs.push(args.written());
                outputs.extend(args.report.clone().flatten());
                inputs.push(args.onnx.clone());
                inputs.extend(args.calibrate.clone());
                inputs.extend(config(&args.config));
            }
            Command::Commands(args) => {
                outputs.extend(Some(args.written()).filter(|_| !args.in_place));
                inputs.push(args.image.clone());
                inputs.extend(config(&args.config));
            }
            Command::Inspect(args) => {
                outputs.extend(args.report.clone());
                inputs.push(args.image.clone());
                inputs.extend(args.onnx.iter().chain(&args.audio).cloned());
            }
            Command::Export(args) => {
                outputs.push(args.written());
                inputs.push(args.image.clone());
            }
            Command::Npu(args) => {
                outputs.extend(args.written().filter(|_| !args.in_place));
                inputs.extend([&args.image].into_iter().chain(&args.vela).cloned());
            }
            Command::Simulate(args) => {
                let name = if args.sweep.is_empty() {
                    "latency"
                } else {
                    "sweep"
                };
                let forms = |folder: &PathBuf| {
                    let file = folder.join(name);
                    ["json", "md", "html"].map(|form| file.with_extension(form))
                };
                outputs.extend(args.output.iter().flat_map(forms));
                inputs.push(args.image.image.clone());
                inputs.extend(args.board.iter().map(PathBuf::from));
                inputs.extend(args.budgets.iter().chain(&args.audio).cloned());
            }
            Command::Qemu(_) | Command::Flash(_) | Command::Monitor(_) => {}
        }
        (outputs, inputs)
    }
}

/// Returns the files that are read of a folder of `--config`.
fn config(folder: &Option<PathBuf>) -> impl Iterator<Item = PathBuf> {
    let files = |folder: &PathBuf| ["models.toml", "commands.toml"].map(|name| folder.join(name));
    folder.as_ref().map(files).into_iter().flatten()
}

impl CompileArgs {
    /// Returns the file that the image is written to.
    pub fn written(&self) -> PathBuf {
        or_beside(&self.output, &self.onnx, "zerda")
    }
}

impl CommandsArgs {
    /// Returns the file that the image is written to.
    pub fn written(&self) -> PathBuf {
        match self.in_place {
            true => self.image.clone(),
            false => or_beside(&self.output, &self.image, "commands.zerda"),
        }
    }
}

impl ExportArgs {
    /// Returns the file that the TFLite model is written to.
    pub fn written(&self) -> PathBuf {
        or_beside(&self.output, &self.image, "tflite")
    }
}

impl NpuArgs {
    /// Returns the file that the image is written to; there is none for an NPU that the firmware does not drive, unless
    /// one is asked for.
    pub fn written(&self) -> Option<PathBuf> {
        let extension = format!("{}.zerda", self.target.name());
        match (self.in_place, &self.output) {
            (true, _) => Some(self.image.clone()),
            (false, None) if !self.target.is_driven() => None,
            (false, output) => Some(or_beside(output, &self.image, &extension)),
        }
    }
}

fn or_beside(output: &Option<PathBuf>, input: &Path, extension: &str) -> PathBuf {
    output
        .clone()
        .unwrap_or_else(|| input.with_extension(extension))
}
