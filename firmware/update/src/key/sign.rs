//! Keys and signatures are made here, on the host.

use std::string::String;
use std::vec::Vec;

use ed25519_compact::{KeyPair, Seed};

use super::{Key, PublicKey};
use crate::header::{Board, HEADER_BYTES, Header, field};

/// A secret key, which signs updates.
pub struct SecretKey(KeyPair);

impl SecretKey {
    /// Makes a key of a seed, which must be random and secret.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(KeyPair::from_seed(Seed::new(seed)))
    }

    /// Reads a key from PEM (PKCS #8), as [`SecretKey::to_pem`] and `openssl genpkey -algorithm ed25519` write it;
    /// `None` if it is none.
    pub fn from_pem(pem: &str) -> Option<Self> {
        KeyPair::from_pem(pem).ok().map(Self)
    }

    /// Returns the key as PEM.
    pub fn to_pem(&self) -> String {
        self.0.sk.to_pem()
    }

    /// Returns the public half of the key.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.pk)
    }

    /// Returns the signature of these bytes.
    pub(crate) fn signature(&self, bytes: &[u8]) -> [u8; 64] {
        *self.0.sk.sign(bytes, None)
    }

    /// Returns an update: the image behind a header that says its version and the name of its board.
    pub fn sign(&self, image: &[u8], version: u32, board: &str) -> Vec<u8> {
        let mut hash = <PublicKey as Key>::Hash::default();
        PublicKey::absorb(&mut hash, image);
        let header = Header {
            version,
            length: u32::try_from(image.len()).unwrap_or(u32::MAX),
            board: Board::named::<PublicKey>(board),
            digest: PublicKey::digest(hash),
        };
        let signed = header.signed_bytes();
        let signature = self.signature(&signed);
        let mut update = std::vec![0; HEADER_BYTES];
        update[field::SIGNED].copy_from_slice(&signed);
        update[field::SIGNATURE].copy_from_slice(&signature);
        update.extend_from_slice(image);
        update
    }
}

impl core::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let digits: Vec<_> = self
            .0
            .iter()
            .map(|byte| std::format!("{byte:02x}"))
            .collect();
        f.write_str(&digits.concat())
    }
}
