//! The power spectrum does two stages of its transform at a time.
//!
//! These are the butterflies of radix 2, with the same products and sums as in [`plain`](super::super::plain), but
//! numbers are loaded and stored half as often, both parts by one instruction, and stay in registers in between. VMLA
//! rounds a product before it adds it, unlike VFMA. The twiddle of the second half of a stage is -i times that of the
//! first.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use crate::kernels::limits::{BINS, FFT};
use crate::kernels::twiddles::{SINES, twiddle};
use crate::kernels::{Filters, plain};

/// Computes the same as [`plain::filter_bank`].
#[inline(never)] // its buffers leave the stack before the network runs
pub fn filter_bank(samples: &[i16], window: &[f32], filters: Filters<'_>, sums: &mut [f32]) {
    let mut waves = MaybeUninit::<[f32; FFT]>::uninit();
    let mut spectrum = MaybeUninit::<[f32; FFT]>::uninit();
    let mut powers = MaybeUninit::<[f32; BINS]>::uninit();
    let count = samples.len().min(window.len()).min(FFT);
    // SAFETY: there are `count` samples and weights. The first function writes all of `waves`, the second reads it
    // and writes all of `spectrum`, and the third reads that and writes all of `powers`.
    let powers = unsafe {
        weigh(
            samples.as_ptr(),
            window.as_ptr(),
            waves.as_mut_ptr().cast(),
            count,
        );
        transform(waves.as_ptr(), spectrum.as_mut_ptr(), &TWIDDLES);
        sum_powers(spectrum.as_ptr(), powers.as_mut_ptr(), &SINES);
        powers.assume_init_ref()
    };
    plain::sum_bands(powers, filters, sums);
}

/// Holds the twiddles of the last six stages in the order in which they are read: that of a stage, then that of the
/// same number in the next stage.
static TWIDDLES: [[f32; 4]; 4 + 16 + 64] = {
    let mut twiddles = [[0.0; 4]; _];
    let (mut i, mut size) = (0, 8);
    while size < FFT / 2 {
        let mut k = 0;
        while k < size / 2 {
            let [first, second] = [twiddle(k * FFT / size), twiddle(k * FFT / size / 2)];
            twiddles[i] = [first[0], first[1], second[0], second[1]];
            (i, k) = (i + 1, k + 1);
        }
        size *= 4;
    }
    twiddles
};

/// Multiplies `count` samples by their weights; the rest of `to` becomes 0.
///
/// # Safety
///
/// There are `count` samples and weights, and at most 512, for which `to` has places.
#[unsafe(naked)]
unsafe extern "C" fn weigh(samples: *const i16, window: *const f32, to: *mut f32, count: usize) {
    naked_asm!(
        ".cpu cortex-m4",
        ".fpu fpv4-sp-d16",
        "push {{r4, r5, r6, lr}}",
        "rsb r12, r3, #512",
        "subs r3, #4",
        "blo 2f",
        "1:",
        "ldr r4, [r0], #4",
        "ldr r6, [r0], #4",
        "vldmia r1!, {{s4-s7}}",
        "sxth r5, r4",
        "asr r4, r4, #16",
        "vmov s0, s1, r5, r4",
        "sxth r5, r6",
        "asr r6, r6, #16",
        "vmov s2, s3, r5, r6",
        "vcvt.f32.s32 s0, s0",
        "vcvt.f32.s32 s1, s1",
        "vcvt.f32.s32 s2, s2",
        "vcvt.f32.s32 s3, s3",
        "vmul.f32 s0, s0, s4",
        "vmul.f32 s1, s1, s5",
        "vmul.f32 s2, s2, s6",
        "vmul.f32 s3, s3, s7",
        "subs r3, #4",
        "vstmia r2!, {{s0-s3}}",
        "bhs 1b",
        "2:",
        "adds r3, #4",
        "beq 4f",
        "3:",
        "ldrsh r4, [r0], #2",
        "vldmia r1!, {{s4}}",
        "vmov s0, r4",
        "vcvt.f32.s32 s0, s0",
        "vmul.f32 s0, s0, s4",
        "vstmia r2!, {{s0}}",
        "subs r3, #1",
        "bne 3b",
        "4:",
        "mov r4, #0",
        "vmov s0, s1, r4, r4",
        "vmov s2, s3, r4, r4",
        "subs r12, #4",
        "blo 6f",
        "5:",
        "vstmia r2!, {{s0-s3}}",
        "subs r12, #4",
        "bhs 5b",
        "6:",
        "adds r12, #4",
        "beq 8f",
        "7:",
        "vstmia r2!, {{s0}}",
        "subs r12, #1",
        "bne 7b",
        "8:",
        "pop {{r4, r5, r6, pc}}",
    )
}

/// Does two stages to the numbers at `$a` to `$d`, a quarter of the second stage apart, with the twiddles s0, s1
/// and s2, s3.
macro_rules! butterflies {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vldr d3, ",
            $b,
            "
            vldr d5, ",
            $d,
            "
            vmul.f32 s12, s0, s6
            vmul.f32 s13, s0, s7
            vmul.f32 s14, s0, s10
            vmul.f32 s15, s0, s11
            vmls.f32 s12, s1, s7
            vmla.f32 s13, s1, s6
            vmls.f32 s14, s1, s11
            vmla.f32 s15, s1, s10
            vldr d2, ",
            $a,
            "
            vldr d4, ",
            $c,
            "
            vsub.f32 s6, s4, s12
            vsub.f32 s7, s5, s13
            vadd.f32 s4, s4, s12
            vadd.f32 s5, s5, s13
            vsub.f32 s10, s8, s14
            vsub.f32 s11, s9, s15
            vadd.f32 s8, s8, s14
            vadd.f32 s9, s9, s15
            vmul.f32 s14, s2, s10
            vmul.f32 s15, s2, s11
            vmul.f32 s12, s2, s8
            vmul.f32 s13, s2, s9
            vmls.f32 s14, s3, s11
            vmla.f32 s15, s3, s10
            vmls.f32 s12, s3, s9
            vmla.f32 s13, s3, s8
            vadd.f32 s11, s7, s14
            vsub.f32 s10, s6, s15
            vadd.f32 s6, s6, s15
            vsub.f32 s7, s7, s14
            vsub.f32 s8, s4, s12
            vsub.f32 s9, s5, s13
            vadd.f32 s4, s4, s12
            vadd.f32 s5, s5, s13
            vstr d5, ",
            $d,
            "
            vstr d4, ",
            $c,
            "
            vstr d2, ",
            $a,
            "
            vstr d3, ",
            $b,
            "\n"
        )
    };
}

/// Does the butterflies with each of `$numbers` twiddles at r2 to all of `$blocks` blocks, which are `$bytes` long.
macro_rules! stages {
    ($numbers:literal, $blocks:literal, $bytes:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "mov r4, r1
            mov r5, #",
            $numbers,
            "
            1:
            vldmia r2!, {{s0-s3}}
            mov r3, r4
            mov r6, #",
            $blocks,
            "
            2:\n",
            butterflies!("[r3]", $b, $c, $d),
            "add r3, #",
            $bytes,
            "
            subs r6, #1
            bne 2b
            add r4, #8
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
    twiddles: &[[f32; 4]; 4 + 16 + 64],
) {
    naked_asm!(
        ".cpu cortex-m4",
        ".fpu fpv4-sp-d16",
        "push {{r4-r6, lr}}",
        // The first two stages of the numbers n, n + 64, n + 128, n + 192. They go to where the bits of n in
        // reverse say.
        "mov r3, #0",
        "add r4, r0, #1024",
        "1:",
        "vldr d2, [r0, #512]",
        "vldr d3, [r4, #512]",
        "vldmia r0!, {{d0}}",
        "vldmia r4!, {{d1}}",
        "rbit r5, r3",
        "vadd.f32 s12, s4, s6",
        "vadd.f32 s13, s5, s7",
        "vsub.f32 s14, s4, s6",
        "vsub.f32 s15, s5, s7",
        "vadd.f32 s8, s0, s2",
        "vadd.f32 s9, s1, s3",
        "vsub.f32 s10, s0, s2",
        "vsub.f32 s11, s1, s3",
        "add r6, r1, r5, lsr #21",
        "add r3, #1",
        "vadd.f32 s0, s8, s12",
        "vadd.f32 s1, s9, s13",
        "vadd.f32 s2, s10, s15",
        "vsub.f32 s3, s11, s14",
        "vsub.f32 s4, s8, s12",
        "vsub.f32 s5, s9, s13",
        "vsub.f32 s6, s10, s15",
        "vadd.f32 s7, s11, s14",
        "cmp r3, #64",
        "vstmia r6, {{s0-s7}}",
        "bne 1b",
        stages!(4, 16, 128, "[r3, #32]", "[r3, #64]", "[r3, #96]"),
        stages!(16, 4, 512, "[r3, #128]", "[r3, #256]", "[r3, #384]"),
        "mov r3, r1",
        "add r4, r1, #1024",
        "mov r5, #64",
        "1:",
        "vldmia r2!, {{s0-s3}}",
        butterflies!("[r3]", "[r3, #512]", "[r4]", "[r4, #512]"),
        "add r3, #8",
        "add r4, #8",
        "subs r5, #1",
        "bne 1b",
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
    powers: *mut [f32; BINS],
    sines: &[f32; FFT / 4 + 1],
) {
    naked_asm!(
        ".cpu cortex-m4",
        ".fpu fpv4-sp-d16",
        "push {{r4, lr}}",
        "vldmia r0!, {{s0, s1}}",
        // Both ends of the spectrum are real, of one complex number.
        "vadd.f32 s2, s0, s1",
        "vsub.f32 s3, s0, s1",
        "vmul.f32 s2, s2, s2",
        "vmul.f32 s3, s3, s3",
        "add r12, r1, #1024",
        "vstmia r1!, {{s2}}",
        "vstr s3, [r12]",
        "add r3, r0, #2040",
        "add r4, r2, #512",
        "add r2, #4",
        "vmov.f32 s15, #0.25",
        "1:",
        "vldmia r0!, {{s0, s1}}",
        "vldmdb r3!, {{s2, s3}}",
        "vldmdb r4!, {{s4}}", // minus the real part of the twiddle
        "vldmia r2!, {{s5}}", // its imaginary part
        // Sums and differences with the bin as far from the other end.
        "vadd.f32 s6, s0, s2",
        "vsub.f32 s7, s0, s2",
        "vadd.f32 s8, s1, s3",
        "vsub.f32 s9, s1, s3",
        "vmul.f32 s10, s4, s8",
        "vmul.f32 s11, s5, s8",
        "vmul.f32 s12, s5, s7",
        "vmul.f32 s13, s4, s7",
        "vsub.f32 s0, s6, s10",
        "vadd.f32 s2, s6, s10",
        "vadd.f32 s1, s9, s11",
        "vsub.f32 s3, s11, s9",
        "vadd.f32 s0, s0, s12",
        "vsub.f32 s2, s2, s12",
        "vadd.f32 s1, s1, s13",
        "vadd.f32 s3, s3, s13",
        "vmul.f32 s0, s0, s0",
        "vmul.f32 s1, s1, s1",
        "vmul.f32 s2, s2, s2",
        "vmul.f32 s3, s3, s3",
        "vadd.f32 s0, s0, s1",
        "vadd.f32 s2, s2, s3",
        "vmul.f32 s0, s0, s15",
        "vmul.f32 s2, s2, s15",
        "cmp r0, r3",
        "vstmia r1!, {{s0}}",
        "vstmdb r12!, {{s2}}",
        "bls 1b",
        "pop {{r4, pc}}",
    )
}
