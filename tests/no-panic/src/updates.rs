//! All of zerda-update that a device calls, on a flash of which the compiler knows nothing, and with a key that is a stub:
//! the crate's page says why what computes Ed25519 is exempt.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use zerda_firmware::request::{self, Answer, Requests};
use zerda_firmware::telemetry::{Report, encode};
use zerda_update::protocol::{MAX_ANSWER, Request};
use zerda_update::{Factory, Key, Layout, Updater};

use crate::hardware;

struct Flash;

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

fn outcome(value: usize) -> Result<(), NorFlashErrorKind> {
    match hardware(value) {
        0 => Err(NorFlashErrorKind::Other),
        _ => Ok(()),
    }
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        bytes.fill(hardware(offset as usize) as u8);
        outcome(30)
    }

    fn capacity(&self) -> usize {
        hardware(31)
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        outcome(from as usize ^ to as usize)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let sum: usize = bytes.iter().map(|&byte| usize::from(byte)).sum();
        outcome(offset as usize ^ sum)
    }
}

#[cfg(not(feature = "ed25519"))]
struct Stub;

#[cfg(not(feature = "ed25519"))]
impl Key for Stub {
    type Hash = usize;

    fn absorb(hash: &mut usize, bytes: &[u8]) {
        *hash ^= hardware(bytes.iter().map(|&byte| usize::from(byte)).sum());
    }

    fn digest(hash: usize) -> [u8; 64] {
        [hardware(hash) as u8; 64]
    }

    fn signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let bytes = bytes.iter().chain(signature);
        hardware(bytes.map(|&byte| usize::from(byte)).sum()) > 0
    }
}

#[cfg(not(feature = "ed25519"))]
fn key() -> impl Key {
    Stub
}

/// What is exempt: with it, the proof fails.
#[cfg(feature = "ed25519")]
fn key() -> impl Key {
    zerda_update::PublicKey([hardware(40) as u8; 32])
}

/// Starts a device's updater and answers requests.
pub fn update() {
    let layout = Layout {
        journal: hardware(32) as u32..hardware(33) as u32,
        slots: [(); 2].map(|()| hardware(34) as u32..hardware(35) as u32),
    };
    let factory = Factory {
        version: hardware(36) as u32,
        length: hardware(37) as u32,
        checksum: hardware(38) as u32,
    };
    let key = (hardware(39) > 0).then(key);
    let usable = |image: core::ops::Range<u32>| hardware((image.start ^ image.end) as usize) > 0;
    let (mut updater, start) = Updater::start(Flash, layout, factory, "board", key, usable);
    core::hint::black_box(start);
    let mut requests = Requests::new();
    while let Ok(byte) = u8::try_from(hardware(41)) {
        if let Some((number, request::Request::Update(bytes))) = requests.push(byte)
            && let Some(request) = Request::decode(bytes)
        {
            let answer = updater.answer(request, usable);
            let mut bytes = [0; MAX_ANSWER];
            let answer = Answer::Update(answer.encode(&mut bytes));
            core::hint::black_box(encode(0, &Report::Answer { number, answer }));
        }
        core::hint::black_box(updater.ran(hardware(42) as u32)).ok();
    }
}
