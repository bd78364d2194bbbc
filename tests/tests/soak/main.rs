//! The whole application runs for a long time on hardware that fails in every way, from a seed: each fault is survived, and
//! after each the detections are those of a fresh run.
//!
//! `ZERDA_SOAK_HOURS` says how long, in hours of audio; without it it is a minute. Faults, and what is heard, follow from
//! `ZERDA_SOAK_SEED`.

mod audio;
mod device;
mod hardware;
mod update;
mod world;

use std::time::Instant;
use std::{env, fs};

use world::World;

fn number(name: &str, default: f64) -> f64 {
    let Ok(text) = env::var(name) else {
        return default;
    };
    let number = text.parse().ok().filter(|number| *number >= 0.0);
    number.unwrap_or_else(|| panic!("{name}={text}: expected a number"))
}

/// The memory that this process has, in KiB, where the system says so.
fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn the_application_survives_every_fault_and_detects_afterwards_what_a_fresh_run_does() {
    let hours = number("ZERDA_SOAK_HOURS", 1.0 / 60.0);
    let seed = number("ZERDA_SOAK_SEED", 1.0) as u64;
    let (start, ticks) = (Instant::now(), (hours * 360_000.0).round() as u64);
    let mut world = World::new(seed);
    // A tenth is enough for all buffers to have their size.
    world.run_until(ticks / 10);
    let before = resident_kib();
    while world.tick() < ticks {
        world.run_until(ticks.min(world.tick() + 360_000));
        if hours >= 1.0 {
            println!(
                "{:.1} h after {:.0} s: {}",
                world.tick() as f64 / 360_000.0,
                start.elapsed().as_secs_f64(),
                world.counts()
            );
        }
    }
    let after = resident_kib();
    println!(
        "soak of {:.2} h of audio, {}, from seed {seed}, in {:.1} s: {}; memory {} KiB at a tenth, {} at the end",
        hours,
        world.what_is_heard(),
        start.elapsed().as_secs_f64(),
        world.counts(),
        before.unwrap_or(0),
        after.unwrap_or(0),
    );
    world.counts().assert_all_survived();
    if let (Some(before), Some(after)) = (before, after) {
        assert!(
            after < before + 4096,
            "memory grew from {before} to {after} KiB"
        );
    }
}
