//! Many recordings at once, on any number of cores.

use super::*;

/// Exit code, standard output and standard error of `zerda run` on so many cores.
fn on(cores: usize, arguments: &[&str]) -> (i32, String, String) {
    let mut command = zerda(&[&["run"], arguments].concat());
    command.env("RAYON_NUM_THREADS", cores.to_string());
    outcome(command.output().unwrap())
}

/// All lines but the last one, which sums up, and what that one says beside times.
fn apart(stdout: &str) -> (String, Value) {
    let (lines, summary) = stdout.trim_end().rsplit_once('\n').unwrap_or(("", stdout));
    let mut summary: Value = serde_json::from_str(summary).unwrap_or_default();
    for time in ["processing_s", "rtf"] {
        summary["summary"][time].take();
    }
    let lines = lines.lines().map(|line| format!("{line}\n"));
    (lines.collect(), summary["summary"].take())
}

#[test]
fn several_cores_print_what_each_recording_gives_alone_in_the_order_of_the_arguments() {
    let folder = folder();
    let text = write(&folder, "text.wav", b"this is no audio\n");
    let whole = fs::read(sample().0).unwrap();
    let cut = write(&folder, "cut.wav", &whole[..whole.len() / 2]);
    let missing = folder.path().join("missing.wav").display().to_string();
    // The longest first, so that others are done before it.
    let mut inputs = samples();
    inputs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    inputs.splice(1..1, [text, missing]);
    inputs.insert(4, cut);
    let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
    for form in [&["--json"][..], &[]] {
        let (mut expected, mut remarks, mut steps) = (String::new(), String::new(), 0);
        for input in &inputs {
            let (_, stdout, stderr) = on(1, &[form, &[input]].concat());
            let (lines, summary) = apart(&stdout);
            expected += &lines;
            remarks += &stderr;
            steps += summary["steps"].as_u64().unwrap_or(0);
        }
        assert!(expected.lines().count() > 20 && remarks.lines().count() == 3);
        let mut summaries = [1, 2, 5].map(|cores| {
            let trace = folder.path().join(format!("{cores}.svg"));
            let trace = ["--trace", trace.to_str().unwrap()];
            let (code, stdout, stderr) = on(cores, &[form, &trace, &inputs].concat());
            let (lines, summary) = apart(&stdout);
            assert_eq!((code, lines), (2, expected.clone()), "{cores} cores");
            assert_eq!(stderr, remarks, "{cores} cores");
            summary
        });
        let [one, two, five] = &mut summaries;
        assert!(*one == *two && *one == *five, "{one} {two} {five}");
        if !form.is_empty() {
            assert_eq!(one["steps"], steps);
            assert_eq!(one["files"], inputs.len() - 3);
        }
    }
    let trace = |cores: usize| fs::read(folder.path().join(format!("{cores}.svg"))).unwrap();
    assert!(trace(1) == trace(2) && trace(1) == trace(5));
}

#[test]
fn standard_input_among_recordings_is_heard_in_its_place() {
    let (path, samples) = sample();
    let pcm: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let folder = folder();
    let other = write(&folder, "other.wav", &fs::read(&path).unwrap());
    let (code, stdout, stderr) = piped(&["run", &other, &path, "-", &other], &pcm);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let ends = stdout
        .lines()
        .filter_map(|line| line.split_once(": 6 commands in "));
    let names: Vec<_> = ends.map(|(name, _)| name).collect();
    assert_eq!(names, [&other[..], &path, "-", &other], "{stdout}");
}
