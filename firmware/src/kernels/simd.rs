//! These kernels are for the processors of PCs, phones and single-board computers, and for WebAssembly, whose vectors
//! [`Simd`] describes: one algorithm for each operator, and as few instructions as possible that differ from one set to
//! another.
//!
//! An operator's results lie side by side in a vector, whether they are channels, keys or elements, so that all are
//! requantized at once, exactly as TFLite does. If something does not fit, such as a row shorter than a vector, it
//! is left to [`plain`](super::plain).
//!
//! The table shows microseconds of a steady step of `models/shrunk.zerda`, measured on one core of an AMD EPYC (Zen 4).
//!
//! | operators | plain | avx2 | avx512 |
//! |---|--:|--:|--:|
//! | fully connected | 373 | 37 | 20 |
//! | scores | 53 | 6.5 | 3.2 |
//! | softmax | 30 | 12 | 10 |
//! | context | 30 | 3.1 | 2.4 |
//! | depthwise convolution | 6.0 | 1.4 | 1.2 |
//! | add | 47 | 11 | 6.4 |
//! | mul | 1.3 | 0.6 | 0.4 |
//! | lookup | 3.0 | 1.5 | 1.2 |
//! | network | 543 | 73 | 45 |
//! | step with front end | 570 | 88 | 59 |
//!
//! Beside LiteRT 2.3 (XNNPACK, one thread, the step alone), on the same core, `zerda run` takes 0.44 of the time with
//! `avx512` and 0.64 with `avx2`, front end, decoder and reading of files included.
//!
//! [`Packed`](product::Packed) rows alone took `avx512` from 67 to 20 us of fully connected layers, where each sum had been
//! added up across its vector.
#![allow(unsafe_code)]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dense;
mod elementwise;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod product;
mod requantize;
mod softmax;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

use super::{Channels, Heads, Kernels, Operand, Output};
use crate::plan::{Clamp, Requantize};

/// Says what vectors of an instruction set do. Arithmetic wraps unless it says otherwise.
///
/// # Safety
///
/// Whoever calls a function here is a function that has the instruction set's features, and all that a pointer is said
/// to lead to is there. No pointer need be aligned.
trait Simd: Copy {
    /// The number of 32-bit sums in a vector, at most 16.
    const LANES: usize;
    /// The number that [`Simd::pack`] adds to each byte.
    const OFFSET: i32;
    /// The number of bytes that [`Simd::prepare`] makes of each.
    const PREPARED: usize;
    /// The number of bytes that [`Simd::lookup`] takes.
    const BYTES: usize;
    /// Holds [`Simd::LANES`] numbers of 32 bits.
    type I32: Copy;
    /// Holds as many pairs of numbers of 16 bits.
    type Pairs: Copy;
    /// Holds a table of 256 bytes in registers.
    type Table: Copy;

    /// Returns a vector of one value.
    unsafe fn splat(value: i32) -> Self::I32;
    /// Returns the values at `from`.
    unsafe fn load(from: *const i32) -> Self::I32;
    /// Writes a vector to `to`.
    unsafe fn store(vector: Self::I32, to: *mut i32);
    /// Returns the bytes at `from`, with their signs.
    unsafe fn widen(from: *const i8) -> Self::I32;
    /// Writes a vector, whose values are in int8, as bytes to `to`.
    unsafe fn narrow(vector: Self::I32, to: *mut i8);

    /// Returns `a + b`.
    unsafe fn add(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Returns `a - b`.
    unsafe fn sub(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Returns `a * b`.
    unsafe fn mul(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Returns the bits that both have.
    unsafe fn and(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Returns the bits that one of them has.
    unsafe fn xor(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Returns the lower of each two values.
    unsafe fn min(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Returns the higher of each two values.
    unsafe fn max(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Shifts each value left by its own count (0..=31).
    unsafe fn shl(a: Self::I32, counts: Self::I32) -> Self::I32;
    /// Shifts each value right by its own count (0..=31), with its sign.
    unsafe fn sar(a: Self::I32, counts: Self::I32) -> Self::I32;
    /// Returns what `saturating_rounding_doubling_high_mul` does.
    unsafe fn doubling_high(a: Self::I32, b: Self::I32) -> Self::I32;

    /// Returns pairs of the bytes at `first` and at `second`, with their signs.
    unsafe fn pairs(first: *const i8, second: *const i8) -> Self::Pairs;
    /// Returns pairs of the same two values.
    unsafe fn splat_pairs(first: i16, second: i16) -> Self::Pairs;
    /// Returns the differences of the numbers of `a` and of `b`.
    unsafe fn sub_pairs(a: Self::Pairs, b: Self::Pairs) -> Self::Pairs;
    /// Adds the two products of each pair of pairs to its sum.
    unsafe fn add_products(sums: Self::I32, a: Self::Pairs, b: Self::Pairs) -> Self::I32;

    /// Prepares `count` bytes, a multiple of 8, to be multiplied: returns them, or what it makes of them at `room`.
    unsafe fn prepare(x: *const i8, count: usize, room: *mut i16) -> *const i8;
    /// Packs `LANES` rows of `depth` bytes, a multiple of 8, that lie `stride` bytes apart: each four bytes of all rows
    /// lie side by side, in at most two vectors.
    unsafe fn pack(rows: *const i8, stride: usize, depth: usize, to: *mut Self::I32);
    /// Returns the sums of products of `R` rows of `depth` bytes each, prepared and `stride` prepared bytes apart, with
    /// all rows that were packed.
    unsafe fn products<const R: usize>(
        x: *const i8,
        stride: usize,
        packed: *const Self::I32,
        depth: usize,
    ) -> [Self::I32; R];

    /// Puts a table of 256 bytes, from that of -128 on, into registers.
    unsafe fn table(bytes: &[i8; 256]) -> Self::Table;
    /// Writes the entries of the [`Simd::BYTES`] bytes at `from` to `to`.
    unsafe fn lookup(table: &Self::Table, from: *const i8, to: *mut i8);
}

/// Returns the starts of the blocks of `size` that cover `0..len`, of which the last may overlap the one before. `len` is
/// not less than `size`.
#[inline(always)]
fn blocks(len: usize, size: usize) -> impl Iterator<Item = usize> + Clone {
    (0..len)
        .step_by(size)
        .map(move |start| start.min(len.saturating_sub(size)))
}

/// Makes a kernel's entry in a table: a function that has `$features` and into which all that it calls is inlined.
macro_rules! entry {
    ($isa:ty, $features:literal, $module:ident::$kernel:ident($($name:ident: $type:ty),*)) => {{
        // A module of WebAssembly with instructions that there are not is refused before it runs.
        #[cfg_attr(target_arch = "wasm32", allow(unused_unsafe))]
        fn $kernel($($name: $type),*) {
            #[target_feature(enable = $features)]
            fn with_features($($name: $type),*) {
                // SAFETY: this function has the features.
                unsafe { $module::$kernel::<$isa>($($name),*) }
            }
            // SAFETY: a table is given out only where the processor has its features.
            unsafe { with_features($($name),*) }
        }
        $kernel
    }};
}

/// Makes the table of the kernels of an instruction set with these features.
macro_rules! kernels {
    ($name:literal, $isa:ty, $features:literal, $here:expr) => {
        Kernels {
            name: $name,
            here: $here,
            fully_connected: entry!($isa, $features, dense::fully_connected(
                input: &[i8], weights: &[i8], channels: Channels<'_>, zero_point: i8, clamp: Clamp, output: &mut [i8]
            )),
            depthwise_conv: entry!($isa, $features, dense::depthwise_conv(
                input: &[i8], weights: &[i8], channels: Channels<'_>, zero_point: i8, clamp: Clamp, output: &mut [i8]
            )),
            add: entry!($isa, $features, elementwise::add(
                a: Operand<'_>, a_scale: Requantize, b: Operand<'_>, b_scale: Requantize, to: Output, output: &mut [i8]
            )),
            mul: entry!($isa, $features, elementwise::mul(
                a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]
            )),
            lookup: entry!($isa, $features, elementwise::lookup(
                input: &[i8], table: &[i8], output: &mut [i8]
            )),
            scores: entry!($isa, $features, attention::scores(
                query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]
            )),
            softmax: entry!($isa, $features, softmax::softmax(
                input: &[i8], cols: usize, absent: usize, input_scale: Requantize, diff_min: i32, output: &mut [i8]
            )),
            context: entry!($isa, $features, attention::context(
                probs: &[i8], value: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]
            )),
        }
    };
}

/// Says whether this processor has features, or without the standard library whether the target has.
#[cfg(target_arch = "x86_64")]
macro_rules! has {
    ($($feature:tt),*) => {{
        #[cfg(any(test, feature = "std"))]
        let has = || true $(&& std::arch::is_x86_feature_detected!($feature))*;
        #[cfg(not(any(test, feature = "std")))]
        let has = || cfg!(all($(target_feature = $feature),*));
        has
    }};
}

/// Says whether this processor has a feature, or without the standard library whether the target has.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
macro_rules! has {
    ($feature:tt) => {{
        #[cfg(any(test, feature = "std"))]
        let has = || std::arch::is_aarch64_feature_detected!($feature);
        #[cfg(not(any(test, feature = "std")))]
        let has = || cfg!(target_feature = $feature);
        has
    }};
}

/// The table of the kernels for AVX2, which these have: Intel's Haswell (2013), AMD's Zen and later.
#[cfg(target_arch = "x86_64")]
pub const AVX2: Kernels = kernels!("avx2", avx2::Avx2, "avx2", has!("avx2"));

/// The table of the kernels for AVX-512 with VNNI, which these have: Intel's Cascade Lake (2019), Ice Lake, AMD's Zen 4 and later.
#[cfg(target_arch = "x86_64")]
pub const AVX512: Kernels = kernels!(
    "avx512",
    avx512::Avx512,
    "avx512f,avx512bw,avx512vl,avx512vnni",
    has!("avx512f", "avx512bw", "avx512vl", "avx512vnni")
);

/// The table of the kernels for NEON, which every AArch64 has.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub const NEON: Kernels = kernels!("neon", neon::Neon<false>, "neon", has!("neon"));

/// The table of the kernels for NEON with products of four bytes, which these have: Cortex-A76 (Raspberry Pi 5), Apple's M1 and later.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub const DOTPROD: Kernels = kernels!("dotprod", neon::Neon<true>, "neon,dotprod", has!("dotprod"));

/// The table of the kernels for WebAssembly with vectors, which a module that was built with them always has.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub const SIMD128: Kernels = kernels!("simd128", wasm::Wasm, "simd128", || true);
