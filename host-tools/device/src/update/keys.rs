//! `zerda keygen` makes the keys that sign updates, and `zerda sign` signs with them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::files;
use zerda_support::image_file::ImageFile;
use zerda_support::output::{print, write, write_private};
use zerda_update::SecretKey;

pub struct KeyOptions {
    /// File that the secret key is written to; the public one is written beside it.
    pub output: PathBuf,
}

pub struct SignOptions {
    pub image: PathBuf,
    /// File with the secret key.
    pub key: PathBuf,
    pub version: u32,
    /// Name of the board that the update is for.
    pub board: String,
    pub output: PathBuf,
}

/// Writes a new secret key, which only its owner can read, and the public one beside it; no file is replaced.
pub fn keygen(options: &KeyOptions) -> Result<()> {
    let secret = &options.output;
    let mut public = secret.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        let error = format!("the operating system has no randomness for a key: {error}");
        Error::write(secret, io::Error::other(error))
    })?;
    let key = SecretKey::from_seed(seed);
    if public.exists() {
        return Err(there(&public));
    }
    new_file(secret, key.to_pem().as_bytes())?;
    write(&public, format!("{}\n", key.public()).as_bytes())?;
    print(&format!(
        "{}: secret, it signs updates; keep it, and keep it from others\n{}: public, \
         build it into the firmware, as firmware/boards/README.md says",
        escape::path(secret),
        escape::path(&public)
    ))
}

fn new_file(path: &Path, bytes: &[u8]) -> Result<()> {
    match write_private(path, bytes) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(there(path)),
        Err(error) => Err(Error::write(path, error)),
    }
}

fn there(path: &Path) -> Error {
    let error = "it is there already, and a key that is gone cannot be made again; name another";
    Error::write(path, io::Error::other(error))
}

/// Writes an update: the image behind a signed header.
pub fn sign(options: &SignOptions) -> Result<()> {
    let image = ImageFile::open(&options.image)?;
    image.image()?;
    let key = files::read_to_string(&options.key);
    let key = key.map_err(|error| Error::read(&options.key, error))?;
    let key = SecretKey::from_pem(&key).ok_or_else(|| {
        Error::usage(format!(
            "{}: is no secret key of Ed25519 in PEM, expected what `zerda keygen` writes",
            options.key.display()
        ))
    })?;
    let update = key.sign(image.bytes(), options.version, &options.board);
    write(&options.output, &update)?;
    print(&escape::path(&options.output))
}
