//! Turns the bytes of uncompressed samples into numbers.

/// Says how a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// A sample is an integer around 128 in one byte, as WAV has it.
    Unsigned8,
    /// A sample is a signed integer of so many bytes.
    Signed(usize),
    /// A sample is a float of so many bytes, 4 or 8.
    Float(usize),
    ALaw,
    MuLaw,
}

impl Coding {
    pub fn bytes(self) -> usize {
        match self {
            Coding::Unsigned8 | Coding::ALaw | Coding::MuLaw => 1,
            Coding::Signed(bytes) | Coding::Float(bytes) => bytes,
        }
    }

    /// Returns the largest value that can be written, in units of 16-bit samples. Floats go further.
    pub fn top(self) -> f64 {
        match self {
            Coding::Signed(bytes) => full_scale_of(8 * bytes as u32),
            Coding::Unsigned8 => full_scale_of(8),
            Coding::Float(_) => full_scale_of(16),
            // Their uppermost step is so wide that good recordings reach it.
            Coding::ALaw | Coding::MuLaw => f64::INFINITY,
        }
    }

    /// Appends the samples of whole frames, in units of 16-bit samples and exactly.
    pub fn append(self, bytes: &[u8], big_endian: bool, samples: &mut Vec<f64>) {
        let size = self.bytes();
        if let (Coding::Signed(2), false) = (self, big_endian) {
            // Most recordings: what is below took as long as a tenth of the network.
            let words = bytes.as_chunks::<2>().0.iter();
            return samples.extend(words.map(|&word| f64::from(i16::from_le_bytes(word))));
        }
        samples.extend(bytes.chunks_exact(size).map(|sample| {
            // The most significant byte is the last one.
            let mut word = [0; 8];
            for (n, byte) in sample.iter().enumerate() {
                word[8 - size + if big_endian { size - 1 - n } else { n }] = *byte;
            }
            match self {
                Coding::Unsigned8 => f64::from(i16::from(sample[0]) - 128) * 256.0,
                // Below 2^53 units of its last bit, thus exact.
                Coding::Signed(_) => (i64::from_le_bytes(word) >> 32) as f64 / 65_536.0,
                Coding::Float(4) => {
                    let [_, _, _, _, bits @ ..] = word;
                    f64::from(f32::from_le_bytes(bits)) * FULL_SCALE
                }
                Coding::Float(_) => f64::from_le_bytes(word) * FULL_SCALE,
                Coding::ALaw => alaw(sample[0]),
                Coding::MuLaw => mu_law(sample[0]),
            }
        }));
    }
}

/// Full scale of 16-bit audio, to which samples of every format are brought.
pub const FULL_SCALE: f64 = 32_768.0;

/// Returns the largest positive integer of so many bits, in units of 16-bit samples.
pub fn full_scale_of(bits: u32) -> f64 {
    FULL_SCALE - FULL_SCALE / f64::from(1u32 << bits.clamp(1, 32).saturating_sub(1))
}

/// Decodes a byte of A-law (ITU-T G.711, table 1a).
fn alaw(byte: u8) -> f64 {
    let code = byte ^ 0x55;
    let (exponent, mantissa) = (u32::from(code >> 4 & 7), i32::from(code & 15));
    let size = match exponent {
        0 => mantissa * 2 + 1,
        _ => (mantissa * 2 + 33) << (exponent - 1),
    };
    f64::from(if code & 0x80 == 0 {
        -size * 8
    } else {
        size * 8
    })
}

/// Decodes a byte of mu-law (ITU-T G.711, table 2a).
fn mu_law(byte: u8) -> f64 {
    let code = !byte;
    let (exponent, mantissa) = (u32::from(code >> 4 & 7), i32::from(code & 15));
    let size = ((mantissa * 2 + 33) << exponent) - 33;
    f64::from(if code & 0x80 == 0 {
        size * 4
    } else {
        -size * 4
    })
}
