//! The key says whether the maker of a device signed an image.

#[cfg(feature = "sign")]
mod sign;

use ed25519_compact::sha512;
#[cfg(feature = "sign")]
pub use sign::SecretKey;

/// The public half of a key pair, and the hash that goes with it.
///
/// [`PublicKey`] is Ed25519. The trait is there so that a chip's own cryptography can take its place, and so that
/// the linker proves the rest of this crate free of panics (see the crate's page).
pub trait Key {
    /// Holds the state of a SHA-512.
    type Hash: Default;

    /// Adds bytes to a hash.
    fn absorb(hash: &mut Self::Hash, bytes: &[u8]);

    /// Returns the digest of all bytes that were added.
    fn digest(hash: Self::Hash) -> [u8; 64];

    /// Says whether the holder of the secret key signed these bytes.
    fn signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool;
}

/// Holds a public key of Ed25519 (RFC 8032), which the crate `ed25519-compact` computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Returns the key in a file that is built into a firmware, as a constant:
    /// `PublicKey::from_file(include_bytes!(env!("ZERDA_UPDATE_KEY")))`; `None` if the file is empty, which turns updates
    /// off.
    ///
    /// # Panics
    ///
    /// Panics, and so fails the build, if the file holds anything else.
    pub const fn from_file(text: &[u8]) -> Option<Self> {
        let key = Self::parse(text);
        assert!(
            key.is_some() || text.trim_ascii().is_empty(),
            "ZERDA_UPDATE_KEY names no public key: expected the file ending in .pub that `zerda keygen` writes"
        );
        key
    }

    /// Reads 64 hexadecimal digits, with or without white space around them, as `zerda keygen` writes them; `None`
    /// for anything else.
    pub const fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let mut key = [0; 32];
        let (pairs, rest) = text.as_chunks::<2>();
        if pairs.len() != key.len() || !rest.is_empty() {
            return None;
        }
        let mut index = 0;
        while index < key.len() {
            let [high, low] = pairs[index];
            match (digit(high), digit(low)) {
                (Some(high), Some(low)) => key[index] = high << 4 | low,
                _ => return None,
            }
            index += 1;
        }
        Some(Self(key))
    }
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl Key for PublicKey {
    type Hash = sha512::Hash;

    fn absorb(hash: &mut sha512::Hash, bytes: &[u8]) {
        hash.update(bytes);
    }

    fn digest(hash: sha512::Hash) -> [u8; 64] {
        hash.finalize()
    }

    fn signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let key = ed25519_compact::PublicKey::new(self.0);
        let signature = ed25519_compact::Signature::new(*signature);
        key.verify(bytes, &signature).is_ok()
    }
}
