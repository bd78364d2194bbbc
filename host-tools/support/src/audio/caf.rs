//! Fills in the length that a CAF file leaves open, since its reader takes the samples for chunks otherwise.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::error::AudioError;

/// Returns a file that states how long its samples are: the same one, if it does so already, else a copy in which their
/// length is filled in. Samples whose length is left open last until the end (Apple's specification of the Core Audio Format, "Audio Data Chunk").
pub fn repaired(mut file: File) -> Result<File, AudioError> {
    match open_length(&mut file) {
        Ok(None) => Ok(file),
        Ok(Some((at, length))) => copy_with(&mut file, at, length).map_err(AudioError::Read),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(AudioError::TruncatedHeader)
        }
        Err(error) => Err(AudioError::Read(error)),
    }
}

/// Returns the place of the length that is left open, and what it is.
fn open_length(file: &mut File) -> io::Result<Option<(u64, u64)>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 8;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let (mut name, mut length) = ([0; 4], [0; 8]);
        file.read_exact(&mut name)?;
        file.read_exact(&mut length)?;
        at += 12;
        let length = u64::from_be_bytes(length);
        if &name == b"data" {
            file.rewind()?;
            return Ok((length == u64::MAX).then(|| (at - 8, end.saturating_sub(at))));
        }
        at = at.saturating_add(length);
    }
}

fn copy_with(file: &mut File, at: u64, length: u64) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    io::copy(file, &mut copy)?;
    copy.seek(SeekFrom::Start(at))?;
    copy.write_all(&length.to_be_bytes())?;
    copy.rewind()?;
    Ok(copy)
}
