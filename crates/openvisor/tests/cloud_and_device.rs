//! Cloud and device as separate processes, over mutual TLS, and what happens when one of them is lost.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::fixtures::{COMMANDS, CloudProcess, Mosquitto, READINGS, SAMPLE, provision, text};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(3);

/// A cloud with one device, provisioned for a broker.
struct CloudAndDevice {
    broker: Mosquitto,
    cloud: CloudProcess,
    device: Process,
    data: PathBuf,
    identity: PathBuf,
    folder: tempfile::TempDir,
}

impl CloudAndDevice {
    /// Another process for the same device.
    fn start_device(&self, processes: &Processes, cloud: &str) -> Process {
        start_device(processes, &self.identity, cloud)
    }
}

fn start_device(processes: &Processes, identity: &Path, cloud: &str) -> Process {
    processes.openvisor(["device", SAMPLE, "--cloud", cloud, "--data", text(identity)])
}

fn start(processes: &Processes) -> CloudAndDevice {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloud");
    let broker = Mosquitto::start(processes);
    let cloud = CloudProcess::start(processes, &data, "127.0.0.1:0");
    // Beside a running cloud, as an operator would.
    let identity = provision(processes, &data, folder.path(), "device-1", &broker.settings());
    let device = start_device(processes, &identity, &cloud.address);
    CloudAndDevice { broker, cloud, device, data, identity, folder }
}

/// Shows M01, N24.
#[test]
fn a_device_and_its_cloud_are_two_processes() {
    within(LIMIT, |processes| {
        let pair = start(processes);
        let subscriber = pair.broker.subscriber(processes, "test/#");
        subscriber.out.expect(READINGS);
        pair.cloud.process.out.expect("connecting to 127.0.0.1");
        pair.device.out.expect("link");
        pair.device.signal("INT");
        assert_eq!(pair.device.code(), 0, "{}", pair.device.err.text());
        pair.cloud.process.signal("TERM");
        assert_eq!(pair.cloud.process.code(), 0, "{}", pair.cloud.process.err.text());
    });
}

/// Shows N27, N28, N51, N66, N71, D23.
#[test]
fn a_device_whose_cloud_is_killed_continues_publishing_when_it_is_back() {
    within(LIMIT, |processes| {
        let pair = start(processes);
        let subscriber = pair.broker.subscriber(processes, READINGS);
        subscriber.out.expect_after(1, READINGS);
        pair.cloud.process.kill();
        let (down, _) = pair.device.out.expect_after(0, "link    down");
        // Away for several attempts.
        let (_, _) = (0..2)
            .fold((down, String::new()), |(from, _), _| pair.device.out.expect_after(from, "link    down"));
        let cloud = CloudProcess::start(processes, &pair.data, &pair.cloud.address);
        pair.device.out.expect_after(down, "link    up");
        // The application's log of the statuses it got while the cloud was away (N27, N28), and of what it did.
        let logged = |from, line| cloud.process.out.expect_after(from, line).0;
        let both = logged(0, "network: connecting").max(logged(0, "channel: lost, networkdisconnected"));
        let then = ["network: connected", "connect: requestcompleted", "subscribe: requestcompleted"];
        then.iter().fold(both, |from, line| logged(from, line));
        let seen = subscriber.out.count();
        subscriber.out.expect_after(seen, READINGS);
        pair.broker.publish(processes, COMMANDS, "echo back again");
        cloud.process.out.expect("received on test/commands: echo back again");
    });
}

/// Shows D50.
#[test]
fn a_separate_devices_broker_may_be_killed_too() {
    within(LIMIT, |processes| {
        let CloudAndDevice { broker, cloud, device, .. } = &mut { start(processes) };
        let first = broker.subscriber(processes, READINGS);
        first.out.expect(READINGS);
        let port = broker.port;
        std::mem::replace(broker, Mosquitto::start(processes)).kill();
        let (lost, _) = cloud.process.out.expect_after(0, "channel: lost, ");
        let broker = Mosquitto::start_at(processes, port);
        let subscriber = broker.subscriber(processes, READINGS);
        cloud.process.out.expect_after(lost, "subscribe: ");
        subscriber.out.expect(READINGS);
        assert!(device.is_running());
    });
}

#[test]
fn a_device_that_was_killed_can_reconnect_at_once() {
    within(LIMIT, |processes| {
        let pair = start(processes);
        pair.cloud.process.out.expect("publish 0: ");
        pair.device.kill();
        let (gone, _) = pair.cloud.process.out.expect_after(0, "device disconnected");
        let again = pair.start_device(processes, &pair.cloud.address);
        pair.cloud.process.out.expect_after(gone, "publish 0: ");
        assert!(again.is_running());
    });
}

#[test]
fn a_device_and_a_cloud_of_another_authority_do_not_connect() {
    within(LIMIT, |processes| {
        let pair = start(processes);
        let other = CloudProcess::start(processes, &pair.folder.path().join("other"), "127.0.0.1:0");
        let lost = pair.start_device(processes, &other.address);
        let line = lost.out.expect("link    down");
        assert!(line.contains("certificate"), "{line}");
        lost.signal("INT");
        assert_eq!(lost.code(), 0, "{}", lost.err.text());
        assert!(!other.process.out.text().contains("device connected"));
    });
}

#[test]
fn invalid_connections_do_not_disturb_a_device() {
    within(LIMIT, |processes| {
        let pair = start(processes);
        let subscriber = pair.broker.subscriber(processes, READINGS);
        subscriber.out.expect(READINGS);
        let connect = || TcpStream::connect(&pair.cloud.address).unwrap();
        // Something else is spoken.
        for nonsense in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            &[0; 4096],
            b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00",
        ] {
            let mut stranger = connect();
            stranger.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let _ = stranger.write_all(nonsense);
            let end = stranger.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_ne!(end, Err(std::io::ErrorKind::WouldBlock), "{nonsense:?}: the cloud does not end it");
        }
        // Many at a time that say nothing, and one that never stops talking.
        let silent: Vec<_> = (0..400).map(|_| connect()).collect();
        let mut talker = connect();
        let talked = (0..1000).take_while(|_| talker.write_all(&[0x16; 4096]).is_ok()).count();
        assert!(talked < 1000, "the cloud listens to nonsense without end");
        // And many that come and go.
        (0..2000).for_each(|_| drop(connect()));
        let seen = subscriber.out.count();
        subscriber.out.expect_after(seen + 3, READINGS);
        drop(silent);
        assert!(pair.cloud.process.is_running() && pair.device.is_running());
    });
}
