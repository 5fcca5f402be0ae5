//! What an ordinary application does, with each frequent call measured.

use abi::Call;
use abi::channel::{ChannelType, OpenChannelParams};
use abi::memory::APPLICATION_RAM_START;
use abi::mqtt::{MqttConnectRequest, MqttMessage, MqttPublishRequest};
use abi::network::RequestNetworkParams;
use abi::notifications::NotificationSetup;
use abi::strings::{SizedString, SizedStringBuffer};
use link::cloud::{ANSWER_FRAME, CloudLink, Event, Input};
use link::kind::to_device;
use link::mqtt::{MessageHead, Outcome, Published, RequestState};
use sansio::{Duration, Instant, WallTime};

use crate::processor::{Count, Processor, Program};

/// Payload lengths: the first gives the cost of the call itself, the difference that of a byte.
pub(crate) const PAYLOADS: [usize; 2] = [0, 512];
const BUFFERS: u32 = APPLICATION_RAM_START + 0x1_0000;
const TOPIC: &[u8] = b"sensors/42/temperature";

/// One measured call.
pub(crate) struct Measured {
    /// The call.
    pub name: &'static str,
    /// Its cost at each of [`PAYLOADS`], or once for a call without a payload.
    pub counts: Vec<Count>,
    /// Whether the limit of frequent calls applies to it.
    pub is_call: bool,
}

/// Runs the scenario; returns the measurements in order.
pub(crate) fn run(program: &Program) -> Vec<Measured> {
    let mut application = Application::start(program);
    let mut calls = vec![
        application.single("mvGetNetworkStatus", Call::GetNetworkStatus, |a| [a.network, a.output, 0, 0]),
        application.single("mvGetMicroseconds", Call::GetMicroseconds, |a| [a.output, 0, 0, 0]),
        application.single("mvGetWallTime", Call::GetWallTime, |a| [a.output, 0, 0, 0]),
    ];
    calls.push(Measured {
        name: "mvServerLog",
        counts: PAYLOADS.map(|size| application.log(size)).into(),
        is_call: true,
    });
    calls.extend(application.publishes());
    calls.push(application.single("mvMqttGetNextReadableDataType", Call::MqttGetNextReadableDataType, |a| {
        [a.channel, a.output, 0, 0]
    }));
    calls.push(
        application.single("mvMqttReadPublishResponse", Call::MqttReadPublishResponse, |a| {
            [a.channel, a.output, 0, 0]
        }),
    );
    calls.extend(application.messages());
    calls.push(
        application
            .single("mvMqttAcknowledgeMessage", Call::MqttAcknowledgeMessage, |a| [a.channel, 8, 0, 0]),
    );
    calls
}

struct Application<'a> {
    processor: Processor<'a>,
    cloud: CloudLink,
    free: u32,
    network: u32,
    channel: u32,
    output: u32,
}

impl<'a> Application<'a> {
    /// An application that is connected to a broker.
    fn start(program: &'a Program) -> Self {
        let processor = Processor::start(program);
        let mut application = Self {
            processor,
            cloud: CloudLink::new(Instant::ZERO),
            free: APPLICATION_RAM_START,
            network: 0,
            channel: 0,
            output: 0,
        };
        application.output = application.put(&[0; 64]);
        application.processor.connected();
        application.pump();
        application.cloud.send_welcome(
            Duration::from_secs(60),
            16_384,
            WallTime::from_millis(1_800_000_000_000),
            true,
        );
        application.pump();
        application.set_up();
        application
    }

    fn set_up(&mut self) {
        let setup = NotificationSetup { irq: 41, buffer: self.put(&[0; 256]), buffer_size: 256 };
        let setup = self.put(&setup.to_bytes());
        let centre = self.call_for_handle(Call::SetupNotifications, setup);
        let params = RequestNetworkParams { version: 1, notification_handle: centre, notification_tag: 1 };
        let params = self.put(&params.to_bytes());
        self.network = self.call_for_handle(Call::RequestNetwork, params);
        let params = OpenChannelParams {
            version: 1,
            notification_handle: centre,
            notification_tag: 2,
            network_handle: self.network,
            receive_buffer: BUFFERS,
            receive_buffer_len: 4096,
            send_buffer: BUFFERS + 4096,
            send_buffer_len: 4096,
            channel_type: ChannelType::Mqtt.raw(),
            endpoint: SizedString::default(),
        };
        let params = self.put(&params.to_bytes());
        self.channel = self.call_for_handle(Call::OpenChannel, params);
        self.pump();
        self.connect();
        self.ok(Call::ServerLoggingInit, [BUFFERS + 0x4000, 4096, 0, 0]);
    }

    fn connect(&mut self) {
        let request = MqttConnectRequest {
            protocol_version: 1,
            host: self.string(b"broker"),
            port: 1883,
            clientid: self.string(b"me"),
            keepalive: 60,
            clean_start: 1,
            ..MqttConnectRequest::default()
        };
        let request = self.put(&request.to_bytes());
        self.ok(Call::MqttRequestConnect, [self.channel, request, 0, 0]);
        self.pump();
        let mut body = [0; Outcome::MAX];
        let length = Outcome { state: RequestState::Completed, reason: 0 }.encode(&mut body);
        self.answer(to_device::CONNECTED, &body[..length]);
        self.ok(Call::MqttReadConnectResponse, [self.channel, self.output, 0, 0]);
    }

    fn call_for_handle(&mut self, call: Call, params: u32) -> u32 {
        let to = self.put(&[0; 4]);
        self.ok(call, [params, to, 0, 0]);
        self.processor.u32(to)
    }

    // ---- measurements ----

    fn single(&mut self, name: &'static str, call: Call, args: impl Fn(&Self) -> [u32; 4]) -> Measured {
        let args = args(self);
        let count = self.ok(call, args);
        self.pump();
        Measured { name, counts: vec![count], is_call: true }
    }

    fn log(&mut self, size: usize) -> Count {
        let text = self.put(&vec![b'l'; size]);
        let count = self.ok(Call::ServerLog, [text, size as u32, 0, 0]);
        self.pump();
        count
    }

    /// The first publish to a topic sends its name, the others an alias. The response to the last is left to be read.
    fn publishes(&mut self) -> Vec<Measured> {
        let (first, _) = self.publish(0);
        self.read_answer();
        let mut calls = Vec::new();
        let mut sending = Vec::new();
        for size in PAYLOADS {
            if !calls.is_empty() {
                self.read_answer();
            }
            let (call, sent) = self.publish(size);
            calls.push(call);
            sending.push(sent);
        }
        vec![
            Measured { name: "mvMqttRequestPublish, a new topic", counts: vec![first], is_call: true },
            Measured { name: "mvMqttRequestPublish", counts: calls, is_call: true },
            Measured { name: "… and its bytes to the port", counts: sending, is_call: false },
        ]
    }

    /// A publish of QoS 1, which is answered: the cost of the call and of sending it.
    fn publish(&mut self, size: usize) -> (Count, Count) {
        let request = MqttPublishRequest {
            correlation_id: 5,
            topic: self.string(TOPIC),
            payload: self.string(&vec![b'p'; size]),
            desired_qos: 1,
            retain: 0,
        };
        let request = self.put(&request.to_bytes());
        let call = self.ok(Call::MqttRequestPublish, [self.channel, request, 0, 0]);
        let (bytes, sent) = self.processor.transmit();
        self.receive_from_device(&bytes);
        self.pump();
        let mut body = [0; Published::MAX];
        let length = Published { slot: 0, state: RequestState::Completed, reason: 0 }.encode(&mut body);
        self.answer(to_device::PUBLISHED, &body[..length]);
        (call, sent)
    }

    fn read_answer(&mut self) {
        self.ok(Call::MqttReadPublishResponse, [self.channel, self.output, 0, 0]);
    }

    fn messages(&mut self) -> Vec<Measured> {
        let mut calls = Vec::new();
        let mut arriving = Vec::new();
        for size in PAYLOADS {
            arriving.push(self.message(size));
            calls.push(self.receive());
        }
        vec![
            Measured { name: "… a message's bytes from the port", counts: arriving, is_call: false },
            Measured { name: "mvMqttReceiveMessage", counts: calls, is_call: true },
        ]
    }

    /// A message of QoS 1 arrives.
    fn message(&mut self, size: usize) -> Count {
        let mut head = [0; MessageHead::MAX];
        let topic = TOPIC.len() as u32;
        let length = MessageHead { delivery: Some(7), retain: false, topic }.encode(&mut head);
        let content = [TOPIC, &vec![b'm'; size]].concat();
        self.cloud
            .begin_item(1, to_device::MESSAGE, length as u32, content.len() as u32)
            .expect("there is space");
        let (header, fragment) = self.cloud.next_fragment(1, 4096).expect("the item was begun");
        let body = [&head[..length], &content].concat();
        assert_eq!(fragment, body.len(), "in one fragment");
        self.processor.receive(&[header.as_slice(), &body].concat())
    }

    fn receive(&mut self) -> Count {
        let message = MqttMessage {
            correlation_id: self.put(&[0; 4]),
            topic: self.string_room(64),
            payload: self.string_room(1024),
            qos: self.put(&[0; 4]),
            retain: self.put(&[0; 1]),
        };
        let at = self.put(&message.to_bytes());
        let count = self.ok(Call::MqttReceiveMessage, [self.channel, at, 0, 0]);
        assert_eq!(self.processor.u32(message.correlation_id), 8, "the message that was sent");
        self.pump();
        count
    }

    // ---- helpers ----

    fn ok(&mut self, call: Call, args: [u32; 4]) -> Count {
        let (status, count) = self.processor.call(call.slot(), args);
        assert_eq!(status, 0, "{}", call.name());
        count
    }

    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.free.next_multiple_of(8);
        self.free = at + bytes.len() as u32;
        assert!(self.free < BUFFERS, "the scenario uses too much memory");
        self.processor.set(at, bytes);
        at
    }

    fn string(&mut self, bytes: &[u8]) -> SizedString {
        SizedString { data: self.put(bytes), length: bytes.len() as u32 }
    }

    fn string_room(&mut self, size: u32) -> SizedStringBuffer {
        SizedStringBuffer { data: self.put(&vec![0; size as usize]), size, length: self.put(&[0; 4]) }
    }

    fn answer(&mut self, kind: u8, body: &[u8]) {
        let mut out = [0; ANSWER_FRAME];
        let length = self.cloud.write_answer(1, kind, body, &mut out).expect("a request is in flight");
        self.processor.receive(&out[..length]);
    }

    /// Transfers bytes in both directions until there are none.
    fn pump(&mut self) {
        let mut out = [0; 512];
        loop {
            let bytes = self.processor.transmit().0;
            self.receive_from_device(&bytes);
            let length = self.cloud.transmit(Instant::ZERO, &mut out);
            if length > 0 {
                self.processor.receive(&out[..length]);
            } else if bytes.is_empty() {
                return;
            }
        }
    }

    fn receive_from_device(&mut self, bytes: &[u8]) {
        let mut input = Input::Received(bytes);
        while let Some(event) =
            self.cloud.handle(Instant::ZERO, &mut input).expect("the kernel follows the link's rules")
        {
            if let Event::Item(fragment) = event {
                let (channel, length) = (fragment.channel, fragment.bytes.len() as u32);
                self.cloud.consume(channel, length);
            }
        }
    }
}
