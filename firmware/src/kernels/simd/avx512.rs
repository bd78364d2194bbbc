//! AVX-512 has vectors of 64 bytes, and with VNNI products of four bytes.
//!
//! VPDPBUSD multiplies bytes without a sign by bytes with one, so that 128 is added to those that are packed; what that
//! adds to a sum follows from the sum of the other bytes.
#![allow(unsafe_op_in_unsafe_fn)] // what a function here demands, the trait says

use core::arch::x86_64::*;

use super::Simd;

/// Stands for the instructions of AVX-512 (F, BW, VL) with VNNI.
#[derive(Clone, Copy)]
pub struct Avx512;

/// Returns 16 bytes at `from`, or 8 and zeros if the last `depth` are no more.
#[inline(always)]
unsafe fn load_16(from: *const i8, depth: usize) -> __m128i {
    if depth < 16 {
        _mm_loadl_epi64(from.cast())
    } else {
        _mm_loadu_si128(from.cast())
    }
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const OFFSET: i32 = 128;
    const PREPARED: usize = 1;
    const BYTES: usize = 64;
    type I32 = __m512i;
    type Pairs = __m512i;
    type Table = [__m512i; 16];

    #[inline(always)]
    unsafe fn splat(value: i32) -> __m512i {
        _mm512_set1_epi32(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m512i {
        _mm512_loadu_si512(from.cast())
    }

    #[inline(always)]
    unsafe fn store(vector: __m512i, to: *mut i32) {
        _mm512_storeu_si512(to.cast(), vector);
    }

    #[inline(always)]
    unsafe fn widen(from: *const i8) -> __m512i {
        _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))
    }

    #[inline(always)]
    unsafe fn narrow(vector: __m512i, to: *mut i8) {
        _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(vector));
    }

    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m512i, b: __m512i) -> __m512i {
        _mm512_mullo_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        _mm512_and_si512(a, b)
    }

    #[inline(always)]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: __m512i, b: __m512i) -> __m512i {
        _mm512_min_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn max(a: __m512i, b: __m512i) -> __m512i {
        _mm512_max_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn shl(a: __m512i, counts: __m512i) -> __m512i {
        _mm512_sllv_epi32(a, counts)
    }

    #[inline(always)]
    unsafe fn sar(a: __m512i, counts: __m512i) -> __m512i {
        _mm512_srav_epi32(a, counts)
    }

    #[inline(always)]
    unsafe fn doubling_high(a: __m512i, b: __m512i) -> __m512i {
        let half = _mm512_set1_epi64(1 << 30);
        let even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
        let odd = _mm512_add_epi64(odd, half);
        // Bits 31..63 of each product.
        let (even, odd) = (_mm512_srli_epi64::<31>(even), _mm512_slli_epi64::<1>(odd));
        let high = _mm512_mask_blend_epi32(0b1010_1010_1010_1010, even, odd);
        // MIN comes of MIN * MIN alone, which saturates.
        let overflow = _mm512_cmpeq_epi32_mask(high, _mm512_set1_epi32(i32::MIN));
        _mm512_mask_set1_epi32(high, overflow, i32::MAX)
    }

    #[inline(always)]
    unsafe fn pairs(first: *const i8, second: *const i8) -> __m512i {
        let (first, second) = (
            _mm_loadu_si128(first.cast()),
            _mm_loadu_si128(second.cast()),
        );
        let low = _mm256_castsi128_si256(_mm_unpacklo_epi8(first, second));
        let bytes = _mm256_inserti128_si256(low, _mm_unpackhi_epi8(first, second), 1);
        _mm512_cvtepi8_epi16(bytes)
    }

    #[inline(always)]
    unsafe fn splat_pairs(first: i16, second: i16) -> __m512i {
        _mm512_set1_epi32(i32::from(first) & 0xffff | i32::from(second) << 16)
    }

    #[inline(always)]
    unsafe fn sub_pairs(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi16(a, b)
    }

    #[inline(always)]
    unsafe fn add_products(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        _mm512_dpwssd_epi32(sums, a, b)
    }

    #[inline(always)]
    unsafe fn prepare(x: *const i8, _: usize, _: *mut i16) -> *const i8 {
        x
    }

    #[inline(always)]
    unsafe fn pack(rows: *const i8, stride: usize, depth: usize, to: *mut __m512i) {
        for at in (0..depth).step_by(16) {
            // Rows 0, 4, 8 and 12; and so on.
            let mut vectors = [_mm512_set1_epi8(-128); 4];
            for (row, v) in vectors.iter_mut().enumerate() {
                let (from, left) = (rows.add(row * stride + at), depth - at);
                let rows = _mm512_castsi128_si512(load_16(from, left));
                let rows = _mm512_inserti32x4::<1>(rows, load_16(from.add(4 * stride), left));
                let rows = _mm512_inserti32x4::<2>(rows, load_16(from.add(8 * stride), left));
                let rows = _mm512_inserti32x4::<3>(rows, load_16(from.add(12 * stride), left));
                *v = _mm512_xor_si512(*v, rows);
            }
            let [a, b, c, d] = vectors;
            let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
            let to = to.add(at / 4);
            to.write(_mm512_unpacklo_epi64(ab, cd));
            to.add(1).write(_mm512_unpackhi_epi64(ab, cd));
            let (ab, cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
            to.add(2).write(_mm512_unpacklo_epi64(ab, cd));
            to.add(3).write(_mm512_unpackhi_epi64(ab, cd));
        }
    }

    #[inline(always)]
    unsafe fn products<const R: usize>(
        x: *const i8,
        stride: usize,
        packed: *const __m512i,
        depth: usize,
    ) -> [__m512i; R] {
        let mut sums = [_mm512_setzero_si512(); R];
        for four in 0..depth / 4 {
            let w = packed.add(four).read();
            for (row, sum) in sums.iter_mut().enumerate() {
                let x = x.add(row * stride + 4 * four).cast::<i32>();
                *sum = _mm512_dpbusd_epi32(*sum, w, _mm512_set1_epi32(x.read_unaligned()));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn table(bytes: &[i8; 256]) -> [__m512i; 16] {
        let mut table = [_mm512_setzero_si512(); 16];
        for (part, bytes) in table.iter_mut().zip(bytes.as_chunks::<16>().0) {
            *part = _mm512_broadcast_i32x4(_mm_loadu_si128(bytes.as_ptr().cast()));
        }
        // Each sixteenth of a half, but the first, becomes its difference to the one before.
        for half in table.chunks_exact_mut(8) {
            for i in (1..8).rev() {
                half[i] = _mm512_xor_si512(half[i], half[i - 1]);
            }
        }
        table
    }

    #[inline(always)]
    unsafe fn lookup(table: &[__m512i; 16], from: *const i8, to: *mut i8) {
        let mut positive = _mm512_loadu_si512(from.cast());
        let mut negative = _mm512_xor_si512(positive, _mm512_set1_epi8(-128));
        let mut entries = _mm512_setzero_si512();
        let (below, above) = table.split_at(8);
        for (below, above) in below.iter().zip(above) {
            // A number below 0 yields 0; all others an entry, or the difference from it to the next one.
            let found = _mm512_xor_si512(
                _mm512_shuffle_epi8(*below, negative),
                _mm512_shuffle_epi8(*above, positive),
            );
            entries = _mm512_xor_si512(entries, found);
            negative = _mm512_subs_epi8(negative, _mm512_set1_epi8(16));
            positive = _mm512_subs_epi8(positive, _mm512_set1_epi8(16));
        }
        _mm512_storeu_si512(to.cast(), entries);
    }
}
