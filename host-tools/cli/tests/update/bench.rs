//! A device at the other end of a serial line: the updater of the firmware on a model of flash, which reports in between
//! as an application does.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serialport::{SerialPort, TTYPort};
use tempfile::TempDir;
use zerda_firmware::Image;
use zerda_firmware::request::{self, Requests};
use zerda_firmware::telemetry::{Report, encode};
use zerda_support::image_file::ImageFile;
use zerda_update::nor::Nor;
use zerda_update::protocol::{Answer, MAX_ANSWER, Request};
use zerda_update::{Factory, HEALTHY_MS, IMAGE_OFFSET, Layout, PublicKey, Updater};

use super::common::{root, run};

/// A flash of sectors of 4 KiB and words of 32 bytes, as of an STM32.
type Flash = Nor<4096, 32>;

const SLOT: u32 = 1 << 19;
const JOURNAL: u32 = 2 * 4096;

/// Folder with keys, and the shipped image as updates.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    /// Makes keys, as a user does.
    pub fn new() -> Self {
        let bench = Bench {
            folder: tempfile::tempdir().unwrap(),
        };
        let (code, _, stderr) = run(&["keygen", "-o", &bench.at("key.pem")]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        bench
    }

    pub fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn key(&self) -> PublicKey {
        let text = std::fs::read(self.at("key.pem.pub")).unwrap();
        PublicKey::parse(&text).expect("64 digits")
    }

    /// Signs the shipped image, and returns the update's name.
    pub fn sign(&self, version: u32, board: &str) -> String {
        let (version, output) = (
            version.to_string(),
            self.at(&format!("{version}-{board}.zup")),
        );
        let (code, _, stderr) = run(&[
            "sign",
            &shipped().display().to_string(),
            "--key",
            &self.at("key.pem"),
            "--version",
            &version,
            "--board",
            board,
            "-o",
            &output,
        ]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        output
    }
}

pub fn shipped() -> PathBuf {
    root().join("models/shrunk.zerda")
}

/// What a device does besides what is asked of it.
#[derive(Clone, Copy, Default)]
pub struct Habits {
    /// It loses every so many-th byte that it receives; 0: none.
    pub loses: usize,
    /// Its power goes after so many operations of the flash; 0: never.
    pub power_goes_after: u64,
    /// Its images never run well.
    pub hangs: bool,
}

/// Device that runs in a thread, at the other end of a pseudo-terminal.
pub struct Device {
    pub port: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Flash>,
    /// Kept open, so that the line stays.
    _end: TTYPort,
}

impl Device {
    /// Starts a device with the shipped image as its factory's, in version 1.
    pub fn new(key: Option<PublicKey>, habits: Habits) -> Self {
        let mut flash = Flash::new((JOURNAL + 2 * SLOT) as usize, 1);
        let image = std::fs::read(shipped()).unwrap();
        flash.program((JOURNAL + IMAGE_OFFSET) as usize, &image);
        Self::with_flash(flash, key, habits)
    }

    pub fn with_flash(mut flash: Flash, key: Option<PublicKey>, habits: Habits) -> Self {
        let (mut line, end) = TTYPort::pair().expect("a pseudo-terminal");
        line.set_timeout(Duration::from_millis(5)).unwrap();
        let port = end.name().expect("its name");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        if habits.power_goes_after > 0 {
            flash.cut_after(Some(habits.power_goes_after));
        }
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                flash = life(flash, key, habits, &mut line, &stopped);
                flash.turn_on();
            }
            flash
        });
        Self {
            port,
            stop,
            thread,
            _end: end,
        }
    }

    /// Turns the device off, and returns its flash.
    pub fn stop(self) -> Flash {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// One life of the device, from a start to the next one.
fn life(
    flash: Flash,
    key: Option<PublicKey>,
    habits: Habits,
    line: &mut TTYPort,
    stopped: &AtomicBool,
) -> Flash {
    let file = ImageFile::open(&shipped()).unwrap();
    let layout = Layout {
        journal: 0..JOURNAL,
        slots: [JOURNAL..JOURNAL + SLOT, JOURNAL + SLOT..JOURNAL + 2 * SLOT],
    };
    let factory = Factory {
        version: 1,
        length: file.bytes().len() as u32,
        checksum: file.image().unwrap().checksum(),
    };
    let usable = |_| Image::parse(file.bytes()).is_ok();
    let (mut device, started) = Updater::start(flash, layout, factory, "desk", key, usable);
    let (mut requests, mut sequence, mut received) = (Requests::new(), 0u16, 0);
    let mut tell = |line: &mut TTYPort, report: Report<'_>| {
        let frame = encode(sequence, &report).unwrap();
        sequence = sequence.wrapping_add(1);
        // Nobody may listen.
        let _ = line.write_all(&frame);
    };
    let version = started.as_ref().map_or(0, |started| started.version);
    tell(line, Report::AudioStopped { at_ms: version });
    let on_trial = started.is_some_and(|started| started.on_trial);
    // A second of audio passes in 20 ms.
    let mut audio_ms = 0;
    let mut buffer = [0; 512];
    while !stopped.load(Ordering::Relaxed) {
        let read = match line.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::TimedOut => 0,
            Err(_) => break,
        };
        for &byte in &buffer[..read] {
            received += 1;
            if habits.loses > 0 && received % habits.loses == 0 {
                continue;
            }
            let Some((number, request::Request::Update(request))) = requests.push(byte) else {
                continue;
            };
            let request = Request::decode(request).expect("a request");
            let answer = device.answer(request, usable);
            if device.flash().is_off() {
                return device.into_flash();
            }
            let mut bytes = [0; MAX_ANSWER];
            let said = request::Answer::Update(answer.encode(&mut bytes));
            tell(
                line,
                Report::Answer {
                    number,
                    answer: said,
                },
            );
            if let Answer::Ready { .. } = answer {
                return device.into_flash();
            }
        }
        audio_ms += 250;
        if on_trial && habits.hangs && audio_ms > HEALTHY_MS / 2 {
            // Its watchdog starts it again.
            return device.into_flash();
        }
        let _ = device.ran(audio_ms);
    }
    device.into_flash()
}

/// Runs `zerda update`.
pub fn update(file: &str, port: &str) -> (i32, String, String) {
    assert!(Path::new(file).exists(), "{file}");
    run(&["update", file, "--port", port])
}
