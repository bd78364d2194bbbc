//! Writes the image of a graph: its integers, and beside them front end, labels and commands.

use std::path::Path;

use zerda_firmware::image::{FrontEndConfig, Manifest};
use zerda_support::config::{self, Commands};
use zerda_support::detection::DetectionSettings;
use zerda_support::error::Result;
use zerda_support::image_file::ImageFile;

use super::front_end;
use super::graph::{Graph, Quantization};
use super::memory::Memory;
use super::observations::Observations;
use super::quantizer::Quantizer;
use super::ranges::{self, Range};

/// Model without its network: what an image holds beside the integers of a graph.
pub struct Model<'a> {
    /// Path of the file that the network is from; errors about the image begin with it.
    pub path: &'a Path,
    /// Names of the classes, in the order of the logits.
    pub labels: &'a [String],
    pub front_end: &'a config::FrontEnd,
    pub commands: &'a Commands,
}

/// What calibration found: the values that each tensor took, and the range that it got.
#[derive(Clone, Copy)]
pub struct Calibration<'a> {
    pub seen: &'a Observations,
    pub ranges: &'a [Option<Range>],
}

impl Model<'_> {
    /// Builds the image of a graph; without calibration it serves for its front end and its costs only.
    pub fn image(&self, graph: &Graph, calibration: Option<Calibration<'_>>) -> Result<ImageFile> {
        let ranges = calibration.map(|calibration| calibration.ranges);
        let seen = calibration.map(|calibration| calibration.seen);
        let quantizations = ranges::quantizations(graph, seen, ranges);
        let memory = Memory::plan(graph, &quantizations);
        let mut quantizer = Quantizer::new(graph, &quantizations, seen, &memory);
        quantizer.ops();
        let (logits, posteriors) = (quantizer.id(graph.logits), quantizer.id(graph.posteriors));
        let Quantizer { mut writer, .. } = quantizer;
        let front_end = self.front_end;
        let (bands, weights) = front_end::mel_filters(front_end);
        let unit = Quantization {
            scale: 1.0,
            zero_point: 0,
        };
        let front_end = FrontEndConfig {
            sample_rate: front_end.sample_rate,
            window: front_end.window,
            hop: front_end.hop,
            mels: front_end.mels,
            level_decay: front_end.level_decay,
            level_floor: front_end.level_floor,
            level_frames: front_end.level_frames,
            range: front_end.range,
            window_table: writer.f32(&front_end::window(front_end)),
            mel_weight: writer.f32(&weights),
            mel_band: writer.i8(&bands, bands.len(), unit),
        };
        let names: Vec<_> = self.labels.iter().map(String::as_str).collect();
        let detection = DetectionSettings::new(self.commands, &names, front_end)?;
        let manifest = Manifest {
            stream: graph.stream,
            front_end,
            decoder: detection.decoder,
            classes: names.len() as u8,
            caches: memory.caches.len() as u8,
            tensors: writer.tensors.len() as u16,
            ops: writer.ops.len() as u16,
            logits,
            posteriors,
        };
        let Memory {
            caches,
            cache_bytes,
            arena_bytes,
            ..
        } = &memory;
        let bytes = detection.finish(
            writer,
            manifest,
            &names,
            caches,
            [*cache_bytes, *arena_bytes],
        );
        Ok(ImageFile::new(self.path, &bytes))
    }
}
