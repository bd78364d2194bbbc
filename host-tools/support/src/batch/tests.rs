use std::sync::atomic::AtomicBool;

use rayon::ThreadPoolBuilder;

use super::*;

/// Runs on so many cores.
fn on<R: Send>(cores: usize, run: impl FnOnce() -> R + Send) -> R {
    let pool = ThreadPoolBuilder::new().num_threads(cores).build();
    pool.unwrap().install(run)
}

#[test]
fn parts_come_in_the_order_of_their_items_whatever_the_number_of_cores() {
    let items: Vec<usize> = (0..40).collect();
    // Later items give fewer parts and are done sooner.
    let parts = |item: usize| (0..=(40 - item) % 7).map(move |part| (item, part));
    let expected: Vec<_> = items.iter().flat_map(|&item| parts(item)).collect();
    for cores in [1, 2, 5] {
        let mut taken = Vec::new();
        let hear = |_: &mut (), turn: &Turn<'_, usize, (usize, usize)>| {
            assert_eq!(*turn.item, turn.number);
            let mut last = None;
            for part in parts(turn.number) {
                if let Some(part) = last.replace(part) {
                    turn.give(part).unwrap();
                    std::thread::yield_now();
                }
            }
            last.unwrap()
        };
        let take = |part| {
            taken.push(part);
            Ok(())
        };
        on(cores, || Batch::new(&items).each((), hear, take)).unwrap();
        assert_eq!(taken, expected, "{cores} cores");
    }
}

/// The first item ends only after the second one has, and after its own first part was taken.
#[test]
fn the_first_item_is_told_of_while_it_is_heard_and_the_second_waits_for_its_end() {
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let wait = |flag: &AtomicBool| {
        while !flag.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    };
    let mut taken = Vec::new();
    let hear = |_: &mut (), turn: &Turn<'_, &str, String>| {
        let part = |part| format!("{}{part}", turn.item);
        if turn.number == 0 {
            turn.give(part(1)).unwrap();
            wait(&begun);
            wait(&done);
        } else {
            turn.give(part(1)).unwrap();
            done.store(true, Ordering::SeqCst);
        }
        part(2)
    };
    let take = |part: String| {
        begun.store(true, Ordering::SeqCst);
        taken.push(part);
        Ok(())
    };
    on(2, || Batch::new(&["a", "b"]).each((), hear, take)).unwrap();
    assert_eq!(taken, ["a1", "a2", "b1", "b2"]);
}

#[test]
fn the_first_error_of_what_takes_is_returned_and_ends_the_batch() {
    let items: Vec<usize> = (0..10_000).collect();
    for cores in [1, 3] {
        let (heard, mut taken) = (AtomicUsize::new(0), 0);
        let hear = |_: &mut (), turn: &Turn<'_, usize, usize>| {
            heard.fetch_add(1, Ordering::SeqCst);
            let _ = turn.give(turn.number);
            turn.number
        };
        let take = |number| {
            taken += 1;
            match number {
                0..5 => Ok(()),
                _ => Err(Error::usage(format!("item {number}"))),
            }
        };
        let ended = on(cores, || Batch::new(&items).each((), hear, take));
        assert_eq!(ended.unwrap_err().to_string(), "item 5");
        // Two parts of each of five items, and the one that failed.
        assert_eq!(taken, 11, "{cores} cores");
        assert!(heard.into_inner() < items.len(), "{cores} cores");
    }
}

/// Buffers that count how often they were used, and in all how often they were cloned.
struct Used<'a> {
    uses: usize,
    clones: &'a AtomicUsize,
}

impl Clone for Used<'_> {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        Used { ..*self }
    }
}

#[test]
fn a_worker_keeps_its_buffers_from_one_item_to_the_next() {
    let items = [(); 100];
    for cores in [1, 4] {
        let clones = AtomicUsize::new(0);
        let buffers = Used {
            uses: 0,
            clones: &clones,
        };
        let mut most = 0;
        let hear = |buffers: &mut Used<'_>, _: &Turn<'_, (), usize>| {
            buffers.uses += 1;
            buffers.uses
        };
        let take = |uses: usize| {
            most = most.max(uses);
            Ok(())
        };
        on(cores, || Batch::new(&items).each(buffers, hear, take)).unwrap();
        assert!(clones.into_inner() <= cores);
        assert!(most >= items.len() / cores, "{most} on {cores} cores");
    }
}
