//! Signatures: ECDSA on P-256 with SHA-256 over a context string and the manifest's body.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::limits::{POINT, SIGNATURE};
use crate::{BundleError, hash};

/// The context string that precedes the body in the signed message, so that a signature made for another purpose does
/// not fit.
const CONTEXT: &[u8] = b"twlo-mv-manifest-v1\0";

/// The DER prefix of a public key on P-256; the point follows (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The manifest's body with its signature and the signer's id, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedBody {
    signer_id: u64,
    body: Vec<u8>,
    signature: Option<[u8; SIGNATURE]>,
}

impl SignedBody {
    /// A signature has 64 bytes and a signer's id; without a signature, the id is zero.
    pub(crate) fn new(signer_id: u64, body: Vec<u8>, signature: &[u8]) -> Result<Self, BundleError> {
        let signature = match signature {
            [] if signer_id == 0 => None,
            bytes if signer_id != 0 => Some(bytes.try_into().map_err(|_| BundleError::Signature)?),
            _ => return Err(BundleError::Signature),
        };
        Ok(Self { signer_id, body, signature })
    }

    pub(crate) fn signer_id(&self) -> Option<u64> {
        self.signature.map(|_| self.signer_id)
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), BundleError> {
        let signature = self.signature.as_ref().ok_or(BundleError::Unsigned)?;
        if self.signer_id != key.id() {
            return Err(BundleError::WrongSigner { found: self.signer_id, expected: key.id() });
        }
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.0);
        public.verify(&signed_message(&self.body), signature).map_err(|_| BundleError::BadSignature)
    }
}

fn signed_message(body: &[u8]) -> Vec<u8> {
    [CONTEXT, body].concat()
}

/// A public key on P-256: an uncompressed point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; POINT]);

impl PublicKey {
    /// Reads a key in PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`KeyError`]: no public key, or not an uncompressed point on P-256.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::NoPublicKey)?;
        let point = der.strip_prefix(&SPKI).ok_or(KeyError::NotP256)?;
        let point: [u8; POINT] = point.try_into().map_err(|_| KeyError::NotP256)?;
        if point[0] == 4 { Ok(Self(point)) } else { Err(KeyError::NotP256) }
    }

    /// The point, uncompressed.
    pub fn point(&self) -> &[u8; POINT] {
        &self.0
    }

    /// The number that identifies it in a manifest.
    pub fn id(&self) -> u64 {
        let digest = hash::sha256(&[&[0, 0], &self.0[..]].concat());
        u64::from_be_bytes(*digest.first_chunk().expect("a digest is longer"))
    }
}

/// A private key on P-256.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// Reads a key in PEM (`BEGIN PRIVATE KEY`, PKCS#8).
    ///
    /// # Errors
    /// [`KeyError`]: no private key in PKCS#8, or not one on P-256.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoPrivateKey)?;
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random);
        pair.map(SigningKey).map_err(|_| KeyError::NotP256)
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("a point on P-256"))
    }

    /// The signer's id and the signature over a manifest's body.
    pub(crate) fn sign(&self, body: &[u8]) -> (u64, Vec<u8>) {
        let signature = self
            .0
            .sign(&SystemRandom::new(), &signed_message(body))
            .expect("the system's random generator works");
        (self.public().id(), signature.as_ref().to_vec())
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// No public key in PEM.
    NoPublicKey,
    /// No private key in PEM, PKCS#8.
    NoPrivateKey,
    /// A key that is not on the curve P-256.
    NotP256,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPublicKey => "contains no public key in PEM (BEGIN PUBLIC KEY)",
            Self::NoPrivateKey => "contains no private key in PEM, PKCS#8 (BEGIN PRIVATE KEY)",
            Self::NotP256 => "contains a key of another type; expected one on the curve P-256",
        })
    }
}

impl std::error::Error for KeyError {}
