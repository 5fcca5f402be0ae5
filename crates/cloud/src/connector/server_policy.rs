//! Which servers are trusted, without the ceremony of rustls's trait: [`Verifier`] implements that once for every
//! policy.

use std::fmt;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{DigitallySignedStruct, Error as TlsError, SignatureScheme};

/// What a server presents, and what it is expected to be.
pub(super) struct Presented<'a> {
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) name: &'a ServerName<'a>,
    pub(super) ocsp_response: &'a [u8],
    pub(super) now: UnixTime,
}

/// A signature of the handshake, by which a server proves that it has the key of its certificate.
pub(super) struct HandshakeSignature<'a> {
    pub(super) message: &'a [u8],
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) signed: &'a DigitallySignedStruct,
    pub(super) is_tls13: bool,
}

/// Decides which servers are trusted.
pub(super) trait ServerPolicy: fmt::Debug + Send + Sync {
    /// Whether the certificate is trusted, and is for the server's name.
    fn verify_server(&self, presented: &Presented<'_>) -> Result<(), TlsError>;

    /// Whether the signature is that of the certificate's key.
    fn verify_handshake(&self, signature: &HandshakeSignature<'_>) -> Result<(), TlsError>;

    /// The signature schemes offered to the server.
    fn schemes(&self) -> Vec<SignatureScheme>;
}

/// A policy as rustls calls it.
#[derive(Debug)]
pub(super) struct Verifier<P>(pub(super) P);

impl<P: ServerPolicy> Verifier<P> {
    fn handshake(&self, signature: &HandshakeSignature<'_>) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_handshake(signature).map(|()| HandshakeSignatureValid::assertion())
    }
}

impl<P: ServerPolicy> ServerCertVerifier for Verifier<P> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let presented = Presented { certificate, intermediates, name, ocsp_response, now };
        self.0.verify_server(&presented).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.handshake(&HandshakeSignature { message, certificate, signed, is_tls13: false })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.handshake(&HandshakeSignature { message, certificate, signed, is_tls13: true })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.schemes()
    }
}
