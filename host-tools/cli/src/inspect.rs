//! `zerda inspect` says what an image holds, as far as it says so itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};
use zerda_firmware::Image;
use zerda_firmware::image::{Label, VERSION};
use zerda_firmware::plan::{Location, Op, Tensor};

use zerda_support::error::Result;
use zerda_support::image_file::ImageFile;
use zerda_support::image_parts;
use zerda_support::operators::{bytes, constants, describe, macs, macs_per_step};
use zerda_support::output::print;
use zerda_support::wake;
use zerda_tflite::npu;

pub fn inspect(path: &Path, json: bool) -> Result<()> {
    let file = ImageFile::open(path)?;
    let image = file.image()?;
    let inspection = Inspection {
        name: path.display().to_string(),
        sections: sections(file.bytes(), &image),
        image: &image,
    };
    match json {
        true => print(&inspection.json().to_string()),
        false => print(inspection.text().trim_end()),
    }
}

/// Counts the bytes of each kind of part; together they are the file.
fn sections(file: &[u8], image: &Image<'_>) -> Vec<(&'static str, usize)> {
    let mut kinds = BTreeMap::new();
    for part in image_parts::parts(file, image) {
        *kinds.entry(part.kind).or_default() += part.range.len();
    }
    let mut take = |kind| kinds.remove(kind).map(|bytes| (kind, bytes));
    let first = ["header", "manifest"].map(&mut take);
    let npu = take("npu");
    let other = take("other").unwrap_or(("other", 0));
    let mut sections: Vec<_> = first.into_iter().flatten().chain(kinds).collect();
    sections.extend(npu);
    sections.push(other);
    sections
}

struct Inspection<'a> {
    name: String,
    sections: Vec<(&'static str, usize)>,
    image: &'a Image<'a>,
}

/// Returns the real values of a tensor's lowest and highest integer.
fn range(tensor: Tensor) -> [f64; 2] {
    let real =
        |q: i8| f64::from(tensor.scale) * f64::from(i32::from(q) - i32::from(tensor.zero_point));
    [real(i8::MIN), real(i8::MAX)]
}

/// Returns the threshold of a label, 0 to 1; `None` if it is never detected.
fn threshold(label: Label<'_>) -> Option<f64> {
    (label.threshold > 0).then(|| f64::from(label.threshold) / 256.0)
}

impl Inspection<'_> {
    fn ms(&self, frames: u16) -> f64 {
        self.samples_ms(u32::from(frames) * u32::from(self.image.manifest().front_end.hop))
    }

    fn samples_ms(&self, samples: u32) -> f64 {
        f64::from(samples) * 1000.0 / f64::from(self.image.manifest().front_end.sample_rate)
    }

    /// Returns the label that stands for silence.
    fn silence(&self) -> &str {
        let silence = self.image.manifest().decoder.silence;
        let label = self.image.labels().nth(silence.into());
        label.map_or("", |label| label.name)
    }

    /// Describes the commands of several words as JSON; null where each label is a command.
    fn grammar(&self) -> Value {
        let grammar = self.image.grammar();
        let labels: Vec<_> = self.image.labels().map(|label| label.name).collect();
        let commands = self.image.commands().map(|command| {
            let words = command.words.iter();
            let words = words.filter_map(|&word| labels.get(usize::from(word)));
            json!({ "name": command.name, "words": words.collect::<Vec<_>>() })
        });
        let commands: Vec<_> = commands.collect();
        match grammar.commands {
            0 => Value::Null,
            _ => json!({
                "gap": grammar.gap,
                "gap_ms": self.ms(grammar.gap),
                "commands": commands,
            }),
        }
    }

    /// Counts the bytes of constants that an operator reads, by kind.
    fn constants(&self, op: Op) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for (kind, tensor) in constants(self.image, op) {
            *kinds.entry(kind).or_default() += bytes(tensor);
        }
        kinds
    }

    fn outputs(&self) -> impl Iterator<Item = (Op, Tensor)> {
        let ops = self.image.ops();
        ops.filter_map(|op| Some((op, self.image.tensor(op.output())?)))
    }

    fn json(&self) -> Value {
        let image = self.image;
        let head = image.manifest();
        let (stream, front_end, decoder) = (head.stream, head.front_end, head.decoder);
        let sections = self.sections.iter();
        let sections = sections.map(|&(kind, bytes)| (kind.to_string(), bytes.into()));
        let labels = image
            .labels()
            .map(|label| json!({ "name": label.name, "threshold": threshold(label) }));
        let caches = image.caches().enumerate().map(|(number, cache)| {
            json!({
                "number": number,
                "rows": cache.rows,
                "cols": cache.cols,
                "capacity": cache.capacity,
                "bytes": cache.byte_range().len(),
                "zero_point": cache.zero_point,
            })
        });
        let operators = self.outputs().enumerate().map(|(number, (op, output))| {
            let (name, shape) = describe(image, op);
            let place = match output.location {
                Location::Cache { cache, row } => json!({ "cache": cache, "row": row }),
                Location::Arena { offset } | Location::Constant { offset } => {
                    json!({ "arena": offset })
                }
            };
            json!({
                "number": number,
                "name": name,
                "shape": shape,
                "macs": macs(image, op),
                "constants": self.constants(op),
                "output": {
                    "rows": output.rows,
                    "cols": output.cols,
                    "scale": output.scale,
                    "zero_point": output.zero_point,
                    "range": range(output),
                    "at": place,
                },
            })
        });
        json!({
            "image": self.name,
            "format_version": VERSION,
            "bytes": self.sections.iter().map(|(_, bytes)| bytes).sum::<usize>(),
            "checksum": format!("{:08x}", image.checksum()),
            "sections": sections.collect::<Map<_, _>>(),
            "memory": {
                "bytes": image.memory_bytes(),
                "caches": image.cache_bytes(),
                "arena": image.arena_bytes(),
            },
            "npu": image.npu().map(|program| npu::json(&program)),
            "stream": {
                "chunk": stream.chunk,
                "step": stream.step,
                "left_context": stream.left_context,
                "chunk_ms": self.ms(stream.chunk),
                "step_ms": self.ms(stream.step),
                "left_context_ms": self.ms(stream.left_context),
            },
            "front_end": {
                "sample_rate": front_end.sample_rate,
                "window": front_end.window,
                "hop": front_end.hop,
                "mels": front_end.mels,
                "level_decay": front_end.level_decay,
                "level_floor": front_end.level_floor,
                "level_frames": front_end.level_frames,
                "range": front_end.range,
            },
            "decoder": {
                "smoothing": decoder.smoothing,
                "smoothing_ms": self.ms(decoder.smoothing.into()),
                "refractory": decoder.refractory,
                "refractory_ms": self.ms(decoder.refractory),
                "silence": self.silence(),
            },
            "labels": labels.collect::<Vec<_>>(),
            "grammar": self.grammar(),
            "wake": wake::json(image),
            "quiet": wake::quiet_json(image),
            "macs_per_step": macs_per_step(image),
            "caches": caches.collect::<Vec<_>>(),
            "operators": operators.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.head(&mut text);
        let _ = self.tables(&mut text);
        text
    }

    fn head(&self, text: &mut String) -> std::fmt::Result {
        let image = self.image;
        let head = image.manifest();
        let (stream, front_end, decoder) = (head.stream, head.front_end, head.decoder);
        let sections = self.sections.iter();
        let sections: Vec<_> = sections
            .map(|(kind, bytes)| format!("{} {bytes}", kind.replace('_', " ")))
            .collect();
        // A label of an image from anywhere must not steer the terminal.
        let labels = image.labels().map(|label| {
            let name = label.name.escape_debug();
            match threshold(label) {
                Some(threshold) => format!("{name} {threshold:.2}"),
                None => format!("{name} never"),
            }
        });
        let labels: Vec<_> = labels.collect();
        writeln!(
            text,
            "{}: format version {VERSION}, {} bytes, checksum {:08x}",
            self.name,
            self.sections.iter().map(|(_, bytes)| bytes).sum::<usize>(),
            image.checksum()
        )?;
        writeln!(text, "  flash      {}", sections.join(", "))?;
        writeln!(
            text,
            "  memory     {} bytes: caches {}, arena {}",
            image.memory_bytes(),
            image.cache_bytes(),
            image.arena_bytes()
        )?;
        if let Some(program) = image.npu() {
            writeln!(text, "  NPU        {}", npu::describe(&program))?;
        }
        writeln!(
            text,
            "  stream     chunk {} frames ({} ms), step {} ({} ms), left context {} ({} ms)",
            stream.chunk,
            self.ms(stream.chunk),
            stream.step,
            self.ms(stream.step),
            stream.left_context,
            self.ms(stream.left_context)
        )?;
        writeln!(
            text,
            "  front end  {} Hz, window {} samples ({} ms), hop {} ({} ms), {} mel filters; range {} \
             nats, level decay {} a frame, floor {}, memory of what lasts {} frames",
            front_end.sample_rate,
            front_end.window,
            self.samples_ms(front_end.window.into()),
            front_end.hop,
            self.samples_ms(front_end.hop.into()),
            front_end.mels,
            front_end.range,
            front_end.level_decay,
            front_end.level_floor,
            front_end.level_frames
        )?;
        writeln!(
            text,
            "  decoder    smoothing {} frames ({} ms), refractory time {} ({} ms), silence is {}",
            decoder.smoothing,
            self.ms(decoder.smoothing.into()),
            decoder.refractory,
            self.ms(decoder.refractory),
            self.silence().escape_debug()
        )?;
        writeln!(text, "  labels     {}", labels.join(", "))?;
        let grammar = image.grammar();
        if grammar.commands > 0 {
            let commands = image
                .commands()
                .map(|of| of.name.escape_debug().to_string());
            let commands: Vec<_> = commands.collect();
            writeln!(
                text,
                "  commands   {}; {} frames ({} ms) from word to word",
                commands.join(", "),
                grammar.gap,
                self.ms(grammar.gap)
            )?;
        }
        writeln!(text, "  wake words {}", wake::describe(image))?;
        writeln!(text, "  quiet      {}", wake::describe_quiet(image))?;
        writeln!(
            text,
            "  network    {} operators, {} multiply-accumulates a step, counted",
            head.ops,
            macs_per_step(image)
        )
    }

    fn tables(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "caches\n  {:>3} {:>5} {:>5} {:>8} {:>8} {:>10}",
            "", "rows", "cols", "capacity", "bytes", "zero point"
        )?;
        for (number, cache) in self.image.caches().enumerate() {
            writeln!(
                text,
                "  {number:>3} {:>5} {:>5} {:>8} {:>8} {:>10}",
                cache.rows,
                cache.cols,
                cache.capacity,
                cache.byte_range().len(),
                cache.zero_point
            )?;
        }
        let heading = ["MACs", "constants", "scale", "zero", "range", "output at"];
        let [macs_, constants, scale, zero, range_, at] = heading;
        writeln!(
            text,
            "operators\n  {:<40} {macs_:>8} {constants:>9} {scale:>10} {zero:>5} {range_:>20}  {at}",
            ""
        )?;
        for (number, (op, output)) in self.outputs().enumerate() {
            let (name, shape) = describe(self.image, op);
            let [low, high] = range(output);
            let place = match output.location {
                Location::Cache { cache, row } => format!("cache {cache}, row {row}"),
                Location::Arena { offset } | Location::Constant { offset } => {
                    format!("arena {offset}")
                }
            };
            writeln!(
                text,
                "  {number:>3} {name:<16} {shape:<19} {:>8} {:>9} {:>10.6} {:>5} {:>20}  {place}",
                macs(self.image, op),
                self.constants(op).values().sum::<usize>(),
                output.scale,
                output.zero_point,
                format!("{low:.3} to {high:.3}"),
            )?;
        }
        Ok(())
    }
}
