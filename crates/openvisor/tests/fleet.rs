//! Many devices in one process, as their operator meets them.

mod support;

use std::time::Duration;

use support::fixtures::{CloudProcess, Mosquitto, SAMPLE, provision, text};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(1);

fn fleet(processes: &Processes, words: &[&str], settings: &[String]) -> Process {
    let words = ["fleet", SAMPLE].into_iter().chain(words.iter().copied()).map(str::to_owned);
    processes.openvisor(words.chain(settings.iter().cloned()))
}

/// The object of the summary's last line.
fn summed_up(process: &Process) -> String {
    process.out.text().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn each_device_of_a_fleet_has_its_own_identity_at_the_broker() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let subscriber = broker.subscriber(processes, "#");
        let settings = [
            "broker-host=127.0.0.1".to_owned(),
            format!("broker-port={}", broker.port),
            "client-id=member-{number}".into(),
            "publish-topic=from/{number}/{device-id}".into(),
            "command-topic=to/{number}".into(),
        ];
        let settings: Vec<_> = settings.into_iter().flat_map(|one| ["--config".to_owned(), one]).collect();
        let process = fleet(processes, &["--count", "3", "--json"], &settings);
        for number in 1..=3 {
            subscriber.out.expect(&format!("from/{number}/UV"));
            broker.log().expect(&format!("as member-{number} "));
        }
        process.out.expect("\"connected\":3");
        process.signal("INT");
        assert_eq!(process.code(), 0, "{}", process.err.text());
        assert!(summed_up(&process).contains("\"ever_connected\":3"), "{}", process.out.text());
    });
}

/// Shows D142.
#[test]
fn a_device_that_never_connects_is_named_and_is_exit_code_1() {
    within(LIMIT, |processes| {
        let (data, devices) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cloud = CloudProcess::start(processes, data.path(), "127.0.0.1:0");
        let stranger = tempfile::tempdir().unwrap();
        CloudProcess::start(processes, stranger.path(), "127.0.0.1:0").process.kill();
        provision(processes, data.path(), devices.path(), "good", &[]);
        provision(processes, stranger.path(), devices.path(), "stranger", &[]);
        let words = [
            "--count",
            "2",
            "--cloud",
            &cloud.address,
            "--identities",
            text(devices.path()),
            "--seconds",
            "2",
        ];
        let process = fleet(processes, &words, &[]);
        assert_eq!(process.code(), 1);
        let error = process.err.text();
        assert!(error.contains("1 of 2 devices") && error.contains("stranger (UV"), "{error}");
        assert!(error.contains("never connected"), "{error}");
        assert!(!process.out.text().contains('\x1b'), "nothing is drawn where no terminal reads");
    });
}

#[test]
fn missing_identities_are_created_only_with_provision() {
    within(LIMIT, |processes| {
        let (data, devices) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cloud = CloudProcess::start(processes, data.path(), "127.0.0.1:0");
        provision(processes, data.path(), devices.path(), "first", &[]);
        let identities = ["--count", "3", "--cloud", &cloud.address, "--identities", text(devices.path())];
        let refused = fleet(processes, &identities, &[]);
        assert_eq!(refused.code(), 2);
        assert!(refused.err.text().contains("--count is 3"), "{}", refused.err.text());
        let more = [&identities[..], &["--provision", text(data.path()), "--seconds", "2"]].concat();
        let process = fleet(processes, &more, &[]);
        assert_eq!(process.code(), 0, "{}", process.err.text());
        assert_eq!(std::fs::read_dir(devices.path()).unwrap().count(), 3);
        assert!(process.out.text().contains("3 devices connected"), "{}", process.out.text());
    });
}

/// Shows D142.
#[test]
fn a_fleet_whose_application_crashes_reports_it() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("crash.bin");
        // A stack, a reset vector, and an instruction that is none.
        std::fs::write(&image, [0x00, 0x00, 0x08, 0x20, 0x09, 0x00, 0x00, 0x08, 0x00, 0xDE]).unwrap();
        let process = processes.openvisor(["fleet", text(&image), "--count", "2", "--seconds", "1"]);
        assert_eq!(process.code(), 1);
        let error = process.err.text();
        assert!(error.contains("2 of 2 devices") && error.contains("stopped by a fault"), "{error}");
        assert!(process.out.text().contains("device-0001 was stopped"), "{}", process.out.text());
    });
}
