//! Streams whose network rests while nobody speaks.

use std::fs;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::common::{objects, root, run};

/// Times, in ms, at which "yes" was decided, and the number of spells in which the network ran.
fn decided(arguments: &[&str]) -> (Vec<u64>, usize) {
    let (code, stdout, stderr) = run(&[&["run", "--json"], arguments].concat());
    assert_eq!(code, 0, "{stderr}");
    let (heard, _) = objects(&stdout);
    let yes = heard.iter().filter(|of| of["command"] == "yes");
    let times = yes.map(|of| of["decided_ms"].as_u64().unwrap());
    let spells = heard.iter().filter(|of| of.get("speech").is_some());
    (times.collect(), spells.count())
}

#[test]
fn a_refractory_time_goes_on_through_the_quiet_and_a_cold_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = fs::read_to_string(root().join("config/commands.toml")).unwrap();
    let long = text.replace("refractory_ms = 300 ", "refractory_ms = 3000 ");
    assert_ne!(long, text);
    fs::write(path("commands.toml"), long).unwrap();
    let (image, audio) = (path("long.zerda"), path("yes.wav"));
    let config = folder.path().display().to_string();
    let arguments = ["commands", "--config", &config, "-o", &image];
    assert_eq!(run(&arguments).0, 0);

    // "yes" three times, 2.7 s from one to the next: the second one comes too soon, the third 5.4 s after the first.
    let sample = root().join("models/samples/answers.wav");
    let mut sample = WavReader::open(sample).unwrap().into_samples::<i16>();
    let mut said: Vec<i16> = sample.by_ref().take(22_000).map(Result::unwrap).collect();
    said.resize(43_200, 0);
    let spec = WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut wav = WavWriter::create(&audio, spec).unwrap();
    for sample in [&said[..], &said, &said].concat() {
        wav.write_sample(sample).unwrap();
    }
    wav.finalize().unwrap();

    let shipped = decided(&["--quiet", &audio]);
    assert_eq!(shipped.0.len(), 3, "{shipped:?}");
    let never_rests = decided(&["--image", &image, &audio]);
    let rests = decided(&["--image", &image, "--quiet", &audio]);
    assert_eq!((never_rests.0.len(), never_rests.1), (2, 0));
    // The network started cold for each.
    assert_eq!(rests, (never_rests.0, 3));
}
