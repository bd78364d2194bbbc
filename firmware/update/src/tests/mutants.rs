//! Updates that were changed on their way, or made by somebody who means harm.

use super::*;
use crate::header::{Header, field};
use crate::protocol::MAX_REQUEST;
use crate::{IMAGE_OFFSET, Key};
use std::{env, println, thread};
use zerda_firmware::request::{self, Requests};

/// Makes numbers without order, the same ones each time (xorshift64).
struct Random(u64);

impl Random {
    fn of(number: u64) -> Self {
        let mut random = Self((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(2);
        random
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit.max(1)
    }
}

/// What a host sends, with what it owns.
#[derive(Clone)]
enum Sent {
    Status,
    Begin(Vec<u8>),
    Block(u32, Vec<u8>),
    Finish,
}

impl Sent {
    fn frame(&self, number: u16) -> Vec<u8> {
        let request = match self {
            Self::Status => Request::Status,
            Self::Begin(header) => Request::Begin { header },
            Self::Block(offset, bytes) => Request::Block {
                offset: *offset,
                bytes,
            },
            Self::Finish => Request::Finish,
        };
        let mut buffer = [0; MAX_REQUEST];
        let bytes = request.encode(&mut buffer).unwrap_or_default();
        let frame = request::Request::Update(bytes).frame(number);
        frame.unwrap_or_default().to_vec()
    }
}

fn sent(update: &[u8]) -> Vec<Sent> {
    let (header, image) = update.split_at(HEADER_BYTES);
    let blocks = image.chunks(BLOCK).zip(0..);
    let blocks = blocks.map(|(bytes, number)| Sent::Block(number * BLOCK as u32, bytes.to_vec()));
    let begin = [Sent::Status, Sent::Begin(header.to_vec())];
    begin
        .into_iter()
        .chain(blocks)
        .chain([Sent::Finish])
        .collect()
}

/// The bytes of a line: an update whose requests were changed, or its bytes, or both.
fn line(number: u64, update: &[u8]) -> Vec<u8> {
    let mut random = Random::of(number);
    let mut requests = sent(update);
    for _ in 0..random.below(4) {
        let at = random.below(requests.len());
        match random.below(6) {
            0 => drop(requests.remove(at)),
            1 => requests.insert(at, requests[at].clone()),
            2 => {
                let other = random.below(requests.len());
                requests.swap(at, other);
            }
            _ => change(&mut requests[at], &mut random),
        }
        if requests.is_empty() {
            break;
        }
    }
    let frames = requests.iter().zip(1..);
    let mut line: Vec<u8> = frames
        .flat_map(|(sent, number)| sent.frame(number))
        .collect();
    for _ in 0..random.below(3) {
        let at = random.below(line.len());
        match random.below(4) {
            _ if line.is_empty() => {}
            0 => drop(line.remove(at)),
            1 => line.insert(at, random.below(256) as u8),
            _ => line[at] ^= 1 << random.below(8),
        }
    }
    line
}

fn change(sent: &mut Sent, random: &mut Random) {
    let bytes = match sent {
        Sent::Status | Sent::Finish => return,
        Sent::Begin(header) if random.below(4) == 0 => {
            resign(header, random);
            return;
        }
        Sent::Block(offset, _) if random.below(4) == 0 => {
            *offset = offset.wrapping_add(random.below(1 << 32) as u32 >> random.below(32));
            return;
        }
        Sent::Begin(bytes) | Sent::Block(_, bytes) => bytes,
    };
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes.push(random.below(256) as u8),
        _ if bytes.is_empty() => {}
        _ => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
    }
}

/// Changes a header's numbers, and signs it: its maker made a mistake.
fn resign(bytes: &mut [u8], random: &mut Random) {
    let Some(header) = bytes.first_chunk().map(Header::parse) else {
        return;
    };
    let Ok(mut header) = header else { return };
    let number = random.below(1 << 32) as u32 >> random.below(32);
    match random.below(3) {
        0 => header.version = number,
        _ => header.length = number,
    }
    let signed = header.signed_bytes();
    bytes[field::SIGNED].copy_from_slice(&signed);
    bytes[field::SIGNATURE].copy_from_slice(&KEY.signature(&signed));
}

#[derive(Default)]
struct Counts {
    lines: u64,
    answers: u64,
    refused: u64,
    begun: u64,
    ready: u64,
}

/// Feeds a device with a line, and checks that what starts afterwards is an image that was signed whole.
fn try_line(counts: &mut Counts, device: &Device, line: &[u8]) {
    let mut device = device.clone();
    let (before, mut ready) = (device.status(), None);
    let mut requests = Requests::new();
    for &byte in line {
        let Some((_, request::Request::Update(bytes))) = requests.push(byte) else {
            continue;
        };
        let Some(request) = Request::decode(bytes) else {
            continue;
        };
        counts.answers += 1;
        match device.answer(request, |_| true) {
            Answer::Ready { version } => ready = Some(version),
            Answer::Refused(_) => counts.refused += 1,
            Answer::Expects { .. } => counts.begun += 1,
            Answer::Status(_) => {}
        }
    }
    counts.lines += 1;
    assert!(!device.flash.violation(), "a word was written twice");
    assert_eq!(device.status().version, before.version);
    let confirmed = SLOTS[1].start + IMAGE_OFFSET;
    let confirmed = confirmed..confirmed + image(2).len() as u32;
    assert_eq!(device.flash.range(confirmed), image(2));
    let Some(version) = ready else { return };
    counts.ready += 1;
    let (device, started) = start(device.flash);
    let started = started.unwrap();
    if started.on_trial {
        assert!(started.version == version && version > 2);
        let slot = &SLOTS[0];
        let header = device
            .flash
            .range(slot.start..slot.start + HEADER_BYTES as u32);
        let header = Header::verify(header.first_chunk().unwrap(), &KEY.public(), device.board);
        let mut hash = <PublicKey as Key>::Hash::default();
        PublicKey::absorb(&mut hash, device.flash.range(started.image));
        assert_eq!(PublicKey::digest(hash), header.unwrap().digest);
    }
}

/// `ZERDA_MUTANTS`: how many, or `FROM..TO`, so that one can be tried again.
fn numbers() -> Range<u64> {
    let Ok(asked) = env::var("ZERDA_MUTANTS") else {
        return 0..20_000;
    };
    let number = |text: &str| text.parse().expect("ZERDA_MUTANTS is COUNT or FROM..TO");
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&asked),
    }
}

#[test]
fn mutated_updates_are_refused_or_are_what_was_signed() {
    let numbers = numbers();
    let (device, _) = start(updated(2..3));
    let update = KEY.sign(&image(3)[..700], 3, BOARD);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = |core: usize| {
        let mut counts = Counts::default();
        for number in numbers.clone().skip(core).step_by(cores) {
            try_line(&mut counts, &device, &line(number, &update));
        }
        counts
    };
    let work = &work;
    let counts = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || work(core)))
            .collect();
        let counts = workers.into_iter().map(|worker| worker.join().unwrap());
        counts.fold(Counts::default(), |all, one| Counts {
            lines: all.lines + one.lines,
            answers: all.answers + one.answers,
            refused: all.refused + one.refused,
            begun: all.begun + one.begun,
            ready: all.ready + one.ready,
        })
    });
    let Counts {
        lines,
        answers,
        refused,
        begun,
        ready,
    } = counts;
    println!(
        "{lines} mutated updates, 0 panics: {answers} requests answered, {refused} refused, {begun} taken, \
         {ready} times ready"
    );
    assert_eq!(lines, numbers.end - numbers.start);
    assert!(refused > lines / 4 && begun > lines && ready > lines / 20);
}
