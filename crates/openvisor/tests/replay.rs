//! A device recorded against a real cloud and broker, and run again with neither.

mod support;

use std::path::Path;
use std::time::Duration;

use support::fixtures::{COMMANDS, CloudProcess, Mosquitto, READINGS, SAMPLE, provision, text};
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(1);

/// Runs the sample with a cloud and a broker until a command has reached it, and records that in `folder`. Answers what
/// its application logged, as the cloud has it.
fn record(processes: &Processes, folder: &Path) -> Vec<String> {
    let broker = Mosquitto::start(processes);
    let data = folder.join("cloud");
    let cloud = CloudProcess::start(processes, &data, "127.0.0.1:0");
    let identity = provision(processes, &data, folder, "device", &broker.settings());
    let subscriber = broker.subscriber(processes, "test/#");
    let file = folder.join("run.ovrec");
    let words =
        ["device", SAMPLE, "--cloud", &cloud.address, "--data", text(&identity), "--record", text(&file)];
    let device = processes.openvisor(words.iter().chain(&["--deterministic", "any text"]));
    subscriber.out.expect(READINGS);
    broker.publish(processes, COMMANDS, "led on");
    device.out.expect("LED on");
    device.signal("INT");
    assert_eq!(device.code(), 0, "{}", device.err.text());
    cloud.process.signal("TERM");
    cloud.process.code();
    let id =
        device.out.text().split_whitespace().find(|word| word.starts_with("UV")).expect("its id").to_owned();
    let logs = processes.openvisor(["logs", "stream", &id, "--data", text(&data), "--no-follow", "--json"]);
    assert_eq!(logs.code(), 0, "{}", logs.err.text());
    let of_line = |line: &str| Some(line.split_once("\"text\":\"")?.1.split_once('"')?.0.to_owned());
    logs.out.text().lines().filter_map(of_line).collect()
}

/// Shows D140.
#[test]
fn an_mqtt_session_is_replayed_exactly_without_a_cloud() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let logged = record(processes, folder.path());
        assert!(logged.len() > 3, "{logged:?}");
        let file = folder.path().join("run.ovrec");
        let replay = processes.openvisor(["device", SAMPLE, "--replay", text(&file), "--json"]);
        assert_eq!(replay.code(), 0, "{}", replay.err.text());
        let output = replay.out.text();
        let last: Vec<&str> = output.lines().rev().take(2).collect();
        assert!(last[1].contains("\"event\":\"replayed\"") && last[1].contains("\"whole\":true"), "{output}");
        assert!(last[0].contains("\"event\":\"run_ended\""), "{output}");
        assert!(output.contains("LED on"), "{output}");
        for line in &logged {
            assert!(output.contains(line.as_str()), "{line}: {output}");
        }
        a_replay_that_diverges_is_code_4(processes, &file);
        an_invalid_recording_is_code_2(processes, &file);
    });
}

/// Byte 100 is within the seed of the device's random numbers.
fn a_replay_that_diverges_is_code_4(processes: &Processes, file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[100] ^= 1;
    let other = file.with_extension("other");
    std::fs::write(&other, bytes).unwrap();
    let replay = processes.openvisor(["device", SAMPLE, "--replay", text(&other)]);
    assert_eq!(replay.code(), 4, "{}", replay.out.text());
    assert!(replay.err.text().contains("diverged from its recording"), "{}", replay.err.text());
}

fn an_invalid_recording_is_code_2(processes: &Processes, file: &Path) {
    let garbage = file.with_extension("garbage");
    std::fs::write(&garbage, b"no recording at all").unwrap();
    let other_image = SAMPLE.replace("mqtt/mqtt", "logging/logging");
    for (image, recording, expected) in [
        (SAMPLE, garbage.as_path(), "is no recording of a device"),
        (SAMPLE, Path::new("/nowhere/at.all"), "cannot be read"),
        (other_image.as_str(), file, "another application image"),
    ] {
        let replay = processes.openvisor(["device", image, "--replay", text(recording)]);
        assert_eq!(replay.code(), 2, "{expected}");
        assert!(replay.err.text().contains(expected), "{}", replay.err.text());
    }
}

#[cfg(unix)]
#[test]
fn a_recording_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        CloudProcess::start(processes, &data, "127.0.0.1:0").process.kill();
        let identity = provision(processes, &data, folder.path(), "device", &[]);
        let file = folder.path().join("run.ovrec");
        std::fs::write(&file, b"what was there before, readable by all").unwrap();
        let words = ["device", SAMPLE, "--cloud", "127.0.0.1:1", "--data", text(&identity)];
        let device = processes.openvisor(words.iter().chain(&["--record", text(&file), "--seconds", "0.3"]));
        assert_eq!(device.code(), 0, "{}", device.err.text());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let replay = processes.openvisor(["device", SAMPLE, "--replay", text(&file)]);
        assert_eq!(replay.code(), 0, "{}", replay.err.text());
        assert!(replay.out.text().contains("connection refused"), "{}", replay.out.text());
    });
}

/// A reading a second of its own time: forty of them are there long before forty seconds.
///
/// Shows D141.
#[test]
fn a_scaled_devices_clock_is_faster_and_its_link_stays_up() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let subscriber = broker.subscriber(processes, READINGS);
        let words = ["run", SAMPLE, "--time-scale", "40"].map(str::to_owned);
        let run = processes.openvisor(words.iter().chain(&broker.settings()));
        let start = std::time::Instant::now();
        // Two minutes of its time, in which there are two keepalives.
        while subscriber.out.text().lines().count() < 120 {
            assert!(start.elapsed() < Duration::from_secs(40), "{}", run.err.text());
            std::thread::sleep(Duration::from_millis(20));
        }
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
        assert!(!run.err.text().contains("down"), "{}", run.err.text());
    });
}
