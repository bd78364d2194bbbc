//! This firmware runs on ST's NUCLEO-H743ZI2, a Cortex-M7 at 480 MHz, with a digital microphone.
//!
//! | what | where |
//! |---|---|
//! | I2S microphone, such as INMP441 or ICS-43434 | CN9: SCK on D58 (PE5), WS on D57 (PE4), SD on D59 (PE6); 3V3, GND, and its L/R pin on GND |
//! | any command, "yes", "no" | LD1 green (PB0), LD2 yellow (PE1), LD3 red (PB14), for half a second |
//! | commands count, if the image has wake words | LD3 instead of "no" |
//! | an image that cannot be used | LD3 blinks twice a second |
//! | telemetry, and requests of a host | USART3 (PD8, PD9), which is the ST-LINK's serial port, 115200 8N1 |
//! | log | defmt over RTT |
//!
//! **It was never run on hardware.** Clocks, pins and interface follow ST's and the microphone's manuals, as
//! other firmware for this board does, but nobody has tried them. 480 MHz needs silicon of revision V; the
//! older NUCLEO-H743ZI, without the 2, may have revision Y (400 MHz), and its LD2 is on PB7.
#![no_std]
#![no_main]

mod microphone;
mod recovery;

use cortex_m_rt::{entry, exception};
use defmt_rtt as _;
use embassy_stm32::gpio::{self, Level, Speed};
use embassy_stm32::rcc::{AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllDiv, PllMul};
use embassy_stm32::rcc::{PllPreDiv, PllSource, Sysclk, VoltageScale, mux::Saisel};
use embassy_stm32::time::Hertz;
use embassy_stm32::timer::low_level::Timer;
use embassy_stm32::usart::{self, Uart};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Peri, peripherals};
use embedded_hal_nb::nb;
use embedded_hal_nb::serial::Read;
use static_cell::ConstStaticCell;
use zerda_firmware::app::{App, Output, Processor, Refusal, assert_fits};
use zerda_firmware::audio::Ring;
use zerda_firmware::recovery::{Restart, raise_brown_out, restarted};
use zerda_firmware::request::Requests;
use zerda_firmware::{Aligned, Image, Memory, Recognizer, memory_bytes};

use microphone::Microphone;
use recovery::{FlashOptions, Nucleo};

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ZERDA_IMAGE")));
static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
    ConstStaticCell::new(Memory::new());
const _: () = assert_fits(&IMAGE.0, RAM);
/// The bytes that caches and arena may take of the 102 KiB that memory.x gives to statics.
const RAM: usize = 80 * 1024;
static RING: ConstStaticCell<Ring<16>> = ConstStaticCell::new(Ring::new());
/// The time without audio, in us, after which the watchdog resets the board. Its oscillator is right within 6 %.
const WATCHDOG_US: u32 = 2_500_000;
/// The time, in ms, after which the main loop wakes where no audio comes.
const TICK_MS: u32 = 30;
/// The time, in ms, for which a command's LED is on.
const HOLD_MS: u32 = 500;
/// The level of the brown-out reset: 2 of 0 to 3, which is 2.4 V of the board's 3.3 V.
const BROWN_OUT: u8 = 2;

#[entry]
fn main() -> ! {
    processor::guard_stack();
    let restart = restarted(&mut Nucleo);
    raise_brown_out(&mut FlashOptions, BROWN_OUT);
    let peripherals = embassy_stm32::init(config());
    let clock = Clock::new(peripherals.TIM5, peripherals.IWDG1, restart);
    let green = output(peripherals.PB0);
    let yellow = output(peripherals.PE1);
    let red = output(peripherals.PB14);
    let mut core = defmt::unwrap!(cortex_m::Peripherals::take());
    enable_caches(&mut core);
    processor::start_ticks(&mut core.SYST, 480_000_000, TICK_MS);
    // The line blocks: a report takes a few ms, the ring holds 150, and a buffer would need an interrupt.
    let line = usart::Config::default();
    let line = Uart::new_blocking(peripherals.USART3, peripherals.PD9, peripherals.PD8, line);
    let (telemetry, mut receiver) = defmt::unwrap!(line).split();
    let image = match Image::parse(&IMAGE.0) {
        Ok(image) => image,
        Err(error) => Refusal::new(error.into(), red, telemetry, clock).run(),
    };
    let (producer, consumer) = RING.take().split();
    let mut outputs = [
        Output::new(green, None, HOLD_MS),
        Output::new(yellow, Some("yes"), HOLD_MS),
        Output::new(red, Some("no"), HOLD_MS).or_awake(&image),
    ];
    let mut recognizer = Recognizer::new(&image, MEMORY.take());
    let recognizer = defmt::unwrap!(recognizer.as_mut().ok());
    let mut app = App::new(recognizer, consumer, &mut outputs, telemetry, clock);

    Microphone {
        sai: peripherals.SAI1,
        sck: peripherals.PE5,
        ws: peripherals.PE4,
        data: peripherals.PE6,
        dma: peripherals.DMA1_CH0,
    }
    .listen(producer);
    let mut requests = Requests::new();
    loop {
        if app.damage().is_some() {
            app.run();
        }
        // The interface holds 16 bytes, and a request of thresholds or smoothing has 12 at most.
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
    gpio::Output::new(pin, Level::Low, Speed::Low)
}

/// Sets the core to 480 MHz from the ST-LINK's 8 MHz, the buses to 240 and 120 MHz, and the SAI to 8.192 MHz.
fn config() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(Hse {
        freq: Hertz::mhz(8),
        mode: HseMode::Bypass,
    });
    rcc.voltage_scale = VoltageScale::Scale0;
    rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul: PllMul::MUL240,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    // 8 MHz / 5 * 128 / 25: 512 times 16 kHz, exactly.
    rcc.pll3 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV5,
        mul: PllMul::MUL128,
        fracn: None,
        divp: Some(PllDiv::DIV25),
        divq: None,
        divr: None,
    });
    rcc.mux.sai1sel = Saisel::PLL3_P;
    config
}

/// Turns the caches on, but not for the AXI SRAM: DMA writes there behind the data cache's back.
fn enable_caches(core: &mut cortex_m::Peripherals) {
    // No execution, read and write; normal memory, not cached, shared; 2^19 bytes; on.
    let attributes = 1 << 28 | 0b011 << 24 | 0b001 << 19 | 1 << 18 | (19 - 1) << 1 | 1;
    // SAFETY: only the AXI SRAM's attributes change, in region 0; the default map is behind it.
    unsafe {
        core.MPU.rnr.write(0);
        core.MPU.rbar.write(0x2400_0000);
        core.MPU.rasr.write(attributes);
        core.MPU.ctrl.write(0b101);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
}

/// Wakes the main loop, so that outputs are released even if no audio comes.
#[exception]
fn SysTick() {}

/// A clock that counts with a timer, since the cycle counter may stop in sleep; and the watchdog.
struct Clock {
    timer: Timer<'static, peripherals::TIM5>,
    watchdog: IndependentWatchdog<'static, peripherals::IWDG1>,
    restart: Option<Restart>,
}

impl Clock {
    /// Starts the timer and the watchdog.
    fn new(
        timer: Peri<'static, peripherals::TIM5>,
        watchdog: Peri<'static, peripherals::IWDG1>,
        restart: Option<Restart>,
    ) -> Self {
        let timer = Timer::new(timer);
        timer.start();
        recovery::freeze_watchdog_in_debug();
        let mut watchdog = IndependentWatchdog::new(watchdog, WATCHDOG_US);
        watchdog.unleash();
        Self {
            timer,
            watchdog,
            restart,
        }
    }
}

impl Processor for Clock {
    /// The rate at which the timer counts, in Hz: timers of APB1 run at twice its clock.
    const CLOCK_HZ: u32 = 240_000_000;

    fn now(&self) -> u32 {
        self.timer.regs_gp32().cnt().read()
    }

    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool) {
        processor::sleep_unless(ready);
    }

    fn stack_bytes(&self) -> u32 {
        processor::stack_bytes()
    }

    fn feed_watchdog(&mut self) {
        self.watchdog.pet();
    }

    fn restarted(&mut self) -> Option<Restart> {
        self.restart
    }
}
