//! Over a minute a board hears what the laptop hears, and a step takes as many instructions at its end as once its caches
//! are full.

use zerda_support::audio;

use super::{BOARDS, minute, objects, root, run, tools};

#[test]
fn a_minute_of_samples_and_noise_gives_the_laptops_detections_in_steps_of_the_same_instructions() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let shipped = audio::list(&root().join("models/samples")).unwrap();
    let path = minute(&folder, "minute.wav", shipped);
    let (code, stdout, stderr) = run(&["run", "--json", &path]);
    assert_eq!(code, 0, "{stderr}");
    let (expected, laptop) = objects(&stdout);
    assert!(expected.len() > 10);
    for (board, _) in BOARDS {
        let arguments = ["qemu", "--json", "--profile", "--mhz", "1000", "--board"];
        let (code, stdout, stderr) = run(&[arguments.as_slice(), &[board, &path]].concat());
        assert_eq!(code, 0, "{board}: {stderr}");
        let (mut lines, summary) = objects(&stdout);
        let profile = lines.pop().expect("a profile")["profile"].take();
        assert_eq!(lines, expected, "{board}");
        assert_eq!(summary["logits_crc32"], laptop["logits_crc32"], "{board}");
        let steps = profile["steps"].as_array().unwrap();
        let steps: Vec<u64> = steps.iter().map(|one| one.as_u64().unwrap()).collect();
        // 5998 frames of the minute and 10 of the silence after it; 10 for the first step, 5 for each
        // other.
        assert_eq!(steps.len(), 1200);
        let full = &steps[20..];
        let (least, most) = (full.iter().min().unwrap(), full.iter().max().unwrap());
        let spread = (most - least) as f64 / *least as f64;
        println!(
            "{board}, counted: {least} to {most} instructions a step, {:.3} %",
            spread * 100.0
        );
        // The most are those of a step that decides a word, whose start is looked for.
        assert!(spread <= 0.0075, "{board}: steps differ by {spread}");
    }
}
