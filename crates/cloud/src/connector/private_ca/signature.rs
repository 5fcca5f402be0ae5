//! Signatures of certificates and handshakes. RSA and ECDSA are verified by the libraries of the RustCrypto project,
//! because *ring* supports neither P-521 nor the salt lengths OpenSSL uses for RSA-PSS
//! (docs/decisions/0018-brokers-as-they-are.md).

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::signature::{ED25519, UnparsedPublicKey};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, Pss};
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use tokio_rustls::rustls::{DigitallySignedStruct, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// Least bits of an RSA key, as at OpenSSL's security level 2, which is Debian's default.
const MIN_RSA_BITS: usize = 2048;

const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const EC: &str = "1.2.840.10045.2.1";
const ED25519_ID: &str = "1.3.101.112";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";

/// RSA-PSS with a key for RSA-PSS only (RFC 8446, 4.2.3), which rustls has no names for.
const RSA_PSS_PSS_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
const RSA_PSS_PSS_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
const RSA_PSS_PSS_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);

/// The schemes a server may sign the handshake with.
pub(super) const HANDSHAKE_SCHEMES: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    RSA_PSS_PSS_SHA256,
    RSA_PSS_PSS_SHA384,
    RSA_PSS_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// Why a signature is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// It was not made by that key.
    Invalid,
    /// Its algorithm or key is not supported, or too weak.
    Unsupported(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The algorithm of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Pkcs1(Hash),
    Pss { hash: Hash, salt: usize },
    Ecdsa(Hash),
    Ed25519,
}

impl Hash {
    fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha224 => Sha224::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn by_oid(oid: &str) -> Result<Self, SignatureError> {
        match oid {
            "2.16.840.1.101.3.4.2.4" => Ok(Self::Sha224),
            "2.16.840.1.101.3.4.2.1" => Ok(Self::Sha256),
            "2.16.840.1.101.3.4.2.2" => Ok(Self::Sha384),
            "2.16.840.1.101.3.4.2.3" => Ok(Self::Sha512),
            "1.3.14.3.2.26" => Err(unsupported("a signature with SHA-1")),
            other => Err(unsupported(&format!("a signature with the hash {other}"))),
        }
    }
}

fn unsupported(what: &str) -> SignatureError {
    SignatureError::Unsupported(what.to_owned())
}

/// Whether `issuer` has signed the certificate.
pub(super) fn verify_certificate(
    certificate: &X509Certificate<'_>,
    issuer: &SubjectPublicKeyInfo<'_>,
) -> Result<(), SignatureError> {
    if certificate.signature_algorithm != certificate.tbs_certificate.signature {
        return Err(SignatureError::Invalid);
    }
    let scheme = certificate_scheme(&certificate.signature_algorithm)?;
    let message = certificate.tbs_certificate.as_ref();
    verify(issuer, scheme, message, &certificate.signature_value.data)
}

/// Whether the key has signed the handshake.
pub(super) fn verify_handshake(
    key: &SubjectPublicKeyInfo<'_>,
    signed: &DigitallySignedStruct,
    message: &[u8],
    is_tls13: bool,
) -> Result<(), SignatureError> {
    let scheme = handshake_scheme(signed.scheme, key, is_tls13)?;
    verify(key, scheme, message, signed.signature())
}

/// Why a key is not accepted, if it is not.
pub(super) fn weakness(key: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    let bits = match Key::of(key) {
        Ok(Key::Rsa(key)) => key.size() * 8,
        Ok(_) => return None,
        Err(SignatureError::Unsupported(what)) => return Some(what),
        Err(SignatureError::Invalid) => return Some("a malformed key".to_owned()),
    };
    (bits < MIN_RSA_BITS).then(|| format!("an RSA key of {bits} bits, less than {MIN_RSA_BITS}"))
}

fn certificate_scheme(algorithm: &AlgorithmIdentifier<'_>) -> Result<Scheme, SignatureError> {
    Ok(match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.14" => Scheme::Pkcs1(Hash::Sha224),
        "1.2.840.113549.1.1.11" => Scheme::Pkcs1(Hash::Sha256),
        "1.2.840.113549.1.1.12" => Scheme::Pkcs1(Hash::Sha384),
        "1.2.840.113549.1.1.13" => Scheme::Pkcs1(Hash::Sha512),
        "1.2.840.10045.4.3.1" => Scheme::Ecdsa(Hash::Sha224),
        "1.2.840.10045.4.3.2" => Scheme::Ecdsa(Hash::Sha256),
        "1.2.840.10045.4.3.3" => Scheme::Ecdsa(Hash::Sha384),
        "1.2.840.10045.4.3.4" => Scheme::Ecdsa(Hash::Sha512),
        ED25519_ID => Scheme::Ed25519,
        RSA_PSS => return pss(algorithm),
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => return Err(unsupported("a signature with SHA-1")),
        "1.2.840.113549.1.1.4" => return Err(unsupported("a signature with MD5")),
        other => return Err(unsupported(&format!("the signature algorithm {other}"))),
    })
}

/// The parameters of RSA-PSS (RFC 4055, 3.1): OpenSSL takes salts other than the hash's length by default.
fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Result<Scheme, SignatureError> {
    let malformed = || unsupported("malformed RSA-PSS parameters");
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm) else {
        return Err(malformed());
    };
    let hash = Hash::by_oid(&parameters.hash_algorithm_oid().to_id_string())?;
    let mask = parameters.mask_gen_algorithm().map_err(|_| malformed())?;
    // Allowed by RFC 4055, but the library has no form for it.
    if mask.hash.to_id_string() != parameters.hash_algorithm_oid().to_id_string() {
        return Err(unsupported("RSA-PSS with two hashes"));
    }
    Ok(Scheme::Pss { hash, salt: parameters.salt_length() as usize })
}

/// TLS 1.3 fixes the curve for each hash, and the kind of key for PSS (RFC 8446, 4.2.3); TLS 1.2 does neither.
fn handshake_scheme(
    scheme: SignatureScheme,
    key: &SubjectPublicKeyInfo<'_>,
    is_tls13: bool,
) -> Result<Scheme, SignatureError> {
    use SignatureScheme as S;
    let pss = |hash: Hash| Scheme::Pss { hash, salt: hash.length() };
    let (scheme, id) = match scheme {
        S::ECDSA_NISTP256_SHA256 => (Scheme::Ecdsa(Hash::Sha256), P256),
        S::ECDSA_NISTP384_SHA384 => (Scheme::Ecdsa(Hash::Sha384), P384),
        S::ECDSA_NISTP521_SHA512 => (Scheme::Ecdsa(Hash::Sha512), P521),
        S::ED25519 => (Scheme::Ed25519, ED25519_ID),
        S::RSA_PSS_SHA256 => (pss(Hash::Sha256), RSA),
        S::RSA_PSS_SHA384 => (pss(Hash::Sha384), RSA),
        S::RSA_PSS_SHA512 => (pss(Hash::Sha512), RSA),
        RSA_PSS_PSS_SHA256 => (pss(Hash::Sha256), RSA_PSS),
        RSA_PSS_PSS_SHA384 => (pss(Hash::Sha384), RSA_PSS),
        RSA_PSS_PSS_SHA512 => (pss(Hash::Sha512), RSA_PSS),
        S::RSA_PKCS1_SHA256 if !is_tls13 => (Scheme::Pkcs1(Hash::Sha256), RSA),
        S::RSA_PKCS1_SHA384 if !is_tls13 => (Scheme::Pkcs1(Hash::Sha384), RSA),
        S::RSA_PKCS1_SHA512 if !is_tls13 => (Scheme::Pkcs1(Hash::Sha512), RSA),
        other => return Err(unsupported(&format!("the handshake signature {other:?}"))),
    };
    let curve = curve(key);
    // TLS 1.2 names only the hash for ECDSA, so that any curve may go with it.
    let is_fixed = is_tls13 || curve.is_none();
    let of_key = curve.unwrap_or_else(|| key.algorithm.algorithm.to_id_string());
    if is_fixed && of_key != id {
        return Err(SignatureError::Invalid);
    }
    Ok(scheme)
}

/// The curve of an elliptic curve key.
fn curve(key: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    if key.algorithm.algorithm.to_id_string() != EC {
        return None;
    }
    let oid = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    Some(oid.to_id_string())
}

/// A public key.
enum Key<'a> {
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(&'a [u8]),
}

impl<'a> Key<'a> {
    fn of(key: &'a SubjectPublicKeyInfo<'_>) -> Result<Self, SignatureError> {
        let bytes: &[u8] = &key.subject_public_key.data;
        let curve = curve(key);
        match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
            (RSA | RSA_PSS, _) => {
                let key = rsa::PublicKey::from_pkcs1_der(bytes);
                key.map(|key| Key::Rsa(Box::new(key)))
                    .map_err(|_| unsupported("an RSA key of an unusual size"))
            }
            (EC, Some(P256)) => sec1(p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes), Key::P256),
            (EC, Some(P384)) => sec1(p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes), Key::P384),
            (EC, Some(P521)) => sec1(p521::ecdsa::VerifyingKey::from_sec1_bytes(bytes), Key::P521),
            (ED25519_ID, _) => Ok(Key::Ed25519(bytes)),
            (EC, Some(other)) => Err(unsupported(&format!("a key on the curve {other}"))),
            (other, _) => Err(unsupported(&format!("a key of the kind {other}"))),
        }
    }
}

fn sec1<'a, K, E>(key: Result<K, E>, kind: fn(Box<K>) -> Key<'a>) -> Result<Key<'a>, SignatureError> {
    key.map(|key| kind(Box::new(key))).map_err(|_| unsupported("a malformed elliptic curve key"))
}

fn verify(
    key: &SubjectPublicKeyInfo<'_>,
    scheme: Scheme,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let is_valid = match (Key::of(key)?, scheme) {
        (Key::Rsa(key), Scheme::Pkcs1(hash)) => {
            let hashed = hash.of(message);
            key.verify(pkcs1(hash), &hashed, signature).is_ok()
        }
        (Key::Rsa(key), Scheme::Pss { hash, salt }) => {
            let hashed = hash.of(message);
            match hash {
                Hash::Sha224 => key.verify(Pss::<Sha224>::new_with_salt(salt), &hashed, signature).is_ok(),
                Hash::Sha256 => key.verify(Pss::<Sha256>::new_with_salt(salt), &hashed, signature).is_ok(),
                Hash::Sha384 => key.verify(Pss::<Sha384>::new_with_salt(salt), &hashed, signature).is_ok(),
                Hash::Sha512 => key.verify(Pss::<Sha512>::new_with_salt(salt), &hashed, signature).is_ok(),
            }
        }
        (Key::P256(key), Scheme::Ecdsa(hash)) => p256::ecdsa::Signature::from_der(signature)
            .is_ok_and(|signature| key.verify_prehash(&hash.of(message), &signature).is_ok()),
        (Key::P384(key), Scheme::Ecdsa(hash)) => p384::ecdsa::Signature::from_der(signature)
            .is_ok_and(|signature| key.verify_prehash(&hash.of(message), &signature).is_ok()),
        (Key::P521(key), Scheme::Ecdsa(hash)) => p521::ecdsa::Signature::from_der(signature)
            .is_ok_and(|signature| key.verify_prehash(&hash.of(message), &signature).is_ok()),
        (Key::Ed25519(key), Scheme::Ed25519) => {
            UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
        }
        // A signature of another kind than the key.
        _ => false,
    };
    if is_valid { Ok(()) } else { Err(SignatureError::Invalid) }
}

fn pkcs1(hash: Hash) -> Pkcs1v15Sign {
    match hash {
        Hash::Sha224 => Pkcs1v15Sign::new::<Sha224>(),
        Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
        Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
    }
}
