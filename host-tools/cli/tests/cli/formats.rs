//! One recording in the formats of the world, as files and as pipes.

use std::fs;

use serde_json::Value;

use super::{objects, piped, root, run};

/// Time in ms by which the start of a word may differ.
const NEAR_MS: i64 = 60;

#[test]
fn a_recording_in_every_format_gives_the_detections_of_the_plain_wav() {
    let folder = "host-tools/support/tests/data/formats";
    let heard = |(code, stdout, stderr): (i32, String, String)| {
        assert_eq!(code, 0, "{stderr}");
        let detections = objects(&stdout).0.into_iter();
        let detections = detections.filter(|object| object["command"].is_string());
        let times = |of: Value| (of["command"].clone(), of["start_ms"].as_i64().unwrap());
        detections.map(times).collect::<Vec<_>>()
    };
    let plain = heard(run(&["run", "--json", &format!("{folder}/plain.wav")]));
    let [(command, start_ms)] = &plain[..] else {
        panic!("{plain:?}")
    };
    assert_eq!(command, "yes");
    let same = |found: &[(Value, i64)], times: usize, what: &str| {
        assert_eq!(found.len(), times, "{what}: {found:?}");
        for (found, found_ms) in found {
            assert_eq!(found, command, "{what}");
            assert!(
                (found_ms - start_ms).abs() <= NEAR_MS,
                "{what}: {found_ms} ms"
            );
        }
    };
    let files: Vec<_> = fs::read_dir(root().join(folder)).unwrap().collect();
    same(&heard(run(&["run", "--json", folder])), files.len(), folder);
    for file in files {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let what = path.display().to_string();
        same(&heard(piped(&["run", "--json", "-"], &bytes)), 1, &what);
    }
}
