//! Reads what the ONNX says of itself (`zerda.*` metadata) and checks it against the configuration: the
//! ONNX is the truth, and a configuration that says otherwise is an error.

use std::collections::HashMap;
use std::path::Path;

use zerda_quantize::graph::{Graph, LinearKind, Op};
use zerda_support::config::{FrontEnd, Models, Profile};
use zerda_support::error::{Error, Result};

pub struct Metadata {
    pub labels: Vec<String>,
    pub profile: Option<String>,
    pub front_end: FrontEnd,
}

impl Metadata {
    pub fn read(path: &Path, entries: &HashMap<String, String>) -> Result<Metadata> {
        let entry = |key: &str, what: &str| {
            let missing = || {
                let path = path.display();
                Error::usage(format!(
                    "{path}: no metadata `{key}` ({what}); export the model with it"
                ))
            };
            entries.get(key).ok_or_else(missing)
        };
        let labels = entry("zerda.labels", "the classes, comma separated")?;
        let front_end = entry(
            "zerda.front_end",
            "JSON of [front_end] in config/models.toml",
        )?;
        let front_end = serde_json::from_str(front_end).map_err(|error| {
            Error::usage(format!(
                "{}: metadata `zerda.front_end`: {error}",
                path.display()
            ))
        })?;
        Ok(Metadata {
            labels: labels
                .split(',')
                .map(|label| label.trim().to_string())
                .collect(),
            profile: entries.get("zerda.profile").cloned(),
            front_end,
        })
    }

    /// Checks the network and its metadata against the configuration; `asked` is the profile that the user
    /// named.
    pub fn check(
        &self,
        path: &Path,
        graph: &Graph,
        asked: Option<&str>,
        models: &Models,
    ) -> Result<()> {
        let differs = |what: &str, field: &str, onnx: &dyn ToString, config: &dyn ToString| {
            let (path, onnx, config) = (path.display(), onnx.to_string(), config.to_string());
            Error::usage(format!(
                "{path}: {field} is {onnx} in the ONNX but {config} in {what}; change one"
            ))
        };
        let (own, ours) = (&self.front_end, &models.front_end);
        for (field, own, ours) in [
            (
                "sample_rate",
                own.sample_rate as f32,
                ours.sample_rate as f32,
            ),
            ("window", own.window.into(), ours.window.into()),
            ("hop", own.hop.into(), ours.hop.into()),
            ("fft", own.fft.into(), ours.fft.into()),
            ("mels", own.mels.into(), ours.mels.into()),
            ("fmin", own.fmin, ours.fmin),
            ("fmax", own.fmax, ours.fmax),
            ("level_decay", own.level_decay, ours.level_decay),
            ("level_floor", own.level_floor, ours.level_floor),
            (
                "level_frames",
                own.level_frames.into(),
                ours.level_frames.into(),
            ),
            ("range", own.range, ours.range),
        ] {
            if own != ours {
                return Err(differs("[front_end] of models.toml", field, &own, &ours));
            }
        }
        let classes = graph.tensors[graph.logits].cols;
        if self.labels.len() != classes {
            return Err(differs(
                "its metadata `zerda.labels`",
                "the number of logits",
                &classes,
                &self.labels.len(),
            ));
        }
        let mels = graph.tensors[graph.features].cols;
        if usize::from(own.mels) != mels {
            return Err(differs(
                "its metadata `zerda.front_end`",
                "the number of features",
                &mels,
                &own.mels,
            ));
        }
        let Some(name) = asked.or(self.profile.as_deref()) else {
            return Ok(());
        };
        let Some(profile) = models.profiles.get(name) else {
            let known: Vec<_> = models.profiles.keys().map(String::as_str).collect();
            let (path, known) = (path.display(), known.join(", "));
            return Err(Error::usage(format!(
                "{path}: no profile `{name}` in models.toml; there are {known}"
            )));
        };
        let found = shape(graph);
        let what = format!("[profiles.{name}] of models.toml");
        for (field, found, expected) in [
            ("layers", found.layers, profile.layers),
            ("heads", found.heads, profile.heads),
            ("hidden", found.hidden, profile.hidden),
            ("feed_forward", found.feed_forward, profile.feed_forward),
            ("kernel", found.kernel, profile.kernel),
            ("chunk", found.chunk, profile.chunk),
            ("cached", found.cached, profile.cached),
            ("step", found.step, profile.step),
        ] {
            if found != expected {
                return Err(differs(&what, field, &found, &expected));
            }
        }
        Ok(())
    }
}

/// Returns the shape of a Conformer, as its operators tell.
fn shape(graph: &Graph) -> Profile {
    let (mut layers, mut heads, mut hidden, mut feed_forward, mut kernel) = (0, 0, 0, 0, 0);
    for op in &graph.ops {
        match op {
            Op::Scores {
                query,
                heads: of_layer,
                ..
            } => {
                layers += 1;
                (heads, hidden) = (*of_layer, graph.tensors[*query].cols);
            }
            Op::Linear(linear) if linear.kind == LinearKind::Depthwise => kernel = linear.taps(),
            Op::Linear(linear) => feed_forward = feed_forward.max(linear.channels()),
            _ => {}
        }
    }
    Profile {
        layers,
        heads: heads as u16,
        hidden: hidden as u16,
        feed_forward: feed_forward as u16,
        kernel: kernel as u16,
        chunk: graph.stream.chunk,
        cached: graph.stream.left_context,
        step: graph.stream.step,
    }
}
