//! AVX2 has vectors of 32 bytes, whose halves many instructions treat apart.
//!
//! VPMADDWD multiplies 16 pairs of 16-bit numbers and adds neighbours, which is exact; VPMADDUBSW, of bytes, would
//! saturate.
#![allow(unsafe_op_in_unsafe_fn)] // what a function here demands, the trait says

use core::arch::x86_64::*;

use super::Simd;

/// Stands for the instructions of AVX2.
#[derive(Clone, Copy)]
pub struct Avx2;

/// Returns 16 bytes at `from`, or 8 and zeros if the last `depth` are no more.
#[inline(always)]
unsafe fn load_16(from: *const i8, depth: usize) -> __m128i {
    if depth < 16 {
        _mm_loadl_epi64(from.cast())
    } else {
        _mm_loadu_si128(from.cast())
    }
}

/// Returns the even and the odd bytes as numbers of 16 bits.
#[inline(always)]
unsafe fn even_and_odd(bytes: __m256i) -> [__m256i; 2] {
    let even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
    [even, _mm256_srai_epi16(bytes, 8)]
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const OFFSET: i32 = 0;
    const PREPARED: usize = 2;
    const BYTES: usize = 32;
    type I32 = __m256i;
    type Pairs = __m256i;
    type Table = [__m256i; 16];

    #[inline(always)]
    unsafe fn splat(value: i32) -> __m256i {
        _mm256_set1_epi32(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }

    #[inline(always)]
    unsafe fn store(vector: __m256i, to: *mut i32) {
        _mm256_storeu_si256(to.cast(), vector);
    }

    #[inline(always)]
    unsafe fn widen(from: *const i8) -> __m256i {
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))
    }

    #[inline(always)]
    unsafe fn narrow(vector: __m256i, to: *mut i8) {
        let words = _mm256_packs_epi32(vector, vector);
        let bytes = _mm256_packs_epi16(words, words);
        let halves = [
            _mm256_castsi256_si128(bytes),
            _mm256_extracti128_si256(bytes, 1),
        ];
        _mm_storel_epi64(to.cast(), _mm_unpacklo_epi32(halves[0], halves[1]));
    }

    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m256i, b: __m256i) -> __m256i {
        _mm256_sub_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m256i, b: __m256i) -> __m256i {
        _mm256_mullo_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        _mm256_and_si256(a, b)
    }

    #[inline(always)]
    unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
        _mm256_xor_si256(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: __m256i, b: __m256i) -> __m256i {
        _mm256_min_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn max(a: __m256i, b: __m256i) -> __m256i {
        _mm256_max_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn shl(a: __m256i, counts: __m256i) -> __m256i {
        _mm256_sllv_epi32(a, counts)
    }

    #[inline(always)]
    unsafe fn sar(a: __m256i, counts: __m256i) -> __m256i {
        _mm256_srav_epi32(a, counts)
    }

    #[inline(always)]
    unsafe fn doubling_high(a: __m256i, b: __m256i) -> __m256i {
        let half = _mm256_set1_epi64x(1 << 30);
        let even = _mm256_add_epi64(_mm256_mul_epi32(a, b), half);
        let odd = _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
        let odd = _mm256_add_epi64(odd, half);
        // Bits 31..63 of each product.
        let (even, odd) = (_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1));
        let high = _mm256_blend_epi32(even, odd, 0b1010_1010);
        // MIN comes of MIN * MIN alone, which saturates to its complement.
        let overflow = _mm256_cmpeq_epi32(high, _mm256_set1_epi32(i32::MIN));
        _mm256_xor_si256(high, overflow)
    }

    #[inline(always)]
    unsafe fn pairs(first: *const i8, second: *const i8) -> __m256i {
        let (first, second) = (
            _mm_loadl_epi64(first.cast()),
            _mm_loadl_epi64(second.cast()),
        );
        _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second))
    }

    #[inline(always)]
    unsafe fn splat_pairs(first: i16, second: i16) -> __m256i {
        _mm256_set1_epi32(i32::from(first) & 0xffff | i32::from(second) << 16)
    }

    #[inline(always)]
    unsafe fn sub_pairs(a: __m256i, b: __m256i) -> __m256i {
        _mm256_sub_epi16(a, b)
    }

    #[inline(always)]
    unsafe fn add_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(sums, _mm256_madd_epi16(a, b))
    }

    #[inline(always)]
    unsafe fn prepare(x: *const i8, count: usize, room: *mut i16) -> *const i8 {
        // Of each four bytes the even ones come first.
        let order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
        for at in (0..count).step_by(8) {
            let bytes = _mm_shuffle_epi8(_mm_loadl_epi64(x.add(at).cast()), order);
            _mm_storeu_si128(room.add(at).cast(), _mm_cvtepi8_epi16(bytes));
        }
        room.cast()
    }

    #[inline(always)]
    unsafe fn pack(rows: *const i8, stride: usize, depth: usize, to: *mut __m256i) {
        for at in (0..depth).step_by(16) {
            // Rows 0 and 4; and so on.
            let mut vectors = [_mm256_setzero_si256(); 4];
            for (row, v) in vectors.iter_mut().enumerate() {
                let (from, left) = (rows.add(row * stride + at), depth - at);
                let rows = _mm256_castsi128_si256(load_16(from, left));
                *v = _mm256_inserti128_si256(rows, load_16(from.add(4 * stride), left), 1);
            }
            let [a, b, c, d] = vectors;
            let low = [_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d)];
            let high = [_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d)];
            let fours = [
                _mm256_unpacklo_epi64(low[0], low[1]),
                _mm256_unpackhi_epi64(low[0], low[1]),
                _mm256_unpacklo_epi64(high[0], high[1]),
                _mm256_unpackhi_epi64(high[0], high[1]),
            ];
            for (four, bytes) in fours.into_iter().enumerate() {
                let [even, odd] = even_and_odd(bytes);
                let to = to.add(at / 2 + 2 * four);
                to.write(even);
                to.add(1).write(odd);
            }
        }
    }

    #[inline(always)]
    unsafe fn products<const R: usize>(
        x: *const i8,
        stride: usize,
        packed: *const __m256i,
        depth: usize,
    ) -> [__m256i; R] {
        let mut sums = [_mm256_setzero_si256(); R];
        for two in 0..depth / 2 {
            let w = packed.add(two).read();
            for (row, sum) in sums.iter_mut().enumerate() {
                let x = x.add(row * stride + 4 * two).cast::<i32>();
                let x = _mm256_set1_epi32(x.read_unaligned());
                *sum = Self::add_products(*sum, x, w);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn table(bytes: &[i8; 256]) -> [__m256i; 16] {
        let mut table = [_mm256_setzero_si256(); 16];
        for (part, bytes) in table.iter_mut().zip(bytes.as_chunks::<16>().0) {
            *part = _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast()));
        }
        // Each sixteenth of a half, but the first, becomes its difference to the one before.
        for half in table.chunks_exact_mut(8) {
            for i in (1..8).rev() {
                half[i] = _mm256_xor_si256(half[i], half[i - 1]);
            }
        }
        table
    }

    #[inline(always)]
    unsafe fn lookup(table: &[__m256i; 16], from: *const i8, to: *mut i8) {
        let mut positive = _mm256_loadu_si256(from.cast());
        let mut negative = _mm256_xor_si256(positive, _mm256_set1_epi8(-128));
        let mut entries = _mm256_setzero_si256();
        let (below, above) = table.split_at(8);
        for (below, above) in below.iter().zip(above) {
            // A number below 0 yields 0; all others an entry, or the difference from it to the next one.
            let found = _mm256_xor_si256(
                _mm256_shuffle_epi8(*below, negative),
                _mm256_shuffle_epi8(*above, positive),
            );
            entries = _mm256_xor_si256(entries, found);
            negative = _mm256_subs_epi8(negative, _mm256_set1_epi8(16));
            positive = _mm256_subs_epi8(positive, _mm256_set1_epi8(16));
        }
        _mm256_storeu_si256(to.cast(), entries);
    }
}
