//! Why a connect failed: the one list behind the timeline, the metrics, the log and the application's response.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use link::mqtt::RequestState;
use mqtt::ProtocolError;

use super::CredentialsError;

/// Why a connect to a broker or HTTPS server failed (M19 to M21). One list for every place that reports it, so that
/// no two of them disagree (D190).
///
/// Texts from the other end are not trusted: they are escaped where they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The application asked for what a broker may not be sent (D46).
    InvalidParameters,
    /// A control character in the host, client id, user name or will topic: with line ends in them, a device could
    /// speak another protocol to a local service (D185).
    ControlCharacter,
    /// The operator allows brokers over TLS only, and the application asked for plain TCP (D42).
    TlsRequired,
    /// The certificates or the private key the application gave cannot be used.
    InvalidCredentials(CredentialsError),
    /// The application cancelled the connect by a disconnect before the broker had answered (D93).
    Withdrawn,
    /// The account has as many outbound connections as it may (D122).
    TooMany,
    /// The address is of the cloud's own machine or networks, which applications must not reach unless the operator
    /// allows it (D62).
    NotAllowed,
    /// Too many host names are being looked up, by the device or in all; bounded because each look-up takes sockets
    /// (D181).
    TooManyLookups,
    /// The host name has no address.
    NameNotResolved,
    /// The name servers did not answer in time.
    ResolveTimedOut,
    /// Nothing listens on the port.
    Refused,
    /// There is no way to the host or its network.
    Unreachable,
    /// The TCP connection was reset, or failed in another way.
    Socket,
    /// The TCP connection was not established in time.
    TimedOut,
    /// The TLS handshake was not finished in time.
    TlsTimedOut,
    /// The other end does not speak TLS.
    NotTls,
    /// The other end ended the connection during the TLS handshake, without an alert.
    TlsClosed,
    /// The certificate leads to no authority that is trusted (M20).
    UnknownCa,
    /// The certificate, or one above it, has expired.
    CertificateExpired,
    /// The certificate, or one above it, is not valid yet.
    CertificateNotYetValid,
    /// The certificate is for other hosts.
    CertificateName {
        /// Names the certificate has, at most a few.
        names: Vec<String>,
    },
    /// A key or a signature in the chain, or the handshake, uses an algorithm that is not supported or too weak.
    CertificateAlgorithm(String),
    /// The certificate cannot be used for another reason.
    Certificate(String),
    /// The other end wants a client certificate, and the application gave none.
    ClientCertificateRequired,
    /// The other end refused the application's certificate: the name of the TLS alert.
    ClientCertificateRefused(&'static str),
    /// The other end refused the handshake: the name of the TLS alert.
    TlsAlert(String),
    /// TLS failed in another way.
    Tls(String),
    /// The broker refused the connection.
    MqttRefused {
        /// Whether MQTT 5 is spoken, which has reason codes; 3.1.1 has return codes.
        version5: bool,
        /// As the broker sent it, because its meaning is between application and broker (M55).
        code: u8,
    },
    /// The broker broke a rule of MQTT before it accepted the connection (D95).
    MqttProtocol(ProtocolError),
    /// The broker closed the connection before CONNACK.
    MqttClosed,
    /// The connection was lost before CONNACK.
    MqttLost,
    /// No CONNACK arrived in time; without a limit, a silent broker would leave the application without an answer
    /// (D95).
    MqttTimedOut,
}

impl ConnectError {
    /// The state in the response to the application.
    pub const fn state(&self) -> RequestState {
        match self {
            Self::NameNotResolved | Self::ResolveTimedOut | Self::TooManyLookups => {
                RequestState::NameNotResolved
            }
            Self::UnknownCa => RequestState::UnknownCa,
            Self::CertificateExpired => RequestState::CertificateExpired,
            Self::InvalidParameters
            | Self::ControlCharacter
            | Self::TlsRequired
            | Self::InvalidCredentials(_) => RequestState::InvalidParameters,
            Self::Withdrawn | Self::MqttRefused { .. } => RequestState::NotConnected,
            _ => RequestState::SocketError,
        }
    }

    /// The broker's code, 0 if it gave none (M55).
    pub const fn code(&self) -> u8 {
        if let Self::MqttRefused { code, .. } = self { *code } else { 0 }
    }

    /// The label of a metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::InvalidParameters => "invalid_parameters",
            Self::ControlCharacter => "control_character",
            Self::TlsRequired => "tls_required",
            Self::InvalidCredentials(_) => "invalid_credentials",
            Self::Withdrawn => "withdrawn",
            Self::TooMany => "too_many",
            Self::NotAllowed => "not_allowed",
            Self::TooManyLookups => "too_many_lookups",
            Self::NameNotResolved => "name_not_resolved",
            Self::ResolveTimedOut => "resolve_timed_out",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Socket => "socket",
            Self::TimedOut => "timed_out",
            Self::TlsTimedOut => "tls_timed_out",
            Self::NotTls => "not_tls",
            Self::TlsClosed => "tls_closed",
            Self::UnknownCa => "unknown_ca",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateName { .. } => "certificate_name",
            Self::CertificateAlgorithm(_) => "certificate_algorithm",
            Self::Certificate(_) => "certificate",
            Self::ClientCertificateRequired => "client_certificate_required",
            Self::ClientCertificateRefused(_) => "client_certificate_refused",
            Self::TlsAlert(_) => "tls_alert",
            Self::Tls(_) => "tls",
            Self::MqttRefused { .. } => "mqtt_refused",
            Self::MqttProtocol(_) => "mqtt_protocol",
            Self::MqttClosed => "mqtt_closed",
            Self::MqttLost => "mqtt_lost",
            Self::MqttTimedOut => "mqtt_timed_out",
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidCredentials(error) => return error.fmt(f),
            Self::CertificateName { names } => return names_of_another_host(names, f),
            Self::CertificateAlgorithm(what) => {
                return write!(f, "the server's certificate cannot be verified: {what}");
            }
            Self::Certificate(what) => return write!(f, "the server's certificate cannot be used: {what}"),
            Self::ClientCertificateRefused(alert) => {
                return write!(f, "the server refused the client certificate: TLS alert {alert}");
            }
            Self::TlsAlert(alert) => return write!(f, "the server refused the TLS handshake: alert {alert}"),
            Self::Tls(what) => return write!(f, "TLS failed: {what}"),
            Self::MqttRefused { version5, code } => return refusal(*version5, *code, f),
            Self::MqttProtocol(error) => return write!(f, "the broker violated MQTT: {error}"),
            Self::InvalidParameters => "the connect request has a value MQTT does not allow",
            Self::ControlCharacter => "a control character in the host, client id, user name or will topic",
            Self::TlsRequired => "this cloud connects to brokers over TLS only",
            Self::Withdrawn => "the application cancelled the connect",
            Self::TooMany => "the account has as many outbound connections as it may",
            Self::NotAllowed => "the address is not allowed",
            Self::TooManyLookups => "too many host names are being looked up",
            Self::NameNotResolved => "the host name could not be resolved",
            Self::ResolveTimedOut => "the host name was not resolved in time",
            Self::Refused => "TCP connection refused; nothing listens on this port",
            Self::Unreachable => "host or network unreachable",
            Self::Socket => "the TCP connection was lost",
            Self::TimedOut => "TCP connection timed out",
            Self::TlsTimedOut => "TLS handshake timed out",
            Self::NotTls => "what the server sent is not TLS",
            Self::TlsClosed => "the server closed the connection during the TLS handshake",
            Self::UnknownCa => "the server's certificate is from an unknown authority",
            Self::CertificateExpired => "the server's certificate has expired",
            Self::CertificateNotYetValid => "the server's certificate is not valid yet",
            Self::ClientCertificateRequired => "the server requires a client certificate",
            Self::MqttClosed => "the broker closed the connection before CONNACK",
            Self::MqttLost => "the connection was lost before CONNACK",
            Self::MqttTimedOut => "no CONNACK in time",
        })
    }
}

fn names_of_another_host(names: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("the server's certificate is for another name: ")?;
    if names.is_empty() {
        return f.write_str("it has none");
    }
    for (index, name) in names.iter().enumerate() {
        write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn refusal(version5: bool, code: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (kind, name) = if version5 {
        ("reason", mqtt::reason::name(code))
    } else {
        ("return", mqtt::reason::return_code_name(code))
    };
    write!(f, "the broker refused the connection: {kind} code {code:#04x}")?;
    name.map_or(Ok(()), |name| write!(f, " ({name})"))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    /// Shows D190.
    #[test]
    fn a_refusal_is_named_as_mqtt_names_it() {
        let text = |version5, code| ConnectError::MqttRefused { version5, code }.to_string();
        assert_eq!(text(false, 5), "the broker refused the connection: return code 0x05 (not authorized)");
        assert_eq!(text(true, 0x87), "the broker refused the connection: reason code 0x87 (Not authorized)");
        assert_eq!(text(true, 5), "the broker refused the connection: reason code 0x05");
    }

    /// Shows D190.
    #[test]
    fn a_certificate_for_another_name_says_which_names_it_has() {
        let text = |names| ConnectError::CertificateName { names }.to_string();
        let two = vec!["a.example".into(), "b.example".into()];
        assert_eq!(text(two), "the server's certificate is for another name: a.example, b.example");
        assert_eq!(text(Vec::new()), "the server's certificate is for another name: it has none");
    }
}
