//! Updates that come over a line that loses bytes, to a flash whose power is cut.

use zerda_firmware::request::{self, Requests};
use zerda_update::header::HEADER_BYTES;
use zerda_update::nor::Nor;
use zerda_update::protocol::{Answer, MAX_REQUEST, Request};
use zerda_update::{
    BLOCK, Factory, IMAGE_OFFSET, Layout, PublicKey, Refusal, SecretKey, Start, Updater,
};

use super::world::World;

pub type Flash = Nor<4096, 32>;

const BOARD: &str = "desk";
const SLOT: u32 = 1 << 20;
const JOURNAL: u32 = 2 * 4096;
/// The version of the image that the device leaves the factory with.
pub const FACTORY: u32 = 1;

/// Returns a flash as it leaves the factory.
pub fn factory(image: &[u8], seed: u64) -> Flash {
    let mut flash = Flash::new((JOURNAL + 2 * SLOT) as usize, seed);
    flash.program((JOURNAL + IMAGE_OFFSET) as usize, image);
    flash
}

/// An update on its way, as the host knows it.
pub struct Transfer {
    update: Vec<u8>,
    version: u32,
    /// Holds why it will be refused, if it is a wrong one.
    refusal: Option<fn(&Refusal) -> bool>,
    next: Next,
    number: u16,
}

#[derive(Clone, Copy)]
enum Next {
    Begin,
    Block(u32),
    Finish,
}

/// The device's side.
pub struct Updates {
    updater: Updater<Flash, PublicKey>,
    requests: Requests,
    /// Says that an image is verified, or the power gone.
    again: bool,
    busy: bool,
    pub on_trial: bool,
}

/// Starts a device, and checks that it starts the right image.
pub fn start(flash: Flash, world: &mut World) -> (Option<Updates>, Option<Start>) {
    let layout = Layout {
        journal: 0..JOURNAL,
        slots: [JOURNAL..JOURNAL + SLOT, JOURNAL + SLOT..JOURNAL + 2 * SLOT],
    };
    let factory = Factory {
        version: FACTORY,
        length: world.image(FACTORY).len() as u32,
        checksum: 1,
    };
    let key = Some(world.key.public());
    let (updater, started) = Updater::start(flash, layout, factory, BOARD, key, |_| true);
    let start = started.as_ref().expect("a device that starts");
    assert!(
        start.version >= world.confirmed,
        "{start:?} after {}",
        world.confirmed
    );
    assert!(updater.flash().range(start.image.clone()) == world.image(start.version));
    assert!(!updater.flash().violation());
    world.counts.starts += 1;
    world.counts.trials += u64::from(start.on_trial);
    world.counts.fell_back += u64::from(start.fell_back);
    if !start.on_trial {
        world.confirmed = start.version;
    }
    let updates = Updates {
        updater,
        requests: Requests::new(),
        again: false,
        busy: world.transfer.is_some(),
        on_trial: start.on_trial,
    };
    (Some(updates), started)
}

impl Updates {
    /// Returns the bytes of the image that was started.
    pub fn image(&self, start: &Start) -> &[u8] {
        self.updater.flash().range(start.image.clone())
    }

    pub fn is_idle(&self) -> bool {
        !self.busy
    }

    pub fn starts_again(&self) -> bool {
        self.again
    }

    pub fn into_flash(self) -> Flash {
        self.updater.into_flash()
    }

    /// Turns the power on, where it was cut.
    pub fn turn_on(&mut self, world: &mut World) {
        let flash = self.updater.flash_mut();
        world.counts.power_cuts += u64::from(flash.is_off());
        flash.turn_on();
    }

    /// Begins an update, unless there is one: a good one, or one that is wrong in some way.
    pub fn begin(&mut self, world: &mut World) {
        if self.busy || self.updater.status().trial.is_some() {
            return;
        }
        world.newest += 1;
        let (mut version, random) = (world.newest, &mut world.random);
        let wrong = random.u8(0..8);
        let cut = (random.u8(0..3) == 0).then(|| random.u64(0..20_000));
        let other = SecretKey::from_seed([7; 32]);
        let mut refusal: Option<fn(&Refusal) -> bool> = None;
        let mut key = &world.key;
        match wrong {
            0 => {
                key = &other;
                refusal = Some(|refusal| matches!(refusal, Refusal::Signature));
            }
            1 => {
                version = world.confirmed;
                refusal = Some(|refusal| matches!(refusal, Refusal::Old { .. }));
            }
            2 => refusal = Some(|refusal| matches!(refusal, Refusal::Damaged)),
            _ => {}
        }
        let mut update = key.sign(world.image(version), version, BOARD);
        if wrong == 2 {
            let at = world.random.usize(HEADER_BYTES..update.len());
            update[at] ^= 1 << world.random.u8(0..8);
        }
        self.updater.flash_mut().cut_after(cut);
        self.busy = true;
        world.transfer = Some(Transfer {
            update,
            version,
            refusal,
            next: Next::Begin,
            number: 0,
        });
    }

    /// Sends the next request; returns the device's answer, unless the request was damaged on its way.
    pub fn next(&mut self, world: &mut World) -> Option<(u16, Answer)> {
        let transfer = world.transfer.as_mut()?;
        let (header, image) = transfer.update.split_at(HEADER_BYTES);
        let request = match transfer.next {
            Next::Begin => Request::Begin { header },
            Next::Block(offset) => {
                let rest = &image[offset as usize..];
                let bytes = &rest[..rest.len().min(BLOCK)];
                Request::Block { offset, bytes }
            }
            Next::Finish => Request::Finish,
        };
        transfer.number = transfer.number.wrapping_add(1);
        let mut buffer = [0; MAX_REQUEST];
        let bytes = request.encode(&mut buffer).expect("it fits");
        let frame = request::Request::Update(bytes).frame(transfer.number);
        let mut frame = frame.expect("it fits").to_vec();
        if world.random.u8(0..100) == 0 {
            let at = world.random.usize(0..frame.len());
            frame[at] ^= 1 << world.random.u8(0..8);
            world.counts.damaged_frames += 1;
        }
        let mut answered = None;
        for byte in frame {
            if let Some((number, request::Request::Update(bytes))) = self.requests.push(byte)
                && let Some(request) = Request::decode(bytes)
            {
                answered = Some((number, self.updater.answer(request, |_| true)));
            }
        }
        let is_ready = matches!(answered, Some((_, Answer::Ready { .. })));
        self.again |= is_ready || self.updater.flash().is_off();
        if is_ready {
            world.hangs = world.random.u8(0..4) == 0;
            world.counts.verified += 1;
        }
        answered.filter(|_| !self.updater.flash().is_off())
    }

    /// Takes an answer as the host does; `None`: it did not come.
    pub fn came(&mut self, answer: Option<Answer>, world: &mut World) {
        let (Some(answer), Some(transfer)) = (answer, world.transfer.as_mut()) else {
            return;
        };
        match answer {
            Answer::Expects { offset } => {
                transfer.next = match (offset as usize) < transfer.update.len() - HEADER_BYTES {
                    true => Next::Block(offset),
                    false => Next::Finish,
                };
                return;
            }
            Answer::Refused(Refusal::NotBegun) => {
                transfer.next = Next::Begin;
                return;
            }
            Answer::Ready { version } => assert_eq!(version, transfer.version),
            // The answer that it is ready was lost.
            Answer::Refused(Refusal::OnTrial { version }) => assert_eq!(version, transfer.version),
            Answer::Refused(Refusal::Old { confirmed, .. }) if confirmed == transfer.version => {
                world.counts.refused += u64::from(transfer.refusal.is_some());
            }
            Answer::Refused(refusal) => {
                let expected = transfer.refusal.expect("a good update is not refused");
                assert!(expected(&refusal), "{refusal:?}");
                world.counts.refused += 1;
            }
            _ => panic!("{answer:?}"),
        }
        world.transfer = None;
        self.busy = false;
        self.updater.flash_mut().cut_after(None);
    }

    /// Tells how long the image ran, which confirms it.
    pub fn ran(&mut self, audio_ms: u32, world: &mut World) {
        if self.updater.flash().is_off() {
            return;
        }
        self.updater.ran(audio_ms).expect("the flash works");
        let version = self.updater.status().version;
        assert!(version >= world.confirmed);
        world.counts.confirmed += u64::from(version > world.confirmed);
        world.confirmed = version;
    }
}
