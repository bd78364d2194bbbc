//! This example uses the whole API of a product: an image in flash, memory of its size, samples in, commands
//! out.

use zerda_firmware::{Aligned, Image, Memory, Recognizer, memory_bytes};

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/shrunk.zerda"));
const MEMORY: usize = memory_bytes(&IMAGE.0);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = Image::parse(&IMAGE.0)?;
    let mut memory = Memory::<MEMORY>::new();
    let mut recognizer = Recognizer::new(&image, &mut memory)?;

    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples/answers.wav");
    let samples = hound::WavReader::open(sample)?
        .into_samples()
        .collect::<Result<Vec<i16>, _>>()?;
    // 10 ms at a time, as a microphone's interrupt would hand them over.
    for pcm in samples.chunks(160) {
        recognizer.push(pcm, |found| {
            let command = image.command(found.command).unwrap_or_default();
            println!(
                "{command} at {} ms, score {}/256",
                found.end_ms, found.score
            );
        });
    }
    Ok(())
}
