//! Reads what is swept: `KEY=V,...`.

use zerda_support::config::Profile;
use zerda_support::error::{Error, Result};

/// Number in the shape of a model that can be swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Chunk,
    Step,
    Cache,
    Hidden,
    Layers,
}

/// Names of the keys, in the order that the table's columns have, and its rows as well.
const KEYS: [(&str, Key); 5] = [
    ("chunk", Key::Chunk),
    ("step", Key::Step),
    ("cache", Key::Cache),
    ("hidden", Key::Hidden),
    ("layers", Key::Layers),
];
const BOARD: &str = "board";

/// Values that were given, without what was given twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Values that each key of [`KEYS`] is given, in their order.
    numbers: [Vec<u16>; KEYS.len()],
    pub boards: Vec<String>,
}

impl Keys {
    /// Reads keys, each as `KEY=V,...`; values of a key that is given again are added.
    pub fn parse(given: &[String]) -> Result<Keys> {
        let mut keys = Keys::default();
        for given in given {
            let wrong = |why: String| Error::usage(format!("--sweep {given}: {why}"));
            let names = KEYS.map(|(name, _)| name).join(", ");
            let Some((name, values)) = given.split_once('=') else {
                return Err(wrong(format!(
                    "expected KEY=V,... with a key of {names}, {BOARD}"
                )));
            };
            if name == BOARD {
                for board in values.split(',') {
                    if board.is_empty() {
                        return Err(wrong(
                            "a name is missing, expected boards separated by commas".into(),
                        ));
                    }
                    add(&mut keys.boards, board.to_string());
                }
                continue;
            }
            let Some(number) = KEYS.iter().position(|(known, _)| *known == name) else {
                return Err(wrong(format!(
                    "no key {name}, expected one of {names}, {BOARD}"
                )));
            };
            let least = u16::from(KEYS[number].1 != Key::Cache);
            for text in values.split(',') {
                match text.parse() {
                    Ok(value) if value >= least => add(&mut keys.numbers[number], value),
                    _ => {
                        return Err(wrong(format!(
                            "invalid value {text:?}, expected whole numbers from {least} to {}, separated by commas",
                            u16::MAX
                        )));
                    }
                }
            }
        }
        Ok(keys)
    }

    /// Returns how many shapes there are.
    pub fn count(&self) -> usize {
        let lengths = self.numbers.iter().map(|values| values.len().max(1));
        lengths.fold(1, usize::saturating_mul)
    }

    /// Returns all shapes, which are like `base` in what is not swept.
    pub fn shapes(&self, base: &Profile) -> Vec<Profile> {
        let mut shapes = vec![*base];
        for (values, (_, key)) in self.numbers.iter().zip(KEYS) {
            if !values.is_empty() {
                let with = |shape: Profile| values.iter().map(move |&value| set(shape, key, value));
                shapes = shapes.into_iter().flat_map(with).collect();
            }
        }
        shapes
    }
}

fn add<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

/// Returns a shape with one value instead of its own. The feed-forward layers grow as hidden does.
fn set(mut shape: Profile, key: Key, value: u16) -> Profile {
    match key {
        Key::Chunk => shape.chunk = value,
        Key::Step => shape.step = value,
        Key::Cache => shape.cached = value,
        Key::Layers => shape.layers = value,
        Key::Hidden => {
            let wide = u32::from(shape.feed_forward) * u32::from(value) / u32::from(shape.hidden);
            // What does not fit is refused for its work, cut or not.
            shape.feed_forward = wide.clamp(1, u16::MAX.into()) as u16;
            shape.hidden = value;
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::config::Config;

    fn parse(given: &[&str]) -> Result<Keys> {
        let given: Vec<_> = given.iter().map(std::string::ToString::to_string).collect();
        Keys::parse(&given)
    }

    #[test]
    fn all_combinations_come_in_the_order_of_the_keys_and_keep_what_is_not_swept() {
        let shrunk = Config::load(None).unwrap().models.profiles["shrunk"];
        let keys = parse(&[
            "hidden=64,96",
            "board=a,b",
            "chunk=10",
            "cache=0,50",
            "chunk=5,10",
        ])
        .unwrap();
        assert_eq!(keys.boards, ["a", "b"]);
        assert_eq!(keys.count(), 8);
        let shapes = keys.shapes(&shrunk);
        let shown = shapes.iter().map(|shape| {
            assert_eq!((shape.step, shape.heads, shape.kernel), (5, 4, 15));
            (shape.chunk, shape.cached, shape.hidden, shape.feed_forward)
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                (10, 0, 64, 256),
                (10, 0, 96, 384),
                (10, 50, 64, 256),
                (10, 50, 96, 384),
                (5, 0, 64, 256),
                (5, 0, 96, 384),
                (5, 50, 64, 256),
                (5, 50, 96, 384),
            ]
        );
        assert_eq!(Keys::default().shapes(&shrunk), [shrunk]);
    }

    #[test]
    fn a_mistake_is_one_line_that_says_what_was_expected() {
        for (given, expected) in [
            (
                "hiden=64",
                "--sweep hiden=64: no key hiden, expected one of chunk, step, cache, hidden, layers, board",
            ),
            (
                "hidden",
                "--sweep hidden: expected KEY=V,... with a key of chunk, step, cache, hidden, layers, board",
            ),
            (
                "hidden=x",
                "--sweep hidden=x: invalid value \"x\", expected whole numbers from 1 to 65535, separated by commas",
            ),
            (
                "hidden=0",
                "--sweep hidden=0: invalid value \"0\", expected whole numbers from 1 to 65535, separated by commas",
            ),
            (
                "cache=-1",
                "--sweep cache=-1: invalid value \"-1\", expected whole numbers from 0 to 65535, separated by commas",
            ),
            (
                "step=65536",
                "--sweep step=65536: invalid value \"65536\", expected whole numbers from 1 to 65535, separated by commas",
            ),
            (
                "chunk=",
                "--sweep chunk=: invalid value \"\", expected whole numbers from 1 to 65535, separated by commas",
            ),
            (
                "board=a,",
                "--sweep board=a,: a name is missing, expected boards separated by commas",
            ),
            (
                "",
                "--sweep : expected KEY=V,... with a key of chunk, step, cache, hidden, layers, board",
            ),
        ] {
            assert_eq!(parse(&[given]).unwrap_err().to_string(), expected);
        }
    }
}
