//! This crate has what the boards that run in QEMU share. The application is that of every board; here audio
//! comes from a WAV file of the host, through semihosting, and instructions are counted.
//!
//! The program takes as arguments, after its name, the WAV file (16 kHz, mono, 16 bit), and any of
//!
//! - `realtime`: the SysTick interrupt captures 10 ms of audio every 10 ms, and the main loop
//!   sleeps in between. Otherwise audio is captured when the main loop asks for it, so that nothing
//!   depends on how fast QEMU runs.
//! - `stall=AT:MS`: with `realtime`, holds the main loop up for MS once AT ms of audio were
//!   recognized, so that the ring overruns; from 2 s on the watchdog starts the board again.
//! - `fault=AT:KIND`: fails once AT ms of audio were recognized, by a `panic` or a `hardfault`, and starts again.
//! - `profile=FILE`: writes the instructions of each step, a line each: `step FRONT_END DECODER`
//!   and those of each operator; then `rest FRONT_END`, what the front end took after the last step.
//! - `npu-faults=STEP:FAULT,...`: with feature `npu-model`, lets the model of the NPU fail in these
//!   steps, counted from 0; faults are those of `zerda_firmware::npu::model::Injection::NAMED`.
//! - `kernels`: compares the kernels that were built with the plain ones, and does nothing else.
#![no_std]
#![allow(clippy::result_large_err)] // no allocator to box an error

mod counting;
mod failing;
#[cfg(feature = "npu-model")]
mod npu;
mod uart;
mod wav;

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt::Write as _;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};

pub use cortex::Register;
use cortex_m::interrupt::{self, Mutex};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use defmt_semihosting as _;
use embedded_hal::digital::{ErrorType, OutputPin};
use heapless::String;
use semihosting::{eprintln, process};
use static_cell::ConstStaticCell;
use zerda_firmware::app::{App, Output, Processor, Refusal};
use zerda_firmware::audio::{Capture, Ring};
use zerda_firmware::kernels::cases;
#[cfg(feature = "npu-model")]
use zerda_firmware::npu::{Npu, model::Model};
use zerda_firmware::recovery::{Restart, restarted};
use zerda_firmware::step::Cpu;
use zerda_firmware::templates::{Cell, Matcher, Templates};
use zerda_firmware::{Image, Recognizer};

use counting::{Counting, ProfileFile};
use failing::{EXPECTED, Failing};
pub use failing::{Watchdog, faulted, panicked, starved};
#[cfg(feature = "npu-model")]
use npu::Scripted;
use uart::Uart;
pub use uart::UartRegisters;
use wav::Wav;

/// Names what each machine has in a place of its own.
pub trait Machine: Copy + 'static {
    /// The rate at which [`Machine::counter`] counts and the processor runs, in Hz of virtual time.
    const CLOCK_HZ: u32;
    /// The CMSDK APB UART that is QEMU's first serial port.
    const UART: UartRegisters;
    /// The FPGAIO block's register of LEDs.
    const LEDS: Register;
    /// The watchdog resets the machine unless audio feeds it.
    const WATCHDOG: Watchdog;
    /// The rate at which the watchdog counts, in Hz.
    const WATCHDOG_HZ: u32;
    /// Starts the counter that [`Machine::counter`] reads.
    fn start_counter();
    /// Returns a counter that runs freely at [`Machine::CLOCK_HZ`].
    fn counter() -> u32;
}

/// Holds the capture, which the interrupt runs or, without `realtime`, the main loop.
static CAPTURE: Mutex<RefCell<Option<Capture<'static, Wav>>>> = Mutex::new(RefCell::new(None));
/// Says that all of the file was captured.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Phrases that are looked for, and the memory for their rows.
pub type Phrases = (&'static [u8], &'static mut [Cell]);

/// Runs the application on one file, and looks for phrases beside the image's words if there are any.
pub fn run<M: Machine>(
    machine: M,
    image: &'static [u8],
    memory: &'static mut [i8],
    phrases: Option<Phrases>,
) -> ! {
    exit(try_run(machine, image, memory, phrases, |_, _| {
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
    /// Says at how many ms of audio the board fails, and whether by a panic or else by a fault.
    fault: Option<(u32, bool)>,
    profile: Option<String<200>>,
    kernels: bool,
    #[cfg(feature = "npu-model")]
    npu_faults: npu::Faults,
}

impl Options {
    fn parse() -> Result<Self, Message> {
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
                    let panics = match kind {
                        "panic" => true,
                        "hardfault" => false,
                        _ => return Err(unknown()),
                    };
                    options.fault = Some((at, panics));
                }
                Some(("profile", path)) => {
                    options.profile = Some(String::try_from(path).map_err(|_| unknown())?);
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
    image: &'static [u8],
    memory: &'static mut [i8],
    phrases: Option<Phrases>,
    step: impl FnOnce(&Image<'static>, &Options) -> Counting<M>,
) -> Result<(), Message> {
    M::start_counter();
    let mut options = Options::parse()?;
    let restart = restarted(&mut Failing::<M>::new());
    if restart.is_some() {
        // Once is enough.
        (options.stall, options.fault) = (None, None);
    }
    EXPECTED.store(
        options.stall.is_some() || options.fault.is_some(),
        Ordering::Relaxed,
    );
    if options.kernels {
        let cases = cases::check(Cpu::default().kernels())
            .map_err(|error| message(format_args!("{error}")))?;
        defmt::info!("{=u32} cases of kernels equal", cases);
        return Ok(());
    }
    let processor = Cortex {
        machine: PhantomData::<M>,
        restart,
    };
    let image = match Image::parse(image) {
        Ok(image) => image,
        Err(error) => {
            Refusal::new(error.into(), Led(machine, 0), Uart::<M>::new(), processor);
            return Err(message(format_args!("image: {error}")));
        }
    };
    let recognizer = Recognizer::with_step(&image, memory, step(&image, &options))
        .map_err(|error| message(format_args!("{error}")))?;
    static RING: ConstStaticCell<Ring<16>> = ConstStaticCell::new(Ring::new());
    let (producer, consumer) = RING.take().split();
    let wav = Wav::open(&options.wav)?;
    interrupt::free(|cs| {
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
    let mut matcher = match phrases {
        Some((bytes, cells)) => {
            let templates = Templates::parse(bytes);
            let templates =
                templates.map_err(|error| message(format_args!("templates: {error}")))?;
            let matcher = Matcher::new(templates, &recognizer, cells);
            Some(matcher.map_err(|misfit| message(format_args!("{misfit}")))?)
        }
        None => None,
    };
    let mut app = App::new(
        recognizer,
        consumer,
        &mut outputs,
        Uart::<M>::new(),
        processor,
    );
    if let Some(matcher) = &mut matcher {
        app.listen_for(matcher);
    }
    if options.realtime {
        start_ticks::<M>();
        M::WATCHDOG.start(M::WATCHDOG_HZ);
    }
    let mut recognized_ms = 0;
    loop {
        // This is read before the ring is looked at, so that what was captured before the end is then seen.
        let ended = ENDED.load(Ordering::Acquire);
        if app.poll() {
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
            match options.fault.take_if(|(at, _)| recognized_ms >= *at) {
                Some((_, true)) => panic!("a panic was asked for"),
                Some((_, false)) => cortex_m::asm::udf(),
                None => {}
            }
        } else if ended {
            app.report_status();
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

/// Captures the next 10 ms of audio.
fn capture() {
    let read = interrupt::free(|cs| {
        let mut capture = CAPTURE.borrow(cs).borrow_mut();
        capture.as_mut().map_or(0, Capture::run)
    });
    ENDED.store(read == 0, Ordering::Release);
}

#[exception]
fn SysTick() {
    capture();
}

/// Starts the SysTick interrupt, which comes every 10 ms.
fn start_ticks<M: Machine>() {
    if let Some(mut peripherals) = cortex_m::Peripherals::take() {
        let syst = &mut peripherals.SYST;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(M::CLOCK_HZ / 100 - 1);
        syst.clear_current();
        syst.enable_counter();
        syst.enable_interrupt();
    }
}

fn stall<M: Machine>(processor: &Cortex<M>, ms: u32) {
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
struct Cortex<M> {
    machine: PhantomData<M>,
    restart: Option<Restart>,
}

impl<M: Machine> Processor for Cortex<M> {
    const CLOCK_HZ: u32 = M::CLOCK_HZ;

    fn now(&self) -> u32 {
        M::counter()
    }

    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool) {
        cortex::sleep_unless(ready);
    }

    fn stack_bytes(&self) -> u32 {
        cortex::stack_bytes()
    }

    fn feed_watchdog(&mut self) {
        M::WATCHDOG.feed();
    }

    fn restarted(&mut self) -> Option<Restart> {
        self.restart
    }
}

/// A bit that lights an LED in the FPGAIO block's LED register.
struct Led<M>(M, u32);

impl<M> ErrorType for Led<M> {
    type Error = Infallible;
}

impl<M: Machine> OutputPin for Led<M> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        M::LEDS.write(M::LEDS.read() & !(1 << self.1));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        M::LEDS.write(M::LEDS.read() | 1 << self.1);
        Ok(())
    }
}
