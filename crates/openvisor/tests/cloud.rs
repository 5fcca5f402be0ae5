//! `openvisor cloud` as its operator sees it: its log, its ports, its end.

mod support;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::fixtures::{SAMPLE, provision, text};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(2);

/// A cloud with one device's folder.
struct Fixture {
    _folder: tempfile::TempDir,
    cloud: Process,
    address: String,
    identity: PathBuf,
}

impl Fixture {
    fn start(processes: &Processes, arguments: &[&str], settings: &[String]) -> Self {
        Self::start_closed(processes, &[arguments, &["--allow-loopback"]].concat(), settings)
    }

    /// The same with public destinations only.
    fn start_closed(processes: &Processes, arguments: &[&str], settings: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let identity = provision(processes, &data, folder.path(), "device", settings);
        let words = ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0"];
        let cloud = processes.openvisor(words.iter().chain(arguments));
        let line = cloud.out.expect("listening on ");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Self { _folder: folder, cloud, address, identity }
    }

    fn device(&self, processes: &Processes) -> Process {
        processes.openvisor(["device", SAMPLE, "--cloud", &self.address, "--data", text(&self.identity)])
    }

    fn stop(&self) -> i32 {
        self.cloud.signal("TERM");
        self.cloud.code()
    }
}

#[test]
fn the_log_is_lines_of_json_that_name_the_device() {
    within(LIMIT, |processes| {
        let fixture = Fixture::start(processes, &["--quiet", "--log-format", "json"], &[]);
        let device = fixture.device(processes);
        let line: Value = serde_json::from_str(&fixture.cloud.err.expect("device connected")).unwrap();
        let id = line["device"].as_str().unwrap();
        assert_eq!((id.len(), &id[..2], &line["level"]), (34, "UV", &Value::from("INFO")), "{line}");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        let line: Value = serde_json::from_str(&fixture.cloud.err.expect("device disconnected")).unwrap();
        assert_eq!(
            (&line["event"], &line["reason"]),
            (&"device_disconnected".into(), &"done".into()),
            "{line}"
        );
        assert_eq!(fixture.stop(), 0);
        let quiet = fixture.cloud.out.text();
        assert!(
            !quiet.contains("device") || quiet.lines().all(|line| !line.contains("connected")),
            "{quiet}"
        );
    });
}

#[test]
fn by_default_only_warnings_are_logged() {
    within(LIMIT, |processes| {
        let fixture = Fixture::start(processes, &[], &[]);
        let device = fixture.device(processes);
        fixture.cloud.out.expect("device connected");
        device.signal("INT");
        device.wait();
        assert_eq!(fixture.stop(), 0);
        let text = fixture.cloud.err.text();
        // The tests may run as root or with few file descriptors, of which the cloud warns.
        assert!(text.lines().all(|line| line.contains(" WARN ")), "{text}");
    });
}

#[test]
fn health_and_metrics_have_a_separate_port() {
    within(LIMIT, |processes| {
        let fixture = Fixture::start(processes, &["--metrics", "127.0.0.1:0"], &[]);
        let line = fixture.cloud.out.expect("health and metrics at http://");
        let address = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics");
        assert!(http_get(address, "/healthz").contains(" 200 OK"));
        assert!(http_get(address, "/readyz").contains(" 200 OK"));
        assert!(http_get(address, "/metrics").contains("\nopenvisor_devices_connected 0\n"));
        assert_eq!(fixture.stop(), 0);
    });
}

fn http_get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Shows D122.
#[test]
fn a_limit_is_set_by_name_and_an_unknown_one_is_refused() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let words = ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0", "--limit"];
        let refused = processes.openvisor(words.iter().chain(&["conections=5"]));
        assert_eq!(refused.code(), 2);
        assert!(refused.err.text().contains("there is no limit `conections`"), "{}", refused.err.text());
        assert!(!data.exists(), "it is looked at first");
        let fixture =
            Fixture::start(processes, &["--limit", "log_lines_a_second=1", "--limit", "connections=1"], &[]);
        fixture.device(processes).out.expect("link    up");
        assert_eq!(fixture.stop(), 0);
    });
}

#[test]
fn resolve_and_cacert_work_as_in_run() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let port = support::fixtures::https_server(folder.path());
        let ca = folder.path().join("ca.pem");
        let resolve = format!("example.com:443=127.0.0.1:{port}");
        let fixture = Fixture::start(processes, &["--resolve", &resolve, "--cacert", text(&ca)], &[]);
        let words = ["device", support::fixtures::HTTP_SAMPLE, "--cloud", &fixture.address, "--data"];
        let _device = processes.openvisor(words.iter().chain(&[text(&fixture.identity)]));
        fixture.cloud.out.expect("HTTP status 200");
        assert_eq!(fixture.stop(), 0);
    });
}

/// Shows D123.
#[test]
fn a_stopped_cloud_informs_its_devices_and_ends_with_success() {
    within(LIMIT, |processes| {
        let fixture = Fixture::start(processes, &[], &[]);
        let device = fixture.device(processes);
        fixture.cloud.out.expect("device runs image");
        let start = Instant::now();
        assert_eq!(fixture.stop(), 0);
        assert!(start.elapsed() < Duration::from_secs(5), "nothing hangs: {:?}", start.elapsed());
        device.out.expect("link    down");
        assert!(device.is_running(), "it waits for a cloud to come back");
    });
}

/// Shows D123.
#[test]
fn a_second_signal_ends_the_cloud_although_a_device_does_not_respond() {
    within(LIMIT, |processes| {
        let fixture = Fixture::start(processes, &["--limit", "farewell_timeout=20"], &[]);
        let device = fixture.device(processes);
        fixture.cloud.out.expect("device runs image");
        device.signal("STOP");
        fixture.cloud.signal("TERM");
        fixture.cloud.out.expect("stopping");
        std::thread::sleep(Duration::from_millis(200));
        assert!(fixture.cloud.is_running(), "devices have time to close their links");
        let start = Instant::now();
        fixture.cloud.signal("INT");
        assert_eq!(fixture.cloud.code(), 1);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

/// The settings of a sample whose broker is this listener.
fn settings_of(listener: &TcpListener) -> Vec<String> {
    let port = listener.local_addr().unwrap().port();
    let settings = ["broker-host=127.0.0.1".to_owned(), format!("broker-port={port}")];
    settings.into_iter().flat_map(|setting| ["--config".to_owned(), setting]).collect()
}

/// Shows D62, D184: loopback is open by an option alone, wherever the cloud listens, and the first lines say so.
#[test]
fn loopback_is_open_to_applications_only_by_an_option() {
    within(LIMIT, |processes| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = Fixture::start_closed(processes, &[], &settings_of(&listener));
        closed.cloud.out.expect("applications may reach public addresses only");
        let device = closed.device(processes);
        closed.cloud.out.expect("--allow");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        assert_eq!(closed.stop(), 0);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "there was a connection");
        listener.set_nonblocking(false).unwrap();
        let open = Fixture::start(processes, &[], &settings_of(&listener));
        open.cloud.out.expect("applications may reach public addresses and 127.0.0.0/8, ::1");
        let device = open.device(processes);
        listener.accept().expect("the application's connection");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        assert_eq!(open.stop(), 0);
    });
}

/// Shows D42: the operator requires TLS, and the timeline says why an application's connect is refused.
#[test]
fn an_operator_requires_tls_and_the_accounts_it_names_must_exist() {
    within(LIMIT, |processes| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fixture = Fixture::start(processes, &["--require-tls"], &settings_of(&listener));
        let device = fixture.device(processes);
        fixture.cloud.out.expect("this cloud connects to brokers over TLS only");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        assert_eq!(fixture.stop(), 0);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let words =
            ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0", "--require-tls-of", "unknown"];
        let refused = processes.openvisor(words);
        assert_eq!(refused.code(), 2);
        refused.err.expect("there is no account `unknown`");
    });
}
