//! Holds which values the tensors took, as calibration observed them.

use super::histogram::Histogram;

/// Statistics of the values that one tensor took.
#[derive(Clone)]
pub struct Observation {
    pub histogram: Histogram,
    /// Sum of each column's values; `squares` holds the sum of their squares.
    sums: Vec<f64>,
    squares: Vec<f64>,
    rows: u64,
    /// Smallest of the maxima that the rows had; absent keys do not count.
    pub lowest_peak: f32,
}

impl Observation {
    /// Returns an observation of no values yet, of a tensor of `cols` columns.
    pub fn new(cols: usize) -> Observation {
        Observation {
            histogram: Histogram::default(),
            sums: vec![0.0; cols],
            squares: vec![0.0; cols],
            rows: 0,
            lowest_peak: f32::MAX,
        }
    }

    /// Adds a row, of whose columns the first `absent` are absent keys.
    pub fn row(&mut self, row: &[f32], absent: usize) {
        let present = &row[absent..];
        present.iter().for_each(|&value| self.histogram.add(value));
        let columns = self.sums.iter_mut().zip(&mut self.squares).skip(absent);
        for ((sum, square), &value) in columns.zip(present) {
            *sum += f64::from(value);
            *square += f64::from(value).powi(2);
        }
        self.rows += 1;
        self.lowest_peak = self
            .lowest_peak
            .min(present.iter().copied().fold(f32::MIN, f32::max));
    }

    /// Adds what another observation of the same tensor saw.
    pub fn merge(&mut self, other: &Observation) {
        self.histogram.merge(&other.histogram);
        let add = |(sum, other): (&mut f64, &f64)| *sum += other;
        self.sums.iter_mut().zip(&other.sums).for_each(add);
        self.squares.iter_mut().zip(&other.squares).for_each(add);
        self.rows += other.rows;
        self.lowest_peak = self.lowest_peak.min(other.lowest_peak);
    }

    /// Returns the mean of each column.
    pub fn means(&self) -> Vec<f32> {
        let rows = self.rows.max(1) as f64;
        self.sums.iter().map(|sum| (sum / rows) as f32).collect()
    }

    /// Returns the variance of each column.
    pub fn variances(&self) -> Vec<f32> {
        let rows = self.rows.max(1) as f64;
        let variance = |(sum, square): (&f64, &f64)| (square / rows - (sum / rows).powi(2)) as f32;
        let columns = self.sums.iter().zip(&self.squares);
        columns.map(variance).map(|v| v.max(0.0)).collect()
    }
}

/// Observation of each tensor, which is `None` for views and constants.
pub type Observations = Vec<Option<Observation>>;
