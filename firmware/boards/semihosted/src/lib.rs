//! This crate has what the boards that run in QEMU share. The application is that of every board; here audio
//! comes from a WAV file of the host, through semihosting, and instructions are counted.
//!
//! The program takes as arguments, after its name, the WAV file (16 kHz, mono, 16 bit), and any of
//!
//! - `realtime`: a timer's interrupt captures 10 ms of audio every 10 ms, and the main loop
//!   sleeps in between. Otherwise audio is captured when the main loop asks for it, so that nothing
//!   depends on how fast QEMU runs.
//! - `stall=AT:MS`: with `realtime`, holds the main loop up for MS once AT ms of audio were
//!   recognized, so that the ring overruns; from 2 s on the watchdog starts the board again.
//! - `fault=AT:KIND`: fails once AT ms of audio were recognized, by a `panic`, a `hardfault` or an `overflow` of the stack,
//!   and starts again; by an `image` that is damaged it ends.
//! - `profile=FILE`: writes the instructions of each step, a line each: `step FRONT_END DECODER`
//!   and those of each operator; then `rest FRONT_END`, what the front end took after the last step.
//! - `npu-faults=STEP:FAULT,...`: with feature `npu-model`, lets the model of the NPU fail in these
//!   steps, counted from 0; faults are those of `zerda_firmware::npu::model::Injection::NAMED`.
//! - `flash=FILE`: with updates, keeps the flash that they write in this file.
//! - `kernels`: compares the kernels that were built with the plain ones, and does nothing else.
#![no_std]
#![allow(clippy::result_large_err)] // no allocator to box an error

mod counting;
mod failing;
#[cfg(target_arch = "arm")]
mod mps;
mod nor;
#[cfg(feature = "npu-model")]
mod npu;
mod outside;
mod phrases;
mod updates;
#[cfg(target_arch = "riscv32")]
mod virt;
mod wav;

use core::cell::RefCell;
use core::fmt::Write as _;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::Mutex;
use defmt_semihosting as _;
use heapless::String;
pub use processor::Register;
use semihosting::{eprintln, process};
use static_cell::ConstStaticCell;
use zerda_firmware::app::{App, Output, Processor, Refusal};
use zerda_firmware::audio::{Capture, Ring};
use zerda_firmware::kernels::cases;
#[cfg(feature = "npu-model")]
use zerda_firmware::npu::{Npu, model::Model};
use zerda_firmware::recovery::{Restart, restarted};
use zerda_firmware::step::Cpu;
use zerda_firmware::{Image, Recognizer};

use counting::{Counting, ProfileFile};
use failing::{EXPECTED, Failing, Fault};
pub use failing::{faulted, panicked, starved};
#[cfg(target_arch = "arm")]
pub use mps::{Mps, UartRegisters, Watchdog};
#[cfg(feature = "npu-model")]
use npu::Scripted;
use outside::{Led, Uart};
use phrases::{PHRASES, Phrases, matcher, phrases};
use updates::Desk;
pub use updates::Updates;
#[cfg(target_arch = "riscv32")]
pub use virt::Virt;
use wav::Wav;
pub use zerda_update::PublicKey;

/// Names what a machine has of its own.
pub trait Machine: Copy + 'static {
    /// The rate at which [`Machine::counter`] counts, in Hz of virtual time.
    const CLOCK_HZ: u32;
    /// Starts the counter that [`Machine::counter`] reads.
    fn start_counter();
    /// Returns a counter that runs freely at [`Machine::CLOCK_HZ`].
    fn counter() -> u32;
    /// Readies the line that is QEMU's first serial port.
    fn start_line();
    /// Says how the image is updated, if it is.
    const UPDATES: Option<Updates>;
    /// Sends a byte over the line.
    fn send(byte: u8);
    /// Returns the next byte that came over the line, if there is one.
    fn receive() -> Option<u8>;
    /// Returns which LEDs are lit, a bit each.
    fn leds() -> u32;
    /// Lights the LEDs whose bits are set, and no others.
    fn set_leds(leds: u32);
    /// Starts an interrupt, which calls [`capture`] each 10 ms.
    fn start_ticks();
    /// Starts the watchdog, which calls [`starved`] unless it is fed within `failing::PATIENCE_MS`.
    fn start_watchdog();
    /// Feeds the watchdog, which counts anew.
    fn feed_watchdog();
    /// Resets the machine, with its devices.
    fn reset();
}

/// Holds the capture, which the interrupt runs or, without `realtime`, the main loop.
static CAPTURE: Mutex<RefCell<Option<Capture<'static, Wav>>>> = Mutex::new(RefCell::new(None));
/// Says that all of the file was captured.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Runs the application on one file, and looks for phrases beside the image's words if there are any.
pub fn run<M: Machine>(machine: M, image: &'static [u8], memory: &'static mut [i8]) -> ! {
    exit(try_run(machine, image, memory, phrases(), |_, _| {
        Counting::new()
    }))
}

/// Runs the application as [`run`] does, with steps on the model of an NPU.
#[cfg(feature = "npu-model")]
pub fn run_on_npu<M: Machine>(
    machine: M,
    image: &'static [u8],
    memory: &'static mut [i8],
    npu: impl FnOnce(&Image<'static>) -> Npu<'static, Model<'static>>,
) -> ! {
    exit(try_run(machine, image, memory, None, |image, options| {
        let mut counting = Counting::new();
        counting.npu = Some(Scripted::new(npu(image), options.npu_faults.clone()));
        counting
    }))
}

fn exit(result: Result<(), Message>) -> ! {
    match result {
        Ok(()) => process::exit(0),
        Err(message) => {
            eprintln!("{}", message);
            process::exit(1)
        }
    }
}

type Message = String<256>;

/// Makes a line for the person at the host.
fn message(args: core::fmt::Arguments<'_>) -> Message {
    let mut text = Message::new();
    // The text is cut where it does not fit.
    let _ = text.write_fmt(args);
    text
}

#[derive(Default)]
struct Options {
    wav: String<200>,
    realtime: bool,
    /// Says at how many ms of audio the main loop is held up, and for how many ms.
    stall: Option<(u32, u32)>,
    /// Says at how many ms of audio the board fails, and how.
    fault: Option<(u32, Fault)>,
    profile: Option<String<200>>,
    flash: Option<String<200>>,
    kernels: bool,
    #[cfg(feature = "npu-model")]
    npu_faults: npu::Faults,
}

impl Options {
    #[inline(never)] // its messages leave the stack
    fn parse<M: Machine>() -> Result<Self, Message> {
        let args = semihosting::experimental::env::args::<1024>()
            .map_err(|_| message(format_args!("the command line is longer than 1024 bytes")))?;
        let mut options = Self::default();
        for arg in (&args).into_iter().skip(1) {
            let arg = arg.map_err(|_| message(format_args!("an argument is not UTF-8")))?;
            let unknown = || message(format_args!("{arg}: not an argument of this firmware"));
            match arg.split_once('=') {
                None if arg == "realtime" => options.realtime = true,
                None if arg == "kernels" => options.kernels = true,
                None => options.wav = String::try_from(arg).map_err(|_| unknown())?,
                Some(("stall", value)) => {
                    let (at, ms) = value.split_once(':').ok_or_else(unknown)?;
                    let number = |text: &str| text.parse().map_err(|_| unknown());
                    options.stall = Some((number(at)?, number(ms)?));
                }
                Some(("fault", value)) => {
                    let (at, kind) = value.split_once(':').ok_or_else(unknown)?;
                    let at = at.parse().map_err(|_| unknown())?;
                    let fault = Fault::named(kind).ok_or_else(unknown)?;
                    options.fault = Some((at, fault));
                }
                Some(("profile", path)) => {
                    options.profile = Some(String::try_from(path).map_err(|_| unknown())?);
                }
                Some(("flash", path)) if M::UPDATES.is_some() => {
                    options.flash = Some(String::try_from(path).map_err(|_| unknown())?);
                }
                #[cfg(feature = "npu-model")]
                Some(("npu-faults", value)) => {
                    options.npu_faults = npu::faults(value).ok_or_else(unknown)?;
                }
                Some(_) => return Err(unknown()),
            }
        }
        Ok(options)
    }
}

fn try_run<M: Machine>(
    machine: M,
    bytes: &'static [u8],
    memory: &'static mut [i8],
    phrases: Option<Phrases>,
    step: impl FnOnce(&Image<'static>, &Options) -> Counting<M>,
) -> Result<(), Message> {
    M::start_counter();
    let mut options = Options::parse::<M>()?;
    if options.kernels {
        return compare_kernels();
    }
    processor::guard_stack();
    let restart = restarted(&mut Failing::<M>::new());
    if restart.is_some() {
        // Once is enough.
        (options.stall, options.fault) = (None, None);
    }
    EXPECTED.store(
        options.stall.is_some() || options.fault.is_some(),
        Ordering::Relaxed,
    );
    let processor = Core {
        machine: PhantomData::<M>,
        restart,
    };
    let mut desk = Desk::<M>::new(memory.len());
    let bytes = match M::UPDATES {
        Some(updates) => desk.start(updates, bytes, options.flash.as_deref())?,
        None => bytes,
    };
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(error) => {
            Refusal::new(error.into(), Led(machine, 0), Uart::<M>::new(), processor);
            return Err(message(format_args!("image: {error}")));
        }
    };
    static RING: ConstStaticCell<Ring<16>> = ConstStaticCell::new(Ring::new());
    let (producer, consumer) = RING.take().split();
    let wav = Wav::open(&options.wav)?;
    critical_section::with(|cs| {
        CAPTURE
            .borrow(cs)
            .replace(Some(Capture::new(wav, producer)))
    });
    let mut profile = match &options.profile {
        Some(path) => Some(ProfileFile::create(path)?),
        None => None,
    };
    let mut outputs = [
        Output::new(Led(machine, 0), None, 500),
        Output::while_awake(Led(machine, 1)),
    ];
    let mut recognizer = Recognizer::with_step(&image, memory, step(&image, &options));
    // It stays where it was made.
    let recognizer = recognizer.as_mut();
    let recognizer = recognizer.map_err(|error| message(format_args!("{error}")))?;
    let mut matcher = match phrases {
        Some((bytes, cells)) if PHRASES => Some(matcher(bytes, cells, recognizer)?),
        _ => None,
    };
    let line = Uart::<M>::new();
    let mut app = App::new(recognizer, consumer, &mut outputs, line, processor);
    if let (true, Some(matcher)) = (PHRASES, &mut matcher) {
        app.listen_for(matcher);
    }
    if options.realtime {
        M::start_ticks();
        M::start_watchdog();
    }
    let mut recognized_ms = 0;
    loop {
        // This is read before the ring is looked at, so that what was captured before the end is then seen.
        let ended = ENDED.load(Ordering::Acquire);
        desk.serve(&mut app, !options.realtime);
        if app.poll() {
            desk.ran(app.status().audio_ms);
            let recognition = app.recognition();
            let counting = app.step_mut();
            counting.take(recognition, |counts| match &mut profile {
                Some(file) => file.write(counts),
                None => Ok(()),
            })?;
            recognized_ms += 10;
            if options.stall.is_some_and(|(at, _)| recognized_ms >= at) {
                stall(&processor, options.stall.take().map_or(0, |(_, ms)| ms));
            }
            if let Some((_, fault)) = options.fault.take_if(|(at, _)| recognized_ms >= *at) {
                fault.happen(bytes);
            }
            if app.damage().is_some() {
                return Err(message(format_args!("the image was damaged while it ran")));
            }
        } else if ended {
            app.report_status();
            desk.end(&mut app);
            if let Some(file) = &mut profile {
                file.end(app.step_mut().rest())?;
            }
            #[cfg(feature = "npu-model")]
            if let Some(rule) = app.step_mut().npu.as_mut().and_then(Scripted::violation) {
                return Err(message(format_args!("the NPU's driver {rule}")));
            }
            return Ok(());
        } else if options.realtime {
            app.sleep();
        } else {
            capture();
        }
    }
}

/// Compares the kernels with the plain ones. That takes more stack than the linker reserves, so that there must be no guard
/// yet; the RAM below is free on these boards.
fn compare_kernels() -> Result<(), Message> {
    let cases =
        cases::check(Cpu::default().kernels()).map_err(|error| message(format_args!("{error}")))?;
    defmt::info!("{=u32} cases of kernels equal", cases);
    Ok(())
}

/// Captures the next 10 ms of audio.
pub fn capture() {
    let read = critical_section::with(|cs| {
        let mut capture = CAPTURE.borrow(cs).borrow_mut();
        capture.as_mut().map_or(0, Capture::run)
    });
    ENDED.store(read == 0, Ordering::Release);
}

fn stall<M: Machine>(processor: &Core<M>, ms: u32) {
    // The counter may wrap in this time.
    let mut left = u64::from(M::CLOCK_HZ / 1000) * u64::from(ms);
    let mut before = processor.now();
    while left > 0 {
        let now = processor.now();
        left = left.saturating_sub(now.wrapping_sub(before).into());
        before = now;
    }
}

#[derive(Clone, Copy)]
struct Core<M> {
    machine: PhantomData<M>,
    restart: Option<Restart>,
}

impl<M: Machine> Processor for Core<M> {
    const CLOCK_HZ: u32 = M::CLOCK_HZ;

    fn now(&self) -> u32 {
        M::counter()
    }

    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool) {
        processor::sleep_unless(ready);
    }

    fn stack_bytes(&self) -> u32 {
        processor::stack_bytes()
    }

    fn feed_watchdog(&mut self) {
        M::feed_watchdog();
    }

    fn restarted(&mut self) -> Option<Restart> {
        self.restart
    }
}
