//! The demo's broker, tested with mosquitto's clients.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use demo_broker::{Broker, Event};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(1);

/// A broker on a runtime of its own, and its events.
struct Running {
    runtime: tokio::runtime::Runtime,
    broker: Option<Broker>,
    port: u16,
    events: Arc<Mutex<Vec<Event>>>,
}

fn start() -> Running {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let watch = Arc::new(move |event| sink.lock().unwrap().push(event));
    let broker = runtime.block_on(Broker::start(watch)).unwrap();
    let port = broker.address().port();
    Running { runtime, broker: Some(broker), port, events }
}

impl Running {
    fn subscriber(&self, processes: &Processes, options: &str) -> Process {
        let seen = self.subscriptions();
        let process =
            processes.tool("mosquitto_sub", format!("-p {} -F %t|%p|%q|%r {options}", self.port).split(' '));
        while self.subscriptions() == seen {
            assert!(process.is_running(), "{}", process.err.text());
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    fn publish(&self, processes: &Processes, options: &str) {
        let process = processes.tool("mosquitto_pub", format!("-p {} {options}", self.port).split(' '));
        assert_eq!(process.code(), 0, "{}", process.err.text());
    }

    fn subscriptions(&self) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| matches!(event, Event::Subscribed { .. })).count()
    }
}

/// Shows M60, M73.
#[test]
fn mosquittos_clients_exchange_messages_in_both_versions_and_qualities() {
    within(LIMIT, |processes| {
        let broker = start();
        for version in ["mqttv311", "mqttv5"] {
            for qos in [0, 1] {
                let subscriber = broker.subscriber(processes, &format!("-V {version} -q 1 -t a/# -C 1"));
                for sender in ["mqttv311", "mqttv5"] {
                    broker.publish(processes, &format!("-V {sender} -q {qos} -t a/b -m text-{sender}"));
                }
                subscriber.out.expect(&format!("a/b|text-mqttv311|{qos}|0"));
                assert_eq!(subscriber.code(), 0);
            }
        }
    });
}

/// Shows M41, M42.
#[test]
fn a_retained_message_reaches_a_later_subscriber() {
    within(LIMIT, |processes| {
        let broker = start();
        broker.publish(processes, "-r -q 1 -t state -m kept");
        for version in ["mqttv311", "mqttv5"] {
            broker
                .subscriber(processes, &format!("-V {version} -q 1 -t state -C 1"))
                .out
                .expect("state|kept|1|1");
        }
    });
}

/// Shows M37.
#[test]
fn a_lost_clients_will_is_sent_and_a_disconnecting_ones_is_not() {
    within(LIMIT, |processes| {
        let broker = start();
        let subscriber = broker.subscriber(processes, "-V mqttv5 -t will -t marker");
        let will = "--will-topic will --will-payload gone --will-qos 1";
        broker.subscriber(processes, &format!("-t x -i lost {will}")).kill();
        subscriber.out.expect("will|gone");
        let leaves = broker.subscriber(processes, &format!("-t x -i leaves {will}"));
        leaves.signal("INT");
        leaves.wait();
        broker.publish(processes, "-t marker -m end");
        subscriber.out.expect("marker|end");
        assert_eq!(subscriber.out.text().matches("will|").count(), 1);
    });
}

#[test]
fn version_5_properties_travel_with_the_message() {
    within(LIMIT, |processes| {
        let broker = start();
        let options = format!("-p {} -V mqttv5 -t p -C 1 -F %R|%C|%P", broker.port);
        let subscriber = processes.tool("mosquitto_sub", options.split(' '));
        while broker.subscriptions() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let properties =
            "-D publish response-topic back -D publish content-type text -D publish user-property k v";
        broker.publish(processes, &format!("-V mqttv5 -t p -m x {properties}"));
        subscriber.out.expect("back|text|k:v");
    });
}

#[test]
fn two_hundred_acknowledged_messages_all_arrive_in_order() {
    within(LIMIT, |processes| {
        let broker = start();
        let subscriber = broker.subscriber(processes, "-q 1 -t n -C 200");
        let mut lines = tempfile::NamedTempFile::new().unwrap();
        (0..200).for_each(|number| writeln!(lines, "{number}").unwrap());
        let script = format!("mosquitto_pub -p {} -q 1 -t n -l < {}", broker.port, lines.path().display());
        assert_eq!(processes.tool("sh", ["-c", &script]).code(), 0);
        assert_eq!(subscriber.code(), 0);
        let expected: Vec<_> = (0..200).map(|number| format!("n|{number}|1|0")).collect();
        assert_eq!(subscriber.out.text().lines().collect::<Vec<_>>(), expected);
    });
}

#[test]
fn what_is_not_mqtt_is_ended_and_the_others_continue() {
    within(LIMIT, |processes| {
        let broker = start();
        let subscriber = broker.subscriber(processes, "-t a -C 1");
        for nonsense in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x10, 0xff, 0xff, 0xff, 0x7f], &[0; 64], &[0xff; 5000]]
        {
            let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let _ = stream.write_all(nonsense);
            // Ended by the broker: the end of the stream, or a reset, but not the time limit.
            let answer = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_ne!(answer, Err(std::io::ErrorKind::WouldBlock), "{nonsense:?}");
        }
        broker.publish(processes, "-t a -m still-here");
        subscriber.out.expect("a|still-here");
    });
}

#[test]
fn the_newer_of_two_clients_with_one_id_stays() {
    within(LIMIT, |processes| {
        let broker = start();
        let older = broker.subscriber(processes, "-V mqttv5 -i same -t a -d");
        let newer = broker.subscriber(processes, "-V mqttv5 -i same -t a -C 1");
        older.out.expect("142"); // the reason code of "session taken over"
        older.kill();
        broker.publish(processes, "-t a -m x");
        assert_eq!(newer.code(), 0);
    });
}

#[test]
fn a_client_that_acknowledges_nothing_is_replaced_all_the_same() {
    within(LIMIT, |processes| {
        let broker = start();
        let mut stuck = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        stuck.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stuck.write_all(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04same").unwrap();
        stuck.write_all(b"\x82\x06\x00\x01\x00\x01a\x01").unwrap();
        stuck.read_exact(&mut [0; 9]).unwrap();
        let script = format!("seq 100 | mosquitto_pub -p {} -q 1 -t a -l", broker.port);
        assert_eq!(processes.tool("sh", ["-c", &script]).code(), 0);
        broker.subscriber(processes, "-i same -t a");
        // What fits in flight, then the end.
        let mut got = Vec::new();
        stuck.read_to_end(&mut got).unwrap();
        assert!(got.len() < 100 * 7, "{} bytes", got.len());
    });
}

#[test]
fn a_stopped_broker_lets_go_of_its_port_and_its_clients() {
    within(LIMIT, |_| {
        let mut running = start();
        let mut client = TcpStream::connect(("127.0.0.1", running.port)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c").unwrap();
        let mut connack = [0; 4];
        client.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        let broker = running.broker.take().unwrap();
        running.runtime.block_on(broker.stop());
        assert_eq!(client.read(&mut connack).unwrap_or(0), 0);
        assert!(TcpStream::connect(("127.0.0.1", running.port)).is_err());
    });
}
