//! This module chooses kernels. Bare-metal cores have one choice, at compile time, and calls are direct; PCs and
//! other hosts have several, and what their processor has decides.
//!
//! A core is added as a module with a table, which `ALL` takes.

use core::fmt;

#[cfg(all(feature = "dsp", not(feature = "mve"), target_arch = "arm"))]
use super::dsp;
#[cfg(all(feature = "mve", target_arch = "arm"))]
use super::mve;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
use super::simd;
use super::{Channels, Heads, Operand, Output, plain};
use crate::plan::{Clamp, Requantize};

/// Holds all kernels that were built for this target, the fastest first; the last are plain and run anywhere.
static ALL: &[Kernels] = &[
    #[cfg(all(feature = "mve", target_arch = "arm"))]
    mve::KERNELS,
    #[cfg(all(feature = "dsp", not(feature = "mve"), target_arch = "arm"))]
    dsp::KERNELS,
    #[cfg(target_arch = "x86_64")]
    simd::AVX512,
    #[cfg(target_arch = "x86_64")]
    simd::AVX2,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    simd::DOTPROD,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    simd::NEON,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    simd::SIMD128,
    plain::KERNELS,
];

pub(super) type Dense = fn(&[i8], &[i8], Channels<'_>, i8, Clamp, &mut [i8]);

/// Holds the kernels for one instruction set, a table of functions. [`plain`] says what each computes.
pub struct Kernels {
    /// Names these kernels in reports.
    pub name: &'static str,
    /// Says whether this processor has the instructions.
    pub(super) here: fn() -> bool,
    /// Computes what [`plain::fully_connected`] does.
    pub fully_connected: Dense,
    /// Computes what [`plain::depthwise_conv`] does.
    pub depthwise_conv: Dense,
    /// Computes what [`plain::add`] does.
    pub add: fn(Operand<'_>, Requantize, Operand<'_>, Requantize, Output, &mut [i8]),
    /// Computes what [`plain::mul`] does.
    pub mul: fn(Operand<'_>, Operand<'_>, Output, &mut [i8]),
    /// Computes what [`plain::lookup`] does.
    pub lookup: fn(&[i8], &[i8], &mut [i8]),
    /// Computes what [`plain::scores`] does.
    pub scores: fn(Operand<'_>, Operand<'_>, Heads, Output, &mut [i8]),
    /// Computes what [`plain::softmax`] does.
    pub softmax: fn(&[i8], usize, usize, Requantize, i32, &mut [i8]),
    /// Computes what [`plain::context`] does.
    pub context: fn(&[i8], Operand<'_>, Heads, Output, &mut [i8]),
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns all kernels that this processor has, the fastest first and the plain ones last.
pub fn available() -> impl Iterator<Item = &'static Kernels> {
    ALL.iter().filter(|kernels| (kernels.here)())
}

/// The kernels that were chosen: by default the fastest. It takes no memory where there is one choice.
#[derive(Clone, Copy, Debug)]
#[cfg(not(target_arch = "arm"))]
pub struct Choice(&'static Kernels);

#[cfg(not(target_arch = "arm"))]
impl Choice {
    /// Chooses one of those that are [`available`].
    pub fn of(kernels: &'static Kernels) -> Self {
        Self(kernels)
    }

    /// Returns the table of what was chosen.
    pub fn kernels(self) -> &'static Kernels {
        self.0
    }
}

#[cfg(not(target_arch = "arm"))]
impl Default for Choice {
    fn default() -> Self {
        Self(available().next().unwrap_or(const { &plain::KERNELS }))
    }
}

/// The kernels that were chosen: by default the fastest. It takes no memory where there is one choice.
#[derive(Clone, Copy, Debug, Default)]
#[cfg(target_arch = "arm")]
pub struct Choice(());

#[cfg(target_arch = "arm")]
impl Choice {
    /// Returns the table of what was chosen.
    #[inline(always)]
    pub fn kernels(self) -> &'static Kernels {
        let [first, ..] = ALL else {
            return const { &plain::KERNELS };
        };
        first
    }
}
