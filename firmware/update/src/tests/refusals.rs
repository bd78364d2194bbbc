//! Each wrong update is refused with a reason that says what is wrong, and nothing of it starts.

use super::*;
use crate::header::field;
use crate::protocol::Status;
use crate::{Refusal, header::Board};

/// What a device that runs version 2 answers to an update, and what starts afterwards.
fn answer(update: &[u8]) -> Answer {
    let (mut device, _) = start(updated(2..3));
    let answer = send(&mut device, update);
    let (device, started) = start(device.flash);
    let started = started.unwrap();
    assert_eq!((started.version, started.on_trial), (2, false));
    assert_eq!(device.flash.range(started.image), image(2));
    answer
}

fn refused(update: &[u8]) -> Refusal {
    match answer(update) {
        Answer::Refused(refusal) => refusal,
        taken => panic!("{taken:?}"),
    }
}

#[test]
fn another_key_another_board_and_an_old_version_are_refused_before_anything_is_erased() {
    let other = new_key().sign(&image(3), 3, BOARD);
    let board = KEY.sign(&image(3), 3, "kitchen");
    for (update, refusal) in [
        (other, Refusal::Signature),
        (board, Refusal::Board),
        (
            update(2),
            Refusal::Old {
                version: 2,
                confirmed: 2,
            },
        ),
        (
            update(1),
            Refusal::Old {
                version: 1,
                confirmed: 2,
            },
        ),
    ] {
        assert_eq!(refused(&update), refusal);
        let (mut device, _) = start(updated(2..3));
        let before = device.flash.operations();
        send(&mut device, &update);
        assert_eq!(device.flash.operations(), before);
    }
}

#[test]
fn a_truncated_update_is_refused_with_what_is_there_and_what_was_expected() {
    let update = update(3);
    let image = &update[HEADER_BYTES..];
    let (mut device, _) = start(updated(2..3));
    let header = &update[..HEADER_BYTES];
    device.answer(Request::Begin { header }, |_| true);
    for (number, bytes) in (0..9).zip(image.chunks(BLOCK)) {
        let offset = number * BLOCK as u32;
        device.answer(Request::Block { offset, bytes }, |_| true);
    }
    let answer = device.answer(Request::Finish, |_| true);
    let (received, length) = (9 * BLOCK as u32, image.len() as u32);
    assert_eq!(
        answer,
        Answer::Refused(Refusal::Truncated { received, length })
    );
    for cut in [0, 1, HEADER_BYTES - 1] {
        let header = &update[..cut];
        let answer = device.answer(Request::Begin { header }, |_| true);
        assert_eq!(answer, Answer::Refused(Refusal::NotAnUpdate));
    }
}

#[test]
fn a_bit_that_flipped_anywhere_is_found() {
    let update = update(3);
    for bit in (0..HEADER_BYTES * 8).step_by(7) {
        let mut update = update.clone();
        update[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            byte if field::MAGIC.contains(&byte) => [Refusal::NotAnUpdate; 2],
            byte if byte < 8 || field::RESERVED.contains(&byte) => {
                let found = u16::from_le_bytes([update[4], update[5]]);
                [Refusal::Format { found }; 2]
            }
            _ => [Refusal::Signature; 2],
        };
        assert!(expected.contains(&refused(&update)), "bit {bit}");
    }
    for byte in (HEADER_BYTES..update.len()).step_by(97) {
        let mut update = update.clone();
        update[byte] ^= 0x10;
        assert_eq!(refused(&update), Refusal::Damaged, "byte {byte}");
    }
}

#[test]
fn an_image_that_does_not_fit_or_cannot_run_is_refused() {
    let room = SLOT - IMAGE_OFFSET;
    let long = KEY.sign(&std::vec![0; room as usize + 1], 3, BOARD);
    let length = room + 1;
    assert_eq!(refused(&long), Refusal::TooLong { length, room });
    let exact = KEY.sign(&std::vec![0; room as usize], 3, BOARD);
    let (mut device, _) = start(updated(2..3));
    assert_eq!(send(&mut device, &exact), Answer::Ready { version: 3 });

    let (mut device, _) = start(updated(2..3));
    let update = update(3);
    let (header, image) = update.split_at(HEADER_BYTES);
    device.answer(Request::Begin { header }, |_| true);
    for (number, bytes) in (0..).zip(image.chunks(BLOCK)) {
        let offset = number * BLOCK as u32;
        device.answer(Request::Block { offset, bytes }, |_| true);
    }
    let answer = device.answer(Request::Finish, |_| false);
    assert_eq!(answer, Answer::Refused(Refusal::Unusable));
    let (_, started) = start(device.flash);
    assert_eq!(started.unwrap().version, 2);
}

#[test]
fn while_an_image_is_on_trial_no_other_is_taken_and_the_status_says_which() {
    let (mut device, _) = start(updated(2..3));
    send(&mut device, &update(3));
    let (mut device, _) = start(device.flash);
    let status = Answer::Status(Status {
        board: Board::named::<PublicKey>(BOARD),
        version: 2,
        trial: Some(3),
    });
    assert_eq!(device.answer(Request::Status, |_| true), status);
    let refusal = Refusal::OnTrial { version: 3 };
    assert_eq!(send(&mut device, &update(4)), Answer::Refused(refusal));
    device.ran(HEALTHY_MS).unwrap();
    assert_eq!(send(&mut device, &update(4)), Answer::Ready { version: 4 });
}

#[test]
fn without_a_key_updates_are_off_and_the_flash_is_left_alone() {
    let layout = Layout {
        journal: JOURNAL,
        slots: SLOTS,
    };
    let (mut device, started) =
        Updater::<_, PublicKey>::start(fresh(1), layout, factory(), BOARD, None, |_| true);
    assert_eq!(started.unwrap().version, FACTORY);
    let update = update(2);
    let header = &update[..HEADER_BYTES];
    for request in [Request::Status, Request::Begin { header }, Request::Finish] {
        let answer = device.answer(request, |_| true);
        assert_eq!(answer, Answer::Refused(Refusal::Off));
    }
    assert_eq!(device.flash.operations(), 0);
}

#[test]
fn a_confirmed_image_that_rots_is_not_started_and_a_new_one_still_is_taken() {
    let mut flash = updated(2..3);
    let middle = SLOTS[1].start as usize + 1000;
    flash.program(middle, &[0; 8]);
    let (mut device, started) = start(flash);
    assert_eq!(started, None);
    assert_eq!(send(&mut device, &update(3)), Answer::Ready { version: 3 });
    let (_, started) = start(device.flash);
    assert_eq!(started.unwrap().version, 3);
}

/// The test vector 2 of RFC 8032, section 7.1, as another implementation than ours signed it.
#[test]
fn signatures_are_those_of_the_rfc() {
    use crate::Key;
    let key = b"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\n";
    let key = PublicKey::parse(key).unwrap();
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let byte = |at: usize| u8::from_str_radix(&signature[at..at + 2], 16).unwrap();
    let mut signature: [u8; 64] = core::array::from_fn(|index| byte(2 * index));
    assert!(key.signed(&[0x72], &signature));
    assert!(!key.signed(&[0x73], &signature));
    signature[40] ^= 1;
    assert!(!key.signed(&[0x72], &signature));
    for text in ["", "3d40", &"3g".repeat(32), &"3d".repeat(33)] {
        assert_eq!(PublicKey::parse(text.as_bytes()), None);
    }
}
