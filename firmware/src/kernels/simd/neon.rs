//! NEON has vectors of 16 bytes, and from Armv8.2 on most cores have products of four bytes.
//!
//! SDOT adds these to a sum; without it, SMULL multiplies eight bytes, and SADALP adds neighbours to the sums.
#![allow(unsafe_op_in_unsafe_fn)] // what a function here demands, the trait says

use core::arch::aarch64::*;
use core::arch::asm;

use super::Simd;

/// Stands for the instructions of NEON, with SDOT where that is said.
#[derive(Clone, Copy)]
pub struct Neon<const DOTPROD: bool>;

/// Adds the products of each four neighbours to their sum.
#[inline(always)]
unsafe fn add_fours(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // The intrinsic is not stable.
    asm!(
        "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
        sums = inout(vreg) sums,
        a = in(vreg) a,
        b = in(vreg) b,
        options(pure, nomem, nostack, preserves_flags)
    );
    sums
}

impl<const DOTPROD: bool> Simd for Neon<DOTPROD> {
    const LANES: usize = 4;
    const OFFSET: i32 = 0;
    const PREPARED: usize = 1;
    const BYTES: usize = 16;
    type I32 = int32x4_t;
    type Pairs = [int16x4_t; 2];
    type Table = [int8x16x4_t; 4];

    #[inline(always)]
    unsafe fn splat(value: i32) -> int32x4_t {
        vdupq_n_s32(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> int32x4_t {
        vld1q_s32(from)
    }

    #[inline(always)]
    unsafe fn store(vector: int32x4_t, to: *mut i32) {
        vst1q_s32(to, vector);
    }

    #[inline(always)]
    unsafe fn widen(from: *const i8) -> int32x4_t {
        let bytes = vcreate_s8(from.cast::<u32>().read_unaligned().into());
        vmovl_s16(vget_low_s16(vmovl_s8(bytes)))
    }

    #[inline(always)]
    unsafe fn narrow(vector: int32x4_t, to: *mut i8) {
        let words = vmovn_s32(vector);
        let bytes = vmovn_s16(vcombine_s16(words, words));
        let bytes = vget_lane_s32::<0>(vreinterpret_s32_s8(bytes));
        to.cast::<i32>().write_unaligned(bytes);
    }

    #[inline(always)]
    unsafe fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vaddq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vsubq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vmulq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn and(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vandq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn xor(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        veorq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vminq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn max(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vmaxq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn shl(a: int32x4_t, counts: int32x4_t) -> int32x4_t {
        vshlq_s32(a, counts)
    }

    #[inline(always)]
    unsafe fn sar(a: int32x4_t, counts: int32x4_t) -> int32x4_t {
        vshlq_s32(a, vnegq_s32(counts))
    }

    #[inline(always)]
    unsafe fn doubling_high(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vqrdmulhq_s32(a, b)
    }

    #[inline(always)]
    unsafe fn pairs(first: *const i8, second: *const i8) -> [int16x4_t; 2] {
        let first = vcreate_s8(first.cast::<u32>().read_unaligned().into());
        let second = vcreate_s8(second.cast::<u32>().read_unaligned().into());
        [
            vget_low_s16(vmovl_s8(first)),
            vget_low_s16(vmovl_s8(second)),
        ]
    }

    #[inline(always)]
    unsafe fn splat_pairs(first: i16, second: i16) -> [int16x4_t; 2] {
        [vdup_n_s16(first), vdup_n_s16(second)]
    }

    #[inline(always)]
    unsafe fn sub_pairs(a: [int16x4_t; 2], b: [int16x4_t; 2]) -> [int16x4_t; 2] {
        [vsub_s16(a[0], b[0]), vsub_s16(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn add_products(sums: int32x4_t, a: [int16x4_t; 2], b: [int16x4_t; 2]) -> int32x4_t {
        vmlal_s16(vmlal_s16(sums, a[0], b[0]), a[1], b[1])
    }

    #[inline(always)]
    unsafe fn prepare(x: *const i8, _: usize, _: *mut i16) -> *const i8 {
        x
    }

    #[inline(always)]
    unsafe fn pack(rows: *const i8, stride: usize, depth: usize, to: *mut int32x4_t) {
        for at in (0..depth).step_by(8) {
            let mut vectors = [vdup_n_s32(0); 4];
            for (row, v) in vectors.iter_mut().enumerate() {
                *v = vreinterpret_s32_s8(vld1_s8(rows.add(row * stride + at)));
            }
            let [a, b, c, d] = vectors;
            let first = vcombine_s32(vzip1_s32(a, b), vzip1_s32(c, d));
            let second = vcombine_s32(vzip2_s32(a, b), vzip2_s32(c, d));
            to.add(at / 4).write(first);
            to.add(at / 4 + 1).write(second);
        }
    }

    #[inline(always)]
    unsafe fn products<const R: usize>(
        x: *const i8,
        stride: usize,
        packed: *const int32x4_t,
        depth: usize,
    ) -> [int32x4_t; R] {
        let mut low = [vdupq_n_s32(0); R];
        let mut high = low;
        for four in 0..depth / 4 {
            let w = vreinterpretq_s8_s32(packed.add(four).read());
            for (row, (low, high)) in low.iter_mut().zip(&mut high).enumerate() {
                let x = x.add(row * stride + 4 * four).cast::<i32>();
                let x = vreinterpretq_s8_s32(vdupq_n_s32(x.read_unaligned()));
                if DOTPROD {
                    *low = add_fours(*low, w, x);
                } else {
                    *low = vpadalq_s16(*low, vmull_s8(vget_low_s8(w), vget_low_s8(x)));
                    *high = vpadalq_s16(*high, vmull_high_s8(w, x));
                }
            }
        }
        if !DOTPROD {
            for (low, high) in low.iter_mut().zip(high) {
                *low = vpaddq_s32(*low, high);
            }
        }
        low
    }

    #[inline(always)]
    unsafe fn table(bytes: &[i8; 256]) -> [int8x16x4_t; 4] {
        let first = bytes.as_ptr();
        [
            vld1q_s8_x4(first),
            vld1q_s8_x4(first.add(64)),
            vld1q_s8_x4(first.add(128)),
            vld1q_s8_x4(first.add(192)),
        ]
    }

    #[inline(always)]
    unsafe fn lookup(table: &[int8x16x4_t; 4], from: *const i8, to: *mut i8) {
        let mut numbers = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(from)), vdupq_n_u8(0x80));
        let mut entries = vdupq_n_s8(0);
        for quarter in table {
            // What is beyond the quarter keeps the entry that it has.
            entries = vqtbx4q_s8(entries, *quarter, numbers);
            numbers = vsubq_u8(numbers, vdupq_n_u8(64));
        }
        vst1q_s8(to, entries);
    }
}
