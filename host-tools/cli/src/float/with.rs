//! What a `zerda` does that holds the float network.

use std::path::PathBuf;

use zerda_compare::{accuracy, int8_cost};
use zerda_support::clips::Wanted;
use zerda_support::config::Config;
use zerda_support::error::Result;
use zerda_support::escape;
use zerda_support::output::print;

use crate::arguments::{CompileArgs, EvalArgs, InspectArgs};

pub(crate) fn eval(args: EvalArgs) -> Result<()> {
    accuracy::eval(&accuracy::Options {
        directories: args.directories,
        image: args.image.image,
        onnx: args.onnx,
        json: args.json,
        wanted: Wanted {
            labels: args.labels,
            limit: args.limit,
        },
    })
}

pub(crate) fn compile(args: CompileArgs) -> Result<()> {
    let options = zerda_compiler::Options {
        output: args.written(),
        onnx: args.onnx,
        calibrate: args.calibrate,
        ranges: args.ranges,
        profile: args.profile,
    };
    let summary = zerda_compiler::compile(&options, &Config::load(args.config.as_deref())?)?;
    print(&format!("{}: {summary}", escape::path(&options.output)))?;
    let Some(file) = args.report else {
        return Ok(());
    };
    int8_cost::measure(&int8_cost::Options {
        image: options.output,
        onnx: options.onnx,
        audio: options.calibrate,
        output: file.map_or(int8_cost::Output::Table, int8_cost::Output::File),
    })
}

pub(crate) fn inspect(args: InspectArgs, onnx: PathBuf) -> Result<()> {
    int8_cost::measure(&int8_cost::Options {
        image: args.image,
        onnx,
        audio: args.audio,
        output: match (args.report, args.json) {
            (Some(file), _) => int8_cost::Output::File(file),
            (None, true) => int8_cost::Output::Json,
            (None, false) => int8_cost::Output::Table,
        },
    })
}
