//! Makes the files of the page: those of `host-tools/web/page`, the firmware as WebAssembly, images and a sample.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::image_file::ImageFile;
use zerda_support::wake::{self, Words};

/// Folder of the crate and of the page, in the checkout that this program was built from.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web");
const TARGET: &str = "wasm32-unknown-unknown";
/// Files of the page that are as they lie there.
const PAGE: [&str; 10] = [
    "index.html",
    "style.css",
    "icon.svg",
    "page.js",
    "report.js",
    "picture.js",
    "recording.js",
    "listening.js",
    "microphone.js",
    "resampler.js",
];
const WORKER: &str = "hearing.js";
const SERVICE: &str = "service.js";
const LIST: &str = "files.json";
const MODULE: &str = "zerda.wasm";
const SAMPLE: &str = "wake.wav";

/// Holds the files of the page: their names and bytes.
pub struct Site {
    pub files: Vec<(String, Vec<u8>)>,
}

/// Returns the names of the files of a page with this image.
pub fn names(image: &Path) -> Vec<String> {
    let fixed = [WORKER, SERVICE, LIST, MODULE, SAMPLE];
    let fixed = PAGE.into_iter().chain(fixed).map(String::from);
    fixed.chain(image_names(image)).collect()
}

/// Returns the names that an image has on the page: as it is, and with the wake words that stand ready.
fn image_names(path: &Path) -> [String; 2] {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    [format!("{stem}.zerda"), format!("{stem}-wake.zerda")]
}

impl Site {
    /// Makes the page for an image, and builds the module first unless it is up to date.
    pub fn make(image: &ImageFile) -> Result<Site> {
        let folder = checkout()?;
        let mut site = Site { files: Vec::new() };
        for name in PAGE.into_iter().chain([WORKER]) {
            site.add(name, read(&folder.join("page").join(name))?);
        }
        site.add(MODULE, read(&build(&folder)?)?);
        let sample = folder.join("../../models/samples").join(SAMPLE);
        site.add(SAMPLE, read(&sample)?);
        let images = images(image)?;
        let names: Vec<_> = images.iter().map(|(name, _)| name.clone()).collect();
        let list = json!({ "images": names, "sample": SAMPLE });
        site.add(LIST, list.to_string().into_bytes());
        site.files.extend(images);
        let service = read(&folder.join("page").join(SERVICE))?;
        let service = site.service(&String::from_utf8_lossy(&service));
        site.add(SERVICE, service.into_bytes());
        Ok(site)
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push((name.into(), bytes));
    }

    /// Returns the bytes that all files take.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Writes into the service worker which files there are, and a version that is another one if any of them changes.
    fn service(&self, text: &str) -> String {
        let mut crc = crc32fast::Hasher::new();
        let mut names = vec!["./"];
        for (name, bytes) in &self.files {
            crc.update(name.as_bytes());
            crc.update(bytes);
            if name != "index.html" {
                names.push(name);
            }
        }
        let version = format!("\"{:08x}\"", crc.finalize());
        let text = text.replace("\"VERSION\"", &version);
        text.replace("[\"FILES\"]", &json!(names).to_string())
    }
}

/// Returns the images of the page, with their names: this one and, where it has the words of `[wake]` that stands ready and
/// hears commands at any time, one that waits for them.
fn images(file: &ImageFile) -> Result<Vec<(String, Vec<u8>)>> {
    let [name, with_wake] = image_names(file.path());
    let mut images = vec![(name, file.bytes().to_vec())];
    if file.image()?.wake().is_none()
        && let Ok(asleep) = wake::with_wake(file, &Words::default())
    {
        images.push((with_wake, asleep.bytes().to_vec()));
    }
    Ok(images)
}

/// Returns the folder of the crate and the page.
fn checkout() -> Result<PathBuf> {
    Path::new(FOLDER).canonicalize().map_err(|_| {
        Error::usage(format!(
            "{FOLDER}: is not there; the page is built in the checkout of Zerda that this zerda was built from: build zerda \
             again where that is now"
        ))
    })
}

/// Builds the firmware as WebAssembly, and gets the target first where it is missing. Returns the module's path.
fn build(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("../..");
    let status = Command::new("bash")
        .arg(root.join("firmware/setup.sh"))
        .args(["cargo", TARGET, "build", "--release", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status();
    let status = status.map_err(|error| {
        Error::usage(format!(
            "bash cannot be started: {error}; building the page needs it on the path"
        ))
    })?;
    match status.success() {
        true => Ok(root
            .join("target/web")
            .join(TARGET)
            .join("release")
            .join(MODULE)),
        false => Err(Error::usage(
            "the page's module does not build; it says above why",
        )),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    files::read(path).map_err(|error| Error::read(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::test_support::{repository, shrunk};

    #[test]
    fn all_files_of_the_page_are_known_here() {
        let folder = std::fs::read_dir(repository("host-tools/web/page")).unwrap();
        let mut there: Vec<_> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut known = PAGE.to_vec();
        known.extend([WORKER, SERVICE]);
        known.sort_unstable();
        assert_eq!(there, known);
    }

    #[test]
    fn the_service_worker_knows_all_files_and_has_another_version_if_one_changes() {
        let site = |last: &[u8]| Site {
            files: vec![
                ("index.html".into(), vec![1]),
                ("a.js".into(), last.to_vec()),
            ],
        };
        let text = std::fs::read_to_string(repository("host-tools/web/page/service.js")).unwrap();
        let service = site(b"a").service(&text);
        assert!(
            service.contains("const FILES = [\"./\",\"a.js\"];"),
            "{service}"
        );
        assert!(!service.contains("\"VERSION\""), "{service}");
        assert_ne!(service, site(b"b").service(&text));
        assert_eq!(service, site(b"a").service(&text));
    }

    #[test]
    fn a_second_image_of_the_page_waits_for_the_wake_words_unless_the_first_does() {
        let shipped = shrunk();
        let names = |file: &ImageFile| -> Vec<String> {
            let images = images(file).unwrap();
            images.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&shipped), ["shrunk.zerda", "shrunk-wake.zerda"]);
        let asleep = wake::with_wake(&shipped, &"yes".parse().unwrap()).unwrap();
        assert_eq!(names(&asleep), ["shrunk.zerda"]);
    }
}
