//! Says which real values the integers of a tensor stand for.

/// Quantization of a tensor: a real value is `scale * (q - zero_point)`, with q in -128..=127.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    pub scale: f32,
    pub zero_point: i8,
}

impl Quantization {
    /// Returns the int8 quantization of [low, high], widened to hold 0, which is exact.
    pub fn of_range(low: f32, high: f32) -> Quantization {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((high - low) / 255.0).max(1e-9);
        let zero_point = (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i8;
        Quantization { scale, zero_point }
    }

    /// Returns the value that an integer holds in the place of `value`.
    pub fn round(self, value: f32) -> f32 {
        self.scale * (f32::from(self.quantize(value)) - f32::from(self.zero_point))
    }

    pub fn quantize(self, value: f32) -> i8 {
        let steps = (value / self.scale).round() + f32::from(self.zero_point);
        steps.clamp(-128.0, 127.0) as i8
    }
}
