//! These cases show that kernels equal the plain ones, bit for bit, on random and extreme operands, in the shapes
//! of the shipped model and in odd ones.

mod random;
mod spectrum;

use core::fmt;

use super::choice::Dense;
use super::{Channels, Heads, Kernels, Operand, plain};
use crate::plan::Requantize;
use random::{Random, Style};

/// Names a case in which the two kernels differ.
#[derive(Debug)]
pub struct Mismatch {
    /// Names the kernels of which one differs.
    pub kernels: &'static str,
    /// Names the kernel that differs.
    pub kernel: &'static str,
    /// The number that the case has, counted from the first of all.
    pub case: u32,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kernels,
            kernel,
            case,
        } = self;
        write!(f, "{kernels} {kernel} differs from plain in case {case}")
    }
}

/// Compares every one of these kernels with the plain one, and returns how many cases were equal. It takes about
/// 50 KiB of stack.
///
/// # Errors
///
/// Returns the first difference.
#[inline(never)] // so that the stack that it takes, and how its caller is compiled, are its own
pub fn check(kernels: &Kernels) -> Result<u32, Mismatch> {
    let mut cases = Cases {
        kernels,
        random: Random(0x2545_f491),
        passed: 0,
        a: [0; _],
        b: [0; _],
        bias: [0; _],
        multiplier: [0; _],
        shift: [0; _],
        outputs: [[0; OUTPUTS]; 2],
    };
    for style in Style::ALL {
        if style == Style::Short && cfg!(debug_assertions) {
            continue; // such builds insist on lengths that fit
        }
        cases.fully_connected(style)?;
        cases.depthwise_conv(style)?;
        cases.elementwise(style)?;
        cases.attention(style)?;
        cases.softmax(style)?;
    }
    cases.spectrum()?;
    Ok(cases.passed)
}

const OUTPUTS: usize = 5632;

struct Cases<'k> {
    kernels: &'k Kernels,
    random: Random,
    passed: u32,
    a: [i8; 16384],
    b: [i8; OUTPUTS],
    bias: [i32; 256],
    multiplier: [i32; 256],
    shift: [i8; 256],
    outputs: [[i8; OUTPUTS]; 2],
}

/// Returns the shift by which a sum of `depth` products of random int8 comes back to about 8 bits.
fn usual_shift(depth: usize) -> i32 {
    -6 - (depth as u32).ilog2() as i32 / 2
}

impl Cases<'_> {
    /// Runs both kernels on outputs of `len` elements that hold the same before, and compares them.
    fn compare(
        &mut self,
        kernel: &'static str,
        len: usize,
        run: impl Fn(&Self, &Kernels, &mut [i8]),
    ) -> Result<(), Mismatch> {
        let mut outputs = self.outputs;
        for (kernels, output) in [&plain::KERNELS, self.kernels]
            .into_iter()
            .zip(&mut outputs)
        {
            output.fill(0x55);
            run(self, kernels, &mut output[..len]);
        }
        let [expected, got] = &outputs;
        if expected != got {
            let case = self.passed;
            let kernels = self.kernels.name;
            return Err(Mismatch {
                kernels,
                kernel,
                case,
            });
        }
        self.passed += 1;
        Ok(())
    }

    fn channels(&mut self, style: Style, count: usize, depth: usize) {
        // Some layers round sums farther to the right than others.
        let shift = usual_shift(depth) - if self.random.chance(3) { 4 } else { 0 };
        for channel in 0..count {
            let scale = self.random.scale(style, shift);
            self.multiplier[channel] = scale.multiplier;
            self.shift[channel] = scale.shift;
            let bias = self.random.next() as i32;
            self.bias[channel] = match style {
                Style::Extreme => bias,
                _ => bias >> 18,
            };
        }
    }

    fn fully_connected(&mut self, style: Style) -> Result<(), Mismatch> {
        for (rows, depth, count) in [
            (10, 40, 64),
            (10, 64, 256),
            (10, 256, 64),
            (10, 64, 64),
            (5, 64, 64),
            (5, 64, 256),
            (5, 256, 64),
            (5, 64, 10),
            (1, 64, 7),
            (11, 128, 33),
            (12, 192, 34),
            (3, 260, 3),
            (2, 1, 1),
            (7, 3, 5),
            (4, 4, 65),
            (9, 17, 2),
            (21, 12, 32),
            (13, 63, 31),
            (1, 1000, 1),
        ] {
            let lengths = [rows * depth, count * depth, rows * count];
            let kernel = |kernels: &Kernels| kernels.fully_connected;
            self.dense("fully_connected", kernel, style, lengths, count, depth)?;
        }
        Ok(())
    }

    fn depthwise_conv(&mut self, style: Style) -> Result<(), Mismatch> {
        for (rows, taps, cols) in [
            (10, 15, 64),
            (5, 15, 64),
            (1, 1, 1),
            (3, 2, 7),
            (11, 16, 40),
            (21, 4, 8),
            (4, 31, 128),
            (10, 17, 19),
            (2, 3, 33),
        ] {
            let lengths = [(rows + taps - 1) * cols, taps * cols, rows * cols];
            let kernel = |kernels: &Kernels| kernels.depthwise_conv;
            self.dense("depthwise_conv", kernel, style, lengths, cols, taps)?;
        }
        Ok(())
    }

    /// Tries an operator of so many channels, each of which sums up `terms` products, on as many elements of input,
    /// weights and output as `lengths` says.
    fn dense(
        &mut self,
        name: &'static str,
        kernel: fn(&Kernels) -> Dense,
        style: Style,
        lengths: [usize; 3],
        channels: usize,
        terms: usize,
    ) -> Result<(), Mismatch> {
        self.random.fill(&mut self.b[..lengths[0]], style);
        self.random.fill(&mut self.a[..lengths[1]], style);
        self.channels(style, channels, terms);
        let (zero_point, clamp) = (self.random.zero_point(style), self.random.clamp());
        let mut cut = |len| self.random.cut(style, len);
        let [input, weights, output] = lengths.map(&mut cut);
        let [biases, multipliers, shifts] = [channels; 3].map(&mut cut);
        self.compare(name, output, |of, kernels, output| {
            let channels = Channels {
                bias: &of.bias[..biases],
                multiplier: &of.multiplier[..multipliers],
                shift: &of.shift[..shifts],
            };
            let (input, weights) = (&of.b[..input], &of.a[..weights]);
            kernel(kernels)(input, weights, channels, zero_point, clamp, output);
        })
    }

    fn elementwise(&mut self, style: Style) -> Result<(), Mismatch> {
        const HALF: Requantize = Requantize {
            multiplier: 1 << 30,
            shift: 0,
        };
        for len in [0, 1, 3, 5, 15, 16, 17, 64, 110, 511, 640, 2560, 4400] {
            let random = &mut self.random;
            random.fill(&mut self.a[..len], style);
            random.fill(&mut self.b[..len], style);
            let (a, b, y) = (
                random.cut(style, len),
                random.cut(style, len),
                random.cut(style, len),
            );
            let (a_zero, b_zero) = (random.zero_point(style), random.zero_point(style));
            // One of the scales is 1/2, as in TFLite, or none is.
            let other = random.scale(style, -2);
            let third = random.scale(style, -2);
            for (a_scale, b_scale) in [(HALF, other), (other, HALF), (HALF, HALF), (other, third)] {
                let to = self.random.output(style, -17);
                self.compare("add", y, |of, kernels, output| {
                    let run = kernels.add;
                    let (a, b) = (operand(&of.a[..a], a_zero), operand(&of.b[..b], b_zero));
                    run(a, a_scale, b, b_scale, to, output);
                })?;
            }
            let to = self.random.output(style, -6);
            self.compare("mul", y, |of, kernels, output| {
                let run = kernels.mul;
                run(
                    operand(&of.a[..a], a_zero),
                    operand(&of.b[..b], b_zero),
                    to,
                    output,
                );
            })?;
            self.random.fill(&mut self.b[..256], style);
            let table = self.random.cut(style, 256);
            self.compare("lookup", y, |of, kernels, output| {
                let run = kernels.lookup;
                run(&of.a[..a], &of.b[..table], output);
            })?;
        }
        Ok(())
    }

    fn attention(&mut self, style: Style) -> Result<(), Mismatch> {
        for (heads, size, chunk, keys) in [
            (4, 16, 10, 110),
            (4, 16, 5, 110),
            (4, 16, 5, 55),
            (8, 16, 10, 60),
            (1, 4, 1, 1),
            (2, 6, 3, 9),
            (3, 8, 7, 33),
            (2, 20, 11, 64),
            (1, 64, 2, 31),
            (2, 32, 12, 129),
            (1, 7, 4, 5),
            (2, 24, 6, 130),
        ] {
            for absent in [0, 1, keys / 2, keys - 1, keys, keys + 3] {
                let cols = heads * size;
                let heads = Heads {
                    heads,
                    cols,
                    absent,
                };
                self.random.fill(&mut self.a[..keys * cols], style);
                self.random.fill(&mut self.b[..chunk * cols], style);
                let random = &mut self.random;
                let (a_zero, b_zero) = (random.zero_point(style), random.zero_point(style));
                let to = random.output(style, usual_shift(size));
                let (key, query) = (
                    random.cut(style, keys * cols),
                    random.cut(style, chunk * cols),
                );
                let output = random.cut(style, heads.heads * chunk * keys);
                self.compare("scores", output, |of, kernels, output| {
                    let run = kernels.scores;
                    let (query, key) = (
                        operand(&of.b[..query], b_zero),
                        operand(&of.a[..key], a_zero),
                    );
                    run(query, key, heads, to, output);
                })?;
                self.random
                    .fill(&mut self.b[..heads.heads * chunk * keys], style);
                let to = self.random.output(style, usual_shift(keys));
                let probs = self.random.cut(style, heads.heads * chunk * keys);
                let output = self.random.cut(style, chunk * cols);
                self.compare("context", output, |of, kernels, output| {
                    let run = kernels.context;
                    run(
                        &of.b[..probs],
                        operand(&of.a[..key], a_zero),
                        heads,
                        to,
                        output,
                    );
                })?;
            }
        }
        Ok(())
    }

    fn softmax(&mut self, style: Style) -> Result<(), Mismatch> {
        // Rounding shows in few rows, so that many are needed.
        let shapes = core::iter::repeat_n((40, 110), 40);
        let odd = [(5, 10), (1, 1), (3, 2), (7, 33), (2, 511), (2, 600)];
        for (rows, cols) in shapes.chain(odd.into_iter().cycle().take(40)) {
            // Debug builds insist on what fits here, too.
            let beyond = cols + usize::from(!cfg!(debug_assertions));
            let absent = [0, 0, 0, 1, cols / 2, cols - 1, cols, beyond];
            let absent = absent[self.random.below(8) as usize];
            let len = rows * cols;
            self.random.fill(&mut self.a[..len], style);
            // Some rows are all but equal, others span the range.
            let narrow = self.random.below(8).saturating_sub(4);
            for q in &mut self.a[..len] {
                *q >>= narrow;
            }
            let scale = self.random.scale(style, 23);
            let diff_min = -(self.random.below(300) as i32);
            let (input, output) = (self.random.cut(style, len), self.random.cut(style, len));
            self.compare("softmax", output, |of, kernels, output| {
                let run = kernels.softmax;
                run(&of.a[..input], cols, absent, scale, diff_min, output);
            })?;
        }
        Ok(())
    }
}

fn operand(data: &[i8], zero_point: i8) -> Operand<'_> {
    Operand { data, zero_point }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::choice::available;

    #[test]
    fn all_kernels_that_this_processor_has_equal_the_plain_ones() {
        for kernels in available() {
            let cases = check(kernels).unwrap_or_else(|mismatch| panic!("{mismatch}"));
            assert!(cases > 500, "{cases} cases of {kernels:?}");
        }
    }
}
