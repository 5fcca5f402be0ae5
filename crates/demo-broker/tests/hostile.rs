//! Hostile clients, byte by byte, and clients whose connection ends badly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use demo_broker::{Broker, Counts, Event};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker on a runtime of its own, and its events.
struct Running {
    _runtime: tokio::runtime::Runtime,
    broker: Broker,
    events: Arc<Mutex<Vec<Event>>>,
}

fn start() -> Running {
    start_with(|_| ())
}

/// With something that is done at each event, on the broker's task.
fn start_with(also: impl Fn(&Event) + Send + Sync + 'static) -> Running {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let recorded = events.clone();
    let watch = Arc::new(move |event: Event| {
        recorded.lock().unwrap().push(event.clone());
        also(&event);
    });
    let broker = runtime.block_on(Broker::start(watch)).unwrap();
    Running { _runtime: runtime, broker, events }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.broker.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A client that has sent `connect` and was accepted.
    fn client(&self, connect: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(connect).unwrap();
        let answer = packet(&mut stream);
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
        stream
    }

    fn counts(&self) -> Counts {
        self.broker.counts()
    }

    /// Waits until the broker has dealt with the end of every connection.
    fn expect_counts(&self, wanted: Counts) {
        wait_until(|| self.counts() == wanted, || format!("{:?}", self.counts()));
    }

    fn faults(&self) -> usize {
        let is_fault = |event: &&Event| matches!(event, Event::Refused { why } if why.contains("fault"));
        self.events.lock().unwrap().iter().filter(is_fault).count()
    }
}

/// Waits for what happens on the broker's threads.
fn wait_until(is_so: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One packet of fewer than 128 bytes.
fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; 2];
    stream.read_exact(&mut packet).unwrap();
    assert!(packet[1] < 128, "a longer packet than expected");
    packet.resize(2 + usize::from(packet[1]), 0);
    stream.read_exact(&mut packet[2..]).unwrap();
    packet
}

/// A client without a will that has subscribed to `will`.
fn witness_of_wills(broker: &Running) -> TcpStream {
    let mut witness = broker.client(b"\x10\x13\x00\x04MQTT\x04\x02\x00\x00\x00\x07witness");
    witness.write_all(b"\x82\x09\x00\x01\x00\x04will\x00").unwrap();
    assert_eq!(packet(&mut witness), b"\x90\x03\x00\x01\x00");
    witness
}

/// CONNECT of 3.1.1 and of version 5 with the will `gone` on the topic `will`.
const WITH_WILL: [&[u8]; 2] = [
    b"\x10\x19\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x04will\x00\x04gone",
    b"\x10\x1b\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x01c\x00\x00\x04will\x00\x04gone",
];
/// SUBSCRIBE to `#` of both versions.
const SUBSCRIBE_TO_ALL: [&[u8]; 2] = [b"\x82\x06\x00\x01\x00\x01#\x00", b"\x82\x07\x00\x01\x00\x00\x01#\x00"];
const WILL: &[u8] = b"\x30\x0a\x00\x04willgone";

/// Shows D200: each of these made the broker's former protocol library panic, or was not checked by it.
#[test]
fn hostile_bytes_end_their_own_connection_and_send_its_will() {
    let broker = start();
    let mut witness = witness_of_wills(&broker);
    let hostile: &[&[u8]] = &[
        b"\x32\x07\x00\x01t\x00\x00\x00x",                // packet identifier 0
        b"\x34\x07\x00\x01t\x00\x00\x00x",                // the same with QoS 2
        b"\x36\x07\x00\x01t\x00\x01\x00x",                // QoS 3
        b"\x30\x06\x00\x02t\x00\x00x",                    // U+0000 in the topic
        b"\x82\x07\x00\x00\x00\x00\x01a\x00",             // SUBSCRIBE with packet identifier 0
        b"\x8f\x07\x00\x01\x00\x00\x01a\x00",             // reserved flags
        b"\x40\x02\x00\x00",                              // PUBACK of packet identifier 0
        b"\xf0\x00",                                      // AUTH
        b"\x20\x02\x00\x00",                              // CONNACK
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c", // a second CONNECT
    ];
    for bytes in hostile {
        for connect in WITH_WILL {
            let mut client = broker.client(connect);
            client.write_all(bytes).unwrap();
            assert_eq!(packet(&mut witness), WILL, "{bytes:02x?}");
            let end = client.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_ne!(end, Err(std::io::ErrorKind::WouldBlock), "{bytes:02x?}");
        }
    }
    broker.expect_counts(Counts { clients: 1, subscriptions: 1, retained: 0 });
    assert_eq!(broker.faults(), 0);
}

/// MQTT 5, 3.1.2.11.5: the former protocol library panicked when it was.
#[test]
fn a_client_may_say_that_it_takes_no_topic_aliases() {
    let broker = start();
    let connect = b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x03\x22\x00\x00\x00\x01c";
    let mut client = broker.client(connect);
    client.write_all(b"\x82\x07\x00\x01\x00\x00\x01t\x01").unwrap();
    assert_eq!(packet(&mut client), b"\x90\x04\x00\x01\x00\x01");
    client.write_all(b"\x32\x08\x00\x01t\x00\x05\x00hi").unwrap();
    let mut got = [packet(&mut client), packet(&mut client)];
    got.sort();
    assert_eq!(got, [b"\x32\x08\x00\x01t\x00\x01\x00hi".to_vec(), b"\x40\x02\x00\x05".to_vec()]);
    assert_eq!(broker.faults(), 0);
}

/// Shows D201: the task ends by a panic in the observer, as by any fault.
#[test]
fn a_client_whose_task_dies_is_taken_out_and_its_will_is_published() {
    let broker = start_with(|event| {
        let dies = matches!(event, Event::Published { message, .. } if message.topic == "die");
        assert!(!dies, "a fault made for this test");
    });
    let mut witness = witness_of_wills(&broker);
    for (connect, subscribe) in WITH_WILL.into_iter().zip(SUBSCRIBE_TO_ALL) {
        let mut client = broker.client(connect);
        client.write_all(subscribe).unwrap();
        client.write_all(b"\x30\x06\x00\x03die\x00").unwrap();
        assert_eq!(packet(&mut witness), WILL);
    }
    broker.expect_counts(Counts { clients: 1, subscriptions: 1, retained: 0 });
    wait_until(|| broker.faults() == 2, || format!("{} faults", broker.faults()));
}

/// Shows D201: whatever ends them, connections leave nothing behind.
#[test]
fn after_three_thousand_connections_nothing_is_kept_of_them() {
    let broker = start();
    for round in 0..3000 {
        let connect = WITH_WILL[round % 2];
        let mut client = broker.client(connect);
        client.write_all(SUBSCRIBE_TO_ALL[round % 2]).unwrap();
        match round % 5 {
            0 => client.write_all(b"\xe0\x00").unwrap(),
            1 => client.write_all(b"\x32\x07\x00\x01t\x00\x00\x00x").unwrap(),
            2 => client.write_all(b"\x30\x80").unwrap(),
            _ => {}
        }
    }
    broker.expect_counts(Counts::default());
    assert_eq!(broker.faults(), 0);
}

/// MQTT-3.1.2-8: only a DISCONNECT deletes the will, not another connection with the same client id.
#[test]
fn the_will_of_a_replaced_connection_is_published() {
    let broker = start();
    let mut witness = witness_of_wills(&broker);
    let _older = broker.client(WITH_WILL[0]);
    let _newer = broker.client(WITH_WILL[1]);
    assert_eq!(packet(&mut witness), WILL);
}

/// MQTT 5, 3.3.2.3.4 and 3.3.4-3.
#[test]
fn topic_aliases_and_subscription_identifiers_are_understood() {
    let broker = start();
    let mut client = broker.client(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c");
    client.write_all(b"\x82\x09\x00\x01\x02\x0b\x07\x00\x01t\x00").unwrap();
    assert_eq!(packet(&mut client), b"\x90\x04\x00\x01\x00\x00");
    client.write_all(b"\x30\x08\x00\x01t\x03\x23\x00\x01a\x30\x07\x00\x00\x03\x23\x00\x01b").unwrap();
    assert_eq!(packet(&mut client), b"\x30\x07\x00\x01t\x02\x0b\x07a");
    assert_eq!(packet(&mut client), b"\x30\x07\x00\x01t\x02\x0b\x07b");
    client.write_all(b"\x30\x07\x00\x00\x03\x23\x00\x02b").unwrap();
    assert_eq!(packet(&mut client), b"\xe0\x01\x82", "an alias never defined");
}

/// MQTT-3.1.2-24, MQTT-3.1.2-25: a message that is too large is not sent, and the next one is.
#[test]
fn no_packet_is_larger_than_the_client_takes() {
    let broker = start();
    let mut small = broker.connect();
    small.write_all(b"\x10\x13\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x05\x00\x01c").unwrap();
    assert_eq!(small.read_to_end(&mut Vec::new()).unwrap(), 0, "CONNACK is larger than five bytes");
    let mut client = broker.client(b"\x10\x13\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x1c\x00\x01c");
    client.write_all(b"\x82\x07\x00\x01\x00\x00\x01t\x01").unwrap();
    assert_eq!(packet(&mut client), b"\x90\x04\x00\x01\x00\x01");
    client.write_all(b"\x30\x1c\x00\x01t\x00twenty-four bytes of it.\x30\x06\x00\x01t\x00ok").unwrap();
    assert_eq!(packet(&mut client), b"\x30\x06\x00\x01t\x00ok");
}
