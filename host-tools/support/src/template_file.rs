//! Reads a file of phrases, which templates tell of, and puts one together.

use std::io::Read;
use std::path::{Path, PathBuf};

use zerda_firmware::templates::{
    Cell, HEADER_BYTES, MAGIC, Matcher, Misfit, RECORD_BYTES, TemplateError, Templates, VERSION,
    checksum, field,
};
use zerda_firmware::{Image, Recognizer};

use crate::error::{Error, Result};
use crate::files;

/// The most bytes that are read of a file: several times what the largest one has.
const MOST_BYTES: u64 = 1 << 20;

/// Holds the bytes of a file of phrases.
pub struct TemplateFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A phrase as it is written.
pub struct Phrase {
    pub name: String,
    /// The least similarity that is a detection, Q0.15.
    pub threshold: u16,
    /// Elements of the rows, of shape [rows, columns].
    pub elements: Vec<i8>,
}

impl TemplateFile {
    pub fn open(path: &Path) -> Result<TemplateFile> {
        let file = files::open(path).map_err(|error| Error::read(path, error))?;
        let mut bytes = Vec::new();
        let read = file.take(MOST_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Error::read(path, error))?;
        Ok(TemplateFile {
            path: path.into(),
            bytes,
        })
    }

    /// Makes the file that is to be at `path`, of phrases that were heard by a network.
    pub fn new(path: &Path, network: u32, columns: usize, phrases: &[Phrase]) -> TemplateFile {
        let mut bytes = vec![0; HEADER_BYTES];
        for phrase in phrases {
            let start = bytes.len();
            bytes.resize(start + RECORD_BYTES, 0);
            let record = &mut bytes[start..];
            record[field::NAME][..phrase.name.len()].copy_from_slice(phrase.name.as_bytes());
            let rows = (phrase.elements.len() / columns) as u16;
            record[field::THRESHOLD].copy_from_slice(&phrase.threshold.to_le_bytes());
            record[field::TEMPLATE_ROWS].copy_from_slice(&rows.to_le_bytes());
            bytes.extend_from_slice(bytemuck::cast_slice(&phrase.elements));
        }
        let elements = phrases.iter().map(|phrase| phrase.elements.len());
        let rows = (elements.sum::<usize>() / columns) as u16;
        let length = bytes.len() as u32;
        bytes[field::MAGIC].copy_from_slice(&MAGIC);
        for (at, value) in [
            (field::VERSION, VERSION),
            (field::TEMPLATES, phrases.len() as u16),
            (field::COLUMNS, columns as u16),
            (field::ROWS, rows),
        ] {
            bytes[at].copy_from_slice(&value.to_le_bytes());
        }
        bytes[field::TOTAL_LENGTH].copy_from_slice(&length.to_le_bytes());
        bytes[field::NETWORK].copy_from_slice(&network.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[field::CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        TemplateFile {
            path: path.into(),
            bytes,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the templates of the file, which is checked.
    pub fn templates(&self) -> Result<Templates<'_>> {
        Templates::parse(&self.bytes).map_err(|error| {
            let what = match error {
                TemplateError::NotTemplates => {
                    "not a file of phrases; expected one made by `zerda enroll`".to_string()
                }
                TemplateError::Version { found } if found > VERSION => {
                    format!("newer: {error}; update zerda, or enroll the phrases again")
                }
                _ => format!("damaged: {error}; copy it again, or enroll the phrases again"),
            };
            self.error(&what)
        })
    }

    /// Checks that a recognizer of an image, which was read from `path`, can look for the phrases on its CPU.
    pub fn fits(&self, image: &Image<'_>, path: &Path) -> Result<()> {
        let mut memory = vec![0; image.memory_bytes()];
        let recognizer = Recognizer::new(image, &mut memory[..]);
        let recognizer = recognizer.map_err(|error| Error::usage(error.to_string()))?;
        self.matcher(&recognizer, &mut Vec::new(), path).map(drop)
    }

    /// Returns what looks for the phrases in what a recognizer hears, whose image was read from `path`. `cells` becomes
    /// its memory.
    pub fn matcher<'a>(
        &'a self,
        recognizer: &Recognizer<'_>,
        cells: &'a mut Vec<Cell>,
        path: &Path,
    ) -> Result<Matcher<'a, 'a>> {
        let templates = self.templates()?;
        cells.resize(templates.rows(), Cell::START);
        let matcher = Matcher::new(templates, recognizer, cells);
        matcher.map_err(|misfit| self.misfit(misfit, path))
    }

    /// Returns the error that the phrases do not fit an image.
    fn misfit(&self, misfit: Misfit, image: &Path) -> Error {
        let image = image.display();
        self.error(&match misfit {
            Misfit::OtherNetwork { .. } => format!(
                "its phrases were enrolled with another network than that of {image}; enroll their recordings again \
                 with --image {image}"
            ),
            _ => format!("does not fit {image}: {misfit}"),
        })
    }

    fn error(&self, what: &str) -> Error {
        Error::usage(format!("{}: {what}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_back_the_phrases_that_it_was_made_of() {
        let phrases =
            [("kitchen lamp", 20_000, 6), ("é", 1, 4)].map(|(name, threshold, rows)| Phrase {
                name: name.into(),
                threshold,
                elements: (0..rows * 3).map(|i| i as i8 - 9).collect(),
            });
        let file = TemplateFile::new(Path::new("x"), 77, 3, &phrases);
        let templates = file.templates().unwrap();
        assert_eq!((templates.network(), templates.rows()), (77, 10));
        let read: Vec<_> = templates.iter().collect();
        assert_eq!(read.len(), 2);
        for (read, phrase) in read.iter().zip(&phrases) {
            assert_eq!(
                (read.name, read.threshold, read.elements),
                (&phrase.name[..], phrase.threshold, &phrase.elements[..])
            );
        }
    }

    #[test]
    fn what_is_no_file_of_phrases_is_answered_in_one_line_that_says_what_to_do() {
        let file = |bytes: &[u8]| TemplateFile {
            path: "x".into(),
            bytes: bytes.into(),
        };
        let phrase = Phrase {
            name: "a".into(),
            threshold: 1,
            elements: vec![1; 4],
        };
        let good = TemplateFile::new(Path::new("x"), 77, 1, &[phrase]).bytes;
        let mut damaged = good.clone();
        damaged[HEADER_BYTES] = b'b';
        let mut newer = good.clone();
        newer[field::VERSION.start] = 2;
        for (bytes, said) in [
            (
                &b"ZRDA"[..],
                "x: not a file of phrases; expected one made by `zerda enroll`",
            ),
            (&damaged, "x: damaged: checksum "),
            (
                &good[..good.len() - 1],
                "x: damaged: 63 bytes, expected 64; copy it again",
            ),
            (
                &newer,
                "x: newer: format version 2, this program reads version 1; update zerda",
            ),
        ] {
            let error = file(bytes).templates().unwrap_err().to_string();
            assert!(error.starts_with(said) && !error.contains('\n'), "{error}");
        }
    }
}
