//! A relay between a hostile device and hostile brokers: bytes of both, connections that come and go at any moment.

use link::DeviceLink;
use link::channel::ChannelType;
use link::connection::Hello;
use link::device::Input as LinkInput;
use relay::{
    ConnectError, ConnectionEnd, ConnectionId, DeviceRelay, ExchangeId, HttpError, HttpOutcome, HttpResponse,
    Input, LookupId, Output, Settings, Value,
};
use sansio::{Duration, Instant};

use crate::source::Source;

/// Bytes that one device with a handful of brokers may make a relay hold.
const HELD: usize = 8 << 20;
const HELLO: Hello = Hello { version: 1, boot: 1, wake_reason: 0, clock: Instant::ZERO, image: [0; 32] };
const TYPES: [ChannelType; 4] =
    [ChannelType::OpaqueBytes, ChannelType::Mqtt, ChannelType::Http, ChannelType::ConfigFetch];

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let settings = Settings {
        messages_per_second: [1, 500][usize::from(source.u8() % 2)],
        notices: source.u8().is_multiple_of(2),
        ..Settings::default()
    };
    let mut device = DeviceLink::new();
    let _ = device.handle(Instant::ZERO, &mut LinkInput::Connected(&HELLO));
    let mut fuzz = Fuzz {
        now: Instant::ZERO,
        relay: DeviceRelay::new(Instant::ZERO, settings),
        device,
        wires: Vec::new(),
        lookups: Vec::new(),
        exchanges: Vec::new(),
        is_over: false,
    };
    fuzz.settle();
    while !source.is_empty() && !fuzz.is_over {
        fuzz.step(&mut source);
        fuzz.settle();
        assert!(fuzz.relay.buffered_bytes() <= HELD, "{} bytes held", fuzz.relay.buffered_bytes());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Opening,
    Open { unwritten: usize, is_paused: bool },
    Closed,
}

struct Fuzz {
    now: Instant,
    relay: DeviceRelay,
    /// A device's end in good order, which tells what a hostile one would have to know: it hears everything, and says
    /// most of what is said.
    device: DeviceLink,
    wires: Vec<(ConnectionId, Life)>,
    lookups: Vec<(LookupId, usize)>,
    exchanges: Vec<ExchangeId>,
    is_over: bool,
}

impl Fuzz {
    fn step(&mut self, source: &mut Source<'_>) {
        match source.u8() % 13 {
            0 => self.input(Input::LinkReceived(source.run())),
            1 => {
                let _ =
                    self.device.open_channel(TYPES[usize::from(source.u8() % 4)], u32::from(source.u16()));
            }
            2 => {
                let channel = source.u8() % 17;
                if self.device.is_channel_open(channel) {
                    self.device.close_channel(channel);
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
                self.input(Input::Timeout);
            }
            _ => {
                let channel = source.u8() % 17;
                let bytes = u32::from(source.u16());
                self.device.return_credit(channel, bytes, u32::from(source.u8() % 4));
            }
        }
    }

    /// An item in frames that are in order, whatever stands in it.
    fn item(&mut self, source: &mut Source<'_>) {
        let (channel, kind, most) = (1 + source.u8() % 15, 3 + source.u8() % 10, 1 + source.u8() % 200);
        let body = source.run().repeat(if source.u8() > 250 { 40 } else { 1 });
        let mut sent = 0;
        loop {
            let left = (body.len() - sent) as u32;
            let Some((length, more)) = self.device.next_fragment(channel, left, most.into()) else { return };
            let frame = self.device.channel_frame(self.now, channel, kind, length, more);
            let Ok(header) = frame else { return };
            let frame = [header.as_slice(), &body[sent..][..usize::from(length)]].concat();
            sent += usize::from(length);
            self.input(Input::LinkReceived(&frame));
            if !more || self.is_over {
                return;
            }
        }
    }

    /// A server answers, within the room that was asked for or beyond.
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
        if self.wires.is_empty() {
            return;
        }
        let index = usize::from(source.u8()) % self.wires.len();
        let (connection, life) = self.wires[index];
        match (life, source.u8() % 8) {
            (Life::Closed, _) => {}
            (Life::Opening, 0) => {
                self.wires[index].1 = Life::Closed;
                self.input(Input::ConnectionFailed { connection, error: ConnectError::Socket });
            }
            (Life::Opening, _) => {
                self.wires[index].1 = Life::Open { unwritten: 0, is_paused: false };
                self.input(Input::ConnectionOpened { connection });
            }
            (Life::Open { .. }, 0) => {
                self.wires[index].1 = Life::Closed;
                let end = if source.u8().is_multiple_of(2) {
                    ConnectionEnd::Closed
                } else {
                    ConnectionEnd::Failed(ConnectError::Socket)
                };
                self.input(Input::ConnectionClosed { connection, end });
            }
            (Life::Open { unwritten, is_paused }, 1 | 2) => {
                let bytes = unwritten.min(usize::from(source.u16()));
                self.wires[index].1 = Life::Open { unwritten: unwritten - bytes, is_paused };
                if bytes > 0 {
                    self.input(Input::ConnectionWritten { connection, bytes });
                }
            }
            (Life::Open { is_paused, .. }, _) => {
                let bytes = source.run();
                if !is_paused && !bytes.is_empty() {
                    self.input(Input::ConnectionReceived { connection, bytes });
                }
            }
        }
    }

    fn input(&mut self, input: Input<'_>) {
        if !self.is_over {
            let _ = self.relay.handle(self.now, input);
            self.drain();
        }
    }

    fn settle(&mut self) {
        let mut out = [0; 512];
        for _ in 0..100 {
            let length = self.device.transmit(self.now, &mut out);
            if length == 0 {
                return;
            }
            self.input(Input::LinkReceived(&out[..length]));
        }
        panic!("control frames without end");
    }

    fn drain(&mut self) {
        while let Some(output) = self.relay.poll(self.now) {
            assert!(!self.is_over, "nothing follows the end: {output:?}");
            self.obey(output);
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::LinkSend(bytes) => self.hear(&bytes),
            Output::OpenConnection { connection, .. } => {
                assert!(self.wires.iter().all(|(known, _)| *known != connection), "a name used twice");
                self.wires.push((connection, Life::Opening));
            }
            Output::ConnectionSend { connection, bytes } => {
                let Life::Open { unwritten, .. } = self.life(connection) else {
                    panic!("sent on what is not open")
                };
                *unwritten += bytes.len();
            }
            Output::CloseConnection { connection, .. } => {
                assert!(*self.life(connection) != Life::Closed, "closed twice");
                *self.life(connection) = Life::Closed;
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
            Output::Disconnect { .. } => self.is_over = true,
            _ => {}
        }
    }

    fn life(&mut self, connection: ConnectionId) -> &mut Life {
        let wire = self.wires.iter_mut().find(|(known, _)| *known == connection);
        &mut wire.expect("the relay names a connection it asked for").1
    }

    fn pause(&mut self, connection: ConnectionId, pause: bool) {
        let Life::Open { is_paused, .. } = self.life(connection) else { panic!("paused what is not open") };
        assert_ne!(*is_paused, pause, "said twice");
        *is_paused = pause;
    }

    /// What a device in good order makes of it; one that was spoken for may well find fault with it.
    fn hear(&mut self, bytes: &[u8]) {
        let mut input = LinkInput::Received(bytes);
        while let Ok(Some(event)) = self.device.handle(self.now, &mut input) {
            if let link::device::Event::Item(fragment) = event {
                let _ = self.device.store(fragment.channel, fragment.bytes.len() as u32 / 2);
            }
        }
    }
}
