//! `zerda` is the command: it reads its arguments, and has the crates of `host-tools` do the work.
//!
//! It serves the people who compile, try and tune a model. It depends on all other crates of `host-tools`, and none
//! depends on it: what this package does itself is `run`, its picture of the posteriors, `listen`, `web` and
//! `inspect`, which nothing else needs.

#[cfg_attr(not(feature = "float"), allow(dead_code))] // some arguments are read with it alone
mod arguments;
mod float;
mod hearing;
mod inspect;
mod keep;
mod level;
mod listen;
mod microphone;
mod run;
mod trace;
mod view;
mod web;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use zerda_device::{flash, monitor, qemu, update};
use zerda_evaluate::{enroll, streams, tune};
use zerda_support::clips::Wanted;
use zerda_support::config::Commands;
use zerda_support::detection;
use zerda_support::error::Result;
use zerda_support::escape;
use zerda_support::files;
use zerda_support::output::{Format, print};
use zerda_tflite::{export, npu};

use arguments::{Cli, Command, Room};

/// Does what the command line says, and returns the code to exit with.
pub fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            error.report();
            error.exit_code().into()
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    files::announce(&command.outputs())?;
    let done = match command {
        Command::Run(args) => run::run(&run::Options {
            raw: args
                .raw
                .of(args.inputs.iter().any(|input| input == Path::new("-")))?,
            inputs: args.inputs,
            channel: args.channel.map(usize::from),
            image: args.image.image,
            wake: args.wake.wake,
            quiet: args.quiet.quiet,
            kernels: args.kernels.kernels,
            json: args.json,
            trace: args.trace,
            templates: args.templates.templates,
            keep: args.keep.keep,
            explain: args.explain,
        }),
        Command::Listen(args) if args.list => listen::list(args.json),
        Command::Listen(args) => listen::listen(&listen::Options {
            raw: args.raw.of(args.stdin.is_some())?,
            device: args.stdin.is_none().then_some(args.device),
            channel: args.channel.map(usize::from),
            seconds: args.seconds,
            record: args.record,
            image: args.image.image,
            wake: args.wake.wake,
            quiet: args.quiet.quiet,
            kernels: args.kernels.kernels,
            templates: args.templates.templates,
            keep: args.keep.keep,
            json: args.json,
        }),
        Command::Web(args) => web::web(&web::Options {
            image: args.image.image,
            wake: args.wake.wake,
            quiet: args.quiet.quiet,
            port: args.port,
            output: args.output,
        }),
        Command::Enroll(args) => enroll::enroll(&enroll::Options {
            name: args.name,
            recordings: args.recordings,
            image: args.image.image,
            negatives: args.negatives,
            output: args.output,
        }),
        Command::Eval(args) if args.stream.stream => {
            let stream = args.stream;
            let wanted = Wanted {
                labels: args.labels,
                limit: args.limit,
            };
            streams::eval(&streams::Options {
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
                wake: stream.wake.wake,
                quiet: stream.quiet.quiet,
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
        Command::Commands(args) => {
            let options = detection::Options {
                output: args.written(),
                image: args.image,
                in_place: args.in_place,
            };
            let commands = Commands::load(args.config.as_deref())?;
            detection::commands(&options, &commands)?;
            print(&escape::path(&options.output))
        }
        Command::Inspect(mut args) => match args.onnx.take() {
            None => inspect::inspect(&args.image, args.json),
            #[cfg(feature = "float")]
            Some(onnx) => float::inspect(args, onnx),
            #[cfg(not(feature = "float"))]
            Some(_) => return float::forward(std::env::args_os().skip(1)),
        },
        Command::Export(args) => {
            let output = args.written();
            export::run(&args.image, &output)?;
            print(&escape::path(&output))
        }
        Command::Npu(args) => npu::npu(&npu::Options {
            output: args.written(),
            image: args.image,
            in_place: args.in_place,
            target: args.target,
            memory_mode: args.memory_mode,
            json: args.json,
            vela: args.vela,
        }),
        Command::Simulate(args) => {
            let options = zerda_simulate::Options {
                board: args.board,
                boards: args.boards,
                sweep: args.sweep,
                image: args.image.image,
                wake: args.wake.wake,
                quiet: args.quiet.quiet,
                audio: args.audio,
                seconds: args.seconds,
                budgets: args.budgets,
                output: args.output,
                format: Format::of(args.json, args.markdown),
                vela: args.vela,
            };
            match args.fit {
                true => zerda_simulate::calibrate::calibrate(&options),
                false if !options.sweep.is_empty() => zerda_simulate::sweep::sweep(&options),
                false => zerda_simulate::simulate(&options),
            }
        }
        Command::Flash(args) => flash::flash(&flash::Options {
            board: args.board.board,
            boards: args.board.boards,
            image: args.image.image,
            dry_run: args.dry_run,
            uf2: args.uf2,
            json: args.json,
        }),
        Command::Monitor(args) => monitor::monitor(&monitor::Options {
            settings: args.settings(),
            source: args.source,
            baud: args.baud,
            json: args.json,
        }),
        Command::Keygen(args) => update::keygen(&update::KeyOptions {
            output: args.output,
        }),
        Command::Sign(args) => update::sign(&update::SignOptions {
            output: args.written(),
            image: args.image,
            key: args.key,
            version: args.version,
            board: args.board,
        }),
        Command::Update(args) => update::update(&update::Options {
            update: args.update,
            port: args.port,
            baud: args.baud,
        }),
        Command::Qemu(args) => qemu::qemu(&qemu::Options {
            board: args.board.board,
            boards: args.board.boards,
            image: args.image.image,
            wake: args.wake.wake,
            quiet: args.quiet.quiet,
            templates: args.templates,
            inputs: args.inputs,
            json: args.json,
            profile: args.profile,
            mhz: args.mhz,
            realtime: args.realtime,
            stall: args.stall,
            fault: args.fault,
            serve: args.serve,
            flash: args.flash,
            npu_model: args.npu_model,
            kernels: args.kernels,
        }),
        #[cfg(feature = "float")]
        Command::Eval(args) => float::eval(args),
        #[cfg(feature = "float")]
        Command::Compile(args) => float::compile(args),
        #[cfg(not(feature = "float"))]
        Command::Eval(_) | Command::Compile(_) => {
            return float::forward(std::env::args_os().skip(1));
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}
