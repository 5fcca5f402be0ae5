//! Secrets at rest: sealed with a key that is not in the database (AES-256-GCM).
//!
//! A sealed value is a random nonce, the ciphertext and the tag. Where the secret belongs is authenticated with it, so that a value
//! copied to another row does not open there.

use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::random;

/// The key, ready for use.
#[derive(Clone)]
pub(crate) struct Seal(Arc<LessSafeKey>);

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the length the cipher asks");
        Self(Arc::new(LessSafeKey::new(key)))
    }

    /// Seals `value` for the place `belongs_to`.
    pub(crate) fn seal(&self, belongs_to: &[&str], value: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut body = value.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(belongs_to), &mut body)
            .expect("far below the cipher's limits");
        [nonce.as_slice(), &body].concat()
    }

    /// Opens what [`Seal::seal`] made for the same place; `None` when it was made with another key, for another place, or altered.
    pub(crate) fn open(&self, belongs_to: &[&str], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let value = self.0.open_in_place(nonce, place(belongs_to), &mut body).ok()?;
        Some(value.to_vec())
    }
}

/// The parts, each closed by a zero byte, which none of them contains.
fn place(parts: &[&str]) -> Aad<Vec<u8>> {
    Aad::from(parts.iter().flat_map(|part| part.bytes().chain([0])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D63.
    #[test]
    fn a_sealed_value_opens_only_at_its_place_and_unaltered() {
        let seal = Seal::new(&[7; 32]);
        let sealed = seal.seal(&["account", "", "key"], b"value");
        assert_eq!(seal.open(&["account", "", "key"], &sealed).as_deref(), Some(&b"value"[..]));
        assert_eq!(seal.open(&["account", "key", ""], &sealed), None);
        assert_eq!(Seal::new(&[8; 32]).open(&["account", "", "key"], &sealed), None);
        let mut altered = sealed.clone();
        *altered.last_mut().expect("a tag") ^= 1;
        assert_eq!(seal.open(&["account", "", "key"], &altered), None);
        assert_eq!(seal.open(&["account", "", "key"], &sealed[..5]), None);
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let seal = Seal::new(&[7; 32]);
        assert_ne!(seal.seal(&["key"], b"value"), seal.seal(&["key"], b"value"));
    }
}
