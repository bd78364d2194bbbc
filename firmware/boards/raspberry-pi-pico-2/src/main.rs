//! This firmware runs on a Raspberry Pi Pico 2, a Cortex-M33 at 150 MHz, with a digital microphone.
//!
//! Its [page](../README.md) shows what is connected where. **It was never run on hardware.** Clocks, pins and interface
//! follow the manuals of RP2350 and of the microphones, as other firmware for this board does, but nobody has tried them.
#![no_std]
#![no_main]

mod microphone;
mod recovery;

use cortex_m_rt::{entry, exception};
use defmt_rtt as _;
use embassy_rp::gpio::{self, Level};
use embassy_rp::uart::{self, Uart};
use embassy_rp::watchdog::Watchdog;
use embassy_rp::{Peri, peripherals};
use embassy_time::{Duration, Instant};
use embedded_hal_nb::nb;
use embedded_hal_nb::serial::Read;
use static_cell::ConstStaticCell;
use zerda_firmware::app::{App, Output, Processor, Refusal, assert_fits};
use zerda_firmware::audio::Ring;
use zerda_firmware::recovery::{Recover, Restart, restarted};
use zerda_firmware::request::Requests;
use zerda_firmware::{Aligned, Image, Memory, Recognizer, memory_bytes};

use microphone::Microphone;
use recovery::Pico;

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ZERDA_IMAGE")));
/// Holds a copy of the image: the weights of a step, read from flash, would take most of its time.
static COPY: ConstStaticCell<Aligned<[u8; IMAGE.0.len()]>> =
    ConstStaticCell::new(Aligned([0; IMAGE.0.len()]));
static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
    ConstStaticCell::new(Memory::new());
const _: () = assert_fits(&IMAGE.0, RAM);
/// The bytes that caches and arena may take of the 512 KiB, beside an image of 256 KiB.
const RAM: usize = 160 * 1024;
static RING: ConstStaticCell<Ring<16>> = ConstStaticCell::new(Ring::new());
/// The time without audio after which the watchdog resets the board.
const WATCHDOG: Duration = Duration::from_millis(2500);
/// The time, in ms, after which the main loop wakes where no audio comes.
const TICK_MS: u32 = 30;
/// The time, in ms, for which a command's LED is on.
const HOLD_MS: u32 = 500;

#[entry]
fn main() -> ! {
    processor::guard_stack();
    let restart = restarted(&mut Pico);
    // 150 MHz, from a crystal of 12 MHz.
    let peripherals = embassy_rp::init(embassy_rp::config::Config::default());
    let clock = Clock::new(peripherals.WATCHDOG, restart);
    let led = output(peripherals.PIN_25);
    let yes = output(peripherals.PIN_14);
    let no = output(peripherals.PIN_15);
    let mut core = defmt::unwrap!(cortex_m::Peripherals::take());
    processor::start_ticks(&mut core.SYST, 150_000_000, TICK_MS);
    // The line blocks: a report takes a few ms, the ring holds 150, and a buffer would need an interrupt.
    let line = uart::Config::default();
    let line = Uart::new_blocking(
        peripherals.UART0,
        peripherals.PIN_0,
        peripherals.PIN_1,
        line,
    );
    let (telemetry, mut receiver) = line.split();
    let copy = COPY.take();
    copy.0.copy_from_slice(&IMAGE.0);
    let image = match Image::parse(&copy.0) {
        Ok(image) => image,
        Err(error) => Refusal::new(error.into(), led, telemetry, clock).run(),
    };
    let (producer, consumer) = RING.take().split();
    let mut outputs = [
        Output::new(yes, Some("yes"), HOLD_MS),
        Output::new(no, Some("no"), HOLD_MS).or_awake(&image),
        Output::new(led, None, HOLD_MS),
    ];
    let mut recognizer = Recognizer::new(&image, MEMORY.take());
    let recognizer = defmt::unwrap!(recognizer.as_mut().ok());
    let mut app = App::new(recognizer, consumer, &mut outputs, telemetry, clock);

    Microphone {
        pio: peripherals.PIO0,
        sck: peripherals.PIN_10,
        ws: peripherals.PIN_11,
        data: peripherals.PIN_12,
        dma: peripherals.DMA_CH0,
    }
    .listen(producer);
    let mut requests = Requests::new();
    loop {
        if app.damage().is_some() {
            // The copy in RAM lost bits, outputs are low, and the line was told: the start makes another copy, and checks it.
            Pico.reset();
        }
        // The interface holds 32 bytes, two requests of thresholds or smoothing.
        app.serve(&mut requests, || match receiver.read() {
            Err(nb::Error::WouldBlock) => None,
            read => Some(read),
        });
        if !app.poll() {
            app.sleep();
        }
    }
}

fn output(pin: Peri<'static, impl gpio::Pin>) -> gpio::Output<'static> {
    gpio::Output::new(pin, Level::Low)
}

/// Wakes the main loop, so that outputs are released even if no audio comes.
#[exception]
fn SysTick() {}

/// A clock that counts microseconds with a timer, since the cycle counter may stop in sleep; and the watchdog.
struct Clock {
    watchdog: Watchdog,
    restart: Option<Restart>,
}

impl Clock {
    /// Starts the watchdog, which stops while a debugger halts the processor.
    fn new(watchdog: Peri<'static, peripherals::WATCHDOG>, restart: Option<Restart>) -> Self {
        let mut watchdog = Watchdog::new(watchdog);
        watchdog.pause_on_debug(true);
        watchdog.start(WATCHDOG);
        Self { watchdog, restart }
    }
}

impl Processor for Clock {
    const CLOCK_HZ: u32 = 1_000_000;

    fn now(&self) -> u32 {
        Instant::now().as_micros() as u32
    }

    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool) {
        processor::sleep_unless(ready);
    }

    fn stack_bytes(&self) -> u32 {
        processor::stack_bytes()
    }

    fn feed_watchdog(&mut self) {
        self.watchdog.feed(WATCHDOG);
    }

    fn restarted(&mut self) -> Option<Restart> {
        self.restart
    }
}
