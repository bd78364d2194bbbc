//! Mel filters and logarithms take four numbers side by side.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use super::spectrum::power_spectrum;
use crate::kernels::limits::BINS;
use crate::kernels::{Filters, LEAST};

/// The most sums that bands of int8 reach, with two of bands that are in no filter.
const SUMS: usize = 132;

/// Computes the same as [`plain::filter_bank`](super::super::plain::filter_bank).
#[inline(never)] // its buffers leave the stack before the network runs
pub fn filter_bank(samples: &[i16], window: &[f32], filters: Filters<'_>, sums: &mut [f32]) {
    let mut powers = MaybeUninit::uninit();
    let powers = power_spectrum(samples, window, &mut powers);
    let Filters { weights, bands } = filters;
    let count = weights.len().min(bands.len()).min(BINS);
    let mut all = MaybeUninit::<[f32; SUMS]>::uninit();
    // SAFETY: there are `count` powers, weights and bands. All sums are written.
    let all = unsafe {
        add_bands(&Bands {
            powers: powers.as_ptr(),
            weights: weights.as_ptr(),
            bands: bands.as_ptr(),
            sums: all.as_mut_ptr(),
            quads: count / 4,
            rest: count % 4,
        });
        all.assume_init_ref()
    };
    // The first two are of bands that are in no filter.
    for (to, &sum) in sums.iter_mut().zip(all.iter().skip(2)) {
        *to = sum;
    }
    sums.iter_mut().skip(SUMS - 2).for_each(|to| *to = 0.0);
}

/// Holds what assembly reads to add up bands; the order of the fields is part of it.
#[repr(C)]
struct Bands {
    powers: *const f32,
    weights: *const f32,
    bands: *const i8,
    sums: *mut [f32; SUMS],
    quads: usize,
    rest: usize,
}

/// Adds the products in `$rising` and `$falling` to the sums of the band at r2, which are s17 and s16 while the
/// band is the same: r4, whose sums are at r6.
macro_rules! bin {
    ($rising:literal, $falling:literal) => {
        concat!(
            "ldrsb r5, [r2], #1
            cmp r5, r4
            beq 3f
            vstr s16, [r6, #4]
            vstr s17, [r6, #8]
            mov r4, r5
            cmp r5, #-1
            it lt
            movlt r5, #-1
            add r6, r3, r5, lsl #2
            vldr s16, [r6, #4]
            vldr s17, [r6, #8]
            3:
            vadd.f32 s17, s17, ",
            $rising,
            "
            vadd.f32 s16, s16, ",
            $falling,
            "\n"
        )
    };
}

/// Adds up the sums of bands. The products of four bins are computed side by side.
///
/// # Safety
///
/// All that `of` points at is there.
#[unsafe(naked)]
unsafe extern "C" fn add_bands(of: &Bands) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "vpush {{d8}}",
        "ldrd r4, r5, [r0, #16]", // quads, rest
        "ldrd r2, r3, [r0, #8]",  // bands, sums
        "ldrd r0, r1, [r0]",      // powers, weights
        "vmov.i32 q0, #0",
        "mov r6, r3",
        "mov lr, #33",
        "dls lr, lr",
        "1:",
        "vstrw.32 q0, [r6], #16",
        "le lr, 1b",
        "push {{r5}}",
        "mov r6, #0x3f800000", // 1
        "vdup.32 q3, r6",
        "sub r6, r3, #4", // the sums of the band -1
        "vmov s16, s0",
        "vmov s17, s0",
        "wls lr, r4, 4f",
        "mov r4, #-1",
        "2:",
        "vldrw.u32 q1, [r1], #16",
        "vldrw.u32 q2, [r0], #16",
        "vmul.f32 q0, q1, q2",
        "vsub.f32 q1, q3, q1",
        "vmul.f32 q1, q1, q2",
        bin!("s0", "s4"),
        bin!("s1", "s5"),
        bin!("s2", "s6"),
        bin!("s3", "s7"),
        "le lr, 2b",
        "b 5f",
        "4:",
        "mov r4, #-1",
        "5:",
        "pop {{r5}}",
        "wls lr, r5, 6f",
        "2:",
        "vldr s1, [r1]",
        "vldr s2, [r0]",
        "add r1, #4",
        "add r0, #4",
        "vmul.f32 s0, s1, s2",
        "vsub.f32 s1, s12, s1",
        "vmul.f32 s1, s1, s2",
        bin!("s0", "s1"),
        "le lr, 2b",
        "6:",
        "vstr s16, [r6, #4]",
        "vstr s17, [r6, #8]",
        "vpop {{d8}}",
        "pop {{r4-r6, pc}}",
    )
}

/// Computes the same as [`plain::logarithms`](super::super::plain::logarithms), of numbers that are finite.
pub fn logarithms(values: &mut [f32]) {
    // SAFETY: reads and writes the values; the tail is predicated.
    unsafe { logarithms_of(values.as_mut_ptr(), values.len(), &LOGARITHM) };
}

/// Holds what assembly reads to compute logarithms, in its order: integers and floating point.
static LOGARITHM: [u32; 14] = [
    0x3f80_0000 - 0x3f35_04f3, // 1 - sqrt(1/2), as integers
    (-127_i32) as u32,
    0x3f35_04f3,
    (-1.0_f32).to_bits(),
    2.0_f32.to_bits(),
    // The polynomial's coefficients of fourth, second, third and first order.
    0.242_790_79_f32.to_bits(),
    0.400_009_72_f32.to_bits(),
    0.284_987_87_f32.to_bits(),
    0.666_666_6_f32.to_bits(),
    0.5_f32.to_bits(),
    LN_2[1].to_bits(),
    LN_2[0].to_bits(),
    LEAST.to_bits(),
    0,
];

/// The logarithm of 2 in two numbers, of which the first has few bits.
const LN_2: [f32; 2] = [0.693_138_1, 9.058_000_6e-6];

/// Computes logarithms as libm does, in its order: of x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), it is
/// k ln(2) + log(1 + f), by a polynomial in f / (2 + f).
///
/// # Safety
///
/// There are `count` values.
#[unsafe(naked)]
unsafe extern "C" fn logarithms_of(values: *mut f32, count: usize, constants: &[u32; 14]) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r12, lr}}",
        "vpush {{d8-d15}}",
        "ldrd r3, r4, [r2, #44]",
        "vdup.32 q6, r3", // ln(2), its greater part
        "vdup.32 q7, r4", // the least number
        "add lr, r1, #3",
        "lsr lr, lr, #2",
        "ldm r2, {{r2-r12}}",
        "wls lr, lr, 2f",
        "1:",
        "vctp.32 r1",
        "sub r1, #4",
        "vpst",
        "vldrwt.u32 q0, [r0]",
        "vmaxnm.f32 q0, q0, q7",
        "vadd.i32 q0, q0, r2",
        "vshr.u32 q1, q0, #23",
        "vadd.i32 q1, q1, r3",
        "vcvt.f32.s32 q1, q1", // k
        "vbic.i32 q0, #0xff000000",
        "vbic.i32 q0, #0x800000",
        "vadd.i32 q0, q0, r4",
        "vadd.f32 q0, q0, r5", // f
        "vadd.f32 q2, q0, r6",
        "vdiv.f32 s8, s0, s8",
        "vdiv.f32 s9, s1, s9",
        "vdiv.f32 s10, s2, s10",
        "vdiv.f32 s11, s3, s11", // s = f / (2 + f)
        "vmul.f32 q3, q2, q2",
        "vmul.f32 q4, q3, q3",
        "vmul.f32 q5, q4, r7",
        "vadd.f32 q5, q5, r8",
        "vmul.f32 q5, q5, q4",
        "vmul.f32 q4, q4, r9",
        "vadd.f32 q4, q4, r10",
        "vmul.f32 q4, q4, q3",
        "vadd.f32 q4, q4, q5",
        "vmul.f32 q3, q0, r11",
        "vmul.f32 q3, q3, q0", // f^2 / 2
        "vadd.f32 q4, q3, q4",
        "vmul.f32 q2, q2, q4",
        "vmul.f32 q4, q1, r12",
        "vadd.f32 q2, q4, q2",
        "vsub.f32 q2, q2, q3",
        "vadd.f32 q0, q0, q2",
        "vmul.f32 q1, q1, q6",
        "vadd.f32 q0, q1, q0",
        "vpst",
        "vstrwt.32 q0, [r0]",
        "add r0, #16",
        "le lr, 1b",
        "2:",
        "vpop {{d8-d15}}",
        "pop {{r4-r12, pc}}",
    )
}
