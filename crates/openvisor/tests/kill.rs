//! The cloud is killed (SIGKILL) again and again, its disk fills and empties, and its writes fail, while devices log and an operator
//! works; everything that was acknowledged is counted afterwards.
//!
//! `OPENVISOR_KILLS` is how often (`cargo xtask kill --times N`), `OPENVISOR_SEED` when.

#[path = "kill/disk.rs"]
mod disk;
#[path = "kill/faults.rs"]
mod faults;
#[path = "kill/logger.rs"]
mod logger;
#[path = "kill/operator.rs"]
mod operator;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloud::data::DataFolder;
use cloud::store::Store;
use logger::Logger;
use operator::Operator;
use test_postgres::{Database, Durability, Server};
use tokio::runtime::Runtime;

/// Devices that log.
const DEVICES: u32 = 4;
/// Lines of a device in the whole run: fewer than the cloud keeps, or it would be right to remove some.
const LINES: u32 = 9_000;
/// How long a cloud that serves is left alive, in microseconds.
const LIFE: std::ops::Range<u64> = 1_000..60_000;
/// Kills in the check; a chore asks for more.
const KILLS: u32 = 30;
const KILLS_ON_POSTGRESQL: u32 = 15;
/// Of so many kills one takes the database along.
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
    let report = killing.run(wanted().unwrap_or(KILLS_ON_POSTGRESQL), |kill, chance| {
        if kill % DATABASE_CRASHES == 0 {
            server.crash();
            std::thread::sleep(Duration::from_micros(chance.within(0..50_000)));
            server.revive();
            std::thread::sleep(Duration::from_micros(chance.within(LIFE)));
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
    chance: Chance,
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
        Self { devices: devices.collect(), folder, data, database, chance: Chance::new() }
    }

    fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Kills so often, `meanwhile` before each kill; then looks what is there.
    fn run(mut self, kills: u32, mut meanwhile: impl FnMut(u32, &mut Chance)) -> String {
        println!("seed {}", self.chance.seed);
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
            std::thread::sleep(Duration::from_micros(self.chance.within(LIFE)));
            meanwhile(kill, &mut self.chance);
            drop(cloud);
            // The operator's command is killed with it, or finishes by itself: no cloud is needed for it.
            if self.chance.within(0..2) == 0 {
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

    /// Compares what is there with what was acknowledged.
    fn count(&self, operator: &Operator) -> String {
        let runtime = Runtime::new().expect("a runtime");
        let folder = DataFolder::open_existing(&self.data()).expect("there");
        let store = runtime.block_on(Store::open(&folder)).expect("opened");
        let (mut acknowledged, mut kept) = (0, 0);
        for device in &self.devices {
            let lines = runtime.block_on(store.logs(device.id, 2 * LINES)).expect("read");
            let told = device.acknowledged();
            assert!(
                lines.len() >= told as usize,
                "{told} lines were acknowledged, {} are there",
                lines.len()
            );
            for (sequence, line) in (1..).zip(&lines) {
                assert_eq!((line.boot, line.sequence), (logger::BOOT, sequence), "each once, in order");
                assert_eq!(line.text, logger::text(sequence).as_bytes(), "whole");
            }
            acknowledged += told;
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

/// The product's own cloud; killed when dropped.
struct CloudProcess {
    child: Child,
    address: String,
}

impl CloudProcess {
    fn start(data: &Path) -> Self {
        // A file that may grow no further must be an error to it and not its end.
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
        // It has more to say, and must not be held up by it.
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

/// Chance from a seed (splitmix64).
#[derive(Clone)]
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("OPENVISOR_SEED").ok();
        let seed = seed.map_or(1, |text| text.parse().expect("OPENVISOR_SEED is a number"));
        Self { seed, state: seed }
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        range.start + (mixed ^ (mixed >> 31)) % (range.end - range.start)
    }
}
