//! Says how alike recordings of a phrase are, and makes one sequence of several, by dynamic time warping.

/// Rows of one length each, of what the network's head reads.
pub type Rows = Vec<Vec<f32>>;

/// Rounds in which a barycentre comes nearer to the recordings.
const ROUNDS: usize = 4;

/// Returns the mean cosine along the cheapest path through two whole sequences, and the path: numbers of rows of both.
fn whole(a: &Rows, b: &Rows) -> (f32, Vec<(usize, usize)>) {
    let mut costs = vec![vec![0.0f32; b.len()]; a.len()];
    for (i, row) in a.iter().enumerate() {
        for (j, other) in b.iter().enumerate() {
            let before = steps(i, j).map(|(i, j)| costs[i][j]);
            let before = before.reduce(f32::min).unwrap_or(0.0);
            costs[i][j] = before + 1.0 - cosine(row, other);
        }
    }
    let (Some(i), Some(j)) = (a.len().checked_sub(1), b.len().checked_sub(1)) else {
        return (0.0, Vec::new());
    };
    let mut path = vec![(i, j)];
    let mut last = (i, j);
    while let Some(step) =
        steps(last.0, last.1).min_by(|a, b| costs[a.0][a.1].total_cmp(&costs[b.0][b.1]))
    {
        path.push(step);
        last = step;
    }
    (1.0 - costs[i][j] / path.len() as f32, path)
}

/// Returns what may come before a place on a path: a row less of both, which is preferred, or of either.
fn steps(i: usize, j: usize) -> impl Iterator<Item = (usize, usize)> {
    let back = [(1, 1), (1, 0), (0, 1)].into_iter();
    back.filter_map(move |(di, dj)| Some((i.checked_sub(di)?, j.checked_sub(dj)?)))
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the DTW barycentre of recordings (Petitjean et al., A global averaging method for dynamic time warping, 2011):
/// it begins as the recording that is most like all others, and each row becomes the mean of the rows that paths bring
/// to it.
pub fn barycentre(recordings: &[&Rows]) -> Rows {
    let like_all = |rows: &&&Rows| -> f32 {
        let others = recordings
            .iter()
            .filter(|other| !std::ptr::eq(**other, **rows));
        others.map(|other| whole(rows, other).0).sum()
    };
    let first = recordings
        .iter()
        .max_by(|a, b| like_all(a).total_cmp(&like_all(b)));
    let mut centre = first.map_or(Rows::new(), |rows| rows.to_vec());
    for _ in 0..ROUNDS {
        let columns = centre.first().map_or(0, Vec::len);
        let mut sums = vec![vec![0.0; columns]; centre.len()];
        for rows in recordings {
            let path = whole(rows, &centre).1;
            let mut counts = vec![0u16; centre.len()];
            path.iter().for_each(|&(_, to)| counts[to] += 1);
            for (from, to) in path {
                for (sum, element) in sums[to].iter_mut().zip(&rows[from]) {
                    *sum += element / f32::from(counts[to]);
                }
            }
        }
        centre = sums.into_iter().map(unit).collect();
    }
    centre
}

/// Scales a row to the length 1.
pub fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let length = cosine(&row, &row).sqrt().max(f32::MIN_POSITIVE);
    row.iter_mut().for_each(|element| *element /= length);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two columns, by their angles in degrees.
    fn rows(angles: &[f32]) -> Rows {
        let row = |angle: &f32| vec![angle.to_radians().cos(), angle.to_radians().sin()];
        angles.iter().map(row).collect()
    }

    #[test]
    fn the_same_said_more_slowly_is_wholly_alike() {
        let (alike, path) = whole(&rows(&[0.0, 90.0]), &rows(&[0.0, 0.0, 90.0, 90.0]));
        assert!((alike - 1.0).abs() < 1e-6);
        assert_eq!(path, [(1, 3), (1, 2), (0, 1), (0, 0)]);
    }

    /// By hand: rows 60 degrees apart have the cosine 0.5.
    #[test]
    fn alike_is_the_mean_cosine_along_the_path() {
        let (alike, _) = whole(&rows(&[0.0, 90.0]), &rows(&[60.0, 90.0]));
        assert!((alike - 0.75).abs() < 1e-6, "{alike}");
    }

    #[test]
    fn the_barycentre_lies_between_the_recordings() {
        let recordings = [
            rows(&[0.0, 80.0]),
            rows(&[20.0, 100.0]),
            rows(&[10.0, 10.0, 90.0]),
        ];
        let centre = barycentre(&recordings.iter().collect::<Vec<_>>());
        let angles: Vec<f32> = centre
            .iter()
            .map(|row| row[1].atan2(row[0]).to_degrees())
            .collect();
        let expected = match angles.len() {
            2 => vec![10.0, 90.0],
            3 => vec![10.0, 10.0, 90.0],
            _ => panic!("{angles:?}"),
        };
        for (angle, expected) in angles.iter().zip(&expected) {
            assert!((angle - expected).abs() < 1.0, "{angles:?}");
        }
    }
}
