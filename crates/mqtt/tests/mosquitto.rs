//! The client against a real broker: mosquitto on a loopback port, one process for each test.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mqtt::{
    Client, ConnectOptions, Event, Filter, Input, Limits, Message, RequestError, Version, Will, reason,
};
use sansio::Instant;

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
/// Long enough for any machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
const MINUTE: sansio::Duration = sansio::Duration::from_secs(60);
const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

/// A running mosquitto, killed when dropped.
struct Broker {
    process: Child,
    port: u16,
    directory: PathBuf,
}

impl Broker {
    fn start() -> Self {
        Self::start_with("allow_anonymous true\n")
    }

    fn start_with(settings: &str) -> Self {
        let missing = "mosquitto is needed for this test: apt-get install mosquitto";
        assert!(std::path::Path::new(MOSQUITTO).exists(), "{missing}");
        let port = free_port();
        let directory = scratch_directory();
        let config = directory.join("mosquitto.conf");
        let text = format!("listener {port} 127.0.0.1\npersistence false\nlog_dest none\n{settings}");
        std::fs::write(&config, text).expect("a config file");
        let process = Command::new(MOSQUITTO)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(missing);
        let mut broker = Self { process, port, directory };
        broker.wait_until_listening();
        broker
    }

    fn wait_until_listening(&mut self) {
        let start = std::time::Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.process.try_wait().expect("a child process");
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "mosquitto does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn connect(&self, options: &ConnectOptions) -> Connection {
        let mut connection = self.start_connecting(options);
        assert!(matches!(connection.event(), Event::Connected { .. }));
        connection
    }

    fn start_connecting(&self, options: &ConnectOptions) -> Connection {
        self.start_with_limits(options, Limits::default())
    }

    fn start_with_limits(&self, options: &ConnectOptions, limits: Limits) -> Connection {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a listening broker");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let client = Client::new(options, limits, Instant::ZERO).expect("valid options");
        Connection { stream, client, input: Vec::new() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn scratch_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("mqtt-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a scratch directory");
    directory
}

/// A client on a socket. Its clock is stopped at 0 unless a test moves it.
struct Connection {
    stream: TcpStream,
    client: Client,
    input: Vec<u8>,
}

impl Connection {
    /// Writes what is ready and reads what has arrived.
    fn turn(&mut self, now: Instant) {
        self.flush(now);
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("the broker closed the connection"),
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            }
        }
        let mut rest = &self.input[..];
        self.client.handle(now, Input::Received(&mut rest)).expect("no protocol error");
        self.input = rest.to_vec();
    }

    fn flush(&mut self, now: Instant) {
        let mut out = Vec::new();
        self.client.transmit(&mut out);
        self.stream.write_all(&out).expect("a connection");
        self.client.handle(now, Input::Transmitted(out.len())).expect("a connection");
    }

    fn event(&mut self) -> Event {
        let start = std::time::Instant::now();
        loop {
            if let Some(event) = self.client.poll(Instant::ZERO) {
                return event;
            }
            assert!(start.elapsed() < PATIENCE, "the broker does not answer");
            self.turn(Instant::ZERO);
        }
    }

    fn message(&mut self) -> Message {
        match self.event() {
            Event::Message(message) => message,
            other => panic!("a message, not {other:?}"),
        }
    }

    fn subscribe(&mut self, topic: &str, qos: u8) {
        self.client.subscribe(99, &[filter(topic, qos)]).expect("taken");
        assert_eq!(self.event(), Event::Subscribed { token: 99, reason_codes: vec![qos] });
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        self.client.publish(98, topic.as_bytes(), payload, qos, retain).expect("taken");
        let published = self.event();
        assert!(matches!(published, Event::Published { token: 98, reason_code: 0 | 0x10 }), "{published:?}");
    }

    /// Publishes to itself and back, so that everything sent before has reached the broker and come back.
    fn round_trip(&mut self, name: &str) {
        self.subscribe(name, 0);
        self.publish(name, b"", 0, false);
        assert_eq!(self.message().topic, name);
    }

    /// Disconnects and waits until the broker has closed the connection.
    fn leave(mut self) {
        self.client.disconnect(reason::SUCCESS);
        self.flush(Instant::ZERO);
        let start = std::time::Instant::now();
        let mut buffer = [0; 64];
        while !matches!(self.stream.read(&mut buffer), Ok(0)) {
            assert!(start.elapsed() < PATIENCE, "the broker does not close the connection");
        }
    }
}

fn filter(topic: &str, qos: u8) -> Filter<'_> {
    Filter { topic: topic.as_bytes(), qos, no_local: false, retain_as_published: false, retain_handling: 0 }
}

fn options(version: Version, client_id: &str) -> ConnectOptions {
    ConnectOptions { keep_alive: 60, ..ConnectOptions::new(version, client_id.as_bytes()) }
}

/// Shows M56, M64, M78, M80, M86.
#[test]
fn both_versions_talk_to_each_other_through_a_real_broker() {
    let broker = Broker::start();
    for (sender_version, receiver_version) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        let mut receiver = broker.connect(&options(receiver_version, "receiver"));
        let filters = [filter("a/#", 1), filter("b", 0)];
        receiver.client.subscribe(1, &filters).expect("taken");
        assert_eq!(receiver.event(), Event::Subscribed { token: 1, reason_codes: vec![1, 0] });
        let mut sender = broker.connect(&options(sender_version, "sender"));
        sender.publish("a/x", &vec![0xff; 70_000], 1, false);
        sender.publish("b", b"second", 0, false);
        let first = receiver.message();
        assert_eq!((first.topic.as_str(), first.payload.len(), first.qos), ("a/x", 70_000, 1));
        receiver.client.acknowledge(first.delivery.expect("QoS 1")).expect("known");
        let second = receiver.message();
        assert_eq!(
            (second.topic.as_str(), &second.payload[..], second.delivery),
            ("b", &b"second"[..], None)
        );
        receiver.client.unsubscribe(2, &[b"a/#", b"b"]).expect("taken");
        assert_eq!(receiver.event(), Event::Unsubscribed { token: 2, reason_codes: vec![0, 0] });
        receiver.leave();
        sender.leave();
    }
}

/// What an earlier connection of the same id subscribed to with QoS 2, and what was published while it was away.
fn leave_a_qos_2_message(broker: &Broker, client_id: &str) {
    let port = broker.port.to_string();
    let clients: [(&str, &[&str]); 2] = [
        ("mosquitto_sub", &["-i", client_id, "-c", "-q", "2", "-t", "cmd", "-E"]),
        ("mosquitto_pub", &["-q", "2", "-t", "cmd", "-m", "while away"]),
    ];
    for (program, arguments) in clients {
        let mut command = Command::new(program);
        let status = command.args(["-h", "127.0.0.1", "-p", &port]).args(arguments).status();
        let missing = "needed for this test: Debian package mosquitto-clients";
        assert!(status.expect(missing).success(), "{program}");
    }
}

/// Shows M33, D193.
#[test]
fn a_qos_2_message_of_a_kept_session_is_delivered_once_and_done_with() {
    let broker = Broker::start();
    for version in BOTH {
        let client_id = format!("{version:?}");
        leave_a_qos_2_message(&broker, &client_id);
        let options = ConnectOptions { clean_start: false, ..options(version, &client_id) };
        let mut connection = broker.connect(&options);
        let message = connection.message();
        assert_eq!((&message.payload[..], message.qos), (&b"while away"[..], 1));
        connection.client.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        connection.round_trip("after/the/exchange");
        connection.leave();
        let mut again = broker.connect(&options);
        again.round_trip("nothing/arrives/again");
        again.leave();
    }
}

/// Shows M32, M33.
#[test]
fn a_session_without_clean_start_keeps_its_messages() {
    let broker = Broker::start();
    for version in BOTH {
        let kept = ConnectOptions { clean_start: false, ..options(version, "kept") };
        let mut connection = broker.connect(&kept);
        connection.subscribe("keep", 1);
        connection.leave();
        broker.connect(&options(version, "other")).publish("keep", b"later", 1, false);
        let mut connection = broker.start_connecting(&kept);
        assert_eq!(connection.event(), Event::Connected { session_present: true });
        let message = connection.message();
        assert_eq!(message.payload, b"later");
        connection.client.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        connection.leave();
        let mut connection = broker.start_connecting(&options(version, "kept"));
        assert_eq!(connection.event(), Event::Connected { session_present: false });
        connection.leave();
    }
}

/// Shows M86, D48.
#[test]
fn what_was_not_acknowledged_comes_again_and_a_new_connection_is_not_blocked() {
    let broker = Broker::start();
    for version in BOTH {
        let kept = ConnectOptions { clean_start: false, ..options(version, "unacknowledged") };
        let mut connection = broker.connect(&kept);
        connection.subscribe("in", 1);
        let mut other = broker.connect(&options(version, "other"));
        for payload in [b"1", b"2", b"3"] {
            other.publish("in", payload, 1, false);
        }
        let deliveries = [connection.message(), connection.message(), connection.message()]
            .map(|message| message.delivery);
        // The third is held back behind the first two; the first may leave.
        connection.client.acknowledge(deliveries[2].expect("QoS 1")).expect("known");
        connection.client.acknowledge(deliveries[0].expect("QoS 1")).expect("known");
        connection.client.publish(5, b"nowhere", b"", 1, false).expect("taken");
        connection.round_trip_ignoring_published();
        drop(connection);
        let mut connection = broker.connect(&kept);
        for payload in [b"2", b"3"] {
            let message = connection.message();
            assert_eq!((&message.payload[..], message.dup), (&payload[..], true));
            connection.client.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        }
        connection.publish("nowhere", b"", 1, false);
        connection.leave();
        broker.connect(&options(version, "unacknowledged")).leave();
    }
}

impl Connection {
    /// Waits for the answer to a subscribe, so that the broker has read everything sent before it.
    fn round_trip_ignoring_published(&mut self) {
        self.client.subscribe(97, &[filter("barrier", 0)]).expect("taken");
        while !matches!(self.event(), Event::Subscribed { token: 97, .. }) {}
    }
}

/// Shows M37, M91, D52.
#[test]
fn the_will_is_sent_after_a_loss_and_not_after_a_disconnect() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.connect(&options(version, "watcher"));
        watcher.subscribe("will/+", 1);
        let with_will = |topic: &str| {
            let will = Will { topic: topic.into(), payload: b"gone".to_vec(), qos: 0, retain: false };
            broker.connect(&ConnectOptions { will: Some(will), ..options(version, topic) })
        };
        with_will("will/clean").leave();
        drop(with_will("will/lost"));
        let message = watcher.message();
        assert_eq!((message.topic.as_str(), &message.payload[..]), ("will/lost", &b"gone"[..]));
        watcher.leave();
    }
}

/// Shows M41, M42.
#[test]
fn a_retained_message_reaches_a_later_subscriber() {
    let broker = Broker::start();
    for version in BOTH {
        let mut connection = broker.connect(&options(version, "retainer"));
        connection.publish("kept", b"value", 1, true);
        connection.subscribe("kept", 0);
        let message = connection.message();
        assert_eq!((&message.payload[..], message.retain, message.qos), (&b"value"[..], true, 0));
        connection.leave();
    }
}

/// Shows MQTT-3.3.4-7, MQTT-3.2.2-17.
#[test]
fn a_small_quota_and_topic_aliases_carry_any_number_of_messages() {
    let broker = Broker::start_with("allow_anonymous true\nmax_inflight_messages 3\nmax_topic_alias 2\n");
    for version in BOTH {
        let mut receiver = narrow_receiver(&broker, version);
        receiver.subscribe("many/#", 1);
        let mut sender = broker.connect(&options(version, "sender"));
        for round in 0..20_u32 {
            for index in 0..32 {
                let topic = format!("many/{}", index % 5);
                let number = (round * 32 + index).to_be_bytes();
                sender.client.publish(index, topic.as_bytes(), &number, 1, false).expect("taken");
            }
            for index in 0..32 {
                assert_eq!(sender.event(), Event::Published { token: index, reason_code: 0 });
            }
            for index in 0..32 {
                let message = receiver.message();
                assert_eq!(message.payload, (round * 32 + index).to_be_bytes());
                assert_eq!(message.topic, format!("many/{}", index % 5));
                receiver.client.acknowledge(message.delivery.expect("QoS 1")).expect("known");
            }
        }
    }
}

/// A connection that announces a Receive Maximum of 2, and bears with a mosquitto that overruns it (2.0.11 does).
fn narrow_receiver(broker: &Broker, version: Version) -> Connection {
    let narrow = ConnectOptions { receive_maximum: 2, ..options(version, "receiver") };
    let mut receiver =
        broker.start_with_limits(&narrow, Limits { receive_maximum_excess: 64, ..Limits::default() });
    assert_eq!(receiver.event(), Event::Connected { session_present: false });
    receiver
}

/// Shows M55.
#[test]
fn a_refusal_of_a_real_broker_is_passed_on() {
    let broker = Broker::start_with("allow_anonymous false\n");
    for (version, expected) in [(BOTH[0], 5), (BOTH[1], 0x87)] {
        let mut connection = broker.start_connecting(&options(version, "stranger"));
        assert_eq!(connection.event(), Event::ConnectRefused { reason_code: expected });
        assert!(connection.client.is_closed());
    }
}

/// Shows MQTT-3.2.2-15.
#[test]
fn the_packet_size_a_broker_announces_is_kept() {
    let broker = Broker::start_with("allow_anonymous true\nmax_packet_size 200\n");
    let mut connection = broker.connect(&options(Version::V5, "large"));
    assert_eq!(connection.client.publish(1, b"t", &[0; 200], 0, false), Err(RequestError::TooLarge));
    connection.round_trip("still usable");
    connection.leave();
}

/// Shows D49.
#[test]
fn a_message_too_large_for_the_client_does_not_block_it() {
    let broker = Broker::start();
    for version in BOTH {
        let small =
            ConnectOptions { maximum_packet_size: 100, clean_start: false, ..options(version, "small") };
        let mut connection = broker.connect(&small);
        connection.subscribe("in", 1);
        let mut sender = broker.connect(&options(version, "sender"));
        sender.publish("in", &[1; 5000], 1, false);
        sender.publish("in", b"fits", 1, false);
        if version == Version::V3_1_1 {
            assert_eq!(connection.event(), Event::MessageLost { topic: "in".into(), length: 5000 });
        }
        let message = connection.message();
        assert_eq!(message.payload, b"fits");
        connection.client.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        connection.leave();
        broker.connect(&options(version, "small")).leave();
    }
}

/// Shows D54.
#[test]
fn a_real_broker_answers_the_keepalive() {
    let broker = Broker::start();
    for version in BOTH {
        let mut connection = broker.connect(&options(version, "idle"));
        let due = connection.client.next_timeout().expect("a keepalive");
        connection.client.handle(due, Input::Timeout).expect("alive");
        let dead_at = connection.client.next_timeout().expect("an unanswered ping");
        assert!(dead_at < due + MINUTE);
        let start = std::time::Instant::now();
        while connection.client.next_timeout() != Some(due + MINUTE) {
            assert!(start.elapsed() < PATIENCE, "no answer to the ping");
            connection.turn(due);
        }
    }
}
