//! This module makes random operands and scales.

use crate::kernels::Output;
use crate::plan::{Clamp, Requantize};

/// Says what operands and scales are like.
#[derive(Clone, Copy, PartialEq)]
pub enum Style {
    /// Operands have any values, and scales are such as a compiler chooses.
    Usual,
    /// Operands have values at the ends of int8, scales are any that an image may hold, and biases make sums
    /// wrap.
    Extreme,
    /// Operands are as in `Usual`, but scales are powers of two, so that sums lie halfway between two
    /// results.
    Ties,
    /// Operands and scales are as in `Usual`, but one length is short now and then.
    Short,
}

impl Style {
    pub const ALL: [Self; 4] = [Self::Usual, Self::Extreme, Self::Ties, Self::Short];
}

/// Makes random numbers by xorshift; the state must not be 0.
pub struct Random(pub u32);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    pub fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    pub fn chance(&mut self, one_in: u32) -> bool {
        self.below(one_in) == 0
    }

    pub fn fill(&mut self, data: &mut [i8], style: Style) {
        let constant = self.chance(8).then(|| self.next() as i8);
        for q in data {
            *q = match (constant, style) {
                (Some(constant), _) => constant,
                (None, Style::Extreme) => [i8::MIN, i8::MAX, -127, 0][self.below(4) as usize],
                _ => (self.next() >> 7) as i8,
            };
        }
    }

    pub fn zero_point(&mut self, style: Style) -> i8 {
        match style {
            Style::Extreme => [i8::MIN, i8::MAX, 0][self.below(3) as usize],
            _ => self.next() as i8,
        }
    }

    /// Returns a scale in this style. `usual` is the shift that brings a sum to about int8.
    pub fn scale(&mut self, style: Style, usual: i32) -> Requantize {
        let multiplier = (1 << 30 | self.next() >> 2) as i32;
        if style != Style::Extreme {
            let shift = (usual + self.below(3) as i32 - 1) as i8;
            let multiplier = if style == Style::Ties {
                1 << 30
            } else {
                multiplier
            };
            return Requantize { multiplier, shift };
        }
        let multiplier = match self.below(6) {
            0 => 0,
            1 => i32::MAX,
            2 => 1 << 30,
            _ => multiplier,
        };
        let shift = match self.below(4) {
            0 => self.below(62) as i8 - 31,
            1 => [-31, -2, -1, 0, 1, 30][self.below(6) as usize],
            _ => -(self.below(31) as i8),
        };
        Requantize { multiplier, shift }
    }

    pub fn clamp(&mut self) -> Clamp {
        let (min, max) = (self.next() as i8, self.next() as i8);
        if self.chance(3) {
            Clamp {
                min: min.min(max),
                max: max.max(min),
            }
        } else {
            Clamp {
                min: i8::MIN,
                max: i8::MAX,
            }
        }
    }

    pub fn output(&mut self, style: Style, usual: i32) -> Output {
        Output {
            scale: self.scale(style, usual),
            zero_point: self.zero_point(style),
            clamp: self.clamp(),
        }
    }

    /// Returns `len`, or less now and then if the style is `Short`.
    pub fn cut(&mut self, style: Style, len: usize) -> usize {
        if style == Style::Short && len > 0 && self.chance(4) {
            self.below(len as u32 + 1) as usize
        } else {
            len
        }
    }
}
