//! Servers verified by authorities that the application names, by the rules of OpenSSL (D191).
//!
//! Private brokers often have certificates that the strict rules of the public web refuse: X.509 version 1, a common
//! name and no alternative name, a self-signed certificate as its own authority, keys on P-521, ECDSA with an uncommon
//! hash, RSA-PSS keys. The application has named whom it trusts, so these are accepted where OpenSSL's clients accept
//! them.
//!
//! - `chain.rs`: from a server's certificate to an authority. `names.rs`: whether it is for this host. `signature.rs`:
//!   the signatures of both, and of the handshake. `client_key.rs`: the application's own key.

use std::sync::Arc;

use relay::{ConnectError, Credential, CredentialsError};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{CertificateError, Error as TlsError, OtherError, SignatureScheme};

use super::server_policy::{HandshakeSignature, Presented, ServerPolicy};

mod chain;
pub(super) mod client_key;
pub(super) mod names;
mod signature;
#[cfg(test)]
mod tests;

use signature::SignatureError;

/// The cause found by this policy, wrapped to pass through rustls.
#[derive(Debug)]
pub(super) struct PolicyError(pub(super) ConnectError);

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for PolicyError {}

fn tls_error(cause: ConnectError) -> TlsError {
    let kind = match cause {
        // For these rustls sends the server the matching alert.
        ConnectError::UnknownCa => CertificateError::UnknownIssuer,
        ConnectError::CertificateExpired => CertificateError::Expired,
        ConnectError::CertificateNotYetValid => CertificateError::NotValidYet,
        other => CertificateError::Other(OtherError(Arc::new(PolicyError(other)))),
    };
    kind.into()
}

/// Trusts the authorities of one application.
#[derive(Debug)]
pub(super) struct PrivateCa {
    authorities: Vec<CertificateDer<'static>>,
}

impl PrivateCa {
    /// # Errors
    /// One of the authorities is not a certificate.
    pub(super) fn new(authorities: Vec<CertificateDer<'static>>) -> Result<Self, CredentialsError> {
        match authorities.iter().find(|authority| chain::parse(authority).is_none()) {
            Some(unusable) => Err(CredentialsError::of(Credential::Authority, unusable)),
            None => Ok(Self { authorities }),
        }
    }
}

impl ServerPolicy for PrivateCa {
    fn verify_server(&self, presented: &Presented<'_>) -> Result<(), TlsError> {
        let Presented { certificate, intermediates, name, now, .. } = presented;
        chain::verify(certificate, intermediates, &self.authorities, name, *now).map_err(tls_error)
    }

    fn verify_handshake(&self, signature: &HandshakeSignature<'_>) -> Result<(), TlsError> {
        let HandshakeSignature { message, certificate, signed, is_tls13 } = signature;
        let parsed = chain::parse(certificate).ok_or(TlsError::from(CertificateError::BadEncoding))?;
        signature::verify_handshake(parsed.public_key(), signed, message, *is_tls13).map_err(|error| {
            match error {
                SignatureError::Invalid => CertificateError::BadSignature.into(),
                SignatureError::Unsupported(what) => tls_error(ConnectError::CertificateAlgorithm(what)),
            }
        })
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        signature::HANDSHAKE_SCHEMES.to_vec()
    }
}
