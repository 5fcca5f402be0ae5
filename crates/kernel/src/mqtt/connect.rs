//! Connect and disconnect requests, and their responses.

use abi::Status;
use abi::mqtt::{
    MqttAuthenticationMethod, MqttConnectRequest, MqttConnectResponse, MqttDisconnectResponse,
    MqttProtocolVersion, MqttWill, TlsCertificateChain, TlsCredentials,
};
use abi::strings::SizedString;
use link::kind::to_cloud;
use link::mqtt::{ConnectHead, WillOptions};

use super::{Mqtt, PendingRequest, Readable, Stage, is_missing, raw_state, string_span};
use crate::channel::Channels;
use crate::limits::MAX_CERTIFICATES;
use crate::memory::{Memory, MemoryFault, OutParam, Phase as _, Span, read_struct};
use crate::outbox::{Body, Sink, encode_string};
use crate::port::Port;

/// A connect request with all its structures copied. Its strings stay in the application's memory until they are
/// encoded.
struct Connect {
    head: ConnectHead,
    host: Span,
    client_id: Span,
    credentials: Option<[Span; 2]>,
    will: Option<Will>,
    tls: Option<Tls>,
    /// Whether a chain has more certificates than the link carries; then none of that chain was read.
    has_too_many_certificates: bool,
    /// Whether both a password and a client key are given, which is refused because the header allows one identity
    /// (D43).
    has_two_identities: bool,
    /// Whether the host, the client id, the key of a chain, or the topic or payload of a will is missing.
    is_incomplete: bool,
}

#[derive(Clone, Copy)]
struct Will {
    options: WillOptions,
    topic: Span,
    payload: Span,
}

struct Tls {
    authorities: Chain,
    own: Chain,
    key: Span,
}

/// The certificates of a chain.
struct Chain {
    certificates: [Span; MAX_CERTIFICATES],
    count: usize,
    is_too_long: bool,
}

impl Connect {
    /// Reads the request and all it points to, each nested structure once, since it could change between two reads
    /// (D01).
    fn read(memory: &dyn Memory, request: &MqttConnectRequest) -> Result<Self, MemoryFault> {
        let method = MqttAuthenticationMethod::from_raw(u32::from(request.authentication.method));
        let version = MqttProtocolVersion::from_raw(request.protocol_version);
        // With another method user name and password are not read, so that they may be anything (M44).
        let with_password = method == Some(MqttAuthenticationMethod::UsernamePassword);
        let user = request.authentication.username_password;
        let will = if request.will == 0 { None } else { Some(read_struct(memory, request.will)?) };
        let tls: Option<TlsCredentials> = if request.tls_credentials == 0 {
            None
        } else {
            Some(read_struct(memory, request.tls_credentials)?)
        };

        let credentials = if with_password {
            Some([string_span(user.username)?, string_span(user.password)?])
        } else {
            None
        };
        let connect = Self {
            head: ConnectHead {
                version5: version == Some(MqttProtocolVersion::V5),
                clean_start: request.clean_start != 0,
                credentials: credentials.is_some(),
                will: will.is_some(),
                tls: tls.is_some(),
                // No status refuses these, so that the cloud answers them as invalid (D46).
                out_of_range: version.is_none() || method.is_none(),
                port: request.port,
                keepalive: request.keepalive,
            },
            host: string_span(request.host)?,
            client_id: string_span(request.clientid)?,
            credentials,
            will: will.map(|will: MqttWill| Will::read(&will)).transpose()?,
            tls: tls.map(|tls| Tls::read(memory, &tls)).transpose()?,
            has_too_many_certificates: false,
            has_two_identities: false,
            is_incomplete: request.host.length == 0
                || is_missing(request.clientid)
                || will.is_some_and(|will| will.topic.length == 0 || is_missing(will.payload))
                || tls
                    .is_some_and(|tls| tls.clientcert.chain.num_certs > 0 && tls.clientcert.key.length == 0),
        };
        let has_key = connect.tls.as_ref().is_some_and(|tls| tls.key.length() > 0);
        let too_many =
            connect.tls.as_ref().is_some_and(|tls| tls.authorities.is_too_long || tls.own.is_too_long);
        Ok(Self {
            has_two_identities: with_password && user.password.length > 0 && has_key,
            has_too_many_certificates: too_many,
            ..connect
        })
    }

    /// Refuses what the header documents as errors of the content, in the header's order (D85).
    fn check(&self) -> Result<(), Status> {
        if self.has_two_identities {
            return Err(Status::InvalidAuthentication);
        }
        if self.has_too_many_certificates {
            return Err(Status::TooManyElements);
        }
        if self.is_incomplete {
            return Err(Status::RequiredElementMissing);
        }
        Ok(())
    }
}

impl Will {
    fn read(will: &MqttWill) -> Result<Self, MemoryFault> {
        Ok(Self {
            options: WillOptions {
                qos1: will.qos == 1,
                retain: will.retain != 0,
                qos_out_of_range: will.qos > 1,
            },
            topic: string_span(will.topic)?,
            payload: string_span(will.payload)?,
        })
    }
}

impl Tls {
    fn read(memory: &dyn Memory, tls: &TlsCredentials) -> Result<Self, MemoryFault> {
        Ok(Self {
            authorities: Chain::read(memory, tls.cacert)?,
            own: Chain::read(memory, tls.clientcert.chain)?,
            key: string_span(tls.clientcert.key)?,
        })
    }
}

impl Chain {
    fn read(memory: &dyn Memory, chain: TlsCertificateChain) -> Result<Self, MemoryFault> {
        let array = Span::array(chain.certs, chain.num_certs, SizedString::SIZE as u32)?;
        let is_too_long = chain.num_certs as usize > MAX_CERTIFICATES;
        let count = if is_too_long { 0 } else { chain.num_certs as usize };
        let mut certificates = [Span::default(); MAX_CERTIFICATES];
        for (index, certificate) in (0..).zip(&mut certificates[..count]) {
            *certificate = string_span(read_struct(memory, array.at(index * SizedString::SIZE as u32))?)?;
        }
        Ok(Self { certificates, count, is_too_long })
    }

    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        sink.bytes(&[self.count as u8])?;
        self.certificates[..self.count].iter().try_for_each(|certificate| encode_string(sink, *certificate))
    }
}

impl Body for Connect {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        let mut head = [0; ConnectHead::MAX];
        let length = self.head.encode(&mut head);
        sink.bytes(&head[..length])?;
        encode_string(sink, self.host)?;
        encode_string(sink, self.client_id)?;
        for part in self.credentials.into_iter().flatten() {
            encode_string(sink, part)?;
        }
        if let Some(will) = &self.will {
            sink.bytes(&[will.options.code()])?;
            encode_string(sink, will.topic)?;
            encode_string(sink, will.payload)?;
        }
        if let Some(tls) = &self.tls {
            tls.authorities.encode(sink)?;
            tls.own.encode(sink)?;
            encode_string(sink, tls.key)?;
        }
        Ok(())
    }
}

/// A disconnect has no content.
struct Disconnect;

impl Body for Disconnect {
    fn encode(&self, _sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        Ok(())
    }
}

/// `mvMqttRequestConnect`.
pub(crate) fn request_connect(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    request: u32,
) -> Result<(), Status> {
    let request: MqttConnectRequest = read_struct(port.memory, request).early()?;
    let connect = Connect::read(port.memory, &request).late()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    core.require_connected()?;
    // Whatever became of the first one (D91).
    if mqtt.connect_requested {
        return Err(Status::RequestAlreadySent);
    }
    connect.check()?;
    core.outbox.put(port.memory, to_cloud::CONNECT, &connect)?;
    // Only once it is queued: a refused request was never issued (D03).
    mqtt.connect_requested = true;
    mqtt.connect.stage = Stage::InFlight;
    Ok(())
}

/// `mvMqttRequestDisconnect`.
pub(crate) fn request_disconnect(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
) -> Result<(), Status> {
    let (core, mqtt) = channels.mqtt(handle)?;
    core.require_connected()?;
    if mqtt.disconnect.stage != Stage::Idle {
        return Err(Status::RateLimited);
    }
    core.outbox.put(port.memory, to_cloud::DISCONNECT, &Disconnect)?;
    mqtt.disconnect.stage = Stage::InFlight;
    Ok(())
}

/// `mvMqttReadConnectResponse`.
pub(crate) fn read_connect_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let encode = |request_state, reason_code| MqttConnectResponse { request_state, reason_code }.to_bytes();
    read_response(channels, port, handle, to, Readable::Connect, |mqtt| &mut mqtt.connect, encode)
}

/// `mvMqttReadDisconnectResponse`: the response to a disconnect, or why the broker ended the connection (D50).
pub(crate) fn read_disconnect_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let encode =
        |request_state, disconnect_code| MqttDisconnectResponse { request_state, disconnect_code }.to_bytes();
    read_response(channels, port, handle, to, Readable::Disconnect, |mqtt| &mut mqtt.disconnect, encode)
}

/// Reads a response that consists of a state and a code, if it is the next readable item.
fn read_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
    expected: Readable,
    request: impl Fn(&mut Mqtt) -> &mut PendingRequest,
    encode: impl Fn(u32, u32) -> [u8; 8],
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    if mqtt.readable.front() != Some(&expected) {
        return Err(mqtt.status_when_unreadable(core));
    }
    let PendingRequest { state, code, .. } = *request(mqtt);
    to.write(port.memory, encode(raw_state(state), code)).early()?;
    *request(mqtt) = PendingRequest::IDLE;
    mqtt.readable.drop_first();
    Ok(())
}
