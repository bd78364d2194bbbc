//! Lays out squarified treemaps (Bruls, Huizing, van Wijk 2000): areas stand for bytes, rectangles are as
//! square as they can be.

/// Place that something takes on the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rectangle {
    fn area(&self) -> f64 {
        self.width * self.height
    }

    /// Says whether two rectangles have an area in common.
    pub fn meets(&self, other: &Rectangle) -> bool {
        let apart = |a: f64, length: f64, b: f64| b >= a + length;
        let beside = apart(self.x, self.width, other.x) || apart(other.x, other.width, self.x);
        let above = apart(self.y, self.height, other.y) || apart(other.y, other.height, self.y);
        !beside && !above
    }

    /// Returns a rectangle that is smaller by `side` on each side, but by `top` above.
    pub fn inset(&self, side: f64, top: f64) -> Rectangle {
        Rectangle {
            x: self.x + side,
            y: self.y + top,
            width: (self.width - 2.0 * side).max(0.0),
            height: (self.height - top - side).max(0.0),
        }
    }
}

/// Returns places for sizes in falling order, which together fill the rectangle.
pub fn squarify(sizes: &[u64], within: Rectangle) -> Vec<Rectangle> {
    let total: u64 = sizes.iter().sum();
    let scale = within.area() / total.max(1) as f64;
    let areas: Vec<f64> = sizes.iter().map(|&size| size as f64 * scale).collect();
    let (mut places, mut free, mut rest) = (Vec::new(), within, areas.as_slice());
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        // A row grows as long as its worst rectangle becomes no worse.
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, later) = rest.split_at(count);
        free = lay(row, free, &mut places);
        rest = later;
    }
    places
}

/// Returns the worst ratio of sides in a row along this side.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let ratio = |area: &f64| {
        let ratio = side * side * area / (sum * sum);
        ratio.max(1.0 / ratio)
    };
    row.iter().map(ratio).fold(0.0, f64::max)
}

/// Places a row along the shorter side, and returns what is left free.
fn lay(row: &[f64], free: Rectangle, places: &mut Vec<Rectangle>) -> Rectangle {
    let sum: f64 = row.iter().sum();
    let upright = free.width >= free.height;
    let side = if upright { free.height } else { free.width };
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for area in row {
        let length = if depth > 0.0 { area / depth } else { 0.0 };
        places.push(match upright {
            true => Rectangle {
                x: free.x,
                y: free.y + at,
                width: depth,
                height: length,
            },
            false => Rectangle {
                x: free.x + at,
                y: free.y,
                width: length,
                height: depth,
            },
        });
        at += length;
    }
    match upright {
        true => Rectangle {
            x: free.x + depth,
            width: (free.width - depth).max(0.0),
            ..free
        },
        false => Rectangle {
            y: free.y + depth,
            height: (free.height - depth).max(0.0),
            ..free
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper: 6, 6, 4, 3, 2, 2, 1 in 6 x 4.
    #[test]
    fn the_paper_s_example_comes_out_as_in_the_paper() {
        let within = Rectangle {
            x: 0.0,
            y: 0.0,
            width: 6.0,
            height: 4.0,
        };
        let places = squarify(&[6, 6, 4, 3, 2, 2, 1], within);
        let expected = [
            (0.0, 0.0, 3.0, 2.0),
            (0.0, 2.0, 3.0, 2.0),
            (3.0, 0.0, 12.0 / 7.0, 7.0 / 3.0),
            (3.0 + 12.0 / 7.0, 0.0, 9.0 / 7.0, 7.0 / 3.0),
        ];
        for (place, (x, y, width, height)) in places.iter().zip(expected) {
            let pairs = [
                (place.x, x),
                (place.y, y),
                (place.width, width),
                (place.height, height),
            ];
            assert!(pairs.iter().all(|(a, b)| (a - b).abs() < 1e-9), "{place:?}");
        }
    }

    #[test]
    fn areas_stand_for_sizes_and_fill_the_whole() {
        let sizes = [229_712, 52_000, 47_120, 5_384, 400, 1];
        let within = Rectangle {
            x: 3.0,
            y: 5.0,
            width: 1100.0,
            height: 420.0,
        };
        let places = squarify(&sizes, within);
        let scale = within.area() / sizes.iter().sum::<u64>() as f64;
        for (place, size) in places.iter().zip(sizes) {
            assert!((place.area() - size as f64 * scale).abs() < 1e-6);
            assert!(place.x >= 3.0 && place.x + place.width <= 1103.0 + 1e-6);
            assert!(place.y >= 5.0 && place.y + place.height <= 425.0 + 1e-6);
        }
    }
}
