//! Runs the `zerda` command: reads its arguments and calls the library.

mod arguments;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use zerda::config::{Commands, Config};
use zerda::error::{Error, Result};
use zerda::output::Format;
use zerda::{
    compiler, eval, explain, export, flash, inspect, monitor, npu, qemu, run, simulate, tune,
};

use arguments::{Cli, Command, Room};

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            error.exit_code().into()
        }
    }
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => run::run(&run::Options {
            inputs: args.inputs,
            image: args.image.image,
            wake: args.wake.wake,
            json: args.json,
            trace: args.trace,
            explain: args.explain,
        }),
        Command::Eval(args) if args.stream.stream => {
            let stream = args.stream;
            let wanted = eval::Wanted {
                labels: args.labels,
                limit: args.limit,
            };
            eval::stream::eval(&eval::stream::Options {
                directories: args.directories,
                image: args.image.image,
                negatives: stream.negatives,
                noise: stream.noise,
                snr: stream.snr.into_iter().map(|snr| snr.0).collect(),
                rooms: stream
                    .room
                    .into_iter()
                    .map(|room| room == Room::Reverberant)
                    .collect(),
                levels: stream.level,
                seed: stream.seed,
                wake: stream.wake,
                pairs: stream.pairs,
                fa_per_hour: stream.fa_per_hour,
                max_miss: stream.max_miss,
                wanted,
                json: args.json,
                report: stream.report,
            })
        }
        Command::Tune(args) => tune::tune(&tune::Options {
            image: args.image.image,
            negatives: args.negatives,
            commands: args.commands,
            fa_per_hour: args.fa_per_hour,
            wake: args.wake.wake,
            wakes_per_hour: args.wakes_per_hour,
            output: args.output,
            config: args.config,
            json: args.json,
        }),
        Command::Eval(args) => eval::eval(&eval::Options {
            directories: args.directories,
            image: args.image.image,
            onnx: args.onnx,
            json: args.json,
            wanted: eval::Wanted {
                labels: args.labels,
                limit: args.limit,
            },
        }),
        Command::Compile(args) => {
            let output = args.output.unwrap_or(args.onnx.with_extension("zerda"));
            let options = compiler::Options {
                onnx: args.onnx,
                calibrate: args.calibrate,
                output,
                ranges: args.ranges,
                profile: args.profile,
            };
            let summary = compiler::compile(&options, &Config::load(args.config.as_deref())?)?;
            let line = format!("{}: {summary}", options.output.display());
            writeln!(io::stdout(), "{line}").map_err(Error::stdout)?;
            let Some(file) = args.report else {
                return Ok(());
            };
            explain::explain(&explain::Options {
                image: options.output,
                onnx: options.onnx,
                audio: options.calibrate,
                output: file.map_or(explain::Output::Table, explain::Output::File),
            })
        }
        Command::Commands(args) => {
            let options = compiler::detection::Options {
                output: args.output.unwrap_or_else(|| args.image.clone()),
                image: args.image,
            };
            let commands = Commands::load(args.config.as_deref())?;
            compiler::detection::commands(&options, &commands)?;
            writeln!(io::stdout(), "{}", options.output.display()).map_err(Error::stdout)
        }
        Command::Inspect(args) => match args.onnx {
            None => inspect::inspect(&args.image, args.json),
            Some(onnx) => explain::explain(&explain::Options {
                image: args.image,
                onnx,
                audio: args.audio,
                output: match (args.report, args.json) {
                    (Some(file), _) => explain::Output::File(file),
                    (None, true) => explain::Output::Json,
                    (None, false) => explain::Output::Table,
                },
            }),
        },
        Command::Export(args) => {
            let output = args.output.unwrap_or(args.image.with_extension("tflite"));
            export::run(&args.image, &output)?;
            writeln!(io::stdout(), "{}", output.display()).map_err(Error::stdout)
        }
        Command::Npu(args) => npu::npu(&npu::Options {
            image: args.image,
            target: args.target,
            output: args.output,
            json: args.json,
            vela: args.vela,
        }),
        Command::Simulate(args) => {
            let options = simulate::Options {
                board: args.board,
                sweep: args.sweep,
                image: args.image.image,
                wake: args.wake.wake,
                audio: args.audio,
                seconds: args.seconds,
                budgets: args.budgets,
                output: args.output,
                format: Format::of(args.json, args.markdown),
                vela: args.vela,
            };
            match args.fit {
                true => simulate::calibrate::calibrate(&options),
                false if !options.sweep.is_empty() => simulate::sweep::sweep(&options),
                false => simulate::simulate(&options),
            }
        }
        Command::Flash(args) => flash::flash(&flash::Options {
            board: args.board.board,
            boards: args.board.boards,
            image: args.image.image,
            dry_run: args.dry_run,
            json: args.json,
        }),
        Command::Monitor(args) => monitor::monitor(&monitor::Options {
            source: args.source,
            baud: args.baud,
            json: args.json,
        }),
        Command::Qemu(args) => qemu::qemu(&qemu::Options {
            board: args.board.board,
            boards: args.board.boards,
            image: args.image.image,
            wake: args.wake.wake,
            inputs: args.inputs,
            json: args.json,
            profile: args.profile,
            mhz: args.mhz,
            realtime: args.realtime,
            stall: args.stall,
            serve: args.serve,
            npu_model: args.npu_model,
            kernels: args.kernels,
        }),
    }
}
