//! One connection to the broker, from opening its channel to closing it.

use openvisor_app::mqtt::{Answer, Answers, Certificate, Client, Connect, Item, Subscription, Tls};
use openvisor_app::sys::{
    MV_MQTTREADABLEDATATYPE_NONE, MV_MQTTREQUESTSTATE_REQUESTCOMPLETED, MvMqttReadableDataType,
};
use openvisor_app::{clock, log_line, logging};

use crate::inbox::Inbox;
use crate::link::{Link, log_closure};
use crate::publisher::Publisher;
use crate::settings::Settings;
use crate::{BUFFERS, CHANNEL_EVENTS, RECEIVE_SIZE, commands};

/// Every accepted request is answered. This timeout is for a connection that hangs.
const CONNECT_TIMEOUT_MS: u32 = 60_000;
/// Publishes are numbered from 0 up; the subscription's id is not among these numbers.
const SUBSCRIBE_ID: u32 = 0xFFFF_FFFF;
pub(crate) const QOS_AT_LEAST_ONCE: u32 = 1;

#[derive(PartialEq)]
enum State {
    Connecting,
    Connected,
    Over,
}

/// The state of one connection.
struct Session<'a> {
    client: &'a Client,
    settings: &'a Settings,
    publisher: Publisher<'a>,
    inbox: Inbox,
    state: State,
    /// Whether the broker, or the cloud on the way to it, refused the connection.
    is_refused: bool,
}

/// Connects, then publishes and obeys commands until the connection ends. False if the broker refused it.
pub(crate) fn run(link: &mut Link, settings: &Settings) -> bool {
    let client = Client::open(link.network(), &CHANNEL_EVENTS, &BUFFERS);
    let Some(client) = logging::checked("mvOpenChannel", client) else { return true };
    log_line!("connecting to {}:{}", settings.broker_host, settings.broker_port);
    let mut session = Session {
        client: &client,
        settings,
        publisher: Publisher::new(&settings.publish_topic),
        inbox: Inbox::new(),
        state: State::Connecting,
        is_refused: false,
    };
    if connect(&client, settings) {
        session.run(link);
        // Items that arrived before the connection was lost, and the reason of the loss.
        session.receive_all();
    }
    let is_refused = session.is_refused;
    log_closure(client.channel());
    !is_refused
}

/// MQTT 5 from a clean start; TLS if there is an authority to trust; a password if there is a user name.
fn connect(client: &Client, settings: &Settings) -> bool {
    let authority = [Certificate::new(&settings.broker_ca)];
    let request = Connect {
        login: (!settings.username.is_empty())
            .then(|| (settings.username.as_str(), settings.password.as_bytes())),
        tls: (!settings.broker_ca.is_empty()).then_some(Tls { authorities: &authority, client: None }),
        ..Connect::new(&settings.broker_host, settings.broker_port, &settings.client_id)
    };
    logging::checked("mvMqttRequestConnect", client.connect(&request)).is_some()
}

impl Session<'_> {
    fn run(&mut self, link: &mut Link) {
        let start = clock::now();
        let mut is_unread = false;
        while self.state != State::Over && !self.client.channel().is_lost() && !self.is_hung(start) {
            is_unread |= self.client.channel().take_readable();
            if is_unread {
                is_unread = !self.receive_all();
            }
            link.watch();
            if self.state == State::Connected {
                self.publisher.run(self.client);
            }
            clock::idle();
        }
    }

    fn is_hung(&self, start: u32) -> bool {
        let is_hung = self.state == State::Connecting && clock::since(start) >= CONNECT_TIMEOUT_MS;
        if is_hung {
            log_line!("connect: no answer");
        }
        is_hung
    }

    /// Reads all items; false if a message that cannot be acknowledged yet blocks the others.
    fn receive_all(&mut self) -> bool {
        while self.inbox.settle(self.client) {
            // On a lost channel the last item is followed by an error, not by NONE.
            let Ok(kind) = self.client.next_type() else { return true };
            if kind == MV_MQTTREADABLEDATATYPE_NONE {
                return true;
            }
            if self.receive(kind).is_none() {
                // An item that cannot be read remains the next one, so a new channel is needed.
                self.state = State::Over;
                return true;
            }
        }
        false
    }

    fn receive(&mut self, kind: MvMqttReadableDataType) -> Option<()> {
        // No message that fits the channel's receive buffer is too large for these.
        let (mut topic, mut payload) = ([0; RECEIVE_SIZE], [0; RECEIVE_SIZE]);
        let item =
            logging::checked("session: reading an item", self.client.read(kind, &mut topic, &mut payload))?;
        match item {
            Item::Message(message) => {
                self.inbox.take(self.client, &message);
                commands::obey(message.payload, self.client, &mut self.publisher);
            }
            Item::Lost(lost) => log_line!(
                "lost {} bytes on {}: {}",
                lost.length,
                core::str::from_utf8(lost.topic).unwrap_or_default(),
                lost.reason.name()
            ),
            Item::Connected(answer) => self.on_connected(&answer),
            Item::Subscribed(answers) => self.on_subscribed(&answers),
            Item::Unsubscribed(_) => {}
            Item::Published(answer) => self.publisher.answered(&answer),
            Item::Disconnected(answer) => {
                log_line!("disconnect: {}, reason 0x{:02x}", answer.state.name(), answer.reason);
                self.state = State::Over;
            }
        }
        Some(())
    }

    fn on_connected(&mut self, answer: &Answer) {
        log_line!("connect: {}, reason 0x{:02x}", answer.state.name(), answer.reason);
        self.is_refused = answer.state != MV_MQTTREQUESTSTATE_REQUESTCOMPLETED || answer.reason != 0;
        let is_connected = !self.is_refused && self.subscribe();
        self.state = if is_connected { State::Connected } else { State::Over };
    }

    fn subscribe(&self) -> bool {
        let topic = [Subscription { topic: &self.settings.command_topic, qos: QOS_AT_LEAST_ONCE }];
        logging::checked("mvMqttRequestSubscribe", self.client.subscribe(SUBSCRIBE_ID, &topic)).is_some()
    }

    /// Without the subscription the application gets no commands, so an error ends the session.
    fn on_subscribed(&mut self, answers: &Answers) {
        let code = answers.codes().first().copied().unwrap_or_default();
        log_line!("subscribe: {}, reason 0x{code:02x}", answers.state.name());
        if !answers.is_success() || answers.id != SUBSCRIBE_ID {
            self.state = State::Over;
        }
    }
}
