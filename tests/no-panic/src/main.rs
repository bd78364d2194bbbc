//! All of zerda-firmware and zerda-update that a product calls, with arguments that the compiler knows nothing of,
//! and a panic handler that calls a function that does not exist: it links only if no panic is
//! left in it. Built by `tests/no_panic.rs`.
#![no_std]
#![no_main]

mod updates;

use core::convert::Infallible;
use core::hint::black_box;
use core::panic::PanicInfo;

use embedded_hal::digital::{self, OutputPin};
use embedded_io::Write;
use zerda_firmware::app::{App, Output, Processor, Refusal};
use zerda_firmware::audio::{AudioSource, BLOCK, Capture, Ring};
use zerda_firmware::npu::registers::Register;
use zerda_firmware::npu::{Bus, Npu, Scratch};
use zerda_firmware::recovery::{self, Cause, Recover, Restart, Retained};
use zerda_firmware::request::Requests;
use zerda_firmware::telemetry::FrameDecoder;
use zerda_firmware::templates::{Cell, Matcher, Templates};
use zerda_firmware::{Image, Recognizer};

unsafe extern "C" {
    safe fn zerda_firmware_can_panic() -> !;
    /// Whatever a board has.
    safe fn hardware(value: usize) -> usize;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    zerda_firmware_can_panic()
}

struct Board;

impl digital::ErrorType for Board {
    type Error = Infallible;
}

impl OutputPin for Board {
    fn set_low(&mut self) -> Result<(), Infallible> {
        hardware(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        hardware(1);
        Ok(())
    }
}

impl embedded_io::ErrorType for Board {
    type Error = embedded_io::ErrorKind;
}

impl Write for Board {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, embedded_io::ErrorKind> {
        match hardware(bytes.iter().map(|&byte| usize::from(byte)).sum()) {
            0 => Err(embedded_io::ErrorKind::Other),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> Result<(), embedded_io::ErrorKind> {
        Ok(())
    }
}

impl Processor for Board {
    const CLOCK_HZ: u32 = 1_000_000;

    fn now(&self) -> u32 {
        hardware(2) as u32
    }

    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool) {
        hardware(ready().into());
    }

    fn restarted(&mut self) -> Option<Restart> {
        recovery::restarted(self)
    }
}

impl Recover for Board {
    fn lower_outputs(&mut self) {
        hardware(14);
    }

    fn retained(&mut self) -> Retained {
        [hardware(15) as u32; 3]
    }

    fn retain(&mut self, words: Retained) {
        hardware(words.iter().map(|&word| word as usize).sum());
    }

    fn reset_cause(&mut self) -> Option<Cause> {
        (hardware(16) > 0).then_some(Cause::Watchdog)
    }

    fn reset(&mut self) {
        hardware(17);
    }
}

impl Bus for Board {
    fn read(&mut self, register: Register) -> u32 {
        hardware(register.offset()) as u32
    }

    fn write(&mut self, register: Register, value: u32) {
        hardware(register.offset() ^ value as usize);
    }

    fn clean(&mut self, scratch: &mut [i8]) {
        hardware(scratch.as_mut_ptr().addr());
    }

    fn wait(&mut self, scratch: &mut [i8], limit_us: u32) -> bool {
        scratch.fill(hardware(limit_us as usize) as i8);
        hardware(11) > 0
    }

    fn invalidate(&mut self, scratch: &mut [i8]) {
        scratch.fill(hardware(12) as i8);
    }
}

impl AudioSource for Board {
    fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize {
        samples.fill(hardware(3) as i16);
        hardware(4)
    }

    fn lost(&mut self) -> u32 {
        hardware(5) as u32
    }
}

/// # Safety
///
/// Never called.
#[unsafe(no_mangle)]
unsafe extern "C" fn entry(image: *const u8, bytes: usize, memory: *mut i8, room: usize) -> usize {
    // SAFETY: never called; the linker alone looks at this.
    let (image, memory) = unsafe {
        (
            core::slice::from_raw_parts(image, bytes),
            core::slice::from_raw_parts_mut(memory, room),
        )
    };
    let file = image.get(hardware(21)..).unwrap_or_default();
    let image = match Image::parse(image) {
        Ok(image) => image,
        Err(error) => Refusal::new(error.into(), Board, Board, Board).run(),
    };
    let (cause, place) = (Cause::Fault, hardware(18) as u32);
    recovery::fail(&mut Board, Restart { cause, place });
    black_box((image.wake(), image.is_wake_word(hardware(13) as u8)));
    if let Ok(mut recognizer) = Recognizer::new(&image, memory) {
        let pcm = [hardware(6) as i16; 1000];
        recognizer.push(pcm.get(..hardware(7)).unwrap_or_default(), |detection| {
            black_box(detection);
        });
        recognizer.push_events(&pcm, |event| {
            black_box(event);
        });
        black_box((recognizer.is_awake(), recognizer.reset()));
        let (label, threshold) = (hardware(19) as u8, hardware(20) as u8);
        black_box(recognizer.set_threshold(label, threshold)).ok();
        black_box((recognizer.threshold(label), image.tail_samples()));
    }
    #[cfg(feature = "panic")]
    black_box([1, 2, 3][hardware(10)]);
    updates::update();
    let mut decoder = FrameDecoder::new();
    while let Ok(byte) = u8::try_from(hardware(8)) {
        black_box(decoder.push(byte).is_some());
    }
    let mut ring = Ring::<16>::new();
    let (producer, consumer) = ring.split();
    let mut capture = Capture::new(Board, producer);
    capture.run();
    let mut outputs = [
        Output::new(Board, Some("go"), 100),
        Output::new(Board, None, 100),
        Output::while_awake(Board),
    ];
    let mut scratch = Scratch::<5000>::new();
    let npu = Npu::new(Board, &mut scratch);
    let Ok(mut recognizer) = Recognizer::with_step(&image, memory, npu) else {
        return 2;
    };
    let Ok(templates) = Templates::parse(file) else {
        return 3;
    };
    let mut cells = [Cell::START; 400];
    let Ok(mut matcher) = Matcher::new(templates, &recognizer, &mut cells) else {
        return 4;
    };
    let mut app = App::new(&mut recognizer, consumer, &mut outputs, Board, Board);
    app.listen_for(&mut matcher);
    let mut requests = Requests::new();
    while hardware(9) > 0 {
        app.serve(&mut requests, || {
            (hardware(44) > 0).then(|| u8::try_from(hardware(43)))
        });
        capture.run();
        app.poll();
        app.report_status();
    }
    app.run()
}
