//! The updater decides which image starts, takes a new one block by block, and confirms it once it ran well.

mod receive;
mod verify;

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::header::{Board, HEADER_BYTES};
use crate::journal::Journal;
use crate::key::Key;
use crate::protocol::{Answer, Request, Status};
use crate::state::{Confirmed, Slot, Spare, State};
use crate::{BLOCK, RECORD_BYTES, Refusal};

/// The number of bytes at the start of a slot that are the header's; the image follows.
pub const IMAGE_OFFSET: u32 = 256;

/// The number of starts that try an image before the device goes back to the one that is confirmed: somebody may pull
/// the plug during a trial, and a watchdog may.
pub const MAX_STARTS: u8 = 3;

/// The length of audio, in ms, that an image recognizes on trial until it is confirmed.
pub const HEALTHY_MS: u32 = 10_000;

/// Says where the parts lie in the flash, as ranges of its addresses, which begin and end with sectors.
///
/// The flash may be two chips behind one implementation of [`NorFlash`]: the spare slot may lie outside.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Holds the journal: two sectors or more.
    pub journal: Range<u32>,
    /// Holds the images, each [`IMAGE_OFFSET`] behind the start of its slot.
    pub slots: [Range<u32>; 2],
}

/// The image that comes with the firmware: it lies in the first slot, without a header.
#[derive(Clone, Copy, Debug)]
pub struct Factory {
    /// The version that it counts as.
    pub version: u32,
    /// The length that the image has, in bytes.
    pub length: u32,
    /// A checksum that tells the image from others. A journal that was written with another one is that of another firmware, and does not
    /// count.
    pub checksum: u32,
}

/// Says which image starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The slot in which the image lies.
    pub slot: Slot,
    /// The addresses that the image has in the flash.
    pub image: Range<u32>,
    /// The version that the image has.
    pub version: u32,
    /// Says that the image is on trial: [`Updater::ran`] confirms it.
    pub on_trial: bool,
    /// Says that an image was given up, which did not run well in [`MAX_STARTS`] starts or is damaged.
    pub fell_back: bool,
}

/// Keeps a device's images up to date. `F` is the flash and `K` the public key.
#[derive(Clone, Debug)]
pub struct Updater<F, K> {
    pub(crate) flash: F,
    layout: Layout,
    factory: Factory,
    key: Option<K>,
    pub(crate) board: Board,
    journal: Option<Journal>,
    state: State,
    /// Says that the start may act on the state as it was read.
    firm: bool,
    /// Holds what is received, and how many bytes of it are there.
    session: Option<Session>,
}

/// An update of which parts come.
#[derive(Clone, Copy, Debug)]
struct Session {
    header: [u8; HEADER_BYTES],
    length: u32,
    version: u32,
    received: u32,
}

impl<F: NorFlash, K: Key> Updater<F, K> {
    /// Finds out what starts, and writes down if that is a trial; `None` if no image can be used, though one may still be
    /// received.
    ///
    /// `usable` says whether the firmware can run the image at these addresses (`Image::parse`, and whether it fits the
    /// memory). Without a key nothing is read or written, and the factory's image starts.
    pub fn start(
        flash: F,
        layout: Layout,
        factory: Factory,
        board: &str,
        key: Option<K>,
        mut usable: impl FnMut(Range<u32>) -> bool,
    ) -> (Self, Option<Start>) {
        const {
            assert!(
                RECORD_BYTES.is_multiple_of(F::WRITE_SIZE),
                "writes of 32 bytes at most"
            );
            assert!(
                RECORD_BYTES.is_multiple_of(F::READ_SIZE),
                "reads of 32 bytes at most"
            );
            assert!(
                F::ERASE_SIZE >= IMAGE_OFFSET as usize,
                "sectors of 256 bytes at least"
            );
            assert!(
                F::ERASE_SIZE.is_multiple_of(BLOCK),
                "sectors of whole blocks"
            );
        }
        let mut updater = Self {
            flash,
            layout,
            factory,
            key,
            board: Board::named::<K>(board),
            journal: None,
            state: State::factory(factory.version),
            firm: true,
            session: None,
        };
        if updater.key.is_some() {
            updater.open();
        }
        let on_trial = matches!(updater.state.spare, Spare::Trial { .. });
        let trial = updater.next_trial(&mut usable);
        let start = trial.or_else(|| updater.confirmed(&mut usable));
        let start = start.map(|start| Start {
            fell_back: on_trial && !start.on_trial,
            ..start
        });
        (updater, start)
    }

    /// Reads the newest state from the journal. A flash that cannot be read leaves the factory's state, and updates are refused.
    fn open(&mut self) {
        let range = self.layout.journal.clone();
        if let Ok((journal, found)) = Journal::open(&mut self.flash, range, self.factory.checksum) {
            self.journal = Some(journal);
            self.state = found.state.unwrap_or(self.state);
            self.firm = found.firm;
        }
    }

    /// Returns the image on trial, if there is one to be tried again, and writes that down, or that there is none.
    fn next_trial(&mut self, usable: &mut impl FnMut(Range<u32>) -> bool) -> Option<Start> {
        let mut state = self.state;
        let mut trial = None;
        if let Spare::Trial { version, starts } = state.spare {
            state.spare = Spare::Empty;
            let slot = state.spare_slot();
            let image = match starts < MAX_STARTS {
                true => self.verified(slot, version),
                false => None,
            };
            if let Some(image) = image.filter(|image| usable(image.clone())) {
                let starts = starts.saturating_add(1);
                state.spare = Spare::Trial { version, starts };
                trial = Some(Start {
                    slot,
                    image,
                    version,
                    on_trial: true,
                    fell_back: false,
                });
            }
        }
        if (state != self.state || !self.firm) && self.write_down(state).is_err() {
            // A start that is not written down could be tried for ever.
            self.state.spare = Spare::Empty;
            return None;
        }
        trial
    }

    /// Returns the image that is confirmed, if it is still whole.
    fn confirmed(&mut self, usable: &mut impl FnMut(Range<u32>) -> bool) -> Option<Start> {
        let version = self.state.version;
        let (slot, image) = match self.state.confirmed {
            Confirmed::Factory => {
                let start = self.slot(Slot::First).start.saturating_add(IMAGE_OFFSET);
                (
                    Slot::First,
                    start..start.saturating_add(self.factory.length),
                )
            }
            Confirmed::Update(slot) => (slot, self.verified(slot, version)?),
        };
        usable(image.clone()).then_some(Start {
            slot,
            image,
            version,
            on_trial: false,
            fell_back: false,
        })
    }

    /// Tells that the image recognized so much audio, in ms, since it started. One that is on trial is confirmed after
    /// [`HEALTHY_MS`] of it, which may write to the flash.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::Flash`] if that could not be written down; the next call tries again.
    pub fn ran(&mut self, audio_ms: u32) -> Result<(), Refusal> {
        match self.state.spare {
            Spare::Trial { version, starts } if starts > 0 && audio_ms >= HEALTHY_MS => self
                .write_down(State {
                    confirmed: Confirmed::Update(self.state.spare_slot()),
                    version,
                    spare: Spare::Empty,
                }),
            _ => Ok(()),
        }
    }

    /// Answers a request of the host. After [`Answer::Ready`] the device starts again when it suits it.
    pub fn answer(
        &mut self,
        request: Request<'_>,
        usable: impl FnMut(Range<u32>) -> bool,
    ) -> Answer {
        let answer = match request {
            _ if self.key.is_none() => Err(Refusal::Off),
            Request::Status => Ok(Answer::Status(self.status())),
            Request::Begin { header } => self.begin(header),
            Request::Block { offset, bytes } => self.block(offset, bytes),
            Request::Finish => self.finish(usable),
        };
        answer.unwrap_or_else(Answer::Refused)
    }

    /// Returns what the device runs.
    pub fn status(&self) -> Status {
        Status {
            board: self.board,
            version: self.state.version,
            trial: match self.state.spare {
                Spare::Trial { version, .. } => Some(version),
                Spare::Empty | Spare::Receiving { .. } => None,
            },
        }
    }

    /// Appends a state to the journal.
    fn write_down(&mut self, state: State) -> Result<(), Refusal> {
        let journal = self.journal.as_mut().ok_or(Refusal::Flash)?;
        let written = journal.append(&mut self.flash, state);
        written.map_err(|_| Refusal::Flash)?;
        self.state = state;
        Ok(())
    }

    fn slot(&self, slot: Slot) -> Range<u32> {
        self.layout
            .slots
            .get(slot.index())
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the flash that it works on.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// Returns the flash that it works on, whose other parts may hold something else.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Returns the flash, and gives up the updater.
    pub fn into_flash(self) -> F {
        self.flash
    }
}
