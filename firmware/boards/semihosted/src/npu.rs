//! The NPU driver runs steps here, over the model of its registers.

use heapless::Vec;
use zerda_firmware::Image;
use zerda_firmware::cache::Windows;
use zerda_firmware::npu::model::{Injection, Model};
use zerda_firmware::step::Step;
use zerda_firmware::{npu::Npu, step::Counters};

/// Lists faults, each with the step, counted from 0, in which it happens.
pub type Faults = Vec<(u32, Injection), 32>;

/// Parses faults written as `STEP:FAULT,...`; returns `None` if a step or fault is wrong, or there are more
/// than 32.
pub fn faults(text: &str) -> Option<Faults> {
    let fault = |text: &str| {
        let (step, name) = text.split_once(':')?;
        Some((step.parse().ok()?, Injection::named(name)?))
    };
    let mut faults = Faults::new();
    for text in text.split(',').filter(|text| !text.is_empty()) {
        faults.push(fault(text)?).ok()?;
    }
    Some(faults)
}

/// An NPU that fails in certain steps.
pub struct Scripted {
    npu: Npu<'static, Model<'static>>,
    faults: Faults,
    step: u32,
}

impl Scripted {
    pub fn new(npu: Npu<'static, Model<'static>>, faults: Faults) -> Self {
        let step = 0;
        Self { npu, faults, step }
    }

    /// Returns what the driver did that no driver may do, if anything.
    pub fn violation(&mut self) -> Option<&'static str> {
        self.npu.bus().violation()
    }
}

impl Step for Scripted {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        let now = self.faults.iter().find(|(step, _)| *step == self.step);
        self.npu.bus().inject(now.map(|&(_, fault)| fault));
        self.step += 1;
        self.npu.step(image, windows, memory);
    }

    fn npu(&self) -> Option<Counters> {
        self.npu.npu()
    }
}
