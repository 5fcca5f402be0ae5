//! Cloud and device as separate processes, over mutual TLS, and what happens when one of them is lost.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::world::{COMMANDS, CloudProcess, Mosquitto, READINGS, SAMPLE, provision, text};
use support::{Process, Stage, within};

const LIMIT: Duration = Duration::from_mins(3);

/// A cloud with one device, provisioned for a broker.
struct Halves {
    broker: Mosquitto,
    cloud: CloudProcess,
    device: Process,
    data: PathBuf,
    identity: PathBuf,
    folder: tempfile::TempDir,
}

impl Halves {
    /// Another process for the same device.
    fn start_device(&self, stage: &Stage, cloud: &str) -> Process {
        start_device(stage, &self.identity, cloud)
    }
}

fn start_device(stage: &Stage, identity: &Path, cloud: &str) -> Process {
    stage.openvisor(["device", SAMPLE, "--cloud", cloud, "--data", text(identity)])
}

fn start(stage: &Stage) -> Halves {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloud");
    let broker = Mosquitto::start(stage);
    let cloud = CloudProcess::start(stage, &data, "127.0.0.1:0");
    // Beside a running cloud, as an operator would.
    let identity = provision(stage, &data, folder.path(), "device-1", &broker.settings());
    let device = start_device(stage, &identity, &cloud.address);
    Halves { broker, cloud, device, data, identity, folder }
}

/// Shows M01, N24.
#[test]
fn a_device_and_its_cloud_are_two_processes() {
    within(LIMIT, |stage| {
        let halves = start(stage);
        let witness = halves.broker.witness(stage, "test/#");
        witness.out.expect(READINGS);
        halves.cloud.process.out.expect("connecting to 127.0.0.1");
        halves.device.out.expect("link");
        halves.device.signal("INT");
        assert_eq!(halves.device.code(), 0, "{}", halves.device.err.text());
        halves.cloud.process.signal("TERM");
        assert_eq!(halves.cloud.process.code(), 0, "{}", halves.cloud.process.err.text());
    });
}

/// Shows N27, N28, N51, N66, N71, D23.
#[test]
fn a_device_whose_cloud_is_killed_goes_on_publishing_when_it_is_back() {
    within(LIMIT, |stage| {
        let halves = start(stage);
        let witness = halves.broker.witness(stage, READINGS);
        witness.out.expect_after(1, READINGS);
        halves.cloud.process.kill();
        let (down, _) = halves.device.out.expect_after(0, "link    down");
        // Away for several attempts.
        let (_, _) = (0..2)
            .fold((down, String::new()), |(from, _), _| halves.device.out.expect_after(from, "link    down"));
        let cloud = CloudProcess::start(stage, &halves.data, &halves.cloud.address);
        halves.device.out.expect_after(down, "link    up");
        // What the application was told, in its own words, kept while the cloud was away (N27, N28), and what it did.
        let told = |from, line| cloud.process.out.expect_after(from, line).0;
        let both = told(0, "network: connecting").max(told(0, "channel: lost, networkdisconnected"));
        let then = ["network: connected", "connect: requestcompleted", "subscribe: requestcompleted"];
        then.iter().fold(both, |from, line| told(from, line));
        let seen = witness.out.count();
        witness.out.expect_after(seen, READINGS);
        halves.broker.publish(stage, COMMANDS, "echo back again");
        cloud.process.out.expect("received on test/commands: echo back again");
    });
}

/// Shows D50.
#[test]
fn a_separate_devices_broker_may_be_killed_too() {
    within(LIMIT, |stage| {
        let Halves { broker, cloud, device, .. } = &mut { start(stage) };
        let first = broker.witness(stage, READINGS);
        first.out.expect(READINGS);
        let port = broker.port;
        std::mem::replace(broker, Mosquitto::start(stage)).kill();
        let (lost, _) = cloud.process.out.expect_after(0, "channel: lost, ");
        let broker = Mosquitto::start_at(stage, port);
        let witness = broker.witness(stage, READINGS);
        cloud.process.out.expect_after(lost, "subscribe: ");
        witness.out.expect(READINGS);
        assert!(device.is_running());
    });
}

#[test]
fn a_device_that_was_killed_may_come_back_at_once() {
    within(LIMIT, |stage| {
        let halves = start(stage);
        halves.cloud.process.out.expect("publish 0: ");
        halves.device.kill();
        let (gone, _) = halves.cloud.process.out.expect_after(0, "device disconnected");
        let again = halves.start_device(stage, &halves.cloud.address);
        halves.cloud.process.out.expect_after(gone, "publish 0: ");
        assert!(again.is_running());
    });
}

#[test]
fn a_device_and_a_cloud_of_another_authority_do_not_speak_to_each_other() {
    within(LIMIT, |stage| {
        let halves = start(stage);
        let other = CloudProcess::start(stage, &halves.folder.path().join("other"), "127.0.0.1:0");
        let lost = halves.start_device(stage, &other.address);
        let line = lost.out.expect("link    down");
        assert!(line.contains("certificate"), "{line}");
        lost.signal("INT");
        assert_eq!(lost.code(), 0, "{}", lost.err.text());
        assert!(!other.process.out.text().contains("device connected"));
    });
}

#[test]
fn strangers_at_the_gateway_do_not_disturb_a_device_at_work() {
    within(LIMIT, |stage| {
        let halves = start(stage);
        let witness = halves.broker.witness(stage, READINGS);
        witness.out.expect(READINGS);
        let connect = || TcpStream::connect(&halves.cloud.address).unwrap();
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
        let seen = witness.out.count();
        witness.out.expect_after(seen + 3, READINGS);
        drop(silent);
        assert!(halves.cloud.process.is_running() && halves.device.is_running());
    });
}
