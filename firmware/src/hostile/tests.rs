//! Mutants of valid images.

use super::*;
use crate::plan::TENSOR_BYTES;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, thread};

/// Limits of what the fields hold, as integers and as floats.
const INTERESTING: [u32; 24] = [
    0,
    1,
    2,
    3,
    7,
    16,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x1ff,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7f80_0000, // infinity
    0xff80_0000, // -infinity
    0x7fc0_0000, // NaN
    0x0000_0fff, // subnormal
    0x3f80_0000, // 1.0
];

/// What a storage fault or an attacker could make of a valid image.
fn mutant(valid: &[Bytes], number: u64) -> Bytes {
    // Neighbours far apart, and none of them 0, of which no other number would come.
    let mut random = Random((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random.next();
    let base = &valid[random.below(valid.len())];
    let image = Image::parse(base.get()).unwrap();
    let at = |part: &[u8]| part.as_ptr().addr() - base.get().as_ptr().addr();
    let (tensors, ops) = (at(image.tensors), at(image.ops));
    let records = HEADER_BYTES..ops + image.ops.len();
    // Commands and wake words end the manifest.
    let manifest = u32::from_le_bytes(*base.get()[field::MANIFEST_LENGTH].first_chunk().unwrap());
    let commands = records.end..HEADER_BYTES + manifest as usize;
    let mut bytes = base.clone();
    for _ in 0..=random.below(3) {
        let region = match random.below(16) {
            0 => 0..HEADER_BYTES,
            1 => 0..bytes.get().len(),
            2..7 => ops..records.end,
            7 if commands.len() > 4 => commands.clone(),
            _ => records.clone(),
        };
        let to = region.start + random.below(region.len() - 4);
        let from = records.start + random.below(records.len() - 2 * TENSOR_BYTES);
        let size = 1 << random.below(3);
        let image = bytes.get_mut();
        match random.below(8) {
            0 | 1 => image[to] ^= 1 << random.below(8),
            2 => image[to] = image[to].wrapping_add([1, 255][random.below(2)]),
            3 | 4 => {
                let value = INTERESTING[random.below(INTERESTING.len())].to_le_bytes();
                image[to..to + size].copy_from_slice(&value[..size]);
            }
            5 => image[to..to + 4].copy_from_slice(&random.next().to_le_bytes()),
            6 => image.copy_within(from..from + size, to),
            _ => {
                let record = |n: usize| tensors + n * TENSOR_BYTES;
                let count = (ops - tensors) / TENSOR_BYTES;
                let [a, b] = [(); 2].map(|()| record(random.below(count)));
                if random.below(2) == 0 {
                    image.copy_within(a..a + TENSOR_BYTES, b);
                } else {
                    (0..TENSOR_BYTES).for_each(|i| image.swap(a + i, b + i));
                }
            }
        }
    }
    if random.below(32) == 0 {
        bytes = Bytes::new(&bytes.get()[..random.below(bytes.get().len())]);
    }
    match random.below(8) {
        0 if bytes.get().len() >= HEADER_BYTES => bytes.repair(),
        _ => repair(&mut bytes),
    }
    bytes
}

#[test]
fn mutants_and_the_fuzz_target_start_from_wake_words_alone_with_commands_and_with_a_step_for_an_npu()
 {
    let kinds = valid().into_iter().filter_map(|bytes| {
        let image = Image::parse(bytes.get()).unwrap();
        image.wake()?;
        Some((image.grammar().commands > 0, image.npu().is_some()))
    });
    let kinds: Vec<_> = kinds.collect();
    for kind in [(true, false), (false, false), (false, true)] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

/// No mutant takes so long, by far, be it in a debug build.
const HANGS: Duration = Duration::from_secs(100);

#[derive(Default)]
struct Counts {
    mutants: u64,
    records: u64,
    operators: u64,
    large: u64,
    ran: u64,
    no_step: u64,
    slowest: (Duration, u64),
}

impl Counts {
    fn add(&mut self, number: u64, outcome: &Outcome, took: Duration) {
        self.mutants += 1;
        self.records += u64::from(!matches!(outcome, Outcome::NoRecords(_)));
        self.operators += u64::from(outcome.reached_operators());
        self.large += u64::from(*outcome == Outcome::Large);
        self.ran += u64::from(matches!(outcome, Outcome::Ran(_)));
        self.no_step += u64::from(*outcome == Outcome::Ran(0));
        self.slowest = self.slowest.max((took, number));
    }

    fn join(self, other: Self) -> Self {
        Self {
            mutants: self.mutants + other.mutants,
            records: self.records + other.records,
            operators: self.operators + other.operators,
            large: self.large + other.large,
            ran: self.ran + other.ran,
            no_step: self.no_step + other.no_step,
            slowest: self.slowest.max(other.slowest),
        }
    }
}

/// `ZERDA_MUTANTS`: how many, or `FROM..TO`, so that one can be tried again.
fn numbers() -> core::ops::Range<u64> {
    let few = if cfg!(debug_assertions) {
        10_000
    } else {
        1_000_000
    };
    let Ok(asked) = env::var("ZERDA_MUTANTS") else {
        return 0..few;
    };
    let number = |text: &str| text.parse().expect("ZERDA_MUTANTS is COUNT or FROM..TO");
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&asked),
    }
}

#[test]
fn mutants_are_refused_or_run() {
    let (numbers, start) = (numbers(), Instant::now());
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let valid = valid();
    assert!(valid.iter().all(|bytes| bytes.get().len() <= 8192));
    let current: Vec<_> = (0..cores).map(|_| AtomicU64::new(u64::MAX)).collect();
    let work = |core: u64| {
        let mut counts = Counts::default();
        for number in numbers.clone().skip(core as usize).step_by(cores as usize) {
            current[core as usize].store(number, Relaxed);
            let start = Instant::now();
            let outcome = try_image(mutant(&valid, number).get());
            counts.add(number, &outcome, start.elapsed());
        }
        counts
    };
    let work = &work;
    let counts = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || work(core)))
            .collect();
        let mut seen = std::vec![(u64::MAX, Instant::now()); workers.len()];
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            for ((worker, current), seen) in workers.iter().zip(&current).zip(&mut seen) {
                let number = current.load(Relaxed);
                if number != seen.0 {
                    *seen = (number, Instant::now());
                } else if !worker.is_finished() && seen.1.elapsed() > HANGS {
                    // A thread that hangs cannot be ended.
                    let _ = writeln!(std::io::stderr(), "mutant {number} hangs");
                    std::process::abort();
                }
            }
        }
        let all = workers.into_iter().zip(&current);
        let all = all.map(|(worker, current)| match worker.join() {
            Ok(counts) => counts,
            Err(_) => {
                let number = current.load(Relaxed);
                panic!("again: ZERDA_MUTANTS={number}..{}", number + 1)
            }
        });
        all.fold(Counts::default(), Counts::join)
    });
    let took = start.elapsed().as_secs_f64();
    let share = |part: u64| 100.0 * part as f64 / counts.mutants as f64;
    // Past the test harness, which shows the output of failing tests only.
    let _ = writeln!(
        std::io::stderr(),
        "{} mutants {numbers:?} in {took:.1} s, {:.0}/s: {:.1} % past the header, {:.1} % to \
         the operators, {:.1} % accepted and run; {} too large to run, {} without a step; \
         longest {:?} (mutant {})",
        counts.mutants,
        counts.mutants as f64 / took,
        share(counts.records),
        share(counts.operators),
        share(counts.ran),
        counts.large,
        counts.no_step,
        counts.slowest.0,
        counts.slowest.1,
    );
    if counts.mutants >= 1000 {
        assert!(
            share(counts.operators) >= 30.0,
            "too few reach the operators"
        );
    }
}
