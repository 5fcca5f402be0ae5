//! Connect and disconnect.

use abi::Status;
use abi::mqtt::{
    MqttAuthenticationMethod, MqttConnectRequest, MqttConnectResponse, MqttDisconnectResponse,
    MqttProtocolVersion, MqttWill, TlsCertificateChain, TlsCredentials,
};
use abi::strings::SizedString;
use link::kind::to_cloud;
use link::mqtt::{ConnectHead, WillOptions};

use super::{Readable, Single, Stage, is_missing, raw, string};
use crate::Kernel;
use crate::limits::MAX_CERTIFICATES;
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{self, Body, Sink};
use crate::port::Port;

/// A connect request with everything it points to checked and copied, except for the strings themselves.
struct Connect {
    head: ConnectHead,
    host: Span,
    client_id: Span,
    credentials: Option<[Span; 2]>,
    will: Option<Will>,
    tls: Option<Tls>,
    /// More certificates in a chain than are carried: the rest was not looked at.
    too_many_certificates: bool,
    /// A user's password and a client certificate's key were both given (D43).
    two_identities: bool,
    /// The host, the client id, the key of a chain, or the topic or payload of a will is missing.
    incomplete: bool,
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

/// A chain's certificates, at most as many as are carried.
struct Chain {
    certificates: [Span; MAX_CERTIFICATES],
    count: usize,
    is_too_long: bool,
}

impl Connect {
    /// Reads the request and all it points to, nested structures once each (D01). Every fault is a late one (D02).
    fn read(memory: &dyn Memory, request: &MqttConnectRequest) -> Result<Self, MemoryFault> {
        let method = MqttAuthenticationMethod::from_raw(u32::from(request.authentication.method));
        let version = MqttProtocolVersion::from_raw(request.protocol_version);
        let with_password = method == Some(MqttAuthenticationMethod::UsernamePassword);
        let user = request.authentication.username_password;
        let will = if request.will == 0 { None } else { Some(structure(memory, request.will)?) };
        let tls: Option<TlsCredentials> = if request.tls_credentials == 0 {
            None
        } else {
            Some(structure(memory, request.tls_credentials)?)
        };

        let credentials =
            if with_password { Some([string(user.username)?, string(user.password)?]) } else { None };
        let connect = Self {
            head: ConnectHead {
                version5: version == Some(MqttProtocolVersion::V5),
                clean_start: request.clean_start != 0,
                credentials: credentials.is_some(),
                will: will.is_some(),
                tls: tls.is_some(),
                out_of_range: version.is_none() || method.is_none(),
                port: request.port,
                keepalive: request.keepalive,
            },
            host: string(request.host)?,
            client_id: string(request.clientid)?,
            credentials,
            will: will.map(|will: MqttWill| Will::read(&will)).transpose()?,
            tls: tls.map(|tls| Tls::read(memory, &tls)).transpose()?,
            too_many_certificates: false,
            two_identities: false,
            incomplete: request.host.length == 0
                || is_missing(request.clientid)
                || will.is_some_and(|will| will.topic.length == 0 || is_missing(will.payload))
                || tls
                    .is_some_and(|tls| tls.clientcert.chain.num_certs > 0 && tls.clientcert.key.length == 0),
        };
        let has_key = connect.tls.as_ref().is_some_and(|tls| tls.key.length() > 0);
        let too_many =
            connect.tls.as_ref().is_some_and(|tls| tls.authorities.is_too_long || tls.own.is_too_long);
        Ok(Self {
            two_identities: with_password && user.password.length > 0 && has_key,
            too_many_certificates: too_many,
            ..connect
        })
    }

    /// What the header documents as refusals of this request's content, in its order.
    fn check(&self) -> Result<(), Status> {
        if self.two_identities {
            return Err(Status::InvalidAuthentication);
        }
        if self.too_many_certificates {
            return Err(Status::TooManyElements);
        }
        if self.incomplete {
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
            topic: string(will.topic)?,
            payload: string(will.payload)?,
        })
    }
}

impl Tls {
    fn read(memory: &dyn Memory, tls: &TlsCredentials) -> Result<Self, MemoryFault> {
        Ok(Self {
            authorities: Chain::read(memory, tls.cacert)?,
            own: Chain::read(memory, tls.clientcert.chain)?,
            key: string(tls.clientcert.key)?,
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
            *certificate = string(structure(memory, array.at(index * SizedString::SIZE as u32))?)?;
        }
        Ok(Self { certificates, count, is_too_long })
    }

    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        sink.bytes(&[self.count as u8])?;
        self.certificates[..self.count].iter().try_for_each(|certificate| outbox::string(sink, *certificate))
    }
}

impl Body for Connect {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        let mut head = [0; ConnectHead::MAX];
        let length = self.head.encode(&mut head);
        sink.bytes(&head[..length])?;
        outbox::string(sink, self.host)?;
        outbox::string(sink, self.client_id)?;
        for part in self.credentials.into_iter().flatten() {
            outbox::string(sink, part)?;
        }
        if let Some(will) = &self.will {
            sink.bytes(&[will.options.code()])?;
            outbox::string(sink, will.topic)?;
            outbox::string(sink, will.payload)?;
        }
        if let Some(tls) = &self.tls {
            tls.authorities.encode(sink)?;
            tls.own.encode(sink)?;
            outbox::string(sink, tls.key)?;
        }
        Ok(())
    }
}

/// A disconnect says nothing but that it is one.
struct Disconnect;

impl Body for Disconnect {
    fn encode(&self, _sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        Ok(())
    }
}

impl Kernel {
    /// `mvMqttRequestConnect`.
    pub(crate) fn mqtt_request_connect(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        request: u32,
    ) -> Result<(), Status> {
        let request: MqttConnectRequest = structure(port.memory, request).early()?;
        let connect = Connect::read(port.memory, &request).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        base.connected()?;
        if mqtt.connect_asked {
            return Err(Status::RequestAlreadySent);
        }
        connect.check()?;
        base.outbox.put(port.memory, to_cloud::CONNECT, &connect)?;
        mqtt.connect_asked = true;
        mqtt.connect.stage = Stage::InFlight;
        Ok(())
    }

    /// `mvMqttReadConnectResponse`.
    pub(crate) fn mqtt_read_connect_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        to: u32,
    ) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let Some(Readable::Connect) = mqtt.readable.front() else { return Err(mqtt.not_readable(base)) };
        let Single { state, code, .. } = mqtt.connect;
        let response = MqttConnectResponse { request_state: raw(state), reason_code: code };
        to.put(port.memory, response.to_bytes()).early()?;
        mqtt.readable.drop_first();
        mqtt.connect = Single::IDLE;
        Ok(())
    }

    /// `mvMqttRequestDisconnect`.
    pub(crate) fn mqtt_request_disconnect(&mut self, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
        let (base, mqtt) = self.channels.mqtt(handle)?;
        base.connected()?;
        if mqtt.disconnect.stage != Stage::Idle {
            return Err(Status::RateLimited);
        }
        base.outbox.put(port.memory, to_cloud::DISCONNECT, &Disconnect)?;
        mqtt.disconnect.stage = Stage::InFlight;
        Ok(())
    }

    /// `mvMqttReadDisconnectResponse`: the answer to a disconnect, or why the broker ended the connection (D50).
    pub(crate) fn mqtt_read_disconnect_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        to: u32,
    ) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let Some(Readable::Disconnect) = mqtt.readable.front() else { return Err(mqtt.not_readable(base)) };
        let Single { state, code, .. } = mqtt.disconnect;
        let response = MqttDisconnectResponse { request_state: raw(state), disconnect_code: code };
        to.put(port.memory, response.to_bytes()).early()?;
        mqtt.readable.drop_first();
        mqtt.disconnect = Single::IDLE;
        Ok(())
    }
}
