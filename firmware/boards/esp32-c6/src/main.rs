//! This firmware runs on an ESP32-C6, a RISC-V core of 32 bits at 160 MHz, with a digital microphone.
//!
//! Its [page](../README.md) shows what is connected where. **It was never run on hardware.** Clocks, pins and interface
//! follow the manuals of ESP32-C6 and of the microphones, as other firmware for this chip does, but nobody has tried them.
#![no_std]
#![no_main]

mod microphone;
mod recovery;

use defmt_rtt as _;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output as Pin, OutputConfig, OutputPin};
use esp_hal::rtc_cntl::{Rtc, Rwdt, RwdtStage};
use esp_hal::time::{Duration, Instant};
use esp_hal::timer::PeriodicTimer;
use esp_hal::timer::systimer::SystemTimer;
use esp_hal::uart::{self, Uart};
use esp_hal::{Blocking, handler, main};
use static_cell::{ConstStaticCell, StaticCell};
use zerda_firmware::app::{App, Output, Processor, Refusal, assert_fits};
use zerda_firmware::audio::Ring;
use zerda_firmware::recovery::{Recover, Restart, restarted};
use zerda_firmware::request::Requests;
use zerda_firmware::{Aligned, Image, Memory, Recognizer, memory_bytes};

use microphone::Microphone;
use recovery::Esp;

esp_bootloader_esp_idf::esp_app_desc!();

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ZERDA_IMAGE")));
/// Holds a copy of the image: flash is read through a small cache, which code shares.
static COPY: ConstStaticCell<Aligned<[u8; IMAGE.0.len()]>> =
    ConstStaticCell::new(Aligned([0; IMAGE.0.len()]));
static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
    ConstStaticCell::new(Memory::new());
const _: () = assert_fits(&IMAGE.0, RAM);
/// The bytes that caches and arena may take of the 440 KiB, beside an image of 256 KiB.
const RAM: usize = 96 * 1024;
static RING: ConstStaticCell<Ring<32>> = ConstStaticCell::new(Ring::new());
/// Wakes the main loop, so that audio is taken and outputs are released.
static TICKS: StaticCell<PeriodicTimer<'static, Blocking>> = StaticCell::new();
/// The time without audio after which the watchdog resets the board.
const WATCHDOG: Duration = Duration::from_millis(2500);
/// The time after which the main loop wakes.
const TICK: Duration = Duration::from_millis(10);
/// The time, in ms, for which a command's LED is on.
const HOLD_MS: u32 = 500;

#[main]
fn main() -> ! {
    processor::guard_stack();
    let restart = restarted(&mut Esp);
    let config = esp_hal::Config::default().with_cpu_clock(CpuClock::_160MHz);
    let peripherals = esp_hal::init(config);
    let clock = Clock::new(Rtc::new(peripherals.LPWR).rwdt, restart);
    let any = output(peripherals.GPIO20);
    let yes = output(peripherals.GPIO18);
    let no = output(peripherals.GPIO19);
    let ticks = SystemTimer::new(peripherals.SYSTIMER).alarm0;
    start(TICKS.init(PeriodicTimer::new(ticks)));
    // The line blocks: a report takes a few ms, the ring holds 320.
    let line = defmt::unwrap!(Uart::new(peripherals.UART0, uart::Config::default()));
    let line = line.with_tx(peripherals.GPIO16).with_rx(peripherals.GPIO17);
    let (mut receiver, telemetry) = line.split();
    let copy = COPY.take();
    copy.0.copy_from_slice(&IMAGE.0);
    let image = match Image::parse(&copy.0) {
        Ok(image) => image,
        Err(error) => Refusal::new(error.into(), any, telemetry, clock).run(),
    };
    let (producer, consumer) = RING.take().split();
    let mut outputs = [
        Output::new(yes, Some("yes"), HOLD_MS),
        Output::new(no, Some("no"), HOLD_MS).or_awake(&image),
        Output::new(any, None, HOLD_MS),
    ];
    let mut recognizer = Recognizer::new(&image, MEMORY.take());
    let recognizer = defmt::unwrap!(recognizer.as_mut().ok());
    let mut app = App::new(recognizer, consumer, &mut outputs, telemetry, clock);

    let microphone = Microphone {
        i2s: peripherals.I2S0,
        dma: peripherals.DMA_CH0,
        sck: peripherals.GPIO6,
        ws: peripherals.GPIO7,
        data: peripherals.GPIO0,
    };
    let mut requests = Requests::new();
    microphone.listen(producer, || {
        if app.damage().is_some() {
            // The copy in RAM lost bits, outputs are low, and the line was told: the start makes another copy, and checks it.
            Esp.reset();
        }
        app.serve(&mut requests, || {
            let mut byte = [0];
            match receiver.read_buffered(&mut byte) {
                Ok(0) => None,
                Ok(_) => Some(Ok(byte[0])),
                Err(error) => Some(Err(error)),
            }
        });
        if !app.poll() {
            app.sleep();
        }
    })
}

fn output(pin: impl OutputPin + 'static) -> Pin<'static> {
    Pin::new(pin, Level::Low, OutputConfig::default())
}

/// Starts the timer, whose interrupt nobody ends but its handler.
fn start(ticks: &'static mut PeriodicTimer<'static, Blocking>) {
    ticks.set_interrupt_handler(tick);
    ticks.listen();
    defmt::unwrap!(ticks.start(TICK));
}

/// Wakes the main loop.
#[handler]
fn tick() {
    // SAFETY: nothing else uses the alarm once it is started.
    unsafe { esp_hal::peripherals::SYSTIMER::steal() }
        .register_block()
        .int_clr()
        .write(|clear| clear.target(0).clear_bit_by_one());
}

/// A clock that counts microseconds with a timer; and the watchdog, which nothing but a reset stops.
struct Clock {
    watchdog: Rwdt,
    restart: Option<Restart>,
}

impl Clock {
    fn new(mut watchdog: Rwdt, restart: Option<Restart>) -> Self {
        watchdog.enable();
        watchdog.set_timeout(RwdtStage::Stage0, WATCHDOG);
        Self { watchdog, restart }
    }
}

impl Processor for Clock {
    const CLOCK_HZ: u32 = 1_000_000;

    fn now(&self) -> u32 {
        Instant::now().duration_since_epoch().as_micros() as u32
    }

    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool) {
        processor::sleep_unless(ready);
    }

    fn stack_bytes(&self) -> u32 {
        processor::stack_bytes()
    }

    fn feed_watchdog(&mut self) {
        self.watchdog.feed();
    }

    fn restarted(&mut self) -> Option<Restart> {
        self.restart
    }
}
