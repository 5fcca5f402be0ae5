//! The connect request of an application: what it asks for, and whether it may.

use alloc::string::String;
use alloc::vec::Vec;

use link::mqtt::Connect;
use mqtt::{Client, ConnectOptions, Limits, Version, Will};
use sansio::Instant;

use crate::limits;
use crate::protocol::{ConnectError, Security, Settings, Target, TlsOptions};
use crate::text;

/// A connect that is allowed.
pub(super) struct ConnectRequest {
    /// Where to.
    pub target: Target,
    /// How the connection is secured.
    pub security: Security,
    /// The content of CONNECT.
    pub options: ConnectOptions,
}

impl ConnectRequest {
    /// Checks whether a broker may be sent the request (D46), and whether the operator allows it (D42).
    pub(super) fn check(request: &Connect<'_>, settings: &Settings) -> Result<Self, ConnectError> {
        let head = request.head;
        if has_control_characters(request) {
            return Err(ConnectError::ControlCharacter);
        }
        let host = String::from_utf8(request.host.to_vec()).map_err(|_| ConnectError::InvalidParameters)?;
        if head.out_of_range || host.is_empty() || head.port == 0 {
            return Err(ConnectError::InvalidParameters);
        }
        let (tls, security) = tls(request, head.port, settings);
        if settings.require_tls && tls.is_none() {
            return Err(ConnectError::TlsRequired);
        }
        let options = options(request).ok_or(ConnectError::InvalidParameters)?;
        Ok(Self { target: Target { host, port: head.port, tls }, security, options })
    }
}

/// With control characters a device could write lines of another protocol, such as those of a mail server, to whatever
/// listens at the address. Password and will payload are binary by MQTT and are not checked (D185).
fn has_control_characters(request: &Connect<'_>) -> bool {
    let user_name = request.credentials.map(|credentials| credentials.username);
    let will_topic = request.will.map(|will| will.topic);
    let texts = [Some(request.host), Some(request.client_id), user_name, will_topic];
    texts.into_iter().flatten().any(text::has_control_characters)
}

/// The TLS of the connection: as the application gives it, else by the port (D196).
fn tls(request: &Connect<'_>, port: u16, settings: &Settings) -> (Option<TlsOptions>, Security) {
    match &request.tls {
        Some(tls) => {
            let options = TlsOptions {
                authorities: tls.authorities.iter().map(<[u8]>::to_vec).collect(),
                chain: tls.chain.iter().map(<[u8]>::to_vec).collect(),
                key: tls.key.to_vec(),
            };
            (Some(options), Security::Tls)
        }
        None if settings.tls_ports.contains(port) => (Some(TlsOptions::default()), Security::TlsByPort),
        None => (None, Security::Plain),
    }
}

/// The content of CONNECT; `None` for a value the broker may not be sent (D46).
fn options(request: &Connect<'_>) -> Option<ConnectOptions> {
    let head = request.head;
    let version = if head.version5 { Version::V5 } else { Version::V3_1_1 };
    let options = ConnectOptions {
        username: request.credentials.map(|credentials| credentials.username.to_vec()),
        // The public header has no way to say "no password" but an empty one.
        password: request
            .credentials
            .and_then(|given| (!given.password.is_empty()).then(|| given.password.to_vec())),
        will: match request.will {
            Some(given) => Some(will(given)?),
            None => None,
        },
        keep_alive: u16::try_from(head.keepalive).ok()?,
        clean_start: head.clean_start,
        receive_maximum: limits::RECEIVE_MAXIMUM,
        maximum_packet_size: limits::MAX_BROKER_PACKET,
        ..ConnectOptions::new(version, request.client_id)
    };
    // The client checks the options when it is made. This one is dropped: it shows now, and not after a connection
    // has been established, whether the broker may be sent them.
    Client::new(&options, Limits::default(), Instant::ZERO).ok()?;
    Some(options)
}

fn will(will: link::mqtt::Will<'_>) -> Option<Will> {
    let options = will.options;
    let (topic, payload) = (will.topic.to_vec(), will.payload.to_vec());
    (!options.qos_out_of_range).then_some(Will {
        topic,
        payload,
        qos: u8::from(options.qos1),
        retain: options.retain,
    })
}

/// Bytes of what CONNECT says.
pub(super) fn options_bytes(options: &ConnectOptions) -> usize {
    let will = options.will.as_ref().map_or(0, |will| will.topic.len() + will.payload.len());
    let credentials = [&options.username, &options.password];
    let credentials: usize = credentials.into_iter().flatten().map(Vec::len).sum();
    options.client_id.len() + credentials + will
}
