//! Why certificates or a private key that an application gave cannot be used.

use core::fmt;

/// What PEM begins with (RFC 7468).
const PEM: &[u8] = b"-----BEGIN";

/// One of the things an application gives for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The certificate of an authority that it trusts.
    Authority,
    /// Its own certificate, or one above it.
    Certificate,
    /// Its private key.
    Key,
}

/// Why certificates or a private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// It is PEM text, and has to be DER.
    Pem(Credential),
    /// It is not a certificate, or not a key of a supported kind, in DER.
    Malformed(Credential),
    /// The private key belongs to another certificate.
    Mismatch,
}

impl CredentialsError {
    /// Why these bytes, which cannot be used, are no `credential`.
    pub fn of(credential: Credential, bytes: &[u8]) -> Self {
        if is_pem(bytes) { Self::Pem(credential) } else { Self::Malformed(credential) }
    }
}

/// Whether these bytes are PEM text.
pub fn is_pem(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(PEM)
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "the CA certificate",
            Self::Certificate => "the client certificate",
            Self::Key => "the private key",
        })
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(credential) => write!(f, "{credential} is not DER (it looks like PEM)"),
            Self::Malformed(Credential::Key) => {
                f.write_str("the private key is not PKCS#8 in DER, or of a kind that is not supported")
            }
            Self::Malformed(credential) => write!(f, "{credential} is not an X.509 certificate in DER"),
            Self::Mismatch => f.write_str("the private key does not belong to the client certificate"),
        }
    }
}
