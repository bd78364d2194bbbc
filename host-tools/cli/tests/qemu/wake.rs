//! The gate of wake words lets through on a board what it does by `zerda run`.

use serde_json::Value;

use super::{BOARDS, equals_the_laptop_on, root, tools};

#[test]
fn behind_a_wake_word_a_board_hears_what_the_laptop_hears() {
    if !tools() {
        return;
    }
    let sample = root().join("models/samples/wake.wav").display().to_string();
    let heard = equals_the_laptop_on(&BOARDS[1..], &["--wake".into(), sample]);
    let kinds = ["wake_word", "awake", "asleep", "command"];
    let kind = |one: &Value| kinds.into_iter().find(|kind| !one[*kind].is_null());
    let found: Vec<_> = heard.iter().filter_map(kind).collect();
    // Asleep, nothing else comes first; and there is something of each kind to compare.
    assert_eq!(found[..2], ["wake_word", "awake"], "{heard:?}");
    for kind in kinds {
        assert!(found.contains(&kind), "{kind}: {heard:?}");
    }
}
