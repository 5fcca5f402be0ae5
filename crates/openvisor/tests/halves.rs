//! Cloud and device as separate processes, over mutual TLS, and what happens when one of them is lost.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use support::world::{CloudProcess, Mosquitto, READINGS, SAMPLE, provision, text};
use support::{Process, Stage, within};

const LIMIT: Duration = Duration::from_mins(3);

/// A cloud with one device, provisioned for a broker.
struct Halves {
    broker: Mosquitto,
    cloud: CloudProcess,
    device: Process,
    data: PathBuf,
    _folder: tempfile::TempDir,
}

fn start(stage: &Stage) -> Halves {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloud");
    let broker = Mosquitto::start(stage);
    let cloud = CloudProcess::start(stage, &data, "127.0.0.1:0");
    // Beside a running cloud, as an operator would.
    let identity = provision(stage, &data, folder.path(), "device-1", &broker.settings());
    let device = stage.openvisor(["device", SAMPLE, "--cloud", &cloud.address, "--data", text(&identity)]);
    Halves { broker, cloud, device, data, _folder: folder }
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

/// Shows N51, N66, N67, N71, D23.
#[test]
fn a_device_whose_cloud_is_killed_goes_on_publishing_when_it_is_back() {
    within(LIMIT, |stage| {
        let halves = start(stage);
        let witness = halves.broker.witness(stage, READINGS);
        witness.out.expect_after(1, READINGS);
        halves.cloud.process.kill();
        let (down, _) = halves.device.out.expect_after(0, "down");
        let cloud = CloudProcess::start(stage, &halves.data, &halves.cloud.address);
        halves.device.out.expect_after(down, "up");
        // The application was told of both losses, in its own words, kept while the cloud was away (N27, N28).
        cloud.process.out.expect("network: ");
        cloud.process.out.expect("channel: lost, ");
        let seen = witness.out.count();
        witness.out.expect_after(seen, READINGS);
        assert!(halves.device.is_running());
    });
}

/// Shows N66.
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
        let seen = witness.out.count();
        witness.out.expect_after(seen + 3, READINGS);
        drop(silent);
        assert!(halves.cloud.process.is_running() && halves.device.is_running());
    });
}
