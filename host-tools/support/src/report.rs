//! Writes what a recognizer reports, here or on a device, as a line of text or JSON.

use serde_json::{Value, json};
use zerda_firmware::gate::Reason;
use zerda_firmware::image::Problem;
use zerda_firmware::npu::registers::{Config, Status as NpuStatus};
use zerda_firmware::recovery::{Cause, Restart};
use zerda_firmware::request;
use zerda_firmware::step::{Failure, Fault};
use zerda_firmware::telemetry::{Report, Status};
use zerda_firmware::templates::SAME;
use zerda_update::protocol::Answer;

use crate::escape;

/// Writes a report as a line that names its stream, whatever text the report holds; `None` for a kind that is not known.
pub fn line(name: &str, report: &Report<'_>, json: bool) -> Option<String> {
    let (text, fields) = match *report {
        Report::Detection {
            command,
            score,
            start_ms,
            end_ms,
            decided_ms,
        } => heard(name, command, score, [start_ms, end_ms, decided_ms]),
        Report::WakeWord {
            word,
            score,
            start_ms,
            end_ms,
            decided_ms,
        } => {
            let (text, mut fields) = heard(name, word, score, [start_ms, end_ms, decided_ms]);
            fields["wake_word"] = json!(true);
            (text, fields)
        }
        Report::Phrase {
            phrase,
            similarity,
            start_ms,
            end_ms,
            decided_ms,
        } => {
            let similarity = f64::from(similarity) / f64::from(SAME);
            (
                format!(
                    "{phrase:<6} similarity {similarity:.2}, from {start_ms:>5} to {end_ms:>5} ms, decided at \
                     {decided_ms:>5} ms"
                ),
                json!({
                    "file": name,
                    "phrase": phrase,
                    "similarity": similarity,
                    "start_ms": start_ms,
                    "end_ms": end_ms,
                    "decided_ms": decided_ms,
                }),
            )
        }
        Report::Start {
            version,
            image_crc32,
            kernels,
        } => (
            format!("started, firmware {version}, image {image_crc32:08x}, {kernels} kernels"),
            json!({ "start": {
                "version": version,
                "image_crc32": format!("{image_crc32:08x}"),
                "kernels": kernels,
            }}),
        ),
        Report::Overrun {
            at_ms,
            lost_samples,
        } => (
            format!("overrun, {lost_samples} samples lost before {at_ms} ms"),
            json!({
                "file": name,
                "overrun": { "at_ms": at_ms, "lost_samples": lost_samples },
            }),
        ),
        Report::NpuFault {
            at_ms,
            failure,
            faults,
            backoff,
        } => (
            format!(
                "NPU fault {faults} at {at_ms} ms, {}; that step ran on the CPU, and {}",
                failure_text(&failure),
                match backoff {
                    0 => "all others will".to_string(),
                    1 => "the next one will".to_string(),
                    steps => format!("the next {steps} will"),
                }
            ),
            json!({
                "file": name,
                "npu_fault": {
                    "at_ms": at_ms,
                    "fault": failure.fault,
                    "detail": format!("{:08x}", failure.detail),
                    "faults": faults,
                    "backoff": (backoff > 0).then_some(backoff),
                },
            }),
        ),
        Report::Npu { steps, faults } => (
            format!("NPU: {steps} steps, {faults} faults"),
            json!({ "npu": { "steps": steps, "faults": faults } }),
        ),
        Report::Awake { at_ms, until_ms } => (
            format!("awake  until {until_ms:>5} ms"),
            json!({ "file": name, "awake": { "at_ms": at_ms, "until_ms": until_ms } }),
        ),
        Report::Asleep { at_ms, reason } => (
            format!("asleep at {at_ms:>5} ms, {}", reason_text(reason)),
            json!({ "file": name, "asleep": { "at_ms": at_ms, "reason": reason_key(reason) } }),
        ),
        Report::Gate { awake, wake_words } => (
            format!(
                "gate: {}, {wake_words} wake words",
                if awake { "awake" } else { "asleep" }
            ),
            json!({ "gate": { "awake": awake, "wake_words": wake_words } }),
        ),
        Report::Speech { at_ms } => (
            format!("speech from {at_ms:>5} ms"),
            json!({ "file": name, "speech": { "at_ms": at_ms } }),
        ),
        Report::Quiet { at_ms } => (
            format!("quiet  from {at_ms:>5} ms"),
            json!({ "file": name, "quiet": { "at_ms": at_ms } }),
        ),
        Report::Restart(Restart { cause, place }) => (
            format!("restarted: {}", restart_text(cause, place)),
            json!({ "restart": {
                "cause": cause,
                "place": (place > 0).then_some(place),
            }}),
        ),
        Report::AudioStopped { at_ms } => (
            format!("no audio came for a second after {at_ms} ms"),
            json!({ "file": name, "audio_stopped": { "at_ms": at_ms } }),
        ),
        Report::BadImage(problem) => (
            format!(
                "nothing is recognized, for its image {}: flash it again",
                problem_text(problem)
            ),
            json!({ "bad_image": problem }),
        ),
        Report::Answer {
            answer: request::Answer::Update(answer),
            ..
        } => update(answer)?,
        Report::Status(status) => (status_text(&status), status_json(&status)),
        _ => return None,
    };
    Some(match json {
        true => fields.to_string(),
        false => format!("{}: {}", escape::line(name), escape::line(&text)),
    })
}

/// Returns text and JSON of what an updater answers; `None` if this version does not know it.
fn update(answer: &[u8]) -> Option<(String, Value)> {
    let answer = Answer::decode(answer)?;
    let text = match answer {
        Answer::Status(status) => match status.trial {
            Some(trial) => format!("version {} is confirmed, {trial} on trial", status.version),
            None => format!("version {} is confirmed", status.version),
        },
        Answer::Expects { offset } => format!("update: expects byte {offset}"),
        Answer::Ready { version } => format!("update: version {version} is verified"),
        Answer::Refused(refusal) => format!("update: {refusal}"),
        _ => return None,
    };
    Some((text, json!({ "update": answer })))
}

/// Returns text and JSON of a command or a wake word; `score` is Q0.8, times are of its start, its end and its decision.
fn heard(
    name: &str,
    said: &str,
    score: u8,
    [start_ms, end_ms, decided_ms]: [u32; 3],
) -> (String, Value) {
    let score = f64::from(score) / 256.0;
    (
        format!(
            "{said:<6} score {score:.2}, from {start_ms:>5} to {end_ms:>5} ms, decided at {decided_ms:>5} ms"
        ),
        json!({
            "file": name,
            "command": said,
            "score": score,
            "start_ms": start_ms,
            "end_ms": end_ms,
            "decided_ms": decided_ms,
        }),
    )
}

/// Says what made a device start again, and where it failed.
fn restart_text(cause: Cause, place: u32) -> String {
    match (cause, place) {
        (Cause::Panic, 0) => "its software panicked".into(),
        (Cause::Panic, line) => format!("its software panicked, at line {line} of a source file"),
        (Cause::Fault, address) => {
            format!("its processor met a fault, at the instruction at {address:#010x}")
        }
        (Cause::Watchdog, _) => "its watchdog was not fed, for it hung or no audio came".into(),
        (Cause::BrownOut, _) => "its supply voltage fell too low".into(),
        (Cause::StackOverflow, _) => "its stack overflowed into its guard".into(),
    }
}

/// Says what is wrong with the image in a device.
fn problem_text(problem: Problem) -> &'static str {
    match problem {
        Problem::NotAnImage => "is missing or was overwritten",
        Problem::Version => "has a format version that the firmware does not read",
        Problem::Length => "is shorter or longer than it says",
        Problem::Misaligned => "does not lie at a multiple of 16 bytes",
        Problem::Checksum => "is damaged, its checksum does not fit",
        Problem::Field => "holds a field that cannot be",
    }
}

/// Says why the window closed.
fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::WindowOver => "the window is over",
        Reason::Reset => "recognition started afresh",
    }
}

/// Returns the name that JSON has for the reason why the window closed.
fn reason_key(reason: Reason) -> &'static str {
    match reason {
        Reason::WindowOver => "window_over",
        Reason::Reset => "reset",
    }
}

/// Says what went wrong, and what there is to know of it.
fn failure_text(failure: &Failure) -> String {
    let Failure { fault, detail } = *failure;
    let register = detail as u32;
    let status = |what: &str| format!("{what} (STATUS {register:08x})");
    match fault {
        Fault::Mismatch => {
            let config = Config(register);
            let product = match config.product() {
                0 => "Ethos-U55".to_string(),
                1 => "Ethos-U65".to_string(),
                2 => "Ethos-U85".to_string(),
                other => format!("product {other}"),
            };
            format!(
                "the image is for another NPU than this {product} with {} multiply-accumulates a \
                 cycle (CONFIG {register:08x}): compile it for this one",
                1u32 << config.macs_log2()
            )
        }
        Fault::Scratch => format!("its scratch buffer is too small by {detail} bytes"),
        Fault::Address => format!("a buffer at {detail:#010x}, which it cannot address"),
        Fault::Reset => status("a reset that does not end"),
        Fault::Timeout => status("no interrupt in time"),
        Fault::Bus => format!(
            "a bus error at AXI port {}, channel {} (STATUS {register:08x})",
            NpuStatus(register).faulting_port(),
            NpuStatus(register).faulting_channel()
        ),
        Fault::Parse => status("a command stream that it cannot parse"),
        Fault::Weights => status("weights that it cannot decode"),
        Fault::Ecc => status("a memory error"),
        Fault::Incomplete => status("an interrupt before the end"),
    }
}

fn status_text(status: &Status) -> String {
    let stack = match status.stack_bytes {
        0 => String::new(),
        bytes => format!(", stack {bytes} bytes"),
    };
    format!(
        "status at {:.2} s: load {:.1} %{stack}, {} steps, {} commands, {} overruns ({} samples), \
         {} I/O errors, logits {:08x}",
        f64::from(status.audio_ms) / 1000.0,
        f64::from(status.load_permille) / 10.0,
        status.steps,
        status.detections,
        status.overruns,
        status.lost_samples,
        status.io_errors,
        status.logits_crc32,
    )
}

fn status_json(status: &Status) -> Value {
    json!({ "status": {
        "audio_ms": status.audio_ms,
        "steps": status.steps,
        "detections": status.detections,
        "overruns": status.overruns,
        "lost_samples": status.lost_samples,
        "io_errors": status.io_errors,
        "load_permille": status.load_permille,
        "stack_bytes": (status.stack_bytes > 0).then_some(status.stack_bytes),
        "logits_crc32": format!("{:08x}", status.logits_crc32),
    }})
}
