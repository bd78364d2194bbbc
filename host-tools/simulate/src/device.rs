//! Simulates the device in time: microphone, DMA buffers, ring, front end, step, decoder, on one core that
//! does one thing after the other, as `zerda_firmware::app` and `recognizer` do it.
//!
//! A buffer of DMA is in memory when its last sample is; in blocks of 10 ms it waits in the ring for the main
//! loop, and is lost where the ring is full. The core computes each frame when its last sample is there and a
//! step when its chunk is complete; while an NPU runs the step, the core waits. Reports to a serial line are
//! left out, and the interrupts of DMA.

use std::collections::VecDeque;

use zerda_firmware::Image;
use zerda_firmware::audio::BLOCK;
use zerda_firmware::image::SAMPLE_RATE;
use zerda_firmware::recognizer::CATCH_UP;

use super::histogram::Histogram;

/// Number of blocks that the boards' rings hold.
pub const RING: usize = 15;

/// Number of steps whose latencies are kept one by one.
pub const KEPT: usize = 4096;

/// Sizes that a stream has: `chunk`, `step` and `left_context` in frames, `hop` and `window` in samples.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub chunk: u64,
    pub step: u64,
    pub left_context: u64,
    pub hop: u64,
    pub window: u64,
    /// Number of samples that a DMA buffer holds, with any fraction.
    pub buffer: f64,
    /// Number of frames that were kept when the stream began, which the first steps make up for; 0: none.
    pub kept: u64,
}

impl Shape {
    pub fn of(image: &Image<'_>, dma_buffer_ms: f64) -> Shape {
        let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
        Shape {
            chunk: stream.chunk.into(),
            step: stream.step.into(),
            left_context: stream.left_context.into(),
            hop: front_end.hop.into(),
            window: front_end.window.into(),
            buffer: dma_buffer_ms * f64::from(SAMPLE_RATE) / 1000.0,
            kept: 0,
        }
    }

    /// Returns the shape of a stream that begins with a cold start, where the image's network may rest.
    pub fn cold(self, image: &Image<'_>) -> Shape {
        let most = u64::from(image.manifest().front_end.mels) + 1;
        Shape {
            kept: image.kept_bytes() as u64 / (size_of::<f32>() as u64 * most),
            ..self
        }
    }

    /// Returns how many frames the step, from 0, is run after.
    pub fn due(&self, step: u64) -> u64 {
        (step * self.step + self.chunk).max(self.made_up(step))
    }

    /// Returns how many frames the step is run after if it makes up for some: with each new frame come as many steps as
    /// take [`CATCH_UP`] frames.
    fn made_up(&self, step: u64) -> u64 {
        match self.kept {
            0 => 0,
            kept => kept + step / u64::from(CATCH_UP).div_ceil(self.step),
        }
    }

    /// Returns how many steps make up for frames that were kept.
    pub fn burst(&self) -> u64 {
        let regular = |step: &u64| step * self.step + self.chunk >= self.made_up(*step);
        (0..).find(regular).unwrap_or_default()
    }

    /// Returns the step, from 0, that first has full caches.
    pub fn full_from(&self) -> u64 {
        self.left_context.div_ceil(self.step)
    }

    /// Returns the number of samples after which a step can be run.
    pub fn complete(&self, step: u64) -> u64 {
        (self.due(step) - 1) * self.hop + self.window
    }

    /// Returns how many samples DMA has delivered when the buffer that holds the last of `samples` is in
    /// memory.
    pub fn delivered(&self, samples: u64) -> f64 {
        (samples as f64 / self.buffer).ceil() * self.buffer
    }

    /// Returns how many steps `frames` frames make.
    pub fn steps(&self, frames: u64) -> u64 {
        (frames + self.step).saturating_sub(self.chunk) / self.step
    }

    pub fn step_s(&self) -> f64 {
        seconds((self.step * self.hop) as f64)
    }
}

/// Returns the seconds that `samples` samples last.
fn seconds(samples: f64) -> f64 {
    samples / f64::from(SAMPLE_RATE)
}

/// Seconds that a step takes, one part after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Seconds of the core that the network takes, or what it does before the NPU can begin.
    pub before: f64,
    pub npu: f64,
    /// Seconds of the core that the decoder takes, and what it does after the NPU.
    pub after: f64,
}

impl Step {
    pub fn total(&self) -> f64 {
        self.before + self.npu + self.after
    }
}

/// Part of the device that is busy, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Buffer,
    FrontEnd,
    Step,
    Npu,
}

/// Record of what happened in a run; times are in seconds.
#[derive(Debug, Default)]
pub struct Run {
    /// Time that passes from the moment at which a step's last sample is in memory to the step's end.
    pub latency: Histogram,
    /// Time that each step takes by itself.
    pub compute: Histogram,
    /// Time that each step with full caches takes by itself.
    pub steady: Histogram,
    /// Latency and compute that the first steps had, at most [`KEPT`] of them.
    pub first: Vec<(f64, f64)>,
    /// Number of steps that were not done when the next chunk was complete.
    pub misses: u64,
    pub overruns: u64,
    pub lost_samples: u64,
    /// Most blocks that waited in the ring.
    pub ring: usize,
    pub core_s: f64,
    pub npu_s: f64,
    /// Time at which the last work was done, or the audio ended.
    pub end_s: f64,
    /// Work that was done in the second that was looked at: who, from when, until when.
    pub spans: Vec<(Lane, f64, f64)>,
}

/// Runs the device over `samples` samples of audio. `frame_s` is what the front end takes for a frame,
/// `steps` gives what those of a stream take, from its first on. What is done from `look_s` on, for a
/// second, is noted.
pub fn run<I: Iterator<Item = Step>>(
    shape: Shape,
    frame_s: f64,
    steps: impl Fn() -> I,
    samples: u64,
    look_s: f64,
) -> Run {
    let mut run = Run::default();
    let mut note = |lane, from: f64, to: f64| {
        if to > look_s && from < look_s + 1.0 {
            run.spans.push((lane, from, to));
        }
    };
    let mut ring = VecDeque::new();
    let (mut buffer, mut delivered) = (0u64, 0u64);
    let (mut now, mut next) = (0.0f64, 0u64);
    // Position in the stream: its first sample, frames so far, steps so far and those to come.
    let (mut start, mut frames, mut step, mut costs) = (0u64, 0u64, 0u64, steps());
    loop {
        // All buffers that are in memory by now.
        while delivered < samples {
            let end = ((buffer + 1) as f64 * shape.buffer).round() as u64;
            let at = seconds((buffer + 1) as f64 * shape.buffer);
            if at > now {
                break;
            }
            note(Lane::Buffer, seconds(buffer as f64 * shape.buffer), at);
            let end = end.min(samples);
            while delivered < end {
                let block = (end - delivered).min(BLOCK as u64);
                if ring.len() < RING {
                    ring.push_back((delivered, block, at));
                }
                delivered += block;
            }
            buffer += 1;
        }
        run.ring = run.ring.max(ring.len());
        let Some((first, count, at)) = ring.pop_front() else {
            if delivered >= samples {
                break;
            }
            now = now.max(seconds((buffer + 1) as f64 * shape.buffer));
            continue;
        };
        if first != next {
            run.overruns += 1;
            run.lost_samples += first - next;
            (start, frames, step, costs) = (first, 0, 0, steps());
        }
        next = first + count;
        while start + frames * shape.hop + shape.window <= next {
            note(Lane::FrontEnd, now, now + frame_s);
            now += frame_s;
            run.core_s += frame_s;
            frames += 1;
            while start + shape.complete(step) <= next && frames >= shape.due(step) {
                let Some(cost) = costs.next() else { break };
                let npu = now + cost.before;
                note(Lane::Step, now, npu);
                note(Lane::Npu, npu, npu + cost.npu);
                note(Lane::Step, npu + cost.npu, now + cost.total());
                now += cost.total();
                run.core_s += cost.before + cost.after;
                run.npu_s += cost.npu;
                let latency = now - at;
                run.latency.add(latency);
                run.compute.add(cost.total());
                if step >= shape.full_from() {
                    run.steady.add(cost.total());
                }
                if run.first.len() < KEPT {
                    run.first.push((latency, cost.total()));
                }
                let due = shape.delivered(start + shape.complete(step + 1));
                // What is made up for may take until the burst is over, as long as the ring holds.
                run.misses += u64::from(now > seconds(due) && step >= shape.burst());
                step += 1;
            }
        }
    }
    run.end_s = now.max(seconds(samples as f64));
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `shrunk`.
    const SHAPE: Shape = Shape {
        chunk: 10,
        step: 5,
        left_context: 100,
        hop: 160,
        window: 400,
        buffer: 160.0,
        kept: 0,
    };

    fn simulate(shape: Shape, frame_s: f64, step: Step, seconds: u64) -> Run {
        let steps = || std::iter::repeat(step);
        run(shape, frame_s, steps, seconds * 16_000, 0.0)
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn a_quick_core_takes_the_frame_and_the_step_after_the_buffer_with_the_last_sample() {
        let step = Step {
            before: 0.001,
            npu: 0.002,
            after: 0.0005,
        };
        let run = simulate(SHAPE, 0.0002, step, 10);
        // 998 frames: 10 for the first step, 5 for each other.
        assert_eq!(run.latency.count(), 198);
        assert_eq!((run.misses, run.overruns), (0, 0));
        assert!(near(run.latency.min(), 0.0037) && near(run.latency.max(), 0.0037));
        assert!(near(run.compute.max(), 0.0035));
        assert!(near(run.npu_s, 198.0 * 0.002));
        assert!(near(run.core_s, 198.0 * 0.0015 + 998.0 * 0.0002));
    }

    #[test]
    fn a_long_buffer_brings_frames_that_the_step_waits_for() {
        // 40 ms hold four frames; the chunk ends with any of them.
        let shape = Shape {
            buffer: 640.0,
            ..SHAPE
        };
        let run = simulate(shape, 0.001, Step::default(), 10);
        assert!(near(run.latency.min(), 0.001) && near(run.latency.max(), 0.004));
    }

    #[test]
    fn a_step_that_takes_longer_than_its_audio_fills_the_ring_until_blocks_are_lost() {
        let step = Step {
            before: 0.1,
            ..Step::default()
        };
        let run = simulate(SHAPE, 0.0, step, 10);
        assert!(run.misses > 10 && run.overruns > 2, "{run:?}");
        // The core is never idle after the first chunk, but for what the ring cuts.
        assert!(run.core_s > 8.0, "{}", run.core_s);
        // The ring holds the blocks of three steps, and one step is in work.
        let most = run.latency.max();
        assert!(most > 0.3 && most < 0.4 + 1e-6, "{most}");
    }

    #[test]
    fn a_step_that_is_late_once_is_a_missed_deadline_and_nothing_is_lost() {
        let steps = || {
            (0..).map(|step| Step {
                before: if step == 3 { 0.06 } else { 0.01 },
                ..Step::default()
            })
        };
        let run = run(SHAPE, 0.0, steps, 160_000, 0.0);
        assert_eq!((run.misses, run.overruns), (1, 0));
        // The next one starts late by 10 ms.
        assert!(near(run.first[4].0, 0.020), "{:?}", run.first[4]);
        assert!(near(run.first[5].0, 0.010));
    }

    /// By hand: 35 frames are kept, so that steps are due after 35, 36, ... 41 frames, and the eighth after 45 as ever.
    #[test]
    fn a_cold_start_makes_up_for_the_kept_frames_a_step_a_frame_and_the_ring_takes_what_is_too_slow()
     {
        let shape = Shape { kept: 35, ..SHAPE };
        let due: Vec<_> = (0..9).map(|step| shape.due(step)).collect();
        assert_eq!(due, [35, 36, 37, 38, 39, 40, 41, 45, 50]);
        assert_eq!((shape.burst(), SHAPE.burst()), (7, 0));
        let step = |before| Step {
            before,
            ..Step::default()
        };
        let quick = simulate(shape, 0.0, step(0.005), 10);
        assert_eq!((quick.misses, quick.overruns, quick.ring), (0, 0, 1));
        // 7 steps of 30 ms while 10 ms of audio come each: 14 blocks wait at most, 15 fit.
        let slow = simulate(shape, 0.0, step(0.03), 10);
        assert_eq!(slow.overruns, 0);
        assert!((12..=15).contains(&slow.ring), "{}", slow.ring);
        assert!(simulate(shape, 0.0, step(0.045), 10).overruns > 0);
    }

    #[test]
    fn five_seconds_are_99_steps_and_three_are_59() {
        assert_eq!((SHAPE.steps(500), SHAPE.steps(300)), (99, 59));
        assert_eq!((SHAPE.steps(10), SHAPE.steps(9)), (1, 0));
    }
}
