//! Updates on a model of flash, whose power is cut.

mod cuts;
mod mutants;
mod refusals;

use std::ops::Range;
use std::sync::LazyLock;
use std::vec::Vec;

use embedded_storage::nor_flash::NorFlash;

use crate::header::HEADER_BYTES;
use crate::nor::Nor;
use crate::protocol::{Answer, Request};
use crate::{
    BLOCK, Factory, HEALTHY_MS, IMAGE_OFFSET, Layout, PublicKey, SecretKey, Start, Updater,
};

/// A flash of small sectors, so that whole updates are quick.
type Flash = Nor<512, 8>;
type Device = Updater<Flash, PublicKey>;

const BOARD: &str = "desk";
const SLOT: u32 = 8 * 512;
const JOURNAL: Range<u32> = 0..2 * 512;
const SLOTS: [Range<u32>; 2] = [1024..1024 + SLOT, 1024 + SLOT..1024 + 2 * SLOT];
const FLASH: usize = 1024 + 2 * SLOT as usize;
/// The version that the factory's image counts as.
const FACTORY: u32 = 1;

static KEY: LazyLock<SecretKey> = LazyLock::new(new_key);

/// A key of its own for each run.
fn new_key() -> SecretKey {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    SecretKey::from_seed(seed)
}

/// The image of a version: no two have much in common.
fn image(version: u32) -> Vec<u8> {
    let length = 2900 + 64 * version as usize % 400;
    let mut state = version.wrapping_mul(0x9e37_79b9) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(byte).collect()
}

fn update(version: u32) -> Vec<u8> {
    KEY.sign(&image(version), version, BOARD)
}

fn factory() -> Factory {
    Factory {
        version: FACTORY,
        length: image(FACTORY).len() as u32,
        checksum: 0x1234_5678,
    }
}

/// A flash as it leaves the factory.
fn fresh(seed: u64) -> Flash {
    let mut flash = Flash::new(FLASH, seed);
    let image = image(FACTORY);
    flash.program((SLOTS[0].start + IMAGE_OFFSET) as usize, &image);
    flash
}

fn start(flash: Flash) -> (Device, Option<Start>) {
    let layout = Layout {
        journal: JOURNAL,
        slots: SLOTS,
    };
    let key = Some(KEY.public());
    Updater::start(flash, layout, factory(), BOARD, key, |_| true)
}

/// Sends an update to its end, as a host does, and returns the last answer.
fn send(device: &mut Device, update: &[u8]) -> Answer {
    let (header, image) = update.split_at(HEADER_BYTES);
    let mut answer = device.answer(Request::Begin { header }, |_| true);
    while let Answer::Expects { offset } = answer {
        let rest = &image[offset as usize..];
        let bytes = &rest[..rest.len().min(BLOCK)];
        answer = match bytes.is_empty() {
            true => return device.answer(Request::Finish, |_| true),
            false => device.answer(Request::Block { offset, bytes }, |_| true),
        };
    }
    answer
}

/// Starts a device, and confirms an image that is on trial.
fn start_well(flash: Flash) -> (Device, Start) {
    let (mut device, started) = start(flash);
    device.ran(HEALTHY_MS).unwrap();
    (device, started.unwrap())
}

/// A flash on which updates were confirmed, one after the other.
fn updated(versions: Range<u32>) -> Flash {
    let mut flash = fresh(7);
    for version in versions {
        let (mut device, _) = start_well(flash);
        assert_eq!(
            send(&mut device, &update(version)),
            Answer::Ready { version }
        );
        flash = start_well(device.flash).0.flash;
    }
    flash
}

#[test]
fn an_update_is_received_tried_and_confirmed_and_both_slots_take_turns() {
    let mut flash = fresh(1);
    for version in [2, 3, 7, 8] {
        let (mut device, before) = start(flash);
        let before = before.unwrap();
        assert!(!before.on_trial && before.version < version);
        assert_eq!(
            send(&mut device, &update(version)),
            Answer::Ready { version }
        );
        let (mut device, trial) = start(device.flash);
        let trial = trial.unwrap();
        assert!(trial.on_trial && trial.version == version && trial.slot != before.slot);
        assert_eq!(device.flash.range(trial.image.clone()), image(version));
        // It is not confirmed before it ran well.
        device.ran(HEALTHY_MS - 1).unwrap();
        assert_eq!(device.status().version, before.version);
        device.ran(HEALTHY_MS).unwrap();
        assert_eq!(device.status().version, version);
        assert!(!device.flash.violation());
        flash = device.flash;
    }
}

#[test]
fn an_image_that_never_runs_well_is_given_up_after_three_starts() {
    let (mut device, _) = start(updated(2..3));
    assert_eq!(send(&mut device, &update(3)), Answer::Ready { version: 3 });
    let mut flash = device.flash;
    for _ in 0..3 {
        let (device, trial) = start(flash);
        assert!(trial.unwrap().on_trial);
        flash = device.flash;
    }
    let (mut device, back) = start(flash);
    let back = back.unwrap();
    assert_eq!(
        (back.version, back.on_trial, back.fell_back),
        (2, false, true)
    );
    assert_eq!(device.flash.range(back.image), image(2));
    // A later version is taken, and so is the same one.
    assert_eq!(send(&mut device, &update(3)), Answer::Ready { version: 3 });
}

#[test]
fn an_update_goes_on_where_the_line_broke_and_at_a_sector_after_the_power_went() {
    let update = update(2);
    let (header, image) = update.split_at(HEADER_BYTES);
    let (mut device, _) = start(fresh(3));
    for (number, bytes) in (0..10).zip(image.chunks(BLOCK)) {
        let begun = device.answer(Request::Begin { header }, |_| true);
        let offset = number * BLOCK as u32;
        assert_eq!(begun, Answer::Expects { offset });
        let next = Answer::Expects {
            offset: offset + BLOCK as u32,
        };
        // An answer was lost: it comes twice, and the block before it, too.
        for _ in 0..2 {
            let answer = device.answer(Request::Block { offset, bytes }, |_| true);
            assert_eq!(answer, next);
        }
    }
    let (mut device, _) = start(device.flash);
    let refused = device.answer(Request::Finish, |_| true);
    assert_eq!(refused, Answer::Refused(crate::Refusal::NotBegun));
    // The third sector of 512 bytes had begun when the power went, and the header's 256 are no part of the image.
    let begun = device.answer(Request::Begin { header }, |_| true);
    assert_eq!(
        begun,
        Answer::Expects {
            offset: 2 * 512 - 256
        }
    );
    assert_eq!(send(&mut device, &update), Answer::Ready { version: 2 });
    assert!(!device.flash.violation());
}

#[test]
fn a_flash_with_the_journal_of_another_firmware_starts_the_image_that_came_with_this_one() {
    let flash = updated(2..4);
    let factory = Factory {
        checksum: !factory().checksum,
        ..factory()
    };
    let layout = Layout {
        journal: JOURNAL,
        slots: SLOTS,
    };
    let mut other = flash;
    // It was flashed with its own image.
    let bytes = image(FACTORY);
    let Range { start, end } = SLOTS[0];
    other.erase(start, end).unwrap();
    other.program((SLOTS[0].start + IMAGE_OFFSET) as usize, &bytes);
    let key = Some(KEY.public());
    let (mut device, started) = Updater::start(other, layout, factory, BOARD, key, |_| true);
    let started = started.unwrap();
    assert_eq!((started.version, started.on_trial), (FACTORY, false));
    assert_eq!(send(&mut device, &update(2)), Answer::Ready { version: 2 });
}
