//! This check fails a build whose model does not fit the board.

use crate::image::memory_bytes;

/// Fails the build, if called in a constant, unless `image` is a compiled image whose caches and arena take
/// at most `ram` bytes. The error states both figures.
pub const fn assert_fits(image: &[u8], ram: usize) {
    let needed = memory_bytes(image);
    assert!(
        needed > 0,
        "ZERDA_IMAGE is not a compiled image: make one with `zerda compile`"
    );
    if needed > ram {
        let mut text = *b"the model needs ########## bytes of RAM for caches and arena, this board gives it ##########";
        let (text_len, figure) = (text.len(), 10);
        write_decimal(&mut text, 16 + figure, needed);
        write_decimal(&mut text, text_len, ram);
        match core::str::from_utf8(&text) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("the model does not fit"),
        }
    }
}

/// Writes a number so that it ends before `end`, over ten places that are filled up with spaces.
const fn write_decimal(text: &mut [u8], mut end: usize, mut number: usize) {
    let start = end - 10;
    while end > start {
        end -= 1;
        text[end] = if number > 0 || end + 1 == start + 10 {
            b'0' + (number % 10) as u8
        } else {
            b' '
        };
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::tiny;

    #[test]
    fn a_model_that_fits_passes() {
        let image = tiny(2);
        assert_fits(image.get(), memory_bytes(image.get()));
    }

    #[test]
    #[should_panic(expected = "caches and arena, this board gives it         16")]
    fn a_model_that_does_not_fit_is_refused_with_both_figures() {
        assert_fits(tiny(2).get(), 16);
    }

    #[test]
    #[should_panic(expected = "make one with `zerda compile`")]
    fn what_is_no_image_is_refused() {
        assert_fits(b"PNG", 1000);
    }
}
