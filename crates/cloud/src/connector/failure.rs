//! Why a connection failed, derived from the errors of sockets and of TLS. Timeline, metrics and log all show the cause
//! that is found here (D190).

use std::io;

use relay::{ConnectError, ConnectionEnd};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, Error as TlsError, InvalidMessage, PeerIncompatible,
};

use super::private_ca::PolicyError;
use super::private_ca::client_key::ClientCertificate;
use super::private_ca::names::{MAX_SHOWN_NAMES, shown};

/// Why a TCP connection could not be opened.
pub(super) fn connect_failure(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            ConnectError::Unreachable
        }
        _ => ConnectError::Socket,
    }
}

/// Why a TLS handshake failed.
pub(super) fn handshake_failure(error: &io::Error, own: &ClientCertificate) -> ConnectError {
    match tls(error) {
        // An error of the socket, not of TLS: the server closed the connection in the middle of the handshake.
        None => ConnectError::TlsClosed,
        Some(TlsError::InvalidCertificate(cause)) => certificate_failure(cause),
        Some(TlsError::AlertReceived(alert)) => alert_failure(*alert, own),
        // What arrives is no TLS record: the port speaks another protocol.
        Some(TlsError::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        )) => ConnectError::NotTls,
        Some(TlsError::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon)) => {
            ConnectError::CertificateAlgorithm("no signature algorithm in common".to_owned())
        }
        Some(other) => ConnectError::Tls(other.to_string()),
    }
}

/// How an open connection ended. In TLS 1.3 a server verifies the client's certificate after the client has finished
/// the handshake, so its alert about the certificate arrives here.
pub(crate) fn connection_end(error: &io::Error) -> ConnectionEnd {
    ConnectionEnd::Failed(match tls(error) {
        None => ConnectError::Socket,
        Some(TlsError::AlertReceived(alert)) => match alert {
            AlertDescription::CertificateRequired => ConnectError::ClientCertificateRequired,
            alert if is_about_certificates(*alert) => ConnectError::ClientCertificateRefused(name(*alert)),
            alert => ConnectError::TlsAlert(name(*alert).to_owned()),
        },
        Some(other) => ConnectError::Tls(other.to_string()),
    })
}

fn tls(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

fn certificate_failure(cause: &CertificateError) -> ConnectError {
    use CertificateError as C;
    match cause {
        // A bad signature means that an authority has the name of a trusted one, but another key.
        C::UnknownIssuer | C::BadSignature => ConnectError::UnknownCa,
        C::Expired | C::ExpiredContext { .. } => ConnectError::CertificateExpired,
        C::NotValidYet | C::NotValidYetContext { .. } => ConnectError::CertificateNotYetValid,
        C::NotValidForName => ConnectError::CertificateName { names: Vec::new() },
        C::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().take(MAX_SHOWN_NAMES).map(|name| bare(name)).collect();
            ConnectError::CertificateName { names }
        }
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ConnectError::CertificateAlgorithm("a signature algorithm that is not supported".to_owned())
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            ConnectError::Certificate("it is not for TLS servers".to_owned())
        }
        C::BadEncoding => ConnectError::Certificate("it is malformed".to_owned()),
        C::UnhandledCriticalExtension => {
            ConnectError::Certificate("a critical extension is not understood".to_owned())
        }
        C::Other(other) => {
            match (other.0.downcast_ref::<PolicyError>(), other.0.downcast_ref::<webpki::Error>()) {
                (Some(PolicyError(cause)), _) => cause.clone(),
                (None, Some(cause)) => webpki_failure(cause),
                (None, None) => ConnectError::Certificate(other.to_string()),
            }
        }
        other => ConnectError::Certificate(other.to_string()),
    }
}

/// Violations of the strict rules for public authorities that rustls has no error for.
fn webpki_failure(cause: &webpki::Error) -> ConnectError {
    let why = match cause {
        webpki::Error::CaUsedAsEndEntity => "it is an authority's and not a server's",
        webpki::Error::UnsupportedCertVersion => "it is not X.509 version 3",
        webpki::Error::NameConstraintViolation => {
            "the name constraints of its authority do not allow its names"
        }
        other => return ConnectError::Certificate(format!("{other:?}")),
    };
    ConnectError::Certificate(why.to_owned())
}

/// The name in rustls's text for it, such as `DnsName("broker.example")`.
fn bare(presented: &str) -> String {
    shown(presented.split('"').nth(1).unwrap_or(presented))
}

fn alert_failure(alert: AlertDescription, own: &ClientCertificate) -> ConnectError {
    let is_refusal = is_about_certificates(alert)
        || matches!(alert, AlertDescription::HandshakeFailure | AlertDescription::CertificateRequired);
    // Many servers say handshake_failure where they mean that a certificate is required (TLS 1.2).
    if is_refusal && own.is_missing() {
        return ConnectError::ClientCertificateRequired;
    }
    if is_refusal && own.is_presented() {
        return ConnectError::ClientCertificateRefused(name(alert));
    }
    ConnectError::TlsAlert(name(alert).to_owned())
}

fn is_about_certificates(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::NoCertificate
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
    )
}

/// The name RFC 8446 (section 6) gives an alert.
fn name(alert: AlertDescription) -> &'static str {
    use AlertDescription as A;
    match alert {
        A::CloseNotify => "close_notify",
        A::UnexpectedMessage => "unexpected_message",
        A::BadRecordMac => "bad_record_mac",
        A::RecordOverflow => "record_overflow",
        A::HandshakeFailure => "handshake_failure",
        A::NoCertificate => "no_certificate",
        A::BadCertificate => "bad_certificate",
        A::UnsupportedCertificate => "unsupported_certificate",
        A::CertificateRevoked => "certificate_revoked",
        A::CertificateExpired => "certificate_expired",
        A::CertificateUnknown => "certificate_unknown",
        A::IllegalParameter => "illegal_parameter",
        A::UnknownCA => "unknown_ca",
        A::AccessDenied => "access_denied",
        A::DecodeError => "decode_error",
        A::DecryptError => "decrypt_error",
        A::ProtocolVersion => "protocol_version",
        A::InsufficientSecurity => "insufficient_security",
        A::InternalError => "internal_error",
        A::UserCanceled => "user_canceled",
        A::MissingExtension => "missing_extension",
        A::UnsupportedExtension => "unsupported_extension",
        A::UnrecognisedName => "unrecognized_name",
        A::UnknownPSKIdentity => "unknown_psk_identity",
        A::CertificateRequired => "certificate_required",
        A::NoApplicationProtocol => "no_application_protocol",
        _ => "of another kind",
    }
}
