//! Windows after weeks and years, when counters of 32 bits have ended.

use super::*;
use crate::test_image::{Random, YEARS, before_years};
use std::println;

/// Number of streams that are drawn.
const STREAMS: usize = 500;

#[test]
fn windows_are_the_same_after_years() {
    let image = image_with(&GO_GO, &WAKE);
    let words = [(50, GO), (100, COMPUTER), (130, GO), (150, GO), (205, GO)];
    let from_start = heard_from(100, &image, &words);
    assert_eq!(from_start.len(), 8);
    for start in YEARS.map(|frame| frame - 140).into_iter().chain([1 << 60]) {
        assert_eq!(heard_from(start, &image, &words), from_start, "{start}");
    }
}

/// Words of any labels at any frames, of which many fall together.
#[test]
fn windows_of_any_words_are_the_same_whenever_their_stream_begins() {
    let images = [
        image_with(&GO_GO, &WAKE),
        image_with(&GO_GO, &NOT_EXTENDED),
        image_with(&[], &WAKE),
    ];
    let (mut random, mut outcomes) = (Random(19), 0);
    for _ in 0..STREAMS {
        let image = &images[random.below(images.len())];
        let word = |random: &mut Random| (random.below(400) as u64, random.below(2) as u8);
        let count = random.below(15);
        let words: Vec<_> = (0..count).map(|_| word(&mut random)).collect();
        let expected = heard_from(100, image, &words);
        let start = before_years(&mut random, 400);
        assert_eq!(
            heard_from(start, image, &words),
            expected,
            "{start}: {words:?}"
        );
        outcomes += expected.len();
    }
    println!("{STREAMS} streams: {outcomes} commands, wake words and windows");
    assert!(outcomes > 4 * STREAMS, "{outcomes}");
}
