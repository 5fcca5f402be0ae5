//! A cloud with few file descriptors and many connections that want nothing.

mod support;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::fixtures::{Mosquitto, READINGS, SAMPLE, provision, text};
use support::{TIMEOUT, within};

const LIMIT: Duration = Duration::from_mins(2);
/// Idle connections that are kept open at any time.
const IDLE: usize = 1000;

/// Opens connections that say nothing, keeps [`IDLE`] of them and opens others, until dropped.
struct Attack {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicU64>,
}

impl Attack {
    fn start(target: &str) -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
        let attack = Self { stop: Arc::default(), opened: Arc::default() };
        let (stop, opened) = (attack.stop.clone(), attack.opened.clone());
        let target: SocketAddr = target.parse().unwrap();
        std::thread::spawn(move || {
            let mut idle = VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                if idle.len() >= IDLE {
                    idle.pop_front();
                }
                // Where the queue of the listener is full, the system lets a connection wait.
                idle.extend(TcpStream::connect_timeout(&target, Duration::from_millis(200)).ok());
                opened.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        attack
    }

    fn until_opened(&self, count: u64) {
        let start = Instant::now();
        while self.opened.load(Ordering::Relaxed) < count {
            assert!(start.elapsed() < TIMEOUT, "{} connections opened", self.opened.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn is_healthy(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = String::new();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.contains(" 200 OK")
}

/// Shows D175.
///
/// The broker goes away and comes back meanwhile, so that the device needs a new descriptor in the cloud.
#[test]
fn with_1000_idle_connections_and_1024_descriptors_devices_keep_their_brokers() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let (data, broker) = (folder.path().join("cloud"), Mosquitto::start(processes));
        let identity = provision(processes, &data, folder.path(), "device", &broker.settings());
        let command = "ulimit -n 1024; exec \"$0\" cloud --data \"$1\" --allow-loopback --listen 127.0.0.1:0 --metrics 127.0.0.1:0";
        let cloud = processes.tool("sh", ["-c", command, env!("CARGO_BIN_EXE_openvisor"), text(&data)]);
        let listening = cloud.out.expect("listening on ");
        let address = listening.rsplit(' ').next().unwrap();
        cloud.out.expect("limits lowered, because the process may open too few files");
        let line = cloud.out.expect("health and metrics at http://");
        let health = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics").to_owned();
        let device = processes.openvisor(["device", SAMPLE, "--cloud", address, "--data", text(&identity)]);
        device.out.expect("link    up");
        broker.subscriber(processes, READINGS).out.expect(READINGS);
        let attack = Attack::start(address);
        attack.until_opened(IDLE as u64 + 200);
        assert!(is_healthy(&health));
        let broker = Mosquitto::start_at(processes, broker.kill());
        let opened = attack.opened.load(Ordering::Relaxed);
        broker.subscriber(processes, READINGS).out.expect(READINGS);
        attack.until_opened(opened + 10);
        for _ in 0..20 {
            assert!(is_healthy(&health));
        }
        drop(attack);
        cloud.signal("TERM");
        assert_eq!(cloud.code(), 0);
        let errors = cloud.err.text();
        assert!(!errors.contains("cannot accept a connection"), "{errors}");
        assert!(
            errors.lines().count() < 100,
            "refusals are reported at a bounded rate: {}",
            errors.lines().count()
        );
    });
}
