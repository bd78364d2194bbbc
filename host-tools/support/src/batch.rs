//! Has many recordings heard at once, one a core, and takes what comes of them in the order of the recordings.
//!
//! A worker on each core takes one item after another and keeps its buffers between them. What it gives is taken at once
//! if all items before are done, and waits for them otherwise: the result is that of one core, whatever their number, and
//! the first item that is not done is told of as it is heard. Nothing else is shared.
//!
//! The cores are those that this process may use, or as many as the environment variable `RAYON_NUM_THREADS` says.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::progress::Progress;

/// Items that are heard, each on one core.
pub struct Batch<'a, T> {
    items: &'a [T],
    progress: Progress,
}

/// An item that is a worker's, until this is dropped.
pub struct Turn<'a, T, P> {
    pub item: &'a T,
    /// The number that the item has, from 0.
    pub number: usize,
    /// Takes a part of what comes of the item with that number, or `None` at its end.
    give: &'a dyn Fn(usize, Option<P>) -> Result<()>,
    progress: &'a Progress,
    /// Samples of the item that the progress counts.
    counted: Cell<u64>,
}

impl<'a, T: Sync> Batch<'a, T> {
    pub fn new(items: &'a [T]) -> Batch<'a, T> {
        Batch {
            items,
            progress: Progress::hidden(),
        }
    }

    /// Shows the progress of items called `what`, each of which is expected to have so many samples at 16 kHz.
    pub fn shown(self, what: &'static str, samples: impl Fn(&T) -> u64) -> Batch<'a, T> {
        Batch {
            progress: Progress::begin(self.items, what, samples),
            ..self
        }
    }

    /// Has a worker on each core, with `buffers` of its own, `hear` items, and has what comes of them taken in the order
    /// of the items: the parts that were given, then what `hear` returns. A single item stays on this thread.
    ///
    /// # Errors
    ///
    /// Returns the first error of `take`, which ends the batch.
    pub fn each<B: Clone + Send, P: Send>(
        &self,
        buffers: B,
        hear: impl Fn(&mut B, &Turn<'_, T, P>) -> P + Sync,
        take: impl FnMut(P) -> Result<()> + Send,
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let (order, buffers) = (Mutex::new(Order::new(take)), Mutex::new(buffers));
        let give = |number, part| {
            lock(&order).give(number, part).inspect_err(|_| {
                next.store(self.items.len(), Ordering::Relaxed);
            })
        };
        let work = || {
            let mut buffers = lock(&buffers).clone();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = self.items.get(number) else {
                    return;
                };
                let turn = Turn {
                    item,
                    number,
                    give: &give,
                    progress: &self.progress,
                    counted: Cell::new(0),
                };
                let last = hear(&mut buffers, &turn);
                // That nothing is taken any more is told at the end.
                let _ = turn.give(last);
            }
        };
        match self.items.len() {
            0 | 1 => work(),
            _ => drop(rayon::broadcast(|_| work())),
        }
        let order = order.into_inner().unwrap_or_else(PoisonError::into_inner);
        order.failed.map_or(Ok(()), Err)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, P> Turn<'_, T, P> {
    /// Gives a part of what comes of the item.
    ///
    /// # Errors
    ///
    /// Nothing is taken any more; why, [`Batch::each`] returns.
    pub fn give(&self, part: P) -> Result<()> {
        (self.give)(self.number, Some(part))
    }

    /// Shows that so many more samples of the item, at 16 kHz, were heard.
    pub fn heard(&self, samples: usize) {
        self.progress
            .heard(self.number, &self.counted, samples as u64);
    }
}

impl<T, P> Drop for Turn<'_, T, P> {
    fn drop(&mut self) {
        self.progress.end(self.number, &self.counted);
        let _ = (self.give)(self.number, None);
    }
}

/// Brings what is given back into the order of the items.
struct Order<P, F> {
    /// The number of the first item that is not done.
    first: usize,
    /// What later items gave, with `None` at the end of each.
    waiting: BTreeMap<usize, Vec<Option<P>>>,
    take: F,
    /// The first error of `take`, after which nothing is taken.
    failed: Option<Error>,
}

impl<P, F: FnMut(P) -> Result<()>> Order<P, F> {
    fn new(take: F) -> Order<P, F> {
        Order {
            first: 0,
            waiting: BTreeMap::new(),
            take,
            failed: None,
        }
    }

    fn give(&mut self, number: usize, part: Option<P>) -> Result<()> {
        self.waiting.entry(number).or_default().push(part);
        while self.failed.is_none()
            && let Some(parts) = self.waiting.remove(&self.first)
        {
            if matches!(parts.last(), Some(None)) {
                self.first += 1;
            }
            let taken = parts.into_iter().flatten().try_for_each(&mut self.take);
            self.failed = taken.err();
        }
        match self.failed {
            None => Ok(()),
            Some(_) => Err(Error::Reported),
        }
    }
}

#[cfg(test)]
mod tests;
