//! Servers judged by authorities an application gives, as OpenSSL judges them (D191).
//!
//! Brokers of one's own often have certificates the strict rules of the public web refuse: X.509 version 1, a common name and no
//! alternative name, a self-signed certificate as its own authority, keys on P-521, ECDSA with an uncommon hash, RSA-PSS keys.
//! The application has named whom it trusts, so they are accepted where OpenSSL's clients accept them.
//!
//! - `chain.rs`: from a server's certificate to an authority. `names.rs`: whether it is for this host. `signature.rs`: the
//!   signatures of both, and of the handshake. `client_key.rs`: the application's own key.

use std::sync::Arc;

use relay::ConnectError;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme,
};

mod chain;
pub(super) mod client_key;
pub(super) mod names;
mod signature;
#[cfg(test)]
mod tests;

use signature::Refused;

/// A failure found by the verifier, on its way through rustls.
#[derive(Debug)]
pub(super) struct Found(pub(super) ConnectError);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Found {}

fn error(cause: ConnectError) -> TlsError {
    let kind = match cause {
        // These rustls has alerts of their own for.
        ConnectError::UnknownCa => CertificateError::UnknownIssuer,
        ConnectError::CertificateExpired => CertificateError::Expired,
        ConnectError::CertificateNotYetValid => CertificateError::NotValidYet,
        other => CertificateError::Other(OtherError(Arc::new(Found(other)))),
    };
    kind.into()
}

/// Judges servers by the authorities of one application.
#[derive(Debug)]
pub(super) struct PrivateCaVerifier {
    authorities: Vec<CertificateDer<'static>>,
}

impl PrivateCaVerifier {
    /// By these; `None` if one of them is no certificate.
    pub(super) fn new(authorities: Vec<CertificateDer<'static>>) -> Option<Self> {
        let all = authorities.iter().all(|authority| chain::parse(authority).is_some());
        all.then_some(Self { authorities })
    }
}

impl ServerCertVerifier for PrivateCaVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        chain::verify(end_entity, intermediates, &self.authorities, server_name, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        handshake(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        handshake(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        signature::HANDSHAKE_SCHEMES.to_vec()
    }
}

/// Whether the server has the key of its certificate.
fn handshake(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    is_tls13: bool,
) -> Result<HandshakeSignatureValid, TlsError> {
    let parsed = chain::parse(certificate).ok_or(TlsError::from(CertificateError::BadEncoding))?;
    match signature::verify_handshake(parsed.public_key(), signed, message, is_tls13) {
        Ok(()) => Ok(HandshakeSignatureValid::assertion()),
        Err(Refused::Wrong) => Err(CertificateError::BadSignature.into()),
        Err(Refused::Unsupported(what)) => Err(error(ConnectError::CertificateAlgorithm(what))),
    }
}
