//! The application's own certificate and key. The certificate is presented without being verified, because whether it
//! is good is the broker's decision (D191).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p521::ecdsa::signature::Signer as _;
use p521::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use relay::{Credential, CredentialsError};
use rsa::pkcs8::PrivateKeyInfoRef;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, SubjectPublicKeyInfoDer,
};
use tokio_rustls::rustls::sign::{CertifiedKey, Signer, SigningKey};
use tokio_rustls::rustls::{Error as TlsError, SignatureAlgorithm, SignatureScheme};

use super::chain;

/// Object identifier of an RSA-PSS key.
const RSA_PSS: &str = "1.2.840.113549.1.1.10";

/// RSA-PSS schemes (RFC 8446, 4.2.3): for a key for RSA-PSS only, and the matching one for any RSA key.
const PSS_SCHEMES: [(SignatureScheme, SignatureScheme); 3] = [
    (SignatureScheme::Unknown(0x0809), SignatureScheme::RSA_PSS_SHA256),
    (SignatureScheme::Unknown(0x080a), SignatureScheme::RSA_PSS_SHA384),
    (SignatureScheme::Unknown(0x080b), SignatureScheme::RSA_PSS_SHA512),
];

/// The application's certificate, with those above it, and its key.
///
/// # Errors
/// One of them cannot be used, or certificate and key do not match.
pub(in crate::connector) fn certified(
    chain: &[Vec<u8>],
    key: &[u8],
) -> Result<Arc<CertifiedKey>, CredentialsError> {
    // Those above the first are for the server to judge, in any encoding but text.
    let unusable = chain.iter().enumerate().find(|(index, certificate)| {
        relay::is_pem(certificate) || *index == 0 && !is_der_sequence(certificate)
    });
    if let Some((_, certificate)) = unusable {
        return Err(CredentialsError::of(Credential::Certificate, certificate));
    }
    let key = signing_key(key).ok_or_else(|| CredentialsError::of(Credential::Key, key))?;
    let leaf = chain.first().ok_or(CredentialsError::Malformed(Credential::Certificate))?;
    if !is_pair(leaf, &*key) {
        return Err(CredentialsError::Mismatch);
    }
    let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.clone())).collect();
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// Whether the bytes are one DER SEQUENCE, as every certificate is.
fn is_der_sequence(der: &[u8]) -> bool {
    let Some((&[tag, first], rest)) = der.split_first_chunk() else { return false };
    let count = usize::from(first & 0x7f);
    let length = match first {
        0..0x80 => Some((usize::from(first), rest.len())),
        _ if count <= 4 => rest.split_at_checked(count).map(|(length, content)| {
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), content.len())
        }),
        _ => None,
    };
    tag == 0x30 && length.is_some_and(|(length, content)| length == content)
}

/// Whether a certificate contains the public key of a private key, as far as that can be determined.
fn is_pair(leaf: &[u8], key: &dyn SigningKey) -> bool {
    let (Some(certificate), Some(public)) = (chain::parse(leaf), key.public_key()) else { return true };
    let bits: &[u8] = &certificate.public_key().subject_public_key.data;
    // A compressed point is the same key in another encoding, which is not compared.
    let is_compressed = matches!(bits.first(), Some(2 | 3));
    is_compressed || public.as_ref().ends_with(bits)
}

/// Reads a private key: PKCS#8, or PKCS#1 or SEC1, which tools write too.
fn signing_key(key: &[u8]) -> Option<Arc<dyn SigningKey>> {
    if let Some(rsa) = rsa_pss(key) {
        return Some(Arc::new(PssKey(rsa)));
    }
    if let Ok(key) = p521::ecdsa::SigningKey::from_pkcs8_der(key) {
        return Some(Arc::new(P521Key(key)));
    }
    any_supported_type(&PrivateKeyDer::try_from(key.to_vec()).ok()?).ok()
}

/// The RSA key in a PKCS#8 key that is for RSA-PSS only.
fn rsa_pss(key: &[u8]) -> Option<Arc<dyn SigningKey>> {
    let key = PrivateKeyInfoRef::try_from(key).ok()?;
    if key.algorithm.oid.to_string() != RSA_PSS {
        return None;
    }
    let rsa = PrivatePkcs1KeyDer::from(key.private_key.as_bytes().to_vec());
    any_supported_type(&PrivateKeyDer::Pkcs1(rsa)).ok()
}

/// An RSA key that signs with RSA-PSS only.
#[derive(Debug)]
struct PssKey(Arc<dyn SigningKey>);

impl SigningKey for PssKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (scheme, any_rsa_scheme) =
            PSS_SCHEMES.into_iter().find(|(scheme, _)| offered.contains(scheme))?;
        let signer = self.0.choose_scheme(&[any_rsa_scheme])?;
        Some(Box::new(PssSigner { signer, scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct PssSigner {
    signer: Box<dyn Signer>,
    scheme: SignatureScheme,
}

impl Signer for PssSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TlsError> {
        self.signer.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// A key on P-521, which *ring* does not support.
struct P521Key(p521::ecdsa::SigningKey);

impl std::fmt::Debug for P521Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P521Key")
    }
}

impl SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let is_offered = offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512);
        is_offered.then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let public = self.0.verifying_key().to_public_key_der().ok()?;
        Some(SubjectPublicKeyInfoDer::from(public.into_vec()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TlsError> {
        let signature: p521::ecdsa::Signature =
            self.0.try_sign(message).map_err(|_| TlsError::General("P-521 cannot sign".to_owned()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// Presents the application's certificate, if there is one, and records whether the server requested it.
#[derive(Debug, Default)]
pub(in crate::connector) struct ClientCertificate {
    certified: Option<Arc<CertifiedKey>>,
    was_requested: AtomicBool,
}

impl ClientCertificate {
    pub(in crate::connector) fn new(certified: Option<Arc<CertifiedKey>>) -> Self {
        Self { certified, was_requested: AtomicBool::new(false) }
    }

    /// Whether the server requested a certificate and there is none.
    pub(in crate::connector) fn is_missing(&self) -> bool {
        self.certified.is_none() && self.was_requested.load(Ordering::Relaxed)
    }

    /// Whether the server requested a certificate and was given it.
    pub(in crate::connector) fn is_presented(&self) -> bool {
        self.certified.is_some() && self.was_requested.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_requested.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}
