//! A device's end of the link, a relay, and a broker in memory, in one process: prints what passes between them.
//!
//! ```sh
//! cargo run -p relay --example loopback
//! ```

use link::channel::ChannelType;
use link::connection::Hello;
use link::device::{Answer, DeviceLink, Event, Input as DeviceInput};
use link::kind::to_cloud;
use link::mqtt::{ConnectHead, PublishHead, RequestState, TopicHead};
use relay::{DeviceRelay, Input, Output, Settings};
use sansio::{Duration, Instant, drive};

/// Bytes of the application's receive buffer.
const RING: u32 = 1536;
/// A request is shorter than any window.
const LONGEST: usize = 4096;

fn main() {
    for line in run() {
        println!("{line}");
    }
}

/// Connects a device to the broker and publishes a message. Returns a line for each thing that passed.
pub(crate) fn run() -> Vec<String> {
    let mut loopback = Loopback::new();
    let channel = loopback.device.open_channel(ChannelType::Mqtt, RING).expect("a free channel");
    loopback.send_control_frames();
    loopback.send_item(channel, to_cloud::CONNECT, "CONNECT", &connect());
    loopback.send_item(channel, to_cloud::PUBLISH, "PUBLISH", &publish("room/temperature", b"21.5"));
    loopback.lines
}

struct Loopback {
    now: Instant,
    device: DeviceLink,
    relay: DeviceRelay,
    lines: Vec<String>,
}

impl Loopback {
    fn new() -> Self {
        let now = Instant::ZERO;
        let mut device = DeviceLink::new();
        let hello = Hello { version: 1, boot: 1, wake_reason: 0, clock: now, image: [0; 32] };
        device.handle(now, &mut DeviceInput::Connected(&hello)).expect("a new link");
        let relay = DeviceRelay::new(now, Settings::default());
        let mut loopback = Self { now, device, relay, lines: Vec::new() };
        loopback.send_control_frames();
        loopback
    }

    /// The device sends its control frames, such as HELLO.
    fn send_control_frames(&mut self) {
        let mut buffer = [0; 512];
        loop {
            let length = self.device.transmit(self.now, &mut buffer);
            if length == 0 {
                return;
            }
            self.relay(Input::LinkReceived(&buffer[..length]));
        }
    }

    /// The device sends an item: a header, and as much of the item as the window allows; here all of it.
    fn send_item(&mut self, channel: u8, kind: u8, name: &str, body: &[u8]) {
        self.lines.push(format!("device → relay: {name}, {} bytes", body.len()));
        let (length, more) =
            self.device.next_fragment(channel, body.len() as u32, LONGEST).expect("an open window");
        let header =
            self.device.channel_frame(self.now, channel, kind, length, more).expect("an allowed item");
        self.relay(Input::LinkReceived(&[header.as_slice(), body].concat()));
    }

    /// Passes one input to the relay, and does everything it asks for.
    fn relay(&mut self, input: Input<'_>) {
        self.now += Duration::from_millis(1);
        let mut outputs = Vec::new();
        drive(&mut self.relay, self.now, input, &mut |output| outputs.push(output))
            .expect("a device that keeps the rules");
        for output in outputs {
            self.perform(output);
        }
        self.send_control_frames();
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::LinkSend(bytes) => self.device_receives(&bytes),
            Output::OpenConnection { connection, target } => {
                self.lines.push(format!("relay: open a connection to {}:{}", target.host, target.port));
                self.relay(Input::ConnectionOpened { connection });
            }
            Output::ConnectionSend { connection, bytes } => {
                self.lines.push(format!("relay → broker: {} bytes", bytes.len()));
                self.relay(Input::ConnectionWritten { connection, bytes: bytes.len() });
                let answer = broker(&bytes);
                self.lines.push(format!("broker → relay: {} bytes", answer.len()));
                self.relay(Input::ConnectionReceived { connection, bytes: &answer });
            }
            Output::Hello(hello) => self.lines.push(format!("relay: a device, boot {}", hello.boot)),
            other => self.lines.push(format!("relay: {other:?}")),
        }
    }

    fn device_receives(&mut self, bytes: &[u8]) {
        let mut input = DeviceInput::Received(bytes);
        while let Some(event) =
            self.device.handle(self.now, &mut input).expect("a relay that keeps the rules")
        {
            self.lines.push(match event {
                Event::Welcome { .. } => "relay → device: welcome".into(),
                Event::Answer { answer: Answer::Connected(outcome), .. } => {
                    format!("relay → device: connect {}", result(outcome.state))
                }
                Event::Answer { answer: Answer::Published(published), .. } => {
                    format!("relay → device: publish {}", result(published.state))
                }
                other => format!("relay → device: {other:?}"),
            });
        }
    }
}

fn result(state: RequestState) -> &'static str {
    if state == RequestState::Completed { "completed" } else { "failed" }
}

/// A broker that accepts every CONNECT and acknowledges every PUBLISH of QoS 1 to a topic of 16 bytes (MQTT 3.1.1).
fn broker(packet: &[u8]) -> Vec<u8> {
    match packet[0] >> 4 {
        // CONNACK.
        1 => vec![0x20, 2, 0, 0],
        // PUBACK with the packet identifier, which follows the topic.
        3 => vec![0x40, 2, packet[20], packet[21]],
        _ => Vec::new(),
    }
}

/// The body of a CONNECT item (docs/spec/link.md): its head, the host and the client id.
fn connect() -> Vec<u8> {
    let head = ConnectHead {
        version5: false,
        clean_start: true,
        credentials: false,
        will: false,
        tls: false,
        out_of_range: false,
        port: 1883,
        keepalive: 60,
    };
    let mut bytes = [0; ConnectHead::MAX];
    let length = head.encode(&mut bytes);
    [&bytes[..length], &prefixed("broker.example"), &prefixed("device-1")].concat()
}

/// A text with its length before it.
fn prefixed(text: &str) -> Vec<u8> {
    let mut prefix = [0; link::bytes::MAX_PREFIX];
    let length = link::bytes::prefix(text.len() as u32, &mut prefix);
    [&prefix[..length], text.as_bytes()].concat()
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let topic_head = TopicHead::Name(topic.len() as u32);
    let head = PublishHead { slot: 0, qos1: true, retain: false, qos_out_of_range: false, topic: topic_head };
    let mut bytes = [0; PublishHead::MAX];
    let length = head.encode(&mut bytes);
    [&bytes[..length], topic.as_bytes(), payload].concat()
}
