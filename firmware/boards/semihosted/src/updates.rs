//! What the host asks of these boards over the serial line, and updates of the image.

use core::ops::Range;

use zerda_firmware::Image;
use zerda_firmware::app::App;
use zerda_firmware::recovery::Recover;
use zerda_firmware::request::{self, Request, Requests};
use zerda_update::protocol::{self, Answer, MAX_ANSWER};
use zerda_update::{Factory, IMAGE_OFFSET, Layout, PublicKey, Updater};

use crate::counting::Counting;
use crate::failing::Failing;
use crate::nor::Nor;
use crate::outside::{Led, Uart};
use crate::{Core, Machine, Message, message};

/// The version that the image counts as which comes with the firmware.
const FACTORY: u32 = 1;
/// The number of looks at a silent line for which audio waits once a request came: it comes from a file, which loses none.
const PATIENCE: u32 = 100_000;
/// The number of looks at a silent line, at the end of the audio, until a host that follows a trial is taken for gone.
const FAREWELL: u32 = 10_000_000;

/// Says where a board has the flash that updates write, and which key signs them. The flash begins with the slot of the
/// image that comes with the firmware; the other one follows, then the journal.
#[derive(Clone, Copy)]
pub struct Updates {
    /// Names the board, as its folder.
    pub board: &'static str,
    /// Holds the public key that belongs to the one that signs.
    pub key: PublicKey,
    /// The number of bytes that a slot has.
    pub slot: u32,
    /// The number of bytes that the journal has.
    pub journal: u32,
}

/// The application of these boards.
pub type Application<'a, M> = App<'a, Counting<M>, Led<M>, Uart<M>, Core<M>>;

/// Answers what the host asks.
pub struct Desk<M> {
    requests: Requests,
    updater: Option<Updater<Nor, PublicKey>>,
    /// The address at which the flash begins.
    flash: usize,
    /// The number of bytes that an image may take for caches and arena.
    memory: usize,
    /// Says that the image was on trial when it started.
    tried: bool,
    machine: core::marker::PhantomData<M>,
}

impl<M: Machine> Desk<M> {
    /// Makes a desk without updates.
    pub fn new(memory: usize) -> Self {
        Self {
            requests: Requests::new(),
            updater: None,
            flash: 0,
            memory,
            tried: false,
            machine: core::marker::PhantomData,
        }
    }

    /// Starts updates, and returns the image that runs: the one that came with the firmware, which lies in the first slot, or
    /// an update. `file` keeps the flash.
    #[inline(never)] // its messages leave the stack
    pub fn start(
        &mut self,
        updates: Updates,
        image: &'static [u8],
        file: Option<&str>,
    ) -> Result<&'static [u8], Message> {
        let slot = |number: u32| number * updates.slot..(number + 1) * updates.slot;
        let layout = Layout {
            journal: slot(2).start..slot(2).start + updates.journal,
            slots: [slot(0), slot(1)],
        };
        self.flash = image.as_ptr().expose_provenance() - IMAGE_OFFSET as usize;
        // SAFETY: memory.x has the slots and the journal there, one after the other, and the linker puts the image in the
        // first one and nothing else.
        let flash = unsafe { Nor::new(self.flash, layout.journal.end as usize, file) }?;
        let length = image.len();
        let of_factory = read(self.flash, IMAGE_OFFSET..IMAGE_OFFSET + length as u32);
        let factory = Factory {
            version: FACTORY,
            length: length as u32,
            checksum: Image::parse(of_factory).map_or(0, |image| image.checksum()),
        };
        let usable = usable(self.flash, self.memory);
        let key = Some(updates.key);
        let (updater, start) = Updater::start(flash, layout, factory, updates.board, key, usable);
        let start =
            start.ok_or_else(|| message(format_args!("flash: holds no image that can run")))?;
        defmt::info!(
            "version {=u32}{=str}",
            start.version,
            if start.on_trial { ", on trial" } else { "" }
        );
        self.tried = start.on_trial;
        self.updater = Some(updater);
        Ok(read(self.flash, start.image))
    }

    /// Answers what came over the line. With `waits` audio waits while a host asks one thing after the other.
    pub fn serve(&mut self, app: &mut Application<'_, M>, waits: bool) {
        let patience = if waits { PATIENCE } else { 0 };
        let mut left = 0;
        loop {
            match M::receive() {
                Some(byte) => {
                    self.take(app, byte);
                    left = patience;
                }
                None if left == 0 => return,
                None => left -= 1,
            }
        }
    }

    /// Waits at the end of the audio for a host that follows a trial and asks how that ended.
    pub fn end(&mut self, app: &mut Application<'_, M>) {
        let mut looks = if self.tried { FAREWELL } else { 0 };
        while looks > 0 {
            looks -= 1;
            if M::receive().is_some_and(|byte| self.take(app, byte)) {
                return;
            }
        }
    }

    /// Takes a byte of the line, and says whether it ended a request, which is answered then.
    fn take(&mut self, app: &mut Application<'_, M>, byte: u8) -> bool {
        let Some((number, request)) = self.requests.push(byte) else {
            return false;
        };
        // Without a key nothing of updates is linked.
        let updater = self.updater.as_mut().filter(|_| M::UPDATES.is_some());
        match (request, updater) {
            (Request::Update(bytes), Some(updater)) => {
                let request = protocol::Request::decode(bytes);
                let usable = usable(self.flash, self.memory);
                let answer = request.map(|request| updater.answer(request, usable));
                let mut bytes = [0; MAX_ANSWER];
                let said = answer.map(|answer| answer.encode(&mut bytes));
                let said = said.map_or(request::Answer::Unserved, |said| {
                    request::Answer::Update(said)
                });
                app.report_answer(number, said);
                if let Some(Answer::Ready { .. }) = answer {
                    Failing::<M>::new().lower_outputs();
                    M::reset();
                }
            }
            (request, _) => app.answer(number, &request),
        }
        true
    }

    /// Confirms an image on trial once it recognized so much audio, in ms.
    pub fn ran(&mut self, audio_ms: u32) {
        if let Some(updater) = self.updater.as_mut().filter(|_| M::UPDATES.is_some()) {
            // The next call tries again.
            let _ = updater.ran(audio_ms);
        }
    }
}

/// Returns what lies in a flash that begins at `flash`, at these of its addresses.
fn read(flash: usize, range: Range<u32>) -> &'static [u8] {
    let start = flash + range.start as usize;
    // SAFETY: the range lies in the flash, and no more is written there as long as its image may run. The pointer comes
    // from the address alone, since the compiler knows what it linked there.
    unsafe {
        core::slice::from_raw_parts(
            core::ptr::with_exposed_provenance(core::hint::black_box(start)),
            range.len(),
        )
    }
}

/// Says whether an image can run, in so many bytes of memory.
fn usable(flash: usize, memory: usize) -> impl Fn(Range<u32>) -> bool {
    move |range| {
        let image = Image::parse(read(flash, range));
        image.is_ok_and(|image| image.memory_bytes() <= memory)
    }
}
