//! `zerda monitor`, on frames that the firmware's own encoder makes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};
use zerda_firmware::step::{Failure, Fault};
use zerda_firmware::telemetry::Report;

mod bench;
mod gate;
mod outside;
#[cfg(unix)]
mod port;

use bench::{
    OVERRUN, STATUS, counts, detection, file, finish, frame, frames, monitor, recorded, recording,
    start,
};

#[test]
fn each_report_is_a_line_and_the_last_line_sums_up() {
    let (_folder, path) = file(&frames().concat());
    let name = path.to_str().unwrap();
    let outcome = monitor(&[name]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let detection = |command| {
        format!("{name}: {command:<6} score 0.75, from  1000 to  1500 ms, decided at  1550 ms")
    };
    let expected = [
        format!("{name}: started, firmware 1.2.3, image 0012abcd, dsp kernels"),
        detection("yes"),
        detection("no"),
        detection("stop"),
        format!("{name}: overrun, 1600 samples lost before 4100 ms"),
        format!(
            "{name}: status at 5.00 s: load 34.5 %, 99 steps, 2 commands, 1 overruns (1600 \
             samples), 0 I/O errors, logits 0e100bd7"
        ),
        "6 frames, 0 corrupted, 0 lost; 3 commands".into(),
    ];
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), expected);
}

fn npu_fault(fault: Fault, detail: u64, backoff: u16) -> Report<'static> {
    Report::NpuFault {
        at_ms: 2100,
        failure: Failure { fault, detail },
        faults: 3,
        backoff,
    }
}

#[test]
fn faults_of_an_npu_say_what_happened_and_what_follows() {
    let (steps, faults) = (40, 3);
    let reports = [
        // AXI port 1, channel 9, interrupt and bus fault.
        npu_fault(Fault::Bus, 0x9806, 1),
        npu_fault(Fault::Timeout, 1, 256),
        // CONFIG: a U65 with 512 multiply-accumulates.
        npu_fault(Fault::Mismatch, 0x1000_0009, 0),
        npu_fault(Fault::Scratch, 512, 0),
        Report::Npu { steps, faults },
    ];
    let (_folder, name) = recording(&reports);
    let outcome = monitor(&[&name]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let fault = |what: &str, next: &str| {
        format!("{name}: NPU fault 3 at 2100 ms, {what}; that step ran on the CPU, and {next}")
    };
    let expected = [
        fault(
            "a bus error at AXI port 1, channel 9 (STATUS 00009806)",
            "the next one will",
        ),
        fault(
            "no interrupt in time (STATUS 00000001)",
            "the next 256 will",
        ),
        fault(
            "the image is for another NPU than this Ethos-U65 with 512 multiply-accumulates a cycle \
             (CONFIG 10000009): compile it for this one",
            "all others will",
        ),
        fault(
            "its scratch buffer is too small by 512 bytes",
            "all others will",
        ),
        format!("{name}: NPU: 40 steps, 3 faults"),
    ];
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>()[..5], expected);

    let (objects, _) = monitor(&["--json", &name]).objects();
    let expected = json!({ "file": name, "npu_fault": { "at_ms": 2100, "fault": "Bus",
        "detail": "00009806", "faults": 3, "backoff": 1 }});
    assert_eq!(objects[0], expected);
    assert_eq!(objects[2]["npu_fault"]["backoff"], Value::Null);
    assert_eq!(objects[4], json!({ "npu": { "steps": 40, "faults": 3 }}));
}

#[test]
fn json_has_the_same_reports_one_object_a_line() {
    let (_folder, path) = file(&frames().concat());
    let name = path.to_str().unwrap();
    let (objects, summary) = monitor(&["--json", name]).objects();
    assert_eq!(
        objects[0],
        json!({ "start": { "version": "1.2.3", "image_crc32": "0012abcd", "kernels": "dsp" }})
    );
    assert_eq!(
        objects[1],
        json!({ "file": name, "command": "yes", "score": 0.75, "start_ms": 1000, "end_ms": 1500,
            "decided_ms": 1550 })
    );
    assert_eq!(
        objects[4],
        json!({ "file": name, "overrun": { "at_ms": 4100, "lost_samples": 1600 }})
    );
    let status = &objects[5]["status"];
    assert_eq!(status["logits_crc32"], "0e100bd7");
    assert_eq!(
        (&status["load_permille"], &status["stack_bytes"]),
        (&json!(345), &Value::Null)
    );
    assert_eq!(summary, counts(6, 0, 0, 3));
}

#[test]
fn detections_come_over_tcp_from_a_device_that_starts_late_while_it_still_runs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut child = start(&["--json", &format!("tcp:{address}")]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (mut device, _) = TcpListener::bind(address).unwrap().accept().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for (number, command) in [(0, "yes"), (1, "stop")] {
        device
            .write_all(&frame(number, &detection(command)))
            .unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["command"], command);
    }
    drop(device);
    let mut summary = String::new();
    stdout.read_to_string(&mut summary).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["summary"], counts(2, 0, 0, 2));
    assert_eq!(finish(child).code, 0);
}

#[test]
fn a_corrupted_frame_is_skipped_and_counted_and_the_next_one_decoded() {
    let good = frames();
    // Any byte of the middle frame, its delimiter too: that joins it to the next one.
    for at in 0..good[2].len() {
        let mut line = good.clone();
        line[2][at] ^= 0x10;
        let outcome = recorded(&line.concat());
        let joined = at + 1 == good[2].len();
        let expected: &[&str] = if joined { &["yes"] } else { &["yes", "stop"] };
        assert_eq!(
            (outcome.code, outcome.commands().as_slice()),
            (0, owned(expected).as_slice())
        );
        let (_, summary) = outcome.objects();
        // A byte that becomes a delimiter makes two bad frames of one.
        let corrupted = summary["corrupted"].as_u64().unwrap();
        assert!((1..=2).contains(&corrupted), "byte {at}: {summary}");
        assert_eq!(summary["lost"], u64::from(joined), "byte {at}: {summary}");
        let first = outcome.stderr.lines().next().unwrap();
        assert!(
            first.contains(": corrupted frame after frame 1: "),
            "{first}"
        );
        let notes = corrupted as usize + usize::from(joined);
        assert_eq!(outcome.stderr.lines().count(), notes, "{}", outcome.stderr);
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(std::string::ToString::to_string).collect()
}

#[test]
fn frames_that_never_came_are_lost_and_a_restarted_device_is_none() {
    let mut line = frames();
    line.drain(1..3);
    let outcome = recorded(&line.concat());
    assert_eq!(outcome.objects().1, counts(4, 0, 2, 1));
    assert!(
        outcome.stderr.contains(": 2 lost before frame 3"),
        "{}",
        outcome.stderr
    );

    let twice = [frames().concat(), frames().concat()].concat();
    let outcome = recorded(&twice);
    assert_eq!(outcome.objects().1, counts(12, 0, 0, 6));
    assert!(
        outcome.stderr.contains("the device started again"),
        "{}",
        outcome.stderr
    );

    let wrapped = [
        frame(65_535, &STATUS),
        frame(0, &OVERRUN),
        frame(2, &STATUS),
    ];
    assert_eq!(recorded(&wrapped.concat()).objects().1, counts(3, 0, 1, 0));
}

#[test]
fn listening_may_begin_and_end_anywhere() {
    let whole = frames().concat();
    let first = frames()[0].len();
    for from in 1..=first {
        let outcome = recorded(&whole[from..]);
        assert_eq!(
            (outcome.code, outcome.stderr.as_str()),
            (0, ""),
            "from {from}"
        );
        assert_eq!(outcome.objects().1, counts(5, 0, 0, 3));
    }
    let last = whole.len() - frames()[5].len();
    let outcome = recorded(&whole[..last + 7]);
    assert_eq!(outcome.objects().1, counts(5, 1, 0, 3));
    assert!(
        outcome.stderr.ends_with(": the source ends within it\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_holds_no_telemetry_is_said_in_one_line() {
    let mut state = 1u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let byte = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(byte).collect()
    };
    for (bytes, expected) in [
        (noise(1_000_000), ": 65536 bytes without one valid frame"),
        (
            noise(5000),
            ": ended after 5000 bytes without a valid telemetry frame",
        ),
        (
            Vec::new(),
            ": ended after 0 bytes without a valid telemetry frame",
        ),
        (
            b"one line of text\n".to_vec(),
            ": ended after 17 bytes without",
        ),
        (frames()[0][..9].to_vec(), ": ended after 9 bytes without"),
    ] {
        let outcome = recorded(&bytes);
        assert_eq!(
            (outcome.code, outcome.stderr.lines().count()),
            (1, 1),
            "{}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}

#[test]
fn a_source_that_cannot_be_opened_is_said_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("tcp:{}", listener.local_addr().unwrap());
    drop(listener);
    let mut sources = vec![
        ("/nowhere/tty", "no such serial port or file"),
        ("tcp:localhost", "expected tcp:HOST:PORT"),
        (refused.as_str(), "connection refused for 5 s"),
    ];
    if cfg!(unix) {
        sources.push((
            "/dev/null",
            "cannot be opened as a serial port at 115200 baud",
        ));
        sources.push(("/", "/: cannot be read"));
    }
    for (source, expected) in sources {
        let outcome = monitor(&[source]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{source}");
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
}

#[test]
fn standard_input_is_a_source() {
    let mut child = start(&["-", "--json"]);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&frames().concat())
        .unwrap();
    assert_eq!(finish(child).objects().1, counts(6, 0, 0, 3));
}
