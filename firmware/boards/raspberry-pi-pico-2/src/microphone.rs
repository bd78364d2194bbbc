//! A digital microphone that speaks I2S, such as INMP441 or ICS-43434, brings the audio.
//!
//! A state machine of the PIO clocks it and takes the left one of two slots of 32 bits. DMA moves a block of them out of its
//! FIFO, and wakes a task in interrupt context, which converts it and hands it to the main loop. Meanwhile the FIFO, of eight
//! words, holds what comes: the task has half a millisecond.

use embassy_executor::InterruptExecutor;
use embassy_rp::interrupt::{InterruptExt, Priority};
use embassy_rp::pio::program::pio_asm;
use embassy_rp::pio::{self, Direction, FifoJoin, Pio, ShiftConfig, ShiftDirection, StateMachine};
use embassy_rp::pio_programs::clock_divider::calculate_pio_clock_divider;
use embassy_rp::{Peri, bind_interrupts, dma, interrupt, peripherals};
use heapless::spsc::Producer;
use i2s::{Received, Words};
use zerda_firmware::audio::{BLOCK, Block, Capture};

/// The steps that the state machine takes in a second: two for each of 64 bits of 16,000 frames. The clock of 150 MHz is
/// divided by 73 62/256, which is exact.
const STEPS_HZ: u32 = 2 * 64 * 16_000;

bind_interrupts!(struct Interrupts {
    PIO0_IRQ_0 => pio::InterruptHandler<peripherals::PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<peripherals::DMA_CH0>;
});

/// Runs the task in an interrupt that is not used otherwise.
static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

#[interrupt]
fn SWI_IRQ_0() {
    // SAFETY: the executor is started with this interrupt, which that enables; this is the only
    // call.
    unsafe { EXECUTOR.on_interrupt() }
}

/// Holds the peripherals and pins that the microphone is connected to.
pub struct Microphone {
    pub pio: Peri<'static, peripherals::PIO0>,
    pub sck: Peri<'static, peripherals::PIN_10>,
    pub ws: Peri<'static, peripherals::PIN_11>,
    pub data: Peri<'static, peripherals::PIN_12>,
    pub dma: Peri<'static, peripherals::DMA_CH0>,
}

impl Microphone {
    /// Captures audio into `ring` from now on.
    pub fn listen(self, ring: Producer<'static, Block>) {
        interrupt::SWI_IRQ_0.set_priority(Priority::P2);
        let spawner = EXECUTOR.start(interrupt::SWI_IRQ_0);
        spawner.spawn(defmt::unwrap!(capture(self, ring).ok()));
    }
}

/// Makes a state machine of the PIO speak I2S as Philips defines it: 16 kHz, two slots of 32 bits, the first while WS is low
/// and a bit later. Of the bits that the side-set drives, the lower is SCK, the upper WS.
fn configure(
    common: &mut pio::Common<'static, peripherals::PIO0>,
    machine: &mut StateMachine<'static, peripherals::PIO0, 0>,
    pins: (
        Peri<'static, peripherals::PIN_10>,
        Peri<'static, peripherals::PIN_11>,
        Peri<'static, peripherals::PIN_12>,
    ),
) {
    // SCK falls with the first instruction of each pair and rises with the second, at which the microphone's bit is read.
    let program = pio_asm!(
        ".side_set 2",
        ".wrap_target",
        "    set x, 29       side 0b00", // the right slot's last bit
        "    nop             side 0b01",
        "    nop             side 0b00",
        "left:",
        "    in pins, 1      side 0b01", // 30 bits of the left slot
        "    jmp x-- left    side 0b00",
        "    in pins, 1      side 0b01", // its 31st
        "    set x, 30       side 0b10", // WS rises a bit before the right slot
        "    in pins, 1      side 0b11", // its last
        "right:",
        "    nop             side 0b10", // 31 bits that nobody reads
        "    jmp x-- right   side 0b11",
        ".wrap",
    );
    let [sck, ws] = [common.make_pio_pin(pins.0), common.make_pio_pin(pins.1)];
    let data = common.make_pio_pin(pins.2);
    let mut config = pio::Config::default();
    config.use_program(&common.load_program(&program.program), &[&sck, &ws]);
    config.set_in_pins(&[&data]);
    config.clock_divider = calculate_pio_clock_divider(STEPS_HZ);
    config.shift_in = ShiftConfig {
        threshold: 32,
        direction: ShiftDirection::Left,
        auto_fill: true,
    };
    config.fifo_join = FifoJoin::RxOnly;
    machine.set_config(&config);
    machine.set_pin_dirs(Direction::Out, &[&sck, &ws]);
    machine.set_pin_dirs(Direction::In, &[&data]);
}

/// Moves audio from the microphone to the ring. If the FIFO was full, the microphone's clock stood still for a while, and a
/// block counts as lost.
#[embassy_executor::task]
async fn capture(microphone: Microphone, ring: Producer<'static, Block>) {
    let Pio {
        mut common,
        sm0: mut machine,
        ..
    } = Pio::new(microphone.pio, Interrupts);
    let mut dma = dma::Channel::new(microphone.dma, Interrupts);
    let pins = (microphone.sck, microphone.ws, microphone.data);
    configure(&mut common, &mut machine, pins);
    let received = Received::default();
    let mut capture = Capture::new(&received, ring);
    let mut words: Words = [0; BLOCK];
    machine.set_enable(true);
    loop {
        machine.rx().dma_pull(&mut dma, &mut words, false).await;
        if machine.rx().stalled() {
            received.lose(BLOCK);
        }
        received.take(&words);
        capture.run();
    }
}
