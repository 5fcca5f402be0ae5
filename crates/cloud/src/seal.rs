//! Secrets at rest, encrypted (AES-256-GCM) with a key that is not in the database.
//!
//! A sealed value is a random nonce, the ciphertext and the tag. The row it belongs to is authenticated with it, so
//! that a value copied to another row cannot be opened there.

use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::random;

/// The key.
#[derive(Clone)]
pub(crate) struct Seal(Arc<LessSafeKey>);

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the length of the cipher's");
        Self(Arc::new(LessSafeKey::new(key)))
    }

    /// Encrypts `value` for the row `belongs_to`.
    pub(crate) fn seal(&self, belongs_to: &[&str], value: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut body = value.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                associated_data(belongs_to),
                &mut body,
            )
            .expect("far below the cipher's limits");
        [nonce.as_slice(), &body].concat()
    }

    /// Decrypts a value sealed for the same row; `None` when it was sealed with another key or for another row, or was
    /// altered.
    pub(crate) fn open(&self, belongs_to: &[&str], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let value = self.0.open_in_place(nonce, associated_data(belongs_to), &mut body).ok()?;
        Some(value.to_vec())
    }
}

/// The parts, each terminated by a zero byte, which none of them contains.
fn associated_data(parts: &[&str]) -> Aad<Vec<u8>> {
    Aad::from(parts.iter().flat_map(|part| part.bytes().chain([0])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D63.
    #[test]
    fn a_sealed_value_opens_only_in_its_row_and_unaltered() {
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
