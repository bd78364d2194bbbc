//! The power spectrum takes two complex numbers side by side.
//!
//! These are the butterflies of radix 2, with the same products and sums as in [`plain`](super::super::plain),
//! two stages at a time, so that numbers are loaded and stored half as often. A product is VCMUL twice and an
//! addition, as fused VCMLA would round once less. The twiddle of the second half of a stage is -i times that
//! of the first, which VCADD multiplies by.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use crate::kernels::limits::{BINS, FFT};
use crate::kernels::twiddles::{SINES, twiddle};

/// Writes the power of each bin of the Fourier transform of weighted samples to `powers`, as
/// [`plain::filter_bank`](super::super::plain::filter_bank) computes them.
pub fn power_spectrum<'a>(
    samples: &[i16],
    window: &[f32],
    powers: &'a mut MaybeUninit<[f32; BINS]>,
) -> &'a [f32; BINS] {
    let mut waves = MaybeUninit::<[f32; FFT]>::uninit();
    let mut spectrum = MaybeUninit::<[f32; FFT]>::uninit();
    // SAFETY: there are `count` samples and weights. The first function writes all of `waves`, the second reads
    // it and writes all of `spectrum`, and the third reads that and writes all of `powers`.
    unsafe {
        let count = samples.len().min(window.len()).min(FFT);
        weigh(samples.as_ptr(), window.as_ptr(), waves.as_mut_ptr(), count);
        transform(waves.as_ptr(), spectrum.as_mut_ptr(), &TWIDDLES);
        sum_powers(spectrum.as_ptr(), &OFFSETS, powers.as_mut_ptr(), &SINES);
        powers.assume_init_ref()
    }
}

/// Holds the twiddles of the last six stages in the order in which they are read: those of two numbers in a
/// stage, then those of the same two in the next stage.
static TWIDDLES: [[f32; 8]; 2 + 8 + 32] = {
    let mut twiddles = [[0.0; 8]; _];
    let (mut i, mut size) = (0, 8);
    while size < FFT / 2 {
        let mut k = 0;
        while k < size / 2 {
            let (a, b) = (FFT / size, FFT / size / 2);
            let [first, second] = [twiddle(k * a), twiddle((k + 1) * a)];
            let [third, fourth] = [twiddle(k * b), twiddle((k + 1) * b)];
            twiddles[i] = [
                first[0], first[1], second[0], second[1], third[0], third[1], fourth[0], fourth[1],
            ];
            (i, k) = (i + 1, k + 2);
        }
        size *= 4;
    }
    twiddles
};

/// Holds the places of four numbers in bytes, last to first: of complex ones, and of real ones.
static OFFSETS: [[u32; 4]; 2] = [[24, 16, 8, 0], [12, 8, 4, 0]];

/// Multiplies `count` samples by their weights; the rest of `to` becomes 0.
///
/// # Safety
///
/// There are `count` samples and weights, and at most 512.
#[unsafe(naked)]
unsafe extern "C" fn weigh(
    samples: *const i16,
    window: *const f32,
    to: *mut [f32; FFT],
    count: usize,
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, lr}}",
        "add r4, r2, r3, lsl #2",
        "wlstp.32 lr, r3, 2f",
        "1:",
        "vldrh.s32 q0, [r0], #8",
        "vldrw.u32 q1, [r1], #16",
        "vcvt.f32.s32 q0, q0",
        "vmul.f32 q0, q0, q1",
        "vstrw.32 q0, [r2], #16",
        "letp lr, 1b",
        "2:",
        "rsb r3, r3, #512",
        "vmov.i32 q0, #0",
        "wlstp.32 lr, r3, 4f",
        "3:",
        "vstrw.32 q0, [r4], #16",
        "letp lr, 3b",
        "4:",
        "pop {{r4, pc}}",
    )
}

/// Does two stages to the numbers at `$a` to `$d`, a quarter of the second stage apart, with twiddles q6 and q7.
macro_rules! butterflies {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vldrw.u32 q1, ",
            $b,
            "
            vcmul.f32 q2, q6, q1, #0
            vldrw.u32 q0, ",
            $a,
            "
            vcmul.f32 q3, q6, q1, #90
            vldrw.u32 q5, ",
            $d,
            "
            vadd.f32 q2, q2, q3
            vcmul.f32 q4, q6, q5, #90
            vadd.f32 q1, q0, q2
            vsub.f32 q0, q0, q2
            vcmul.f32 q2, q6, q5, #0
            vldrw.u32 q3, ",
            $c,
            "
            vadd.f32 q2, q2, q4
            vadd.f32 q4, q3, q2
            vsub.f32 q3, q3, q2
            vcmul.f32 q2, q7, q4, #0
            vcmul.f32 q5, q7, q4, #90
            vadd.f32 q2, q2, q5
            vcmul.f32 q5, q7, q3, #90
            vadd.f32 q4, q1, q2
            vsub.f32 q1, q1, q2
            vstrw.32 q4, ",
            $a,
            "
            vcmul.f32 q2, q7, q3, #0
            vstrw.32 q1, ",
            $c,
            "
            vadd.f32 q2, q2, q5
            vcadd.f32 q5, q0, q2, #270
            vcadd.f32 q3, q0, q2, #90
            vstrw.32 q5, ",
            $b,
            "
            vstrw.32 q3, ",
            $d,
            "\n"
        )
    };
}

/// Does the butterflies with each of `$pairs` pairs of twiddles at r2 to all of `$blocks` blocks, which are
/// `$bytes` long.
macro_rules! stages {
    ($pairs:literal, $blocks:literal, $bytes:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "mov r4, r1
            mov r5, #",
            $pairs,
            "
            1:
            vldrw.u32 q6, [r2], #16
            vldrw.u32 q7, [r2], #16
            mov r3, r4
            mov lr, #",
            $blocks,
            "
            dls lr, lr
            2:\n",
            butterflies!("[r3]", $b, $c, $d),
            "add r3, #",
            $bytes,
            "
            le lr, 2b
            add r4, #16
            subs r5, #1
            bne 1b\n"
        )
    };
}

/// Transforms 256 complex numbers.
///
/// # Safety
///
/// There are 256 complex numbers at `from` and places for them at `to`.
#[unsafe(naked)]
unsafe extern "C" fn transform(
    from: *const [f32; FFT],
    to: *mut [f32; FFT],
    twiddles: &[[f32; 8]; 42],
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "vpush {{d8-d15}}",
        // The first two stages of the numbers n, n + 64, n + 128, n + 192, and of those behind them. They go
        // to where the bits of n in reverse say; what is of n + 1 goes 128 numbers behind.
        "mov r3, #0",
        "mov r4, #1024",
        "vmov.i32 q7, #0",
        "vmov.32 q7[2], r4",
        "add r4, r0, #1280",
        "add r0, #256",
        "mov lr, #32",
        "dls lr, lr",
        "1:",
        "vldrw.u32 q0, [r0, #-256]",
        "vldrw.u32 q1, [r4, #-256]",
        "rbit r5, r3",
        "vadd.f32 q4, q0, q1",
        "vldrw.u32 q2, [r0, #256]",
        "vsub.f32 q0, q0, q1",
        "vldrw.u32 q3, [r4, #256]",
        "add r6, r1, r5, lsr #21",
        "vadd.f32 q1, q2, q3",
        "vsub.f32 q2, q2, q3",
        "vadd.f32 q3, q4, q1",
        "vsub.f32 q4, q4, q1",
        "vstrd.64 q3, [r6, q7]",
        "add r6, #8",
        "vcadd.f32 q5, q0, q2, #270",
        "vcadd.f32 q6, q0, q2, #90",
        "vstrd.64 q5, [r6, q7]",
        "add r6, #8",
        "vstrd.64 q4, [r6, q7]",
        "add r6, #8",
        "vstrd.64 q6, [r6, q7]",
        "add r3, #2",
        "add r0, #16",
        "add r4, #16",
        "le lr, 1b",
        stages!(2, 16, 128, "[r3, #32]", "[r3, #64]", "[r3, #96]"),
        stages!(8, 4, 512, "[r3, #128]", "[r3, #256]", "[r3, #384]"),
        "add r3, r1, #256",
        "add r4, r1, #1280",
        "mov lr, #32",
        "dls lr, lr",
        "1:",
        "vldrw.u32 q6, [r2], #16",
        "vldrw.u32 q7, [r2], #16",
        butterflies!("[r3, #-256]", "[r3, #256]", "[r4, #-256]", "[r4, #256]"),
        "add r3, #16",
        "add r4, #16",
        "le lr, 1b",
        "vpop {{d8-d15}}",
        "pop {{r4-r6, pc}}",
    )
}

/// Makes of the transform of 256 complex numbers that of the 512 real ones in them, and writes the power of
/// each bin. It computes bins of twice the size and a quarter of their powers, which are exact.
///
/// # Safety
///
/// There are 256 complex numbers at `from`, and 257 places at `powers`.
#[unsafe(naked)]
unsafe extern "C" fn sum_powers(
    from: *const [f32; FFT],
    offsets: &[[u32; 4]; 2],
    powers: *mut [f32; BINS],
    sines: &[f32; FFT / 4 + 1],
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r10, lr}}",
        "vpush {{d8-d15}}",
        // Both ends of the spectrum are real, of one complex number.
        "vldr s0, [r0]",
        "vldr s1, [r0, #4]",
        "vadd.f32 s2, s0, s1",
        "vsub.f32 s3, s0, s1",
        "vmul.f32 s2, s2, s2",
        "vmul.f32 s3, s3, s3",
        "vstr s2, [r2]",
        "add r4, r2, #1024",
        "vstr s3, [r4]",
        "add r4, r0, #2016",
        "add r5, r4, #4",
        "add r0, #8",
        "add r6, r3, #4",
        "add r7, r3, #496",
        "add r8, r2, #4",
        "add r9, r2, #1008",
        "mov r10, #0x3e800000", // 1/4
        "mov lr, #32",
        "dls lr, lr",
        "1:",
        "vld20.32 {{q0, q1}}, [r0]",
        "vld21.32 {{q0, q1}}, [r0]!",
        "vldrw.u32 q7, [r1]",
        "vldrw.u32 q2, [r4, q7]",
        "vldrw.u32 q3, [r5, q7]",
        "vadd.f32 q4, q0, q2", // sums and differences with the bin as far from the other end
        "vsub.f32 q0, q0, q2",
        "vadd.f32 q2, q1, q3",
        "vsub.f32 q1, q1, q3",
        "vldrw.u32 q7, [r1, #16]",
        "vldrw.u32 q5, [r7, q7]",  // minus the real part of the twiddle
        "vldrw.u32 q3, [r6], #16", // its imaginary part
        "vmul.f32 q6, q5, q2",
        "vmul.f32 q2, q3, q2",
        "vmul.f32 q3, q3, q0",
        "vmul.f32 q0, q5, q0",
        "vsub.f32 q5, q4, q6",
        "vadd.f32 q5, q5, q3",
        "vadd.f32 q4, q4, q6",
        "vsub.f32 q4, q4, q3",
        "vadd.f32 q3, q1, q2",
        "vadd.f32 q3, q3, q0",
        "vsub.f32 q1, q2, q1",
        "vadd.f32 q1, q1, q0",
        "vmul.f32 q5, q5, q5",
        "vmul.f32 q3, q3, q3",
        "vadd.f32 q5, q5, q3",
        "vmul.f32 q5, q5, r10",
        "vmul.f32 q4, q4, q4",
        "vmul.f32 q1, q1, q1",
        "vadd.f32 q4, q4, q1",
        "vmul.f32 q4, q4, r10",
        "vstrw.32 q5, [r8], #16",
        "vstrw.32 q4, [r9, q7]",
        "sub r4, #32",
        "sub r5, #32",
        "sub r7, #16",
        "sub r9, #16",
        "le lr, 1b",
        "vpop {{d8-d15}}",
        "pop {{r4-r10, pc}}",
    )
}
