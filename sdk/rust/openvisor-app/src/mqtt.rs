//! MQTT over a channel: requests, each accepted at once and answered later, and the items to read.

use openvisor_sys as sys;
use openvisor_sys::{
    MV_CHANNELTYPE_MQTT, MV_MQTTPROTOCOLVERSION_V5, MV_STATUS_INDEXINVALID, MvMqttLostMessageReason,
    MvMqttProtocolVersion, MvMqttReadableDataType, MvMqttRequestState, MvSizedString, MvSizedStringBuffer,
    MvTlsCertificateChain,
};

use crate::{Buffers, Centre, Channel, Network, Result};

/// The most subscriptions in one request.
const SUBSCRIPTIONS: usize = 8;
/// The first of MQTT's reason codes that are errors.
const FIRST_FAILURE: u32 = 0x80;

/// A channel to a broker. Closed on drop.
pub struct Client(Channel);

/// How to connect. [`Connect::new`] has what most brokers need. It has no `Debug`, because it holds the password.
#[derive(Clone, Copy)]
pub struct Connect<'a> {
    /// MQTT 5, unless the broker only knows 3.1.1.
    pub version: MvMqttProtocolVersion,
    /// The broker's name or address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The name that this client has there.
    pub client_id: &'a str,
    /// User name and password.
    pub login: Option<(&'a str, &'a [u8])>,
    /// TLS with these credentials; without them the cloud decides by the port.
    pub tls: Option<Tls<'a>>,
    /// The longest silence, in seconds.
    pub keep_alive: u32,
    /// Whether to forget an earlier session.
    pub clean_start: bool,
    /// What the broker publishes if the connection is lost.
    pub will: Option<Will<'a>>,
}

impl<'a> Connect<'a> {
    /// MQTT 5 from a clean start, without a login, TLS or a will.
    pub const fn new(host: &'a str, port: u16, client_id: &'a str) -> Self {
        let version = MV_MQTTPROTOCOLVERSION_V5;
        Self {
            version,
            host,
            port,
            client_id,
            login: None,
            tls: None,
            keep_alive: 60,
            clean_start: true,
            will: None,
        }
    }
}

/// What a TLS connection is verified and authenticated with.
#[derive(Clone, Copy)]
pub struct Tls<'a> {
    /// The authorities to trust.
    pub authorities: &'a [Certificate<'a>],
    /// The client's own certificates, its own first, and its key.
    pub client: Option<(&'a [Certificate<'a>], &'a [u8])>,
}

/// Without the key, which must not reach a log.
impl core::fmt::Debug for Tls<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let certificates = self.client.map(|(certificates, _)| certificates.len());
        f.debug_struct("Tls")
            .field("authorities", &self.authorities.len())
            .field("client_certificates", &certificates)
            .finish_non_exhaustive()
    }
}

/// One certificate in DER.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Certificate<'a> {
    der: MvSizedString,
    bytes: core::marker::PhantomData<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// The certificate with these bytes.
    pub const fn new(der: &'a [u8]) -> Self {
        Self { der: MvSizedString::new(der), bytes: core::marker::PhantomData }
    }
}

/// A message that the broker publishes for a client that is lost.
#[derive(Clone, Copy)]
pub struct Will<'a> {
    /// Where to.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// Quality of service: 0 or 1. The cloud answers 2 as invalid parameters.
    pub qos: u32,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// Without the payload, which may be confidential.
impl core::fmt::Debug for Will<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}

/// A topic filter to subscribe to.
#[derive(Clone, Copy, Debug)]
pub struct Subscription<'a> {
    /// The filter.
    pub topic: &'a str,
    /// The highest quality of service wanted.
    pub qos: u32,
}

/// A message to publish.
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    /// Where to.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// Quality of service: 0 or 1. The cloud answers 2 as invalid parameters.
    pub qos: u32,
    /// Whether the broker keeps it for those who subscribe later.
    pub retain: bool,
}

/// Lengths instead of the payload, which may be confidential and longer than a log line.
impl core::fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Publish")
            .field("topic_length", &self.topic.len())
            .field("payload_length", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish()
    }
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request state: whether it was completed, and if not why.
    pub state: MvMqttRequestState,
    /// The correlation id of a publish.
    pub id: u32,
    /// The broker's reason code.
    pub reason: u32,
}

impl Answer {
    /// Whether the request was successful.
    pub fn is_success(&self) -> bool {
        self.state == sys::MV_MQTTREQUESTSTATE_REQUESTCOMPLETED && self.reason < FIRST_FAILURE
    }
}

/// The result of a subscription or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The request state: whether it was completed, and if not why.
    pub state: MvMqttRequestState,
    /// The request's correlation id.
    pub id: u32,
    codes: [u32; SUBSCRIPTIONS],
    length: u32,
}

impl Answers {
    /// The broker's reason codes, one for each topic.
    pub fn codes(&self) -> &[u32] {
        self.codes.get(..self.length as usize).unwrap_or_default()
    }

    /// Whether the request was successful for every topic.
    pub fn is_success(&self) -> bool {
        self.state == sys::MV_MQTTREQUESTSTATE_REQUESTCOMPLETED
            && self.length > 0
            && self.codes().iter().all(|code| *code < FIRST_FAILURE)
    }
}

/// A received message, in the buffers given to read it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What [`Client::acknowledge`] takes, for a quality of service above 0.
    pub id: u32,
    /// The topic's bytes.
    pub topic: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// Its quality of service.
    pub qos: u32,
    /// Whether the broker had kept it.
    pub retain: bool,
}

/// Lengths instead of topic and payload, which may be confidential and longer than a log line.
impl core::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("topic_length", &self.topic.len())
            .field("payload_length", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish()
    }
}

/// A message that could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost<'a> {
    /// Why.
    pub reason: MvMqttLostMessageReason,
    /// The topic's bytes.
    pub topic: &'a [u8],
    /// How many bytes the message had.
    pub length: u32,
}

/// A readable item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The answer to [`Client::connect`].
    Connected(Answer),
    /// The answer to [`Client::subscribe`].
    Subscribed(Answers),
    /// The answer to [`Client::unsubscribe`].
    Unsubscribed(Answers),
    /// The answer to a [`Client::publish`].
    Published(Answer),
    /// A message.
    Message(Message<'a>),
    /// The loss of a message.
    Lost(Lost<'a>),
    /// The answer to [`Client::disconnect`], or the broker's own end.
    Disconnected(Answer),
}

impl Client {
    /// Opens a channel for MQTT.
    pub fn open<const RECEIVE: usize, const SEND: usize>(
        network: &Network,
        centre: &'static Centre,
        buffers: &'static Buffers<RECEIVE, SEND>,
    ) -> Result<Self> {
        Channel::open(MV_CHANNELTYPE_MQTT, network, centre, buffers).map(Self)
    }

    /// The channel: whether it is lost, and waiting for it.
    pub fn channel(&self) -> &Channel {
        &self.0
    }

    /// Asks to connect.
    pub fn connect(&self, connect: &Connect<'_>) -> Result<()> {
        let tls = connect.tls.map(|tls| tls.credentials());
        let will = connect.will.map(|will| sys::MvMqttWill {
            topic: text(will.topic),
            payload: MvSizedString::new(will.payload),
            qos: will.qos,
            retain: u8::from(will.retain),
        });
        let request = sys::MvMqttConnectRequest {
            protocol_version: connect.version,
            host: text(connect.host),
            port: connect.port,
            clientid: text(connect.client_id),
            authentication: authentication(connect.login),
            tls_credentials: pointer(tls.as_ref()),
            keepalive: connect.keep_alive,
            clean_start: u8::from(connect.clean_start),
            will: pointer(will.as_ref()),
        };
        // SAFETY: everything the request points to outlives the call, which is done with it on return.
        unsafe { sys::mvMqttRequestConnect(self.0.handle(), &raw const request) }.ok()
    }

    /// Asks for messages on these topics, at most eight in one request.
    pub fn subscribe(&self, id: u32, subscriptions: &[Subscription<'_>]) -> Result<()> {
        let empty =
            sys::MvMqttSubscription { topic: MvSizedString::EMPTY, desired_qos: 0, nl: 0, rap: 0, rh: 0 };
        let mut list = [empty; SUBSCRIPTIONS];
        let places = list.get_mut(..subscriptions.len()).ok_or(sys::MV_STATUS_TOOMANYELEMENTS)?;
        for (place, subscription) in places.iter_mut().zip(subscriptions) {
            place.topic = text(subscription.topic);
            place.desired_qos = subscription.qos;
        }
        let request = sys::MvMqttSubscribeRequest {
            correlation_id: id,
            subscriptions: list.as_ptr(),
            num_subscriptions: subscriptions.len() as u32,
        };
        // SAFETY: as in `connect`.
        unsafe { sys::mvMqttRequestSubscribe(self.0.handle(), &raw const request) }.ok()
    }

    /// Asks for no more messages on these topics, at most eight in one request.
    pub fn unsubscribe(&self, id: u32, topics: &[&str]) -> Result<()> {
        let mut list = [MvSizedString::EMPTY; SUBSCRIPTIONS];
        let places = list.get_mut(..topics.len()).ok_or(sys::MV_STATUS_TOOMANYELEMENTS)?;
        for (place, topic) in places.iter_mut().zip(topics) {
            *place = text(topic);
        }
        let request = sys::MvMqttUnsubscribeRequest {
            correlation_id: id,
            topics: list.as_ptr(),
            num_topics: topics.len() as u32,
        };
        // SAFETY: as in `connect`.
        unsafe { sys::mvMqttRequestUnsubscribe(self.0.handle(), &raw const request) }.ok()
    }

    /// Publishes a message; at most 16 may wait for their answer.
    pub fn publish(&self, id: u32, message: &Publish<'_>) -> Result<()> {
        let request = sys::MvMqttPublishRequest {
            correlation_id: id,
            topic: text(message.topic),
            payload: MvSizedString::new(message.payload),
            desired_qos: message.qos,
            retain: u32::from(message.retain),
        };
        // SAFETY: as in `connect`.
        unsafe { sys::mvMqttRequestPublish(self.0.handle(), &raw const request) }.ok()
    }

    /// Acknowledges a message. `RATELIMITED` says that too many acknowledgements are under way: try again later.
    pub fn acknowledge(&self, id: u32) -> Result<()> {
        // SAFETY: numbers only.
        unsafe { sys::mvMqttAcknowledgeMessage(self.0.handle(), id) }.ok()
    }

    /// Asks to disconnect in order.
    pub fn disconnect(&self) -> Result<()> {
        // SAFETY: numbers only.
        unsafe { sys::mvMqttRequestDisconnect(self.0.handle()) }.ok()
    }

    /// The next item, if there is one; a message is put into the two buffers.
    pub fn receive<'b>(&self, topic: &'b mut [u8], payload: &'b mut [u8]) -> Result<Option<Item<'b>>> {
        match self.next_type()? {
            sys::MV_MQTTREADABLEDATATYPE_NONE => Ok(None),
            kind => self.read(kind, topic, payload).map(Some),
        }
    }

    /// Waits for the next item; `None` if the channel is lost and everything before that is read.
    pub async fn next<'b>(&self, topic: &'b mut [u8], payload: &'b mut [u8]) -> Result<Option<Item<'b>>> {
        loop {
            let is_lost = self.0.is_lost();
            match self.next_type() {
                Ok(sys::MV_MQTTREADABLEDATATYPE_NONE) if is_lost => return Ok(None),
                Ok(sys::MV_MQTTREADABLEDATATYPE_NONE) => _ = self.0.readable().await,
                Ok(kind) => return self.read(kind, topic, payload).map(Some),
                // On a lost channel the last item is followed by an error.
                Err(sys::MV_STATUS_CHANNELCLOSED) => return Ok(None),
                Err(status) => return Err(status),
            }
        }
    }

    /// What the next item is.
    pub fn next_type(&self) -> Result<MvMqttReadableDataType> {
        let mut kind = sys::MV_MQTTREADABLEDATATYPE_NONE;
        // SAFETY: writes the type.
        unsafe { sys::mvMqttGetNextReadableDataType(self.0.handle(), &raw mut kind) }.ok()?;
        Ok(kind)
    }

    /// Reads the next item, of the type that [`Client::next_type`] gave. One that cannot be read stays the next one.
    pub fn read<'b>(
        &self,
        kind: MvMqttReadableDataType,
        topic: &'b mut [u8],
        payload: &'b mut [u8],
    ) -> Result<Item<'b>> {
        match kind {
            sys::MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED => self.message(topic, payload).map(Item::Message),
            sys::MV_MQTTREADABLEDATATYPE_MESSAGELOST => self.lost(topic).map(Item::Lost),
            sys::MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE => self.connected().map(Item::Connected),
            sys::MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE => self.subscribed().map(Item::Subscribed),
            sys::MV_MQTTREADABLEDATATYPE_UNSUBSCRIBERESPONSE => self.unsubscribed().map(Item::Unsubscribed),
            sys::MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE => self.published().map(Item::Published),
            sys::MV_MQTTREADABLEDATATYPE_DISCONNECTRESPONSE => self.disconnected().map(Item::Disconnected),
            _ => Err(MV_STATUS_INDEXINVALID),
        }
    }

    fn connected(&self) -> Result<Answer> {
        let mut response = sys::MvMqttConnectResponse { request_state: NOT_CONNECTED, reason_code: 0 };
        // SAFETY: writes the response.
        unsafe { sys::mvMqttReadConnectResponse(self.0.handle(), &raw mut response) }.ok()?;
        Ok(Answer { state: response.request_state, id: 0, reason: response.reason_code })
    }

    fn published(&self) -> Result<Answer> {
        let mut response =
            sys::MvMqttPublishResponse { request_state: NOT_CONNECTED, correlation_id: 0, reason_code: 0 };
        // SAFETY: writes the response.
        unsafe { sys::mvMqttReadPublishResponse(self.0.handle(), &raw mut response) }.ok()?;
        Ok(Answer {
            state: response.request_state,
            id: response.correlation_id,
            reason: response.reason_code,
        })
    }

    fn disconnected(&self) -> Result<Answer> {
        let mut response = sys::MvMqttDisconnectResponse { request_state: NOT_CONNECTED, disconnect_code: 0 };
        // SAFETY: writes the response.
        unsafe { sys::mvMqttReadDisconnectResponse(self.0.handle(), &raw mut response) }.ok()?;
        Ok(Answer { state: response.request_state, id: 0, reason: response.disconnect_code })
    }

    fn subscribed(&self) -> Result<Answers> {
        let mut answers = NO_ANSWERS;
        let response = sys::MvMqttSubscribeResponse {
            request_state: &raw mut answers.state,
            correlation_id: &raw mut answers.id,
            reason_codes: (&raw mut answers.codes).cast(),
            reason_codes_size: SUBSCRIPTIONS as u32,
            reason_codes_len: &raw mut answers.length,
        };
        // SAFETY: writes to the places in `answers`, which is live.
        unsafe { sys::mvMqttReadSubscribeResponse(self.0.handle(), &raw const response) }.ok()?;
        Ok(answers)
    }

    fn unsubscribed(&self) -> Result<Answers> {
        let mut answers = NO_ANSWERS;
        let response = sys::MvMqttUnsubscribeResponse {
            request_state: &raw mut answers.state,
            correlation_id: &raw mut answers.id,
            reason_codes: (&raw mut answers.codes).cast(),
            reason_codes_size: SUBSCRIPTIONS as u32,
            reason_codes_len: &raw mut answers.length,
        };
        // SAFETY: as above.
        unsafe { sys::mvMqttReadUnsubscribeResponse(self.0.handle(), &raw const response) }.ok()?;
        Ok(answers)
    }

    fn message<'b>(&self, topic: &'b mut [u8], payload: &'b mut [u8]) -> Result<Message<'b>> {
        let (mut id, mut qos, mut retain) = (0, 0, 0);
        let (mut topic_length, mut payload_length) = (0, 0);
        let message = sys::MvMqttMessage {
            correlation_id: &raw mut id,
            topic: room(topic, &raw mut topic_length),
            payload: room(payload, &raw mut payload_length),
            qos: &raw mut qos,
            retain: &raw mut retain,
        };
        // SAFETY: writes to the two buffers and the variables, which are live.
        unsafe { sys::mvMqttReceiveMessage(self.0.handle(), &raw const message) }.ok()?;
        let (topic, payload) = (filled(topic, topic_length), filled(payload, payload_length));
        Ok(Message { id, topic, payload, qos, retain: retain != 0 })
    }

    fn lost<'b>(&self, topic: &'b mut [u8]) -> Result<Lost<'b>> {
        let (mut reason, mut topic_length, mut length) = (MvMqttLostMessageReason(0), 0, 0);
        let information = sys::MvMqttLostMessageInfo {
            reason: &raw mut reason,
            topic: room(topic, &raw mut topic_length),
            message_len: &raw mut length,
        };
        // SAFETY: as above.
        unsafe { sys::mvMqttReceiveLostMessageInfo(self.0.handle(), &raw const information) }.ok()?;
        Ok(Lost { reason, topic: filled(topic, topic_length), length })
    }
}

/// The state a response has before it is written.
const NOT_CONNECTED: MvMqttRequestState = sys::MV_MQTTREQUESTSTATE_NOTCONNECTED;
const NO_ANSWERS: Answers = Answers { state: NOT_CONNECTED, id: 0, codes: [0; SUBSCRIPTIONS], length: 0 };

impl Tls<'_> {
    fn credentials(&self) -> sys::MvTlsCredentials {
        let (certificates, key) = self.client.unwrap_or_default();
        sys::MvTlsCredentials {
            cacert: chain(self.authorities),
            clientcert: sys::MvOwnTlsCertificateChain {
                chain: chain(certificates),
                key: MvSizedString::new(key),
            },
        }
    }
}

fn chain(certificates: &[Certificate<'_>]) -> MvTlsCertificateChain {
    MvTlsCertificateChain { num_certs: certificates.len() as u32, certs: certificates.as_ptr().cast() }
}

fn authentication(login: Option<(&str, &[u8])>) -> sys::MvMqttAuthentication {
    let (username, password) = login.unwrap_or_default();
    sys::MvMqttAuthentication {
        method: match login {
            Some(_) => sys::MV_MQTTAUTHENTICATIONMETHOD_USERNAMEPASSWORD,
            None => sys::MV_MQTTAUTHENTICATIONMETHOD_NONE,
        },
        username_password: sys::MvUsernamePassword {
            username: text(username),
            password: MvSizedString::new(password),
        },
    }
}

fn text(text: &str) -> MvSizedString {
    MvSizedString::new(text.as_bytes())
}

fn pointer<T>(target: Option<&T>) -> *const T {
    target.map_or(core::ptr::null(), core::ptr::from_ref)
}

fn room(buffer: &mut [u8], length: *mut u32) -> MvSizedStringBuffer {
    MvSizedStringBuffer { data: buffer.as_mut_ptr(), size: buffer.len() as u32, length }
}

fn filled(buffer: &[u8], length: u32) -> &[u8] {
    buffer.get(..length as usize).unwrap_or_default()
}
