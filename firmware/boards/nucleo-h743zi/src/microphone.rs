//! A digital microphone that speaks I2S, such as INMP441 or ICS-43434, brings the audio.
//!
//! SAI1 clocks it and keeps the left one of two slots of 32 bits. DMA writes them round and round a
//! buffer of two blocks; each half wakes a task in interrupt context, which converts it and hands it
//! to the main loop.

use core::mem::MaybeUninit;

use embassy_executor::InterruptExecutor;
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_stm32::sai::{self, BitOrder, DataSize, FifoThreshold, Sai, TxRx};
use embassy_stm32::sai::{MasterClockDivider, word::U7};
use embassy_stm32::{Peri, bind_interrupts, dma, interrupt, peripherals};
use heapless::spsc::Producer;
use i2s::{Received, Words};
use zerda_firmware::audio::{BLOCK, Block, Capture};

type Buffer = [u32; 2 * BLOCK];

/// Holds what DMA writes. It lies in the AXI SRAM, which the startup code leaves as it is.
#[unsafe(link_section = ".axisram")]
static mut BUFFER: MaybeUninit<Buffer> = MaybeUninit::uninit();

bind_interrupts!(struct Interrupts {
    DMA1_STREAM0 => dma::InterruptHandler<peripherals::DMA1_CH0>;
});

/// Runs the task in the interrupt of a peripheral that is not used otherwise.
static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

#[interrupt]
fn CEC() {
    // SAFETY: the executor is started with this interrupt, which that enables; this is the only
    // call.
    unsafe { EXECUTOR.on_interrupt() }
}

/// Holds the peripherals and pins that the microphone is connected to.
pub struct Microphone {
    pub sai: Peri<'static, peripherals::SAI1>,
    pub sck: Peri<'static, peripherals::PE5>,
    pub ws: Peri<'static, peripherals::PE4>,
    pub data: Peri<'static, peripherals::PE6>,
    pub dma: Peri<'static, peripherals::DMA1_CH0>,
}

impl Microphone {
    /// Captures audio into `ring` from now on.
    pub fn listen(self, ring: Producer<'static, Block>) {
        interrupt::CEC.set_priority(Priority::P6);
        let spawner = EXECUTOR.start(interrupt::CEC);
        spawner.spawn(defmt::unwrap!(capture(self, ring).ok()));
    }

    /// Starts the SAI with I2S as Philips defines it: 16 kHz, two slots of 32 bits, the first while WS is
    /// low.
    fn start<'a>(&'a mut self, buffer: &'a mut Buffer) -> Sai<'a, peripherals::SAI1, u32> {
        let mut config = sai::Config::default();
        config.tx_rx = TxRx::Receiver;
        config.bit_order = BitOrder::MsbFirst;
        config.data_size = DataSize::Data32;
        config.frame_length = 64;
        config.frame_sync_active_level_length = U7(32);
        // One word a frame, the left: what is read can never be the other channel's.
        config.slot_enable = 0b01;
        config.fifo_threshold = FifoThreshold::Empty;
        // Without MCLK the bit clock is divided from the kernel clock: 64 bits of 16 kHz.
        config.nodiv = true;
        config.master_clock_divider = MasterClockDivider::DIV8;
        let (block, _) = sai::split_subblocks(self.sai.reborrow());
        let mut sai = Sai::new_asynchronous(
            block,
            self.sck.reborrow(),
            self.data.reborrow(),
            self.ws.reborrow(),
            self.dma.reborrow(),
            buffer,
            Interrupts,
            config,
        );
        // Only a transmitter refuses.
        let _ = sai.start();
        sai
    }
}

/// Moves audio from the microphone to the ring. If DMA went round before this could read, the buffer is lost
/// and the microphone starts again.
#[embassy_executor::task]
async fn capture(mut microphone: Microphone, ring: Producer<'static, Block>) {
    let buffer = &raw mut BUFFER;
    // SAFETY: this is the only reference to it, since the task is spawned once.
    let buffer = unsafe { &mut *buffer }.write([0; 2 * BLOCK]);
    let received = Received::default();
    let mut capture = Capture::new(&received, ring);
    loop {
        let mut sai = microphone.start(buffer);
        let mut words: Words = [0; BLOCK];
        while sai.read(&mut words).await.is_ok() {
            received.take(&words);
            capture.run();
        }
        received.lose(2 * BLOCK);
    }
}
