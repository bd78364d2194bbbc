//! Fits costs to counts: least squares of relative errors, of which no cost is below zero (Lawson and
//! Hanson, *Solving Least Squares Problems*, chapter 23).

use std::collections::BTreeMap;

use super::kernels::Work;

/// Instructions that were counted of some work.
pub struct Count {
    pub work: Work,
    pub instructions: u64,
}

/// Returns a cost for each class and term of the work.
pub fn fit(counts: &[Count]) -> BTreeMap<(&'static str, &'static str), f64> {
    let terms = counts.iter().flat_map(|count| &count.work.0);
    let terms = terms.filter(|(_, _, amount)| *amount > 0.0);
    let mut costs: BTreeMap<_, f64> = terms
        .map(|&(class, term, _)| ((class, term), 0.0))
        .collect();
    let index: BTreeMap<_, usize> = costs.keys().copied().zip(0..).collect();
    // Normal equations, of rows that are divided by what was counted.
    let mut normal = vec![vec![0.0; index.len()]; index.len()];
    let mut right = vec![0.0; index.len()];
    for Count { work, instructions } in counts {
        let counted = (*instructions).max(1) as f64;
        let mut row = BTreeMap::<usize, f64>::new();
        for (class, term, amount) in work.0.iter().filter(|(_, _, amount)| *amount > 0.0) {
            *row.entry(index[&(*class, *term)]).or_default() += amount / counted;
        }
        for (&i, a) in &row {
            right[i] += a;
            row.iter().for_each(|(&j, b)| normal[i][j] += a * b);
        }
    }
    // Columns are scaled to length 1, so that one tolerance does for all.
    let lengths: Vec<f64> = (0..index.len()).map(|i| normal[i][i].sqrt()).collect();
    for (i, row) in normal.iter_mut().enumerate() {
        right[i] /= lengths[i];
        let scaled = row.iter_mut().zip(&lengths);
        scaled.for_each(|(value, length)| *value /= lengths[i] * length);
    }
    let solution = non_negative(&normal, &right);
    for ((cost, scaled), length) in costs.values_mut().zip(solution).zip(lengths) {
        *cost = scaled / length;
    }
    costs
}

/// Returns the `x >= 0` that comes nearest to `normal x = right`.
fn non_negative(normal: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    const ENOUGH: f64 = 1e-9;
    let size = right.len();
    let mut x = vec![0.0; size];
    let mut free: Vec<usize> = Vec::new();
    // Those that were freed in vain, since the last step forward.
    let mut tried = vec![false; size];
    loop {
        let gradient = |i: usize| {
            let fitted: f64 = normal[i].iter().zip(&x).map(|(a, x)| a * x).sum();
            right[i] - fitted
        };
        let bound = (0..size).filter(|i| !free.contains(i) && !tried[*i]);
        let steepest = bound.max_by(|&a, &b| gradient(a).total_cmp(&gradient(b)));
        let Some(next) = steepest.filter(|&i| gradient(i) > ENOUGH) else {
            return x;
        };
        free.push(next);
        tried[next] = true;
        loop {
            let Some(solved) = solve(normal, right, &free) else {
                // It says what the others say already.
                free.retain(|&i| i != next);
                break;
            };
            let blocked = free
                .iter()
                .zip(&solved)
                .filter(|(_, solved)| **solved <= 0.0);
            let reach = blocked.map(|(&i, solved)| x[i] / (x[i] - solved));
            let reach = reach.fold(1.0, f64::min);
            for (&i, solved) in free.iter().zip(&solved) {
                x[i] += reach * (solved - x[i]);
            }
            if reach == 1.0 {
                tried.fill(false);
                break;
            }
            free.retain(|&i| x[i] > 1e-12);
            (0..size)
                .filter(|i| !free.contains(i))
                .for_each(|i| x[i] = 0.0);
        }
    }
}

/// Solves the rows and columns `of` a system of equations; returns `None` where they say the same twice.
fn solve(normal: &[Vec<f64>], right: &[f64], of: &[usize]) -> Option<Vec<f64>> {
    let row = |&i: &usize| {
        let row = of.iter().map(move |&j| normal[i][j]);
        row.chain([right[i]]).collect::<Vec<f64>>()
    };
    let mut rows: Vec<Vec<f64>> = of.iter().map(row).collect();
    let size = of.len();
    // Symmetric and positive: no pivot is sought.
    for i in 0..size {
        let pivot = rows[i][i];
        if pivot < 1e-9 {
            return None;
        }
        let subtrahend = rows[i].clone();
        for (j, row) in rows.iter_mut().enumerate() {
            let factor = row[i] / pivot;
            if i != j && factor != 0.0 {
                let values = row.iter_mut().zip(&subtrahend).skip(i);
                values.for_each(|(value, subtrahend)| *value -= factor * subtrahend);
            }
        }
    }
    Some((0..size).map(|i| rows[i][size] / rows[i][i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_that_made_the_counts_are_found_again() {
        let work = |a, b, c| Work(vec![("x", "a", a), ("x", "b", b), ("x", "c", c)]);
        let points = [
            (1.0, 2.0, 0.0),
            (1.0, 7.0, 3.0),
            (2.0, 1.0, 9.0),
            (1.0, 30.0, 1.0),
        ];
        let counts = points.map(|(a, b, c)| Count {
            work: work(a, b, c),
            instructions: (900.0 * a + 15.0 * b + 4.0 * c) as u64,
        });
        let costs = fit(&counts);
        for (term, cost) in [("a", 900.0), ("b", 15.0), ("c", 4.0)] {
            assert!((costs[&("x", term)] - cost).abs() < 1e-6, "{costs:?}");
        }
    }

    #[test]
    fn no_cost_is_negative_and_two_terms_for_one_thing_share_it() {
        // The best fit of both is 110 - 10 a.
        let counts = [(1.0, 100), (2.0, 90)].map(|(a, instructions)| Count {
            work: Work(vec![
                ("x", "a", a),
                ("x", "operator", 1.0),
                ("x", "again", 1.0),
            ]),
            instructions,
        });
        let costs = fit(&counts);
        assert_eq!(costs[&("x", "a")], 0.0);
        let sum = costs[&("x", "operator")] + costs[&("x", "again")];
        assert!((90.0..100.0).contains(&sum), "{costs:?}");
    }
}
