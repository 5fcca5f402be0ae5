//! The session against a real broker: mosquitto on a loopback port, one process for each test.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mqtt::{ConnectOptions, Event, Filter, Limits, Message, Refused, Session, Version, Will, reason};

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
/// Long enough for any machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
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
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.process.try_wait().expect("a child process");
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "mosquitto does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn connect(&self, options: &ConnectOptions) -> Client {
        let mut client = self.start_connecting(options);
        assert!(matches!(client.event(), Event::Connected { .. }));
        client
    }

    fn start_connecting(&self, options: &ConnectOptions) -> Client {
        self.start_with_limits(options, Limits::default())
    }

    fn start_with_limits(&self, options: &ConnectOptions, limits: Limits) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a listening broker");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let session = Session::new(options, limits, 0).expect("valid options");
        Client { stream, session, input: Vec::new() }
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

/// A session on a socket. Its clock stands still at 0 unless a test moves it.
struct Client {
    stream: TcpStream,
    session: Session,
    input: Vec<u8>,
}

impl Client {
    /// Writes what is to be sent and reads what has come.
    fn turn(&mut self, now: u64) {
        self.flush(now);
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("the broker closed the connection"),
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            }
        }
        let consumed = self.session.receive(now, &self.input).expect("no protocol error");
        self.input.drain(..consumed);
    }

    fn flush(&mut self, now: u64) {
        let mut out = Vec::new();
        self.session.transmit(&mut out);
        self.stream.write_all(&out).expect("a connection");
        self.session.transmitted(now, out.len());
    }

    fn event(&mut self) -> Event {
        let start = Instant::now();
        loop {
            if let Some(event) = self.session.poll_event() {
                return event;
            }
            assert!(start.elapsed() < PATIENCE, "the broker does not answer");
            self.turn(0);
        }
    }

    fn message(&mut self) -> Message {
        match self.event() {
            Event::Message(message) => message,
            other => panic!("a message, not {other:?}"),
        }
    }

    fn subscribe(&mut self, topic: &str, qos: u8) {
        self.session.subscribe(99, &[filter(topic, qos)]).expect("taken");
        assert_eq!(self.event(), Event::Subscribed { token: 99, reason_codes: vec![qos] });
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        self.session.publish(98, topic.as_bytes(), payload, qos, retain).expect("taken");
        let published = self.event();
        assert!(matches!(published, Event::Published { token: 98, reason_code: 0 | 0x10 }), "{published:?}");
    }

    /// Publishes to itself and back, so that everything sent before has reached the broker and come back.
    fn round_trip(&mut self, name: &str) {
        self.subscribe(name, 0);
        self.publish(name, b"", 0, false);
        assert_eq!(self.message().topic, name);
    }

    /// Ends the session and waits until the broker has closed the connection.
    fn leave(mut self) {
        self.session.disconnect(reason::SUCCESS);
        self.flush(0);
        let start = Instant::now();
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
        receiver.session.subscribe(1, &filters).expect("taken");
        assert_eq!(receiver.event(), Event::Subscribed { token: 1, reason_codes: vec![1, 0] });
        let mut sender = broker.connect(&options(sender_version, "sender"));
        sender.publish("a/x", &vec![0xff; 70_000], 1, false);
        sender.publish("b", b"second", 0, false);
        let first = receiver.message();
        assert_eq!((first.topic.as_str(), first.payload.len(), first.qos), ("a/x", 70_000, 1));
        receiver.session.acknowledge(first.delivery.expect("QoS 1")).expect("known");
        let second = receiver.message();
        assert_eq!(
            (second.topic.as_str(), &second.payload[..], second.delivery),
            ("b", &b"second"[..], None)
        );
        receiver.session.unsubscribe(2, &[b"a/#", b"b"]).expect("taken");
        assert_eq!(receiver.event(), Event::Unsubscribed { token: 2, reason_codes: vec![0, 0] });
        receiver.leave();
        sender.leave();
    }
}

/// What an earlier client of the same id subscribed to with QoS 2, and what came while nobody was there.
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
        let mut client = broker.connect(&options);
        let message = client.message();
        assert_eq!((&message.payload[..], message.qos), (&b"while away"[..], 1));
        client.session.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        client.round_trip("after/the/exchange");
        client.leave();
        let mut again = broker.connect(&options);
        again.round_trip("nothing/came/again");
        again.leave();
    }
}

/// Shows M32, M33.
#[test]
fn a_session_without_clean_start_keeps_its_messages() {
    let broker = Broker::start();
    for version in BOTH {
        let kept = ConnectOptions { clean_start: false, ..options(version, "kept") };
        let mut client = broker.connect(&kept);
        client.subscribe("keep", 1);
        client.leave();
        broker.connect(&options(version, "other")).publish("keep", b"later", 1, false);
        let mut client = broker.start_connecting(&kept);
        assert_eq!(client.event(), Event::Connected { session_present: true });
        let message = client.message();
        assert_eq!(message.payload, b"later");
        client.session.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        client.leave();
        let mut client = broker.start_connecting(&options(version, "kept"));
        assert_eq!(client.event(), Event::Connected { session_present: false });
        client.leave();
    }
}

/// Shows M86, D48.
#[test]
fn what_was_not_acknowledged_comes_again_and_a_new_session_is_not_wedged() {
    let broker = Broker::start();
    for version in BOTH {
        let kept = ConnectOptions { clean_start: false, ..options(version, "unacknowledged") };
        let mut client = broker.connect(&kept);
        client.subscribe("in", 1);
        let mut other = broker.connect(&options(version, "other"));
        for payload in [b"1", b"2", b"3"] {
            other.publish("in", payload, 1, false);
        }
        let deliveries =
            [client.message(), client.message(), client.message()].map(|message| message.delivery);
        // The third is held back behind the first two; the first may leave.
        client.session.acknowledge(deliveries[2].expect("QoS 1")).expect("known");
        client.session.acknowledge(deliveries[0].expect("QoS 1")).expect("known");
        client.session.publish(5, b"nowhere", b"", 1, false).expect("taken");
        client.round_trip_ignoring_published();
        drop(client);
        let mut client = broker.connect(&kept);
        for payload in [b"2", b"3"] {
            let message = client.message();
            assert_eq!((&message.payload[..], message.dup), (&payload[..], true));
            client.session.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        }
        client.publish("nowhere", b"", 1, false);
        client.leave();
        broker.connect(&options(version, "unacknowledged")).leave();
    }
}

impl Client {
    /// Waits for the answer to a subscribe, so that the broker has read everything sent before it.
    fn round_trip_ignoring_published(&mut self) {
        self.session.subscribe(97, &[filter("barrier", 0)]).expect("taken");
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
        let mut client = broker.connect(&options(version, "retainer"));
        client.publish("kept", b"value", 1, true);
        client.subscribe("kept", 0);
        let message = client.message();
        assert_eq!((&message.payload[..], message.retain, message.qos), (&b"value"[..], true, 0));
        client.leave();
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
                sender.session.publish(index, topic.as_bytes(), &number, 1, false).expect("taken");
            }
            for index in 0..32 {
                assert_eq!(sender.event(), Event::Published { token: index, reason_code: 0 });
            }
            for index in 0..32 {
                let message = receiver.message();
                assert_eq!(message.payload, (round * 32 + index).to_be_bytes());
                assert_eq!(message.topic, format!("many/{}", index % 5));
                receiver.session.acknowledge(message.delivery.expect("QoS 1")).expect("known");
            }
        }
    }
}

/// A client that announces a Receive Maximum of 2, and bears with a mosquitto that overruns it (2.0.11 does).
fn narrow_receiver(broker: &Broker, version: Version) -> Client {
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
        let mut client = broker.start_connecting(&options(version, "stranger"));
        assert_eq!(client.event(), Event::ConnectRefused { reason_code: expected });
        assert!(client.session.is_closed());
    }
}

/// Shows MQTT-3.2.2-15.
#[test]
fn the_packet_size_a_broker_announces_is_kept() {
    let broker = Broker::start_with("allow_anonymous true\nmax_packet_size 200\n");
    let mut client = broker.connect(&options(Version::V5, "large"));
    assert_eq!(client.session.publish(1, b"t", &[0; 200], 0, false), Err(Refused::TooLarge));
    client.round_trip("still usable");
    client.leave();
}

/// Shows D49.
#[test]
fn a_message_too_large_for_the_session_does_not_wedge_it() {
    let broker = Broker::start();
    for version in BOTH {
        let small =
            ConnectOptions { maximum_packet_size: 100, clean_start: false, ..options(version, "small") };
        let mut client = broker.connect(&small);
        client.subscribe("in", 1);
        let mut sender = broker.connect(&options(version, "sender"));
        sender.publish("in", &[1; 5000], 1, false);
        sender.publish("in", b"fits", 1, false);
        if version == Version::V3_1_1 {
            assert_eq!(client.event(), Event::MessageLost { topic: "in".into(), length: 5000 });
        }
        let message = client.message();
        assert_eq!(message.payload, b"fits");
        client.session.acknowledge(message.delivery.expect("QoS 1")).expect("known");
        client.leave();
        broker.connect(&options(version, "small")).leave();
    }
}

/// Shows D54.
#[test]
fn a_real_broker_answers_the_keepalive() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.connect(&options(version, "idle"));
        let due = client.session.next_timeout().expect("a keepalive");
        client.session.handle_timeout(due).expect("alive");
        let dead_at = client.session.next_timeout().expect("an unanswered ping");
        assert!(dead_at < due + 60_000);
        let start = Instant::now();
        while client.session.next_timeout() != Some(due + 60_000) {
            assert!(start.elapsed() < PATIENCE, "no answer to the ping");
            client.turn(due);
        }
    }
}
