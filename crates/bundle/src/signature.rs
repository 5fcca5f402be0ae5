//! Signatures: ECDSA on P-256 with SHA-256 over a fixed text and the manifest's body.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::limits::{POINT, SIGNATURE};
use crate::{Refusal, hash};

/// What stands before the body in what is signed, so that no other signature fits.
const CONTEXT: &[u8] = b"twlo-mv-manifest-v1\0";

/// How a public key on P-256 begins in DER; the point follows (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// What is signed, and by whom it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    signer_id: u64,
    body: Vec<u8>,
    signature: Option<[u8; SIGNATURE]>,
}

impl Seal {
    /// A signature has 64 bytes and a signer, or there is none of either.
    pub(crate) fn new(signer_id: u64, body: Vec<u8>, signature: &[u8]) -> Result<Self, Refusal> {
        let signature = match signature {
            [] if signer_id == 0 => None,
            bytes if signer_id != 0 => Some(bytes.try_into().map_err(|_| Refusal::Signature)?),
            _ => return Err(Refusal::Signature),
        };
        Ok(Self { signer_id, body, signature })
    }

    pub(crate) fn signer_id(&self) -> Option<u64> {
        self.signature.map(|_| self.signer_id)
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), Refusal> {
        let signature = self.signature.as_ref().ok_or(Refusal::Unsigned)?;
        if self.signer_id != key.id() {
            return Err(Refusal::OtherSigner { found: self.signer_id, expected: key.id() });
        }
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.0);
        public.verify(&signed(&self.body), signature).map_err(|_| Refusal::BadSignature)
    }
}

fn signed(body: &[u8]) -> Vec<u8> {
    [CONTEXT, body].concat()
}

/// A public key on P-256: an uncompressed point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; POINT]);

impl PublicKey {
    /// Reads a key in PEM (`BEGIN PUBLIC KEY`).
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::NoPublicKey)?;
        let point = der.strip_prefix(&SPKI).ok_or(KeyError::OtherKind)?;
        let point: [u8; POINT] = point.try_into().map_err(|_| KeyError::OtherKind)?;
        if point[0] == 4 { Ok(Self(point)) } else { Err(KeyError::OtherKind) }
    }

    /// The point, uncompressed.
    pub fn point(&self) -> &[u8; POINT] {
        &self.0
    }

    /// The number by which a manifest names it.
    pub fn id(&self) -> u64 {
        let digest = hash::sha256(&[&[0, 0], &self.0[..]].concat());
        u64::from_be_bytes(*digest.first_chunk().expect("a digest is longer"))
    }
}

/// A private key on P-256.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// Reads a key in PEM (`BEGIN PRIVATE KEY`, PKCS#8).
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoPrivateKey)?;
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random);
        pair.map(SigningKey).map_err(|_| KeyError::OtherKind)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("a point on P-256"))
    }

    /// The signer's id and the signature over a manifest's body.
    pub(crate) fn sign(&self, body: &[u8]) -> (u64, Vec<u8>) {
        let signature =
            self.0.sign(&SystemRandom::new(), &signed(body)).expect("the system gives random bytes");
        (self.public().id(), signature.as_ref().to_vec())
    }
}

/// Why a file is no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// No public key in PEM.
    NoPublicKey,
    /// No private key in PEM, PKCS#8.
    NoPrivateKey,
    /// A key of another kind than P-256.
    OtherKind,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPublicKey => "holds no public key in PEM (BEGIN PUBLIC KEY)",
            Self::NoPrivateKey => "holds no private key in PEM, PKCS#8 (BEGIN PRIVATE KEY)",
            Self::OtherKind => "holds a key of another kind; expected one on the curve P-256",
        })
    }
}

impl std::error::Error for KeyError {}
