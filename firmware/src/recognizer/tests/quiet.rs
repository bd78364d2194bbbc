//! Streams in which the network rests: what it then hears, and what goes on without it.

use super::*;
use crate::Aligned;
use crate::image::Quiet;
use crate::recognizer::Spell;
use crate::test_image::with_quiet;

const QUIET: Quiet = Quiet {
    sensitivity: 2,
    hangover_ms: 300,
};

static SHIPPED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../models/shrunk.zerda"));

fn answers() -> Vec<i16> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples/answers.wav");
    let samples = hound::WavReader::open(sample).unwrap().into_samples();
    samples.collect::<Result<_, _>>().unwrap()
}

/// Three seconds of faint noise, and then sound of so many frames and faint noise in turn; full scale is far.
fn spells(frames: &[(usize, usize)]) -> Vec<i16> {
    let mut random = Random(8);
    let mut pcm = Vec::new();
    let mut noise = |frames: usize, amplitude: usize, pcm: &mut Vec<i16>| {
        let samples =
            (0..frames * 160).map(|_| random.below(2 * amplitude + 1) as i16 - amplitude as i16);
        pcm.extend(samples);
    };
    noise(300, 30, &mut pcm);
    for &(loud, faint) in frames {
        noise(loud, 3000, &mut pcm);
        noise(faint, 30, &mut pcm);
    }
    pcm
}

/// A step or a committed frame: its number, and its bits.
type Bits = (u64, Vec<u8>);

/// What a stream brings, in order.
#[derive(Debug, PartialEq)]
enum Heard {
    Speech(Spell),
    Quiet(Spell),
    Step(Bits),
    Frame(Bits),
}

fn hear(recognizer: &mut Recognizer<'_>, pcm: &[i16]) -> Vec<Heard> {
    let mut heard = Vec::new();
    recognizer.push_events(pcm, |event| {
        heard.push(match event {
            Event::Speech(spell) => Heard::Speech(spell),
            Event::Quiet(spell) => Heard::Quiet(spell),
            Event::Step { index, logits, .. } => {
                Heard::Step((index, bytemuck::cast_slice(logits).to_vec()))
            }
            Event::Frame { frame, smoothed } => Heard::Frame((frame, smoothed.to_vec())),
            _ => return,
        });
    });
    heard
}

/// Checks that each spell has the bits of a stream that begins at its first frame; returns how many there are.
fn spells_are_fresh_streams(image: &[u8], pcm: &[i16]) -> usize {
    let gated = with_quiet(image, QUIET);
    let (gated, plain) = (
        Image::parse(gated.get()).unwrap(),
        Image::parse(image).unwrap(),
    );
    let mut memory = vec![77; gated.memory_bytes()];
    let mut recognizer = Recognizer::new(&gated, &mut memory).unwrap();
    let step = u64::from(plain.manifest().stream.step);
    let heard = hear(&mut recognizer, pcm);
    let mut rest = &heard[..];
    let mut count = 0;
    while let Some((Heard::Speech(spell), after)) = rest.split_first() {
        let ended = after.iter().position(|of| matches!(of, Heard::Quiet(_)));
        let (inside, after) = after.split_at(ended.unwrap_or(after.len()));
        rest = after.get(1..).unwrap_or_default();
        let mut memory = vec![55; plain.memory_bytes()];
        let mut fresh = Recognizer::new(&plain, &mut memory).unwrap();
        let fresh = hear(&mut fresh, &pcm[spell.frame as usize * 160..]);
        let numbered = fresh.into_iter().map(|of| match of {
            Heard::Step((index, bits)) => Heard::Step((index + spell.frame / step, bits)),
            Heard::Frame((frame, bits)) => Heard::Frame((frame + spell.frame, bits)),
            other => other,
        });
        let expected: Vec<_> = numbered.take(inside.len()).collect();
        assert_eq!(spell.frame % step, 0);
        assert!(inside == expected, "spell from frame {}", spell.frame);
        // A step is never split.
        if let Some(Heard::Quiet(end)) = after.first() {
            assert_eq!((end.frame - spell.frame) % step, 0);
            let steps = inside.iter().filter(|of| matches!(of, Heard::Step(_)));
            assert_eq!(steps.count() as u64, (end.frame - spell.frame) / step);
        }
        count += 1;
    }
    assert!(rest.is_empty(), "steps outside of spells");
    count
}

#[test]
fn a_spell_has_the_bits_of_a_stream_that_begins_at_its_first_frame() {
    let pcm = spells(&[(20, 200), (3, 90), (100, 45), (10, 300), (50, 0)]);
    // The pause of 45 frames ends before what came since can no longer be kept.
    assert_eq!(spells_are_fresh_streams(tiny(3).get(), &pcm), 5);
    let pcm = [answers(), spells(&[(20, 80)]), answers()].concat();
    assert!(spells_are_fresh_streams(&SHIPPED.0, &pcm) >= 3);
}

#[test]
fn the_network_rests_in_the_quiet_and_starts_with_400_ms_from_before_the_sound() {
    let pcm = spells(&[(20, 300), (20, 300)]);
    let bytes = with_quiet(tiny(2).get(), QUIET);
    let image = Image::parse(bytes.get()).unwrap();
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    assert!(recognizer.is_quiet());
    let (mut starts, mut most, mut steps) = (Vec::new(), 0, 0);
    for (hop, samples) in pcm.chunks(160).enumerate() {
        let heard = hear(&mut recognizer, samples);
        let ran = heard
            .iter()
            .filter(|of| matches!(of, Heard::Step(_)))
            .count();
        (most, steps) = (most.max(ran), steps + ran);
        starts.extend(heard.iter().filter_map(|of| match of {
            Heard::Speech(spell) => Some((hop, spell.frame)),
            _ => None,
        }));
    }
    // The first is that of a stream whose noise is not known; the sounds begin with hops 300 and 620.
    assert_eq!(starts.len(), 3);
    for ((opened, frame), sound) in starts[1..].iter().zip([300, 620]) {
        assert!((sound..=sound + 4).contains(opened), "{starts:?}");
        let kept = opened - 2 - *frame as usize;
        assert!((40..=42).contains(&kept), "{starts:?}");
    }
    // Steps of two frames each: two at once, where 16 would be.
    assert_eq!(most, 2);
    let all = pcm.len() / 160 / usize::from(STREAM.step);
    assert!(steps * 2 < all, "{steps} of {all} steps");
    assert!(recognizer.is_quiet());
}

#[test]
fn how_the_audio_of_spells_is_split_does_not_matter() {
    let pcm = spells(&[(20, 200), (3, 90), (100, 45), (10, 300)]);
    let (bytes, mut random) = (with_quiet(tiny(3).get(), QUIET), Random(1));
    let whole = events(bytes.get(), &pcm, core::iter::once(pcm.len()));
    for _ in 0..5 {
        let parts = core::iter::repeat_with(|| random.below(700));
        assert!(events(bytes.get(), &pcm, parts) == whole);
    }
    let image = Image::parse(bytes.get()).unwrap();
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    recognizer.push(&pcm[..40_000], |_| ());
    recognizer.reset();
    assert!(pushed(&mut recognizer, &pcm, core::iter::once(pcm.len())) == whole);
}

#[test]
fn a_sound_is_heard_however_long_the_pause_before_it_is() {
    let image = tiny(2);
    let bytes = with_quiet(image.get(), QUIET);
    let image = Image::parse(bytes.get()).unwrap();
    // The pauses end before the gate closes, while what came since is kept, when it just no longer is, and later.
    for pause in 20..100 {
        let pcm = spells(&[(20, pause), (20, 60)]);
        let mut memory = vec![0; image.memory_bytes()];
        let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
        let decoded: Vec<_> = hear(&mut recognizer, &pcm)
            .into_iter()
            .filter_map(|of| match of {
                Heard::Frame((frame, _)) => Some(frame),
                _ => None,
            })
            .collect();
        let second = 320 + pause as u64;
        let missing = (second..second + 18).find(|frame| !decoded.contains(frame));
        assert_eq!(missing, None, "pause of {pause} frames");
    }
}
