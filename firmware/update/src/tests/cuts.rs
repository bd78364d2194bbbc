//! The power is cut at every operation of an update, and again while the device recovers.

use super::*;
use std::println;

/// The devices that are tried after each cut, with different chance.
const SEEDS: u64 = 4;

/// What came of many cuts.
#[derive(Default)]
struct Outcomes {
    cuts: u64,
    later_cuts: u64,
    starts: u64,
    trials: u64,
    unbootable: u64,
    rollbacks: u64,
}

/// One life of a device, until its power goes or it has nothing more to do: it starts, confirms an image on trial, and
/// else takes an update, if that is newer.
fn live(flash: Flash, update: &[u8], version: u32) -> (Flash, Option<Start>) {
    let (mut device, started) = start(flash);
    match &started {
        Some(started) if started.on_trial => device.ran(HEALTHY_MS).unwrap_or_default(),
        Some(started) if started.version < version => {
            send(&mut device, update);
        }
        _ => {}
    }
    (device.flash, started)
}

/// Counts the operations of a whole update, from start to confirmation.
fn operations(flash: &Flash, update: &[u8], version: u32) -> u64 {
    let before = flash.operations();
    let mut flash = flash.clone();
    for _ in 0..2 {
        flash = live(flash, update, version).0;
    }
    let operations = flash.operations() - before;
    let (_, started) = start(flash);
    let started = started.unwrap();
    assert_eq!((started.version, started.on_trial), (version, false));
    operations
}

/// Cuts the power at one operation, and a few times more while the device recovers, until the update is confirmed.
fn cut(outcomes: &mut Outcomes, mut flash: Flash, at: u64, update: &[u8], version: u32) {
    let mut confirmed = version - 1;
    flash.cut_after(Some(at));
    let mut later = [3, 0, 1, 7, 40].into_iter();
    for _ in 0..20 {
        let (after, started) = live(flash, update, version);
        flash = after;
        assert!(
            !flash.violation(),
            "operation {at}: a word was written twice"
        );
        if let Some(started) = &started {
            outcomes.starts += 1;
            outcomes.trials += u64::from(started.on_trial);
            outcomes.rollbacks += u64::from(started.version < confirmed);
            let whole = flash.range(started.image.clone()) == image(started.version)
                && flash.is_firm(started.image.clone());
            outcomes.unbootable += u64::from(!whole);
            if !started.on_trial {
                confirmed = confirmed.max(started.version);
            }
            if confirmed == version {
                return;
            }
        }
        if !flash.is_off() {
            outcomes.unbootable += u64::from(started.is_none());
            continue;
        }
        outcomes.cuts += 1;
        flash.turn_on();
        if let Some(operations) = later.next().filter(|_| !at.is_multiple_of(3)) {
            outcomes.later_cuts += 1;
            flash.cut_after(Some(operations + at % 5));
        }
    }
    panic!("operation {at}: the update was never confirmed");
}

#[test]
fn after_a_cut_at_any_operation_a_whole_image_starts_and_none_older_than_the_confirmed_one() {
    for version in [2, 3, 4] {
        let flash = updated(2..version);
        let update = update(version);
        let operations = operations(&flash, &update, version);
        let mut outcomes = Outcomes::default();
        for at in 0..operations {
            for seed in 0..SEEDS {
                let flash = flash.with_seed(at * SEEDS + seed);
                cut(&mut outcomes, flash, at, &update, version);
            }
        }
        let Outcomes {
            cuts,
            later_cuts,
            starts,
            trials,
            unbootable,
            rollbacks,
        } = outcomes;
        println!(
            "version {version}: {operations} operations of a whole update, each cut {SEEDS} times: {cuts} cuts with \
             {later_cuts} during recovery, {starts} starts of which {trials} on trial, {unbootable} unbootable, \
             {rollbacks} rollbacks"
        );
        assert!(operations > 400 && cuts > operations * SEEDS && trials > 0);
        assert_eq!((unbootable, rollbacks), (0, 0));
    }
}

/// The sentence above must be able to fail: a device that trusted a slot without reading it would start this.
#[test]
fn a_write_that_was_cut_short_leaves_a_slot_that_does_not_verify() {
    let mut flash = updated(2..3);
    let update = update(3);
    let all = operations(&flash, &update, 3);
    flash.cut_after(Some(all / 2));
    let (mut flash, _) = live(flash, &update, 3);
    assert!(flash.is_off());
    flash.turn_on();
    let (mut device, _) = start(flash);
    assert_eq!(device.verified(crate::Slot::First, 3), None);
}
