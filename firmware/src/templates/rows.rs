//! A row is what the network's head reads in one step, averaged and scaled to one length.

use crate::image::Image;
use crate::plan::{Dense, Location, Op, Tensor};

use super::{MAX_COLUMNS, Misfit};

/// The length that each row has.
pub(super) const LENGTH: i32 = 127;

/// Returns the tensor that the head of an image's network reads: the input of the one operator that writes the logits, which
/// is fully connected. A step runs it for committed frames alone.
///
/// # Errors
///
/// Returns [`Misfit::NoHead`] if there is no such tensor, and [`Misfit::Columns`] if it has more than [`MAX_COLUMNS`].
pub fn heard_by_head(image: &Image<'_>) -> Result<Tensor, Misfit> {
    let head = image.manifest();
    let mut writers = image.ops().filter(|op| op.output() == head.logits);
    let (Some(Op::FullyConnected(Dense { input, .. })), None) = (writers.next(), writers.next())
    else {
        return Err(Misfit::NoHead);
    };
    let tensor = image.tensor(input).ok_or(Misfit::NoHead)?;
    let constant = matches!(tensor.location, Location::Constant { .. });
    if constant || tensor.rows != head.stream.step {
        return Err(Misfit::NoHead);
    }
    match usize::from(tensor.cols) {
        1..=MAX_COLUMNS => Ok(tensor),
        image => Err(Misfit::Columns {
            templates: MAX_COLUMNS,
            image,
        }),
    }
}

/// Averages what the head read in a step, `[frames, columns]`, to a row of `columns` that is 127 long: each element is rounded
/// to the nearest, halves away from zero. Frames that are all `zero_point` give a row of zeros.
pub fn unit_row(frames: &[i8], zero_point: i8, row: &mut [i8]) {
    let mut sums = [0i32; MAX_COLUMNS];
    let sums = sums.get_mut(..row.len()).unwrap_or_default();
    for frame in frames.chunks_exact(row.len().max(1)) {
        for (sum, &q) in sums.iter_mut().zip(frame) {
            *sum = sum.saturating_add(i32::from(q) - i32::from(zero_point));
        }
    }
    let square =
        |&sum: &i32| u64::from(sum.unsigned_abs()).saturating_mul(sum.unsigned_abs().into());
    let squares = sums.iter().map(square);
    let power = squares.fold(0, u64::saturating_add);
    // Sixteenths of a unit, as the root is rounded down.
    let norm = i32::try_from(power.saturating_mul(256).isqrt()).unwrap_or(i32::MAX);
    for (element, &sum) in row.iter_mut().zip(&*sums) {
        let half = if sum < 0 { -(norm / 2) } else { norm / 2 };
        let scaled = sum.saturating_mul(16 * LENGTH).saturating_add(half);
        let rounded = scaled.checked_div(norm).unwrap_or(0);
        *element = rounded.clamp(-LENGTH, LENGTH) as i8;
    }
}
