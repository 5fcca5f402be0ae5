//! `openvisor cloud` as whoever runs it sees it: its log, its ports, its end.

mod support;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::world::{SAMPLE, provision, text};
use support::{Process, Stage, within};

const LIMIT: Duration = Duration::from_mins(2);

/// A cloud with one device's folder.
struct World {
    _folder: tempfile::TempDir,
    cloud: Process,
    address: String,
    identity: PathBuf,
}

impl World {
    fn start(stage: &Stage, arguments: &[&str], settings: &[String]) -> Self {
        Self::start_closed(stage, &[arguments, &["--allow-loopback"]].concat(), settings)
    }

    /// The same with public destinations only.
    fn start_closed(stage: &Stage, arguments: &[&str], settings: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let identity = provision(stage, &data, folder.path(), "device", settings);
        let words = ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0"];
        let cloud = stage.openvisor(words.iter().chain(arguments));
        let line = cloud.out.expect("listening on ");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Self { _folder: folder, cloud, address, identity }
    }

    fn device(&self, stage: &Stage) -> Process {
        stage.openvisor(["device", SAMPLE, "--cloud", &self.address, "--data", text(&self.identity)])
    }

    fn stop(&self) -> i32 {
        self.cloud.signal("TERM");
        self.cloud.code()
    }
}

#[test]
fn the_log_is_lines_of_json_that_name_the_device() {
    within(LIMIT, |stage| {
        let world = World::start(stage, &["--quiet", "--log-format", "json"], &[]);
        let device = world.device(stage);
        let line: Value = serde_json::from_str(&world.cloud.err.expect("device connected")).unwrap();
        let id = line["device"].as_str().unwrap();
        assert_eq!((id.len(), &id[..2], &line["level"]), (34, "UV", &Value::from("INFO")), "{line}");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        world.cloud.err.expect("device disconnected");
        assert_eq!(world.stop(), 0);
        let quiet = world.cloud.out.text();
        assert!(
            !quiet.contains("device") || quiet.lines().all(|line| !line.contains("connected")),
            "{quiet}"
        );
    });
}

#[test]
fn without_a_word_about_it_only_warnings_are_logged() {
    within(LIMIT, |stage| {
        let world = World::start(stage, &[], &[]);
        let device = world.device(stage);
        world.cloud.out.expect("device connected");
        device.signal("INT");
        device.wait();
        assert_eq!(world.stop(), 0);
        let text = world.cloud.err.text();
        // Those who run the tests as root are told that a cloud should not be.
        assert!(text.lines().all(|line| line.contains("running as root")), "{text}");
    });
}

#[test]
fn health_and_metrics_are_answered_on_a_port_of_their_own() {
    within(LIMIT, |stage| {
        let world = World::start(stage, &["--metrics", "127.0.0.1:0"], &[]);
        let line = world.cloud.out.expect("health and metrics at http://");
        let address = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics");
        assert!(ask(address, "/healthz").contains(" 200 OK"));
        assert!(ask(address, "/readyz").contains(" 200 OK"));
        assert!(ask(address, "/metrics").contains("\nopenvisor_devices_connected 0\n"));
        assert_eq!(world.stop(), 0);
    });
}

fn ask(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Shows D122.
#[test]
fn a_limit_is_set_by_name_and_one_that_is_not_there_is_refused() {
    within(LIMIT, |stage| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let words = ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0", "--limit"];
        let refused = stage.openvisor(words.iter().chain(&["conections=5"]));
        assert_eq!(refused.code(), 2);
        assert!(refused.err.text().contains("there is no limit `conections`"), "{}", refused.err.text());
        assert!(!data.exists(), "it is looked at first");
        let world =
            World::start(stage, &["--limit", "log_lines_a_second=1", "--limit", "connections=1"], &[]);
        world.device(stage).out.expect("link    up");
        assert_eq!(world.stop(), 0);
    });
}

#[test]
fn connections_are_led_elsewhere_and_an_authority_is_believed_as_in_run() {
    within(LIMIT, |stage| {
        let folder = tempfile::tempdir().unwrap();
        let port = support::world::https_server(folder.path());
        let ca = folder.path().join("ca.pem");
        let resolve = format!("example.com:443=127.0.0.1:{port}");
        let world = World::start(stage, &["--resolve", &resolve, "--cacert", text(&ca)], &[]);
        let words = ["device", support::world::HTTP_SAMPLE, "--cloud", &world.address, "--data"];
        let _device = stage.openvisor(words.iter().chain(&[text(&world.identity)]));
        world.cloud.out.expect("HTTP status 200");
        assert_eq!(world.stop(), 0);
    });
}

/// Shows D123.
#[test]
fn told_to_end_it_says_so_to_its_devices_and_ends_with_success() {
    within(LIMIT, |stage| {
        let world = World::start(stage, &[], &[]);
        let device = world.device(stage);
        world.cloud.out.expect("device runs image");
        let start = Instant::now();
        assert_eq!(world.stop(), 0);
        assert!(start.elapsed() < Duration::from_secs(5), "nothing hangs: {:?}", start.elapsed());
        device.out.expect("link    down");
        assert!(device.is_running(), "it waits for a cloud to come back");
    });
}

/// Shows D123.
#[test]
fn a_device_that_hears_nothing_is_not_waited_for_and_a_second_signal_ends_at_once() {
    within(LIMIT, |stage| {
        let world = World::start(stage, &["--limit", "farewell_timeout=20"], &[]);
        let device = world.device(stage);
        world.cloud.out.expect("device runs image");
        device.signal("STOP");
        world.cloud.signal("TERM");
        world.cloud.out.expect("stopping");
        std::thread::sleep(Duration::from_millis(200));
        assert!(world.cloud.is_running(), "devices have time to close their links");
        let start = Instant::now();
        world.cloud.signal("INT");
        assert_eq!(world.cloud.code(), 1);
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
    within(LIMIT, |stage| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = World::start_closed(stage, &[], &settings_of(&listener));
        closed.cloud.out.expect("applications may reach public addresses only");
        let device = closed.device(stage);
        closed.cloud.out.expect("--allow");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        assert_eq!(closed.stop(), 0);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "somebody came");
        listener.set_nonblocking(false).unwrap();
        let open = World::start(stage, &[], &settings_of(&listener));
        open.cloud.out.expect("applications may reach public addresses and 127.0.0.0/8, ::1");
        let device = open.device(stage);
        listener.accept().expect("the application's connection");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        assert_eq!(open.stop(), 0);
    });
}

/// Shows D42: the operator requires TLS, and the timeline says why an application's connect is refused.
#[test]
fn an_operator_requires_tls_and_an_account_that_is_to_use_it_exists() {
    within(LIMIT, |stage| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let world = World::start(stage, &["--require-tls"], &settings_of(&listener));
        let device = world.device(stage);
        world.cloud.out.expect("this cloud connects to brokers over TLS only");
        device.signal("INT");
        assert_eq!(device.code(), 0);
        assert_eq!(world.stop(), 0);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let words = ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0", "--require-tls-of", "nobody"];
        let refused = stage.openvisor(words);
        assert_eq!(refused.code(), 2);
        refused.err.expect("there is no account `nobody`");
    });
}
