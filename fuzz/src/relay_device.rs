//! A relay between a hostile device and hostile brokers: bytes of both, connections that open and close at any time.

use link::channel::ChannelType;
use link::device::Input as LinkInput;
use relay::{
    ConnectError, ConnectionEnd, ConnectionId, DeviceRelay, ExchangeId, HttpError, HttpOutcome, HttpResponse,
    Input, LookupId, Output, Settings, Value,
};
use sansio::{Duration, Instant, StateMachine, drive};

use crate::link_ends::{DeviceEnd, drive_any_timeout};
use crate::source::Source;

/// Bytes of memory that one device with a handful of brokers may take in a relay.
const MAX_BUFFERED: usize = 8 << 20;
/// Rounds after which bytes would be exchanged for ever.
const MAX_ROUNDS: usize = 100;
const TYPES: [ChannelType; 4] =
    [ChannelType::OpaqueBytes, ChannelType::Mqtt, ChannelType::Http, ChannelType::ConfigFetch];

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let settings = Settings {
        messages_per_second: [1, 500][usize::from(source.u8() % 2)],
        notices: source.u8().is_multiple_of(2),
        ..Settings::default()
    };
    let mut fuzz = Fuzz {
        now: Instant::ZERO,
        relay: DeviceRelay::new(Instant::ZERO, settings),
        device: DeviceEnd::connected(Instant::ZERO),
        to_relay: Vec::new(),
        connections: Vec::new(),
        lookups: Vec::new(),
        exchanges: Vec::new(),
        has_ended: false,
    };
    fuzz.exchange();
    while !source.is_empty() && !fuzz.has_ended {
        fuzz.step(&mut source);
        fuzz.exchange();
        assert!(
            fuzz.relay.buffered_bytes() <= MAX_BUFFERED,
            "{} bytes in memory",
            fuzz.relay.buffered_bytes()
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    Opening,
    Open { unwritten: usize, is_paused: bool },
    Closed,
}

struct Fuzz {
    now: Instant,
    relay: DeviceRelay,
    /// A correct device's end, which knows what a hostile one would have to know: it receives everything, and sends
    /// most of what is sent.
    device: DeviceEnd,
    /// What it has sent and the relay has not received.
    to_relay: Vec<Vec<u8>>,
    connections: Vec<(ConnectionId, ConnectionState)>,
    lookups: Vec<(LookupId, usize)>,
    exchanges: Vec<ExchangeId>,
    has_ended: bool,
}

impl Fuzz {
    fn step(&mut self, source: &mut Source<'_>) {
        match source.u8() % 13 {
            0 => self.input(Input::LinkReceived(source.run())),
            1 => {
                let _ = self
                    .device
                    .link
                    .open_channel(TYPES[usize::from(source.u8() % 4)], u32::from(source.u16()));
            }
            2 => {
                let channel = source.u8() % 17;
                if self.device.link.is_channel_open(channel) {
                    self.device.link.close_channel(channel);
                }
            }
            3..=5 => self.item(source),
            6..=8 => self.broker(source),
            9 => {
                if let Some((lookup, keys)) = self.lookups.pop() {
                    let value = match source.u8() % 3 {
                        0 => Value::Unavailable,
                        1 => Value::NotFound,
                        _ => Value::Found(vec![7; usize::from(source.u16())]),
                    };
                    let values = vec![value; keys];
                    self.input(Input::LookupFinished { lookup, values });
                }
            }
            12 => self.http(source),
            10 => {
                self.now += Duration::from_millis(u64::from(source.u16()));
                self.timeout();
            }
            _ => {
                let channel = source.u8() % 17;
                let bytes = u32::from(source.u16());
                self.device.link.return_credit(channel, bytes, u32::from(source.u8() % 4));
            }
        }
    }

    /// An item in correct frames, whatever its content.
    fn item(&mut self, source: &mut Source<'_>) {
        let (channel, kind, max) = (1 + source.u8() % 15, 3 + source.u8() % 10, 1 + source.u8() % 200);
        let body = source.run().repeat(if source.u8() > 250 { 40 } else { 1 });
        let mut sent = 0;
        loop {
            let left = (body.len() - sent) as u32;
            let Some((length, more)) = self.device.link.next_fragment(channel, left, max.into()) else {
                return;
            };
            let frame = self.device.link.channel_frame(self.now, channel, kind, length, more);
            let Ok(header) = frame else { return };
            let frame = [header.as_slice(), &body[sent..][..usize::from(length)]].concat();
            sent += usize::from(length);
            self.input(Input::LinkReceived(&frame));
            if !more || self.has_ended {
                return;
            }
        }
    }

    /// A server answers, with a response that fits or not.
    fn http(&mut self, source: &mut Source<'_>) {
        let Some(exchange) = self.exchanges.pop() else { return };
        let outcome = match source.u8() % 4 {
            0 => HttpOutcome::Failed(HttpError::Broken),
            1 => HttpOutcome::TooLarge,
            _ => HttpOutcome::Response(HttpResponse {
                status: source.u16(),
                headers: vec![("name".to_owned(), source.run().to_vec()); usize::from(source.u8())],
                ignored: Vec::new(),
                body: vec![7; usize::from(source.u16())],
            }),
        };
        self.input(Input::HttpFinished { exchange, outcome });
    }

    fn broker(&mut self, source: &mut Source<'_>) {
        if self.connections.is_empty() {
            return;
        }
        let index = usize::from(source.u8()) % self.connections.len();
        let (connection, state) = self.connections[index];
        match (state, source.u8() % 8) {
            (ConnectionState::Closed, _) => {}
            (ConnectionState::Opening, 0) => {
                self.connections[index].1 = ConnectionState::Closed;
                self.input(Input::ConnectionFailed { connection, error: ConnectError::Socket });
            }
            (ConnectionState::Opening, _) => {
                self.connections[index].1 = ConnectionState::Open { unwritten: 0, is_paused: false };
                self.input(Input::ConnectionOpened { connection });
            }
            (ConnectionState::Open { .. }, 0) => {
                self.connections[index].1 = ConnectionState::Closed;
                let end = if source.u8().is_multiple_of(2) {
                    ConnectionEnd::Closed
                } else {
                    ConnectionEnd::Failed(ConnectError::Socket)
                };
                self.input(Input::ConnectionClosed { connection, end });
            }
            (ConnectionState::Open { unwritten, is_paused }, 1 | 2) => {
                let bytes = unwritten.min(usize::from(source.u16()));
                self.connections[index].1 = ConnectionState::Open { unwritten: unwritten - bytes, is_paused };
                if bytes > 0 {
                    self.input(Input::ConnectionWritten { connection, bytes });
                }
            }
            (ConnectionState::Open { is_paused, .. }, _) => {
                let bytes = source.run();
                if !is_paused && !bytes.is_empty() {
                    self.input(Input::ConnectionReceived { connection, bytes });
                }
            }
        }
    }

    fn input(&mut self, input: Input<'_>) {
        if !self.has_ended {
            let mut outputs = Vec::new();
            let _ = drive(&mut self.relay, self.now, input, &mut |output| outputs.push(output));
            self.execute_all(outputs);
        }
    }

    fn timeout(&mut self) {
        let mut outputs = Vec::new();
        let outcome = drive_any_timeout(&mut self.relay, self.now, &mut |output| outputs.push(output));
        outcome.expect("only received bytes can be a violation");
        self.execute_all(outputs);
    }

    fn execute_all(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            assert!(!self.has_ended, "nothing follows the end: {output:?}");
            self.execute(output);
        }
    }

    /// Hands what the device's end sends to the relay, until it sends nothing more.
    fn exchange(&mut self) {
        for _ in 0..MAX_ROUNDS {
            while let Some(bytes) = self.device.poll(self.now) {
                self.to_relay.push(bytes);
            }
            if self.to_relay.is_empty() {
                return;
            }
            for bytes in std::mem::take(&mut self.to_relay) {
                self.input(Input::LinkReceived(&bytes));
            }
        }
        panic!("control frames without end");
    }

    fn execute(&mut self, output: Output) {
        match output {
            Output::LinkSend(bytes) => self.deliver(&bytes),
            Output::OpenConnection { connection, .. } => {
                assert!(self.connections.iter().all(|(known, _)| *known != connection), "an id used twice");
                self.connections.push((connection, ConnectionState::Opening));
            }
            Output::ConnectionSend { connection, bytes } => {
                let ConnectionState::Open { unwritten, .. } = self.state(connection) else {
                    panic!("sent on a connection that is not open")
                };
                *unwritten += bytes.len();
            }
            Output::CloseConnection { connection, .. } => {
                assert!(*self.state(connection) != ConnectionState::Closed, "closed twice");
                *self.state(connection) = ConnectionState::Closed;
            }
            Output::PauseReading { connection } => self.pause(connection, true),
            Output::ResumeReading { connection } => self.pause(connection, false),
            Output::Lookup { lookup, keys } => {
                assert!((1..=32).contains(&keys.len()), "{} keys", keys.len());
                self.lookups.push((lookup, keys.len()));
            }
            Output::HttpRequest { exchange, .. } => self.exchanges.push(exchange),
            Output::CancelHttp { exchange } => self.exchanges.retain(|known| *known != exchange),
            Output::Log(line) => assert!(line.text.len() <= 1024),
            Output::Disconnect { .. } => self.has_ended = true,
            _ => {}
        }
    }

    fn state(&mut self, connection: ConnectionId) -> &mut ConnectionState {
        let entry = self.connections.iter_mut().find(|(known, _)| *known == connection);
        &mut entry.expect("the relay names a connection it opened").1
    }

    fn pause(&mut self, connection: ConnectionId, pause: bool) {
        let ConnectionState::Open { is_paused, .. } = self.state(connection) else {
            panic!("paused a connection that is not open")
        };
        assert_ne!(*is_paused, pause, "paused or resumed twice");
        *is_paused = pause;
    }

    /// Hands the relay's bytes to the device's end. It may report a violation, since not everything sent in its name is
    /// its own.
    fn deliver(&mut self, bytes: &[u8]) {
        let sink = &mut |bytes| self.to_relay.push(bytes);
        let _ = drive(&mut self.device, self.now, LinkInput::Received(bytes), sink);
    }
}
