//! Runs the float network in tract, one streaming step at a time: the reference that calibration and
//! evaluation compare the integers with.

use std::path::Path;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use zerda_firmware::Image;
use zerda_firmware::front_end::FrontEnd;
use zerda_support::error::{Error, Result};

use crate::guard::{cause, guarded};
use crate::import;
use crate::onnx::Onnx;

/// Value that is added to the scores of absent keys.
const ABSENT: f32 = -10_000.0;

/// Stream through the float network, which is the ONNX of one step with its caches.
#[derive(Clone)]
pub struct FloatStep {
    state: TypedSimpleState,
    inputs: Vec<Input>,
    /// Inputs that the network takes in the next step.
    values: Vec<Tensor>,
    /// Number of frames that a step commits, S.
    step: usize,
    /// Number of keys that are not yet in the cache.
    absent: usize,
    left_context: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Features,
    Mask,
    /// Is a cache, with the number of the output that replaces it.
    Cache(usize),
}

impl FloatStep {
    /// Loads the network, without its fake quantization where it was trained with it.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or is not a streaming step (see models/train/README.md).
    pub fn load(path: &Path) -> Result<FloatStep> {
        let onnx = Onnx::read(path)?;
        // What the import takes, tract runs within limits.
        import::import(path, &onnx, 1.0)?;
        FloatStep::build(&onnx.model(), &[]).map_err(|error| {
            let (path, cause) = (path.display(), cause(&error));
            Error::usage(format!("{path}: tract cannot run it: {cause}"))
        })
    }

    /// Builds a step that also puts out the values `names`. An error is the cause.
    pub fn observing(
        model: &ModelProto,
        names: &[String],
    ) -> std::result::Result<FloatStep, String> {
        FloatStep::build(model, names).map_err(|error| cause(&error))
    }

    fn build(proto: &ModelProto, names: &[String]) -> TractResult<FloatStep> {
        guarded(|| FloatStep::built(proto, names))
    }

    fn built(proto: &ModelProto, names: &[String]) -> TractResult<FloatStep> {
        let parsed = tract_onnx::onnx().parse(proto, None)?;
        let mut model = parsed.model;
        let outlet = |name: &str| {
            let outlet = parsed.outlets_by_name.get(name).copied();
            outlet.ok_or_else(|| TractError::msg(format!("it has no value `{name}`")))
        };
        let (mut inputs, mut outputs) = (Vec::new(), vec![outlet("logits")?]);
        for input in &model.inputs {
            inputs.push(match model.node(input.node).name.as_str() {
                "features" => Input::Features,
                "mask" => Input::Mask,
                name => {
                    outputs.push(outlet(&format!("next_{name}"))?);
                    Input::Cache(outputs.len() - 1)
                }
            });
        }
        for name in names {
            outputs.push(outlet(name)?);
        }
        model.select_output_outlets(&outputs)?;
        let model = model.into_optimized()?;
        let mut values = Vec::new();
        for index in 0..inputs.len() {
            let fact = model.input_fact(index)?;
            let shape = fact.shape.as_concrete();
            let shape = shape.ok_or_else(|| TractError::msg("it has a dynamic shape"))?;
            values.push(Tensor::zero::<f32>(shape)?);
        }
        // Rows and columns; dimensions of 1 may precede them.
        let matrix = |shape: &[usize]| {
            shape
                .split_last()
                .map(|(&cols, rows)| (rows.iter().product(), cols))
        };
        let shape = |input| {
            let index = inputs.iter().position(|&other| other == input);
            let shape = index.and_then(|index| matrix(values[index].shape()));
            let missing = || TractError::msg("it lacks `features` [C, mels] or `mask` [1, L + C]");
            shape.ok_or_else(missing)
        };
        let ((chunk, _), (_, keys)): ((usize, _), _) =
            (shape(Input::Features)?, shape(Input::Mask)?);
        let left_context = keys.saturating_sub(chunk);
        let logits = model.output_fact(0)?.shape.as_concrete().and_then(matrix);
        let (step, _) = logits.ok_or_else(|| TractError::msg("`logits` has no static shape"))?;
        let state = model.into_runnable()?.spawn()?;
        let absent = left_context;
        Ok(FloatStep {
            state,
            inputs,
            values,
            step,
            absent,
            left_context,
        })
    }

    /// Goes back to the start of a stream, where nothing is cached.
    pub fn reset(&mut self) {
        self.absent = self.left_context;
        for value in &mut self.values {
            value.as_bytes_mut().fill(0);
        }
    }

    /// Returns the number of features of a step, which is C * mels.
    pub fn feature_count(&self) -> usize {
        let features = self
            .inputs
            .iter()
            .position(|&input| input == Input::Features);
        features.map_or(0, |index| self.values[index].len())
    }

    /// Returns the number of cached rows, of L, that are absent in the next step.
    pub fn absent(&self) -> usize {
        self.absent
    }

    /// Runs one step: takes `features` [C, mels] and returns logits [S, classes].
    ///
    /// # Panics
    ///
    /// Panics if there are not C * mels features.
    pub fn step(&mut self, features: &[f32]) -> Result<Vec<f32>> {
        Ok(self.step_observed(features)?.swap_remove(0))
    }

    /// Runs one step; returns the logits and, after them, the observed values.
    pub fn step_observed(&mut self, features: &[f32]) -> Result<Vec<Vec<f32>>> {
        guarded(|| self.run(features))
            .map_err(|error| Error::check(format!("tract: {}", cause(&error))))
    }

    fn run(&mut self, features: &[f32]) -> TractResult<Vec<Vec<f32>>> {
        for (input, value) in self.inputs.iter().zip(&mut self.values) {
            let mut plain = value.try_as_plain_ram_mut()?;
            let values = plain.as_slice_mut::<f32>()?;
            match input {
                Input::Features => values.copy_from_slice(features),
                Input::Mask => {
                    values.fill(0.0);
                    values[..self.absent].fill(ABSENT);
                }
                Input::Cache(_) => {}
            }
        }
        let values = self.values.iter().map(|value| value.clone().into_tvalue());
        let outputs = self.state.run(values.collect())?;
        let mut observed = 1;
        for (input, value) in self.inputs.iter().zip(&mut self.values) {
            if let Input::Cache(output) = *input {
                *value = outputs[output].clone().into_tensor();
                observed = observed.max(output + 1);
            }
        }
        self.absent = self.absent.saturating_sub(self.step);
        let floats = |value: &TValue| -> TractResult<Vec<f32>> {
            Ok(value
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect())
        };
        std::iter::once(&outputs[0])
            .chain(&outputs[observed..])
            .map(floats)
            .collect()
    }
}

/// Reads the float network that [`FloatStep::load`] runs, as ONNX without its fake quantization.
///
/// # Errors
///
/// Fails if the file cannot be read, or is no ONNX.
pub fn float_model(path: &Path) -> Result<ModelProto> {
    Ok(Onnx::read(path)?.model())
}

/// Returns the float features of 16 kHz samples, `[frames, mels]`, by the front end of `image`: what the
/// float network sees of a stream.
pub fn features(image: &Image, samples: &[i16]) -> Vec<f32> {
    let config = image.manifest().front_end;
    let mels = usize::from(config.mels);
    let mut front_end = FrontEnd::new(image);
    let mut features = Vec::new();
    for window in samples
        .windows(config.window.into())
        .step_by(config.hop.into())
    {
        let start = features.len();
        features.resize(start + mels, 0.0);
        front_end.frame(window, &mut features[start..]);
    }
    features
}
