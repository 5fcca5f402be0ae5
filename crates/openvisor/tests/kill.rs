//! The cloud is killed (SIGKILL) repeatedly, its disk is full at times, and its writes fail, while devices log and an
//! operator works. Afterwards everything that was acknowledged must be there.
//!
//! `OPENVISOR_KILLS` is the number of kills (`cargo xtask kill --times N`), `OPENVISOR_SEED` the seed of their times.

#[path = "kill/disk.rs"]
mod disk;
#[path = "kill/faults.rs"]
mod faults;
#[path = "kill/logger.rs"]
mod logger;
#[path = "kill/operator.rs"]
mod operator;

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloud::data::DataFolder;
use cloud::store::Store;
use logger::Logger;
use operator::Operator;
use test_postgres::{Database, Durability, Server};
use test_rng::Rng;
use tokio::runtime::Runtime;

/// Number of devices that log.
const DEVICES: u32 = 4;
/// Lines per device in the whole run: fewer than the cloud stores, which would rightly delete some otherwise.
const LINES: u32 = 9_000;
/// How long a cloud lives after its start, in microseconds.
const LIFE: Range<u64> = 1_000..60_000;
/// Kills in the check; `cargo xtask kill` does more.
const KILLS: u32 = 30;
const KILLS_ON_POSTGRESQL: u32 = 15;
/// Every fifth kill also kills the database.
const DATABASE_CRASHES: u32 = 5;

/// Shows D118.
#[test]
fn a_cloud_killed_at_any_moment_has_everything_it_acknowledged() {
    let report = Killing::new(None).run(wanted().unwrap_or(KILLS), |_, _| {});
    println!("SQLite: {report}");
}

/// Shows D117, D118.
#[test]
fn a_cloud_on_postgresql_killed_at_any_moment_has_everything_it_acknowledged() {
    // The database crashes too. It may keep what it writes in memory: only the machine's end would lose that.
    let mut server = Server::start(Durability::Memory).expect("a server");
    let killing = Killing::new(Some(server.database()));
    let report = killing.run(wanted().unwrap_or(KILLS_ON_POSTGRESQL), |kill, rng| {
        if kill % DATABASE_CRASHES == 0 {
            server.crash();
            std::thread::sleep(Duration::from_micros(rng.below(50_000)));
            server.restart();
            std::thread::sleep(Duration::from_micros(within(rng, LIFE)));
        }
    });
    println!("PostgreSQL: {report}");
}

fn wanted() -> Option<u32> {
    std::env::var("OPENVISOR_KILLS").ok().map(|text| text.parse().expect("OPENVISOR_KILLS is a number"))
}

/// One run.
struct Killing {
    folder: tempfile::TempDir,
    data: PathBuf,
    database: Option<Database>,
    devices: Vec<Arc<Logger>>,
    seed: u64,
    rng: Rng,
}

impl Killing {
    fn new(database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("cloud");
        Self::at(folder, data, database)
    }

    /// The same with the data folder at `data`.
    fn at(folder: tempfile::TempDir, data: PathBuf, database: Option<Database>) -> Self {
        let url = database.as_ref().map(|database| database.url().parse().expect("a store"));
        let runtime = Runtime::new().expect("a runtime");
        let devices = (0..DEVICES).map(|_| {
            let made = runtime.block_on(cloud::provision(&data, url.as_ref(), None));
            Logger::new(&made.expect("a device"))
        });
        let seed = std::env::var("OPENVISOR_SEED").ok();
        let seed = seed.map_or(1, |text| text.parse().expect("OPENVISOR_SEED is a number"));
        Self { devices: devices.collect(), folder, data, database, seed, rng: Rng::new(seed) }
    }

    fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Kills the cloud `kills` times, calls `meanwhile` before each kill, then checks what was stored.
    fn run(mut self, kills: u32, mut meanwhile: impl FnMut(u32, &mut Rng)) -> String {
        println!("seed {}", self.seed);
        let started = Instant::now();
        let data = self.data();
        let mut operator = Operator::new(&data, self.folder.path());
        let threads: Vec<_> = self.devices.iter().map(|device| device.clone().start()).collect();
        let mut slowest = Duration::ZERO;
        for kill in 1..=kills {
            let begun = Instant::now();
            let cloud = CloudProcess::start(&data);
            slowest = slowest.max(begun.elapsed());
            self.devices.iter().for_each(|device| device.go(&cloud.address, LINES / kills));
            operator.work();
            std::thread::sleep(Duration::from_micros(within(&mut self.rng, LIFE)));
            meanwhile(kill, &mut self.rng);
            drop(cloud);
            // The operator's command is killed with it, or finishes by itself: no cloud is needed for it.
            if self.rng.one_in(2) {
                operator.kill();
            }
        }
        operator.finish();
        self.devices.iter().for_each(|device| device.stop());
        for thread in threads {
            thread.join().expect("the device keeps the rules");
        }
        let took = started.elapsed();
        let counted = self.count(&operator);
        format!(
            "{kills} kills in {:.1} s, slowest start {} ms; {counted}",
            took.as_secs_f32(),
            slowest.as_millis()
        )
    }

    /// Compares what was stored with what was acknowledged.
    fn count(&self, operator: &Operator) -> String {
        let runtime = Runtime::new().expect("a runtime");
        let folder = DataFolder::open_existing(&self.data()).expect("there");
        let store = runtime.block_on(Store::open(&folder)).expect("opened");
        let (mut acknowledged, mut kept) = (0, 0);
        for device in &self.devices {
            let lines = runtime.block_on(store.logs(device.id, 2 * LINES)).expect("read");
            let device_acknowledged = device.acknowledged();
            assert!(
                lines.len() >= device_acknowledged as usize,
                "{device_acknowledged} lines were acknowledged, {} are there",
                lines.len()
            );
            for (sequence, line) in (1..).zip(&lines) {
                assert_eq!((line.boot, line.sequence), (logger::BOOT, sequence), "each once, in order");
                assert_eq!(line.text, logger::text(sequence).as_bytes(), "whole");
            }
            acknowledged += device_acknowledged;
            kept += lines.len();
        }
        let done = runtime.block_on(operator.check(&store));
        runtime.block_on(store.close());
        if let Some(database) = &self.database {
            assert_eq!(
                database.psql("SELECT COUNT(*) FROM devices WHERE account IS NULL"),
                "0",
                "it answers"
            );
        }
        assert!(acknowledged > 0, "there was a load");
        format!("{acknowledged} lines acknowledged, {kept} kept; {done}")
    }
}

/// A cloud process, killed when dropped.
struct CloudProcess {
    child: Child,
    address: String,
}

impl CloudProcess {
    fn start(data: &Path) -> Self {
        // Without this trap, exceeding the file size limit would kill it instead of failing the write.
        let mut child = Command::new("sh")
            .args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh", env!("CARGO_BIN_EXE_openvisor")])
            .args(["cloud", "--listen", "127.0.0.1:0", "--log-level", "off", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("text");
        let address = line.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(line.contains("listening on"), "the cloud does not start again: {line}");
        // Reads the rest, so that the cloud never waits for its output.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self { child, address }
    }
}

impl Drop for CloudProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A random number in `range`.
fn within(rng: &mut Rng, range: Range<u64>) -> u64 {
    range.start + rng.below(range.end - range.start)
}
