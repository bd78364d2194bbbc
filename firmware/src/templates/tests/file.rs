//! Files of templates that are not what they say.

use super::*;

fn valid() -> Vec<u8> {
    let long = "a name of thirty-two bytes, all.";
    file(
        9,
        &[
            ("a", 1, along(&[0, 1, 2, 0])),
            (long, 32_768, along(&[3, 1, 2, 0, 3])),
        ],
    )
}

fn error_after(change: impl FnOnce(&mut Vec<u8>)) -> TemplateError {
    let mut bytes = valid();
    change(&mut bytes);
    Templates::parse(&repaired(bytes)).unwrap_err()
}

#[test]
fn a_valid_file_gives_back_its_templates() {
    let bytes = valid();
    assert_eq!(cells(&bytes), 9);
    let templates = Templates::parse(&bytes).unwrap();
    assert_eq!(
        (templates.rows(), templates.columns(), templates.network()),
        (9, 4, 9)
    );
    let names: Vec<_> = templates.iter().map(|of| (of.name, of.threshold)).collect();
    assert_eq!(
        names,
        [("a", 1), ("a name of thirty-two bytes, all.", 32_768)]
    );
    let of = templates.get(1).unwrap();
    assert_eq!((of.elements.len(), of.elements[3]), (20, 127));
    assert_eq!(templates.get(2), None);
}

#[test]
fn each_wrong_field_is_named() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, &str); 17] = [
        (|b| b[0] = b'z', "no templates of phrases"),
        (
            |b| b[4] = 2,
            "format version 2, this program reads version 1",
        ),
        (|b| b.truncate(23), "23 bytes, expected 24"),
        (|b| b[6] = 0, "header, templates: must be 1..=8"),
        (|b| b[6] = 9, "header, templates: must be 1..=8"),
        (
            |b| b[6] = 1,
            "header, templates: are followed by more bytes",
        ),
        (|b| b[6] = 3, "template 2, length: ends beyond all of it"),
        (|b| b[20] = 0, "header, columns: must be 1..=128"),
        (|b| b[20] = 129, "header, columns: must be 1..=128"),
        (
            |b| b[22] = 8,
            "header, rows: must be those of all templates",
        ),
        (|b| b[24] = 0, "template 0, name: must have 1..=32"),
        (|b| b[26] = b'x', "template 0, name: must have 1..=32"),
        (|b| b[24] = 7, "template 0, name: must have 1..=32"),
        (|b| b[24] = 0xff, "template 0, name: must have 1..=32"),
        (|b| b[56] = 0, "template 0, threshold: must be 1..=32768"),
        (|b| b[57] = 0x80, "template 0, threshold: must be 1..=32768"),
        (|b| b[58] = 3, "template 0, rows: must be 4..=100"),
    ];
    for (change, expected) in cases {
        let error = error_after(change).to_string();
        assert!(error.starts_with(expected), "{error}, not {expected}");
    }
    let same = file(9, &[("a", 1, along(&[0; 4])), ("a", 2, along(&[1; 4]))]);
    let error = Templates::parse(&same).unwrap_err().to_string();
    assert_eq!(error, "template 1, name: is there twice");
    let mut damaged = valid();
    damaged[70] ^= 1;
    let error = Templates::parse(&damaged).unwrap_err().to_string();
    assert!(error.starts_with("checksum "), "{error}");
    let mut longer = valid();
    longer.push(0);
    let error = Templates::parse(&longer).unwrap_err();
    let (expected, found) = (longer.len() - 1, longer.len());
    assert_eq!(error, TemplateError::Length { expected, found });
}

/// Whatever parses is followed, with rows of all values.
#[test]
fn no_bytes_make_parsing_or_following_panic() {
    let valid = valid();
    let (mut random, mut parsed) = (Random(11), 0);
    for _ in 0..200_000 {
        let mut bytes = valid.clone();
        for _ in 0..=random.below(4) {
            // Mostly where fields are.
            let at = match random.below(3) {
                0 => random.below(bytes.len()),
                1 => random.below(HEADER_BYTES),
                _ => 24 + 32 + random.below(4),
            };
            bytes[at] = match random.below(2) {
                0 => random.next() as u8,
                _ => bytes[at] ^ (1 << random.below(8)),
            };
        }
        match random.below(8) {
            0 => bytes.truncate(random.below(bytes.len() + 1)),
            1 => bytes.extend((0..random.below(60)).map(|_| random.next() as u8)),
            _ => {}
        }
        let bytes = if random.below(8) == 0 {
            bytes
        } else {
            repaired(bytes)
        };
        let _ = cells(&bytes);
        let Ok(templates) = Templates::parse(&bytes) else {
            continue;
        };
        parsed += 1;
        assert_eq!(templates.rows(), cells(&bytes));
        assert_eq!(templates.iter().count(), usize::from(bytes[6]));
        for of in templates.iter() {
            let rows = of.elements.len() / templates.columns();
            let mut cells = std::vec![Cell::START; rows];
            for _ in 0..6 {
                let row: Vec<i8> = (0..templates.columns())
                    .map(|_| random.next() as i8)
                    .collect();
                let ending = of.follow(&row, &mut cells);
                assert!(ending.similarity <= SAME && usize::from(ending.age) < 2 * rows);
            }
        }
    }
    assert!(parsed > 20_000, "{parsed}");
}

/// The worst that elements can be: rows of which each is as far from the stream as can be, and each as near.
#[test]
fn costs_and_ages_stay_in_their_bits_over_the_longest_template() {
    for (element, expected) in [(127, 0), (-128, SAME)] {
        let elements = std::vec![element; MAX_ROWS * MAX_COLUMNS];
        let of = Template {
            name: "",
            threshold: 1,
            elements: &elements,
        };
        let mut cells = [Cell::START; MAX_ROWS];
        for n in 0..5 * MAX_ROWS {
            let Ending { similarity, age } = of.follow(&[-128; MAX_COLUMNS], &mut cells);
            // The fastest path comes to the end in half as many steps.
            let reached = if n < MAX_ROWS / 2 - 1 { 0 } else { expected };
            assert_eq!(similarity, reached, "{n}");
            assert!(usize::from(age) < 2 * MAX_ROWS);
        }
    }
}
