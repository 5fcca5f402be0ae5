//! Secrets of the management API: the auth tokens of accounts and the secrets of API keys.
//!
//! A secret is a prefix that says what it is, 32 random letters and digits (190 bits), and a checksum, so that a secret
//! that leaked into a file can be recognised without asking the cloud. It is shown once and kept as its SHA-256: with
//! that many random bits a slow hash would protect nothing, and would let anyone load the cloud by failing to
//! authenticate.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::random;

/// Random characters of a secret.
const RANDOM: usize = 32;
/// Characters of the checksum.
const CHECKSUM: usize = 6;
/// The characters used: safe in URLs, shells and headers.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The use of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// The secret of an API key: `ovs_…`.
    ApiKey,
    /// The auth token of an account: `ovt_…`.
    AuthToken,
}

impl SecretKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "ovs_",
            Self::AuthToken => "ovt_",
        }
    }
}

/// A secret to show once. It is not printed by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiSecret(String);

impl ApiSecret {
    /// A new random secret.
    pub(crate) fn random(kind: SecretKind) -> Self {
        let mut text = kind.prefix().to_owned();
        while text.len() < kind.prefix().len() + RANDOM {
            // 248 is the largest multiple of 62 in a byte: values above would make some characters likelier.
            let [byte] = random::bytes::<1>();
            if byte < 248 {
                text.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            }
        }
        let checksum = checksum(&text);
        Self(text + &checksum)
    }

    /// Whether `text` is a secret of this kind with its right checksum, known to this cloud or not.
    pub fn is_well_formed(kind: SecretKind, text: &str) -> bool {
        let length = kind.prefix().len() + RANDOM + CHECKSUM;
        if text.len() != length || !text.starts_with(kind.prefix()) || !text.is_ascii() {
            return false;
        }
        let (body, found) = text.split_at(length - CHECKSUM);
        found == checksum(body)
    }

    /// The secret itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl fmt::Debug for ApiSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiSecret(not shown)")
    }
}

/// What is kept of a secret.
fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether `presented` is the secret with this hash, in a time that does not depend on where they differ.
pub(crate) fn matches(presented: &str, stored: &[u8]) -> bool {
    hash(presented)[..].ct_eq(stored).into()
}

/// CRC-32 of the text, in six characters.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest as usize % ALPHABET.len()];
        rest /= 62;
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D370.
    #[test]
    fn a_secret_is_recognised_by_its_prefix_and_checksum() {
        let secret = ApiSecret::random(SecretKind::ApiKey);
        assert!(ApiSecret::is_well_formed(SecretKind::ApiKey, secret.as_str()));
        assert!(!ApiSecret::is_well_formed(SecretKind::AuthToken, secret.as_str()));
        assert_eq!(secret.as_str().len(), 42);
        for index in 0..secret.as_str().len() {
            let mut text = secret.as_str().to_owned().into_bytes();
            text[index] = if text[index] == b'a' { b'b' } else { b'a' };
            let text = String::from_utf8(text).expect("ASCII");
            assert!(!ApiSecret::is_well_formed(SecretKind::ApiKey, &text), "{index}");
        }
        assert_eq!(checksum("123456789"), "3jZRME", "CRC-32 0xCBF43926 in base 62");
    }

    /// Shows D370.
    #[test]
    fn a_secret_matches_its_hash_only_and_is_not_printed() {
        let secret = ApiSecret::random(SecretKind::AuthToken);
        assert!(matches(secret.as_str(), &secret.hash()));
        assert!(!matches("", &secret.hash()) && !matches(secret.as_str(), &[]));
        assert!(!format!("{secret:?}").contains(&secret.as_str()[4..]));
    }
}
