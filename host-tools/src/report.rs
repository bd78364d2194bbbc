//! What a recognizer reports, here or on a device, as a line of text or JSON.

use serde_json::{Value, json};
use zerda_firmware::telemetry::{Report, Status};

/// A report in the stream of that name; none of a kind that is not known.
pub fn line(name: &str, report: &Report<'_>, json: bool) -> Option<String> {
    let (text, fields) = match *report {
        Report::Detection {
            command,
            score,
            start_ms,
            end_ms,
            decided_ms,
        } => {
            let score = f64::from(score) / 256.0;
            (
                format!(
                    "{command:<6} score {score:.2}, from {start_ms:>5} to {end_ms:>5} ms, decided \
                     at {decided_ms:>5} ms"
                ),
                json!({
                    "file": name,
                    "command": command,
                    "score": score,
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
        Report::Status(status) => (status_text(&status), status_json(&status)),
        _ => return None,
    };
    Some(match json {
        true => fields.to_string(),
        false => format!("{name}: {text}"),
    })
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
