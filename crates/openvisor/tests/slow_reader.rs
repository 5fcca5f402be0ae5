//! Standard output and standard error that are not read: everything else continues, and signals are handled.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::fixtures::{CloudProcess, Mosquitto, READINGS, SAMPLE, provision, text};
use support::{FullPipe, Process, Processes, TIMEOUT, free_port, within};

const LIMIT: Duration = Duration::from_mins(2);

/// A cloud whose output is not read, on ports known beforehand, and a device's folder.
struct Fixture {
    folder: tempfile::TempDir,
    cloud: Process,
    address: String,
    health: String,
    identity: PathBuf,
}

impl Fixture {
    fn start(
        processes: &Processes,
        arguments: &[&str],
        out: Option<&FullPipe>,
        err: Option<&FullPipe>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let identity = provision(processes, &data, folder.path(), "device", &[]);
        let [address, health] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let words = ["cloud", "--data", text(&data), "--listen", &address, "--metrics", &health];
        let cloud = processes.unread(&[&words[..], arguments].concat(), out, err);
        let start = Instant::now();
        while TcpStream::connect(&health).is_err() {
            assert!(start.elapsed() < TIMEOUT, "the cloud does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, cloud, address, health, identity }
    }

    fn device(&self, processes: &Processes) -> Process {
        device(processes, &self.address, &self.identity)
    }

    fn is_healthy(&self) -> bool {
        let mut stream = TcpStream::connect(&self.health).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).is_ok_and(|_| answer.contains(" 200 OK"))
    }
}

fn device(processes: &Processes, cloud: &str, identity: &Path) -> Process {
    processes.openvisor(["device", SAMPLE, "--cloud", cloud, "--data", text(identity)])
}

/// Devices connect and reconnect, health is answered, and SIGTERM stops the cloud in order.
fn serves_and_stops(
    processes: &Processes,
    arguments: &[&str],
    out: Option<&FullPipe>,
    err: Option<&FullPipe>,
) {
    let fixture = Fixture::start(processes, arguments, out, err);
    let first = fixture.device(processes);
    first.out.expect("link    up");
    for _ in 0..3 {
        let again = fixture.device(processes);
        again.out.expect("link    up");
        assert!(fixture.is_healthy());
    }
    fixture.cloud.signal("TERM");
    assert_eq!(fixture.cloud.code(), 0, "a graceful end");
    drop(fixture.folder);
}

/// Shows D170, D171.
#[test]
fn a_cloud_whose_log_is_not_read_serves_and_stops() {
    within(LIMIT, |processes| {
        serves_and_stops(processes, &["--log-level", "trace"], None, Some(&FullPipe::new()));
    });
}

/// Shows D170, D171.
#[test]
fn a_cloud_whose_timeline_is_not_read_serves_and_stops() {
    within(LIMIT, |processes| serves_and_stops(processes, &[], Some(&FullPipe::new()), None));
}

/// Shows D171.
#[test]
fn a_second_signal_ends_a_cloud_that_is_not_read_at_once() {
    within(LIMIT, |processes| {
        let (out, err) = (FullPipe::new(), FullPipe::new());
        let limit = ["--limit", "farewell_timeout=60", "--log-level", "trace"];
        let fixture = Fixture::start(processes, &limit, Some(&out), Some(&err));
        let device = fixture.device(processes);
        device.out.expect("link    up");
        device.signal("STOP");
        fixture.cloud.signal("TERM");
        std::thread::sleep(Duration::from_millis(300));
        assert!(fixture.cloud.is_running(), "the device has time to acknowledge the end");
        let start = Instant::now();
        fixture.cloud.signal("TERM");
        assert_eq!(fixture.cloud.code(), 1);
        assert!(start.elapsed() < TIMEOUT, "{:?}", start.elapsed());
    });
}

/// Shows D170, D171: the application continues, as messages at the broker show.
#[test]
fn a_run_that_is_not_read_continues_and_stops() {
    within(LIMIT, |processes| {
        let (out, err) = (FullPipe::new(), FullPipe::new());
        let broker = Mosquitto::start(processes);
        let subscriber = broker.subscriber(processes, READINGS);
        let settings = broker.settings();
        let words: Vec<_> = ["run", SAMPLE].into_iter().chain(settings.iter().map(String::as_str)).collect();
        let run = processes.unread(&words, Some(&out), Some(&err));
        let (mut seen, mut count) = (0, 0);
        while count < 3 {
            (seen, _) = subscriber.out.expect_after(seen, READINGS);
            count += 1;
        }
        run.signal("TERM");
        assert_eq!(run.code(), 0);
    });
}

/// Shows D170: it ends with success only if messages went both ways.
#[test]
fn a_demo_that_is_not_read_runs_to_its_end() {
    within(LIMIT, |processes| {
        let (out, err) = (FullPipe::new(), FullPipe::new());
        let demo = processes.unread(&["demo", "--seconds", "6"], Some(&out), Some(&err));
        assert_eq!(demo.code(), 0);
    });
}

/// Shows D171.
#[test]
fn signals_end_every_other_command_that_stays() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let identity =
            provision(processes, &data, folder.path(), "device", &["--name", "d"].map(str::to_owned));
        let cloud = CloudProcess::start(processes, &data, "127.0.0.1:0");
        let recording = folder.path().join("recording");
        let at = ["--cloud", &cloud.address, "--data", text(&identity)];
        let recorded = processes
            .openvisor(["device", SAMPLE, "--record", text(&recording), "--seconds", "2"].iter().chain(&at));
        assert_eq!(recorded.code(), 0);
        let commands: [&[&str]; 4] = [
            &["logs", "stream", "d", "--data", text(&data)],
            &["fleet", SAMPLE, "--count", "2"],
            &[&["device", SAMPLE][..], &at].concat(),
            &["device", SAMPLE, "--replay", text(&recording)],
        ];
        for command in commands {
            let (out, err) = (FullPipe::new(), FullPipe::new());
            let process = processes.unread(command, Some(&out), Some(&err));
            process.wait_for_handler();
            std::thread::sleep(Duration::from_millis(500));
            assert!(process.is_running(), "{command:?} waits for its reader");
            process.signal("TERM");
            let code = process.code();
            assert!((0..=1).contains(&code), "{command:?} ends by itself, with code {code}");
        }
    });
}

/// Shows D170: output that has to be complete is complete, however late it is read.
#[test]
fn stored_lines_are_all_shown_to_a_reader_that_comes_late() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let identity =
            provision(processes, &data, folder.path(), "device", &["--name", "d"].map(str::to_owned));
        let cloud = CloudProcess::start(processes, &data, "127.0.0.1:0");
        let running = device(processes, &cloud.address, &identity);
        let words = ["logs", "stream", "d", "--data", text(&data), "--no-follow", "--json"];
        let start = Instant::now();
        while processes.openvisor(words).out_lines() < 3 {
            assert!(start.elapsed() < TIMEOUT, "the device logs nothing");
        }
        running.kill();
        let expected = processes.openvisor(words).text();
        let out = FullPipe::new();
        let late = processes.unread(&words, Some(&out), None);
        std::thread::sleep(Duration::from_secs(2));
        assert!(late.is_running(), "it waits for its reader");
        let reading = std::thread::spawn(move || out.read_to_end());
        assert_eq!(late.code(), 0);
        assert_eq!(reading.join().unwrap(), expected);
    });
}

impl Process {
    /// All of a command that ends by itself.
    fn text(&self) -> String {
        assert_eq!(self.code(), 0, "{}", self.err.text());
        self.out.text()
    }

    fn out_lines(&self) -> usize {
        self.text().lines().count()
    }
}
