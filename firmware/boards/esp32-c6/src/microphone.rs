//! A digital microphone that speaks I2S, such as INMP441 or ICS-43434, brings the audio.
//!
//! The I2S interface clocks it and takes the left one of two slots of 32 bits. DMA moves them into a ring of blocks, which the
//! main loop empties: the ring holds what comes while a step runs, and no interrupt is needed.

use esp_hal::dma_circular_buffers_chunk_size;
use esp_hal::i2s::master::{Channels, Config, DataFormat, I2s};
use esp_hal::peripherals::{DMA_CH0, GPIO0, GPIO6, GPIO7, I2S0};
use esp_hal::time::Rate;
use heapless::spsc::Producer;
use i2s::{Received, Words};
use static_cell::ConstStaticCell;
use zerda_firmware::audio::{BLOCK, Block, Capture};

/// The blocks of 10 ms that the ring of the DMA holds.
const BLOCKS: usize = 20;
/// The bytes of a block's words.
const BLOCK_BYTES: usize = size_of::<Words>();
/// Holds what was taken out of the ring, which is at most all of it.
static TAKEN: ConstStaticCell<[u8; BLOCKS * BLOCK_BYTES]> =
    ConstStaticCell::new([0; BLOCKS * BLOCK_BYTES]);

/// Holds the peripherals and pins that the microphone is connected to.
pub struct Microphone {
    pub i2s: I2S0<'static>,
    pub dma: DMA_CH0<'static>,
    pub sck: GPIO6<'static>,
    pub ws: GPIO7<'static>,
    pub data: GPIO0<'static>,
}

impl Microphone {
    /// Captures audio into `ring` from now on, and calls `between` whenever it took what there was.
    pub fn listen(self, ring: Producer<'static, Block>, mut between: impl FnMut()) -> ! {
        let (mut buffer, descriptors, _, _) =
            dma_circular_buffers_chunk_size!(BLOCKS * BLOCK_BYTES, 0, BLOCK_BYTES);
        // As Philips defines it: the first slot is the left one, while WS is low, and begins a bit later.
        let config = Config::new_tdm_philips()
            .with_sample_rate(Rate::from_hz(16_000))
            .with_data_format(DataFormat::Data32Channel32)
            .with_channels(Channels::LEFT);
        let i2s = defmt::unwrap!(I2s::new(self.i2s, self.dma, config));
        let receiver = i2s.i2s_rx.with_bclk(self.sck).with_ws(self.ws);
        let mut receiver = receiver.with_din(self.data).build(descriptors);
        let received = Received::default();
        let mut capture = Capture::new(&received, ring);
        let taken = TAKEN.take();
        loop {
            let mut transfer = defmt::unwrap!(receiver.read_dma_circular(&mut buffer));
            // It fails when the ring was full, and is started again.
            while let Ok(count) = transfer.pop(taken) {
                for block in taken[..count].as_chunks::<BLOCK_BYTES>().0 {
                    received.take(&words(block));
                    capture.run();
                }
                between();
            }
            received.lose(BLOCKS * BLOCK);
        }
    }
}

/// Makes words of the bytes that DMA wrote.
fn words(block: &[u8; BLOCK_BYTES]) -> Words {
    let mut words = [0; BLOCK];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}
