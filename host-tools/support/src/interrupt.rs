//! Lets a command that listens for as long as its user likes end whole: Ctrl-C, or another program (SIGTERM), asks it
//! to, and it still prints and writes what belongs to its end.

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::Error;

/// The time between two looks at whether somebody asked.
const POLL: Duration = Duration::from_millis(50);

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Begins to note requests to end, which end the process no more; the second one does.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let noted = || {
            if REQUESTED.swap(true, Ordering::Relaxed) {
                std::process::exit(Error::Interrupted.exit_code().into());
            }
        };
        // It fails only where there is a handler already.
        let _ = ctrlc::set_handler(noted);
    });
}

/// Says whether the user or another program asked this one to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Reads a source that may be silent for ever, in a thread of its own; it ends as a file does once somebody asked.
pub struct Source {
    /// Brings what was read, an empty piece at the end; the mutex, never locked, makes the
    /// source `Sync`, as decoders want it.
    pieces: Mutex<Receiver<io::Result<Vec<u8>>>>,
    piece: Vec<u8>,
    /// The number of bytes of the piece that were handed out.
    taken: usize,
    ended: bool,
}

impl Source {
    /// Begins to read, and to note requests to end.
    pub fn new(source: impl Read + Send + 'static) -> Source {
        Source::queued(source, 1)
    }

    /// Begins to read as [`Source::new`] does, and to keep so many pieces of at most 4 KiB for a reader that is late.
    pub fn queued(mut source: impl Read + Send + 'static, pieces: usize) -> Source {
        watch();
        let (sender, pieces) = mpsc::sync_channel(pieces);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = source.read(&mut buffer);
                let ended = matches!(read, Ok(0));
                if sender
                    .send(read.map(|read| buffer[..read].to_vec()))
                    .is_err()
                    || ended
                {
                    return;
                }
            }
        });
        Source {
            pieces: Mutex::new(pieces),
            piece: Vec::new(),
            taken: 0,
            ended: false,
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() && !self.ended {
            if requested() {
                return Ok(0);
            }
            let pieces = self.pieces.get_mut();
            let pieces = pieces.unwrap_or_else(PoisonError::into_inner);
            match pieces.recv_timeout(POLL) {
                Ok(piece) => (self.piece, self.taken) = (piece?, 0),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::new(ErrorKind::BrokenPipe, "its reader ended"));
                }
            }
            self.ended = self.piece.is_empty();
        }
        let rest = &self.piece[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gives_the_bytes_that_it_reads_and_then_ends() {
        let bytes: Vec<u8> = (0..20_000u32).map(|at| at as u8).collect();
        let mut read = Vec::new();
        let mut source = Source::new(io::Cursor::new(bytes.clone()));
        source.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(source.read(&mut [0; 9]).unwrap(), 0);
    }
}
