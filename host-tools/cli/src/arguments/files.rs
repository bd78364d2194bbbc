//! Says which files a command writes.

use std::path::{Path, PathBuf};

use zerda_support::output;

use crate::web;

use super::{Command, CommandsArgs, CompileArgs, ExportArgs, NpuArgs, SignArgs};

impl Command {
    /// Returns the files that the command will write, but for what it is asked to change in place.
    pub fn outputs(&self) -> Vec<PathBuf> {
        match self {
            Command::Run(args) => Vec::from_iter(args.trace.clone()),
            Command::Listen(args) => Vec::from_iter(args.record.clone()),
            Command::Web(args) => {
                let files = |folder: &PathBuf| {
                    let names = web::names(&args.image.image);
                    names.into_iter().map(|name| folder.join(name)).collect()
                };
                args.output.as_ref().map_or(Vec::new(), files)
            }
            Command::Eval(args) => Vec::from_iter(args.stream.report.clone()),
            Command::Tune(args) => Vec::from_iter(args.output.clone()),
            Command::Compile(args) => {
                let report = args.report.clone().flatten();
                [args.written()].into_iter().chain(report).collect()
            }
            // It is added to what is there.
            Command::Enroll(_) => Vec::new(),
            Command::Commands(args) if args.in_place => Vec::new(),
            Command::Commands(args) => vec![args.written()],
            Command::Inspect(args) => Vec::from_iter(args.report.clone()),
            Command::Export(args) => vec![args.written()],
            Command::Npu(args) if args.in_place => Vec::new(),
            Command::Npu(args) => Vec::from_iter(args.written()),
            Command::Simulate(args) => {
                let name = match &args.sweep[..] {
                    [] => "latency",
                    _ => "sweep",
                };
                let files = |folder: &PathBuf| output::report_files(folder, name);
                args.output.iter().flat_map(files).collect()
            }
            Command::Sign(args) => vec![args.written()],
            // `keygen` replaces no file.
            Command::Qemu(_)
            | Command::Flash(_)
            | Command::Monitor(_)
            | Command::Keygen(_)
            | Command::Update(_) => Vec::new(),
        }
    }
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

impl SignArgs {
    /// Returns the file that the update is written to.
    pub fn written(&self) -> PathBuf {
        or_beside(&self.output, &self.image, "zup")
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
