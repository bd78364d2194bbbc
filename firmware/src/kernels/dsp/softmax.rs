//! The softmax takes four scores a word.
#![allow(unsafe_code)]

use super::ops::{Multiplier, max4, usat8};
use crate::kernels::softmax::Rows;

/// Reads and writes rows of scores word by word.
pub struct Words;

impl Rows for Words {
    fn max(row: &[i8]) -> i32 {
        let (words, rest) = row.as_chunks::<4>();
        let max = words.iter().fold(0x8080_8080, |max, word| {
            max4(max, u32::from_ne_bytes(word.map(|q| q as u8)))
        });
        let max = max.to_ne_bytes().into_iter().map(|q| q as i8);
        max.chain(rest.iter().copied())
            .fold(i8::MIN, i8::max)
            .into()
    }

    unsafe fn sum(row: &[i8], of_zero: *const i32) -> u32 {
        // SAFETY: the caller's.
        let exp = |q: i8| unsafe { of_zero.wrapping_offset(q.into()).read() as u32 };
        let add = |sum: u32, q: i8| sum.wrapping_add(exp(q).wrapping_add(1 << 11) >> 12);
        let (words, rest) = row.as_chunks::<4>();
        let mut sum = 0;
        for word in words {
            sum = word.iter().fold(sum, |sum, &q| add(sum, q));
        }
        rest.iter().fold(sum, |sum, &q| add(sum, q))
    }

    unsafe fn probabilities(
        row: &[i8],
        of_zero: *const i32,
        scale: i32,
        exponent: u32,
        y: &mut [i8],
    ) {
        // A reciprocal's scale is 2^30 or more.
        let Some(scale) = Multiplier::new(scale) else {
            return;
        };
        let half = 1u32.wrapping_shl(exponent).wrapping_shr(1);
        let probability = |q: i8| {
            // SAFETY: the caller's.
            let exp = unsafe { of_zero.wrapping_offset(q.into()).read() };
            // The product is not negative.
            let product = scale.apply(exp) as u32;
            usat8(product.wrapping_add(half).wrapping_shr(exponent) as i32) as u8 ^ 0x80
        };
        let ((words, rest), (y, y_rest)) = (row.as_chunks::<4>(), y.as_chunks_mut::<4>());
        for (word, y) in words.iter().zip(y) {
            for (&q, y) in word.iter().zip(y) {
                *y = probability(q) as i8;
            }
        }
        for (&q, y) in rest.iter().zip(y_rest) {
            *y = probability(q) as i8;
        }
    }
}
