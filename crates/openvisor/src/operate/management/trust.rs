//! Whose certificate is accepted: one of the authorities of this machine, or else exactly the one that the user
//! confirmed at `openvisor login` (D386).

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use cloud::authority::{Fingerprint, fingerprint};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

const PREFIX: &str = "SHA256:";

/// A fingerprint as it is shown and stored: `SHA256:` and 64 hexadecimal digits.
pub(crate) fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    fingerprint.iter().fold(PREFIX.to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("written to memory");
        text
    })
}

/// Reads a fingerprint as it is shown here or by `openssl x509 -fingerprint -sha256`: in any case, with colons or not.
pub(crate) fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let digits = text.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
    let digits: String = text[digits.map_or(0, str::len)..].chars().filter(|digit| *digit != ':').collect();
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Verifies one cloud's certificate, and keeps the fingerprint of one that it refused.
#[derive(Debug)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    pin: Option<Fingerprint>,
    /// `None` if this machine has no authorities.
    public: Option<Arc<WebPkiServerVerifier>>,
    refused: Mutex<Option<Fingerprint>>,
}

impl Trust {
    /// Accepts what the authorities of this machine signed or, with `pin`, that certificate and what it signed, and
    /// nothing else.
    pub(crate) fn new(pin: Option<Fingerprint>) -> Arc<Self> {
        let provider = Arc::new(ring::default_provider());
        let public = if pin.is_some() { None } else { public_authorities(&provider) };
        Arc::new(Self { provider, pin, public, refused: Mutex::new(None) })
    }

    /// The settings of connections with this trust.
    pub(crate) fn client_config(self: &Arc<Self>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has their cipher suites");
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(self.clone()).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// The certificate that would have to be pinned to accept the server that was refused last: its authority's if the
    /// server sent it, because the server's own changes at each start of a cloud.
    pub(crate) fn refused(&self) -> Option<Fingerprint> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one certificate is pinned.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pin.is_some()
    }

    fn verify(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(pin) = &self.pin else {
            let public = self.public.as_ref().ok_or(CertificateError::UnknownIssuer)?;
            return public.verify_server_cert(server, others, name, &[], now);
        };
        if fingerprint(server) == *pin {
            // The handshake shows that the server has its key; that certificate is what the user confirmed.
            return Ok(ServerCertVerified::assertion());
        }
        let authority = others.iter().find(|other| fingerprint(other) == *pin);
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(server, others, name, &[], now)
    }
}

/// What this machine trusts. A certificate of it that cannot be read is left out.
fn public_authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok()
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verify(server, others, name, now);
        if verified.is_err() {
            let shown = fingerprint(others.last().unwrap_or(server));
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown_here_and_by_openssl() {
        let bytes: Fingerprint = std::array::from_fn(|index| index as u8 * 7);
        let shown = fingerprint_text(&bytes);
        assert_eq!(parse_fingerprint(&shown), Some(bytes));
        let digits = &shown[PREFIX.len()..].to_uppercase();
        let pairs: Vec<_> = (0..32).map(|index| &digits[2 * index..2 * index + 2]).collect();
        assert_eq!(parse_fingerprint(&pairs.join(":")), Some(bytes));
        for bad in [
            "",
            "SHA256:",
            "SHA256:00",
            &shown[..shown.len() - 1],
            &format!("{}é", &shown[..shown.len() - 2]),
        ] {
            assert_eq!(parse_fingerprint(bad), None, "{bad}");
        }
    }
}
