//! Writes that fail: a disk that fills and empties, a file that may grow no further, a database that ends connections.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::disk::SmallDisk;
use super::*;

/// Rounds in the check; `cargo xtask kill` does more.
const ROUNDS: u32 = 6;
/// How long a fault lasts, in microseconds: also longer than the pause after which the cloud tries again.
const FAULT: Range<u64> = 1_000..1_300_000;
/// Every fourth round, on average, ends with a kill during the fault.
const KILL: u64 = 4;
/// How long the cloud has to store what waits once it can again.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Room on the small disk: more than the log SQLite writes ahead.
const DISK: u32 = 48;
/// Bytes left by a full disk, at most.
const LEFT: u64 = 100_000;
/// Bytes of a file that may grow no further, at most.
const FILE: u64 = 200_000;

/// Shows D117, D118, D160.
#[test]
fn a_cloud_whose_writes_fail_has_everything_it_acknowledged_and_recovers_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("disk");
    let disk = SmallDisk::mount(&place, DISK);
    let killing = Killing::at(folder, place.join("cloud"), None);
    let report = killing.suffer(wanted().unwrap_or(ROUNDS), |cloud, rng, during| match &disk {
        Some(disk) if rng.one_in(2) => {
            disk.fill(rng.below(LEFT));
            during(rng);
            disk.empty();
        }
        _ => {
            limit_files(cloud, Some(rng.below(FILE)));
            during(rng);
            limit_files(cloud, None);
        }
    });
    println!("SQLite, {}: {report}", if disk.is_some() { "small disk and file limit" } else { "file limit" });
}

/// Shows D117, D118, D160.
#[test]
fn a_cloud_on_postgresql_whose_writes_fail_has_everything_it_acknowledged_and_recovers_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    // The server's user needs access.
    let place = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let disk = SmallDisk::mount(&place.path().join("disk"), DISK);
    let server = Server::start(Durability::Memory).expect("a server");
    let database = match &disk {
        Some(_) => server.database_in(&place.path().join("disk")).expect("a database"),
        None => server.database(),
    };
    let (url, data) = (database.url(), folder.path().join("cloud"));
    let killing = Killing::at(folder, data, Some(database));
    let report = killing.suffer(wanted().unwrap_or(ROUNDS), |_, rng, during| match &disk {
        Some(disk) if rng.one_in(2) => {
            disk.fill(rng.below(LEFT));
            during(rng);
            disk.empty();
        }
        _ => {
            for _ in 0..within(rng, 1..5) {
                end_connections(&url);
                std::thread::sleep(Duration::from_micros(within(rng, LIFE)));
            }
            during(rng);
        }
    });
    let which = if disk.is_some() { "small disk and ended connections" } else { "ended connections" };
    println!("PostgreSQL, {which}: {report}");
    drop(server);
}

/// Limits the size of the cloud's files.
fn limit_files(cloud: &CloudProcess, bytes: Option<u64>) {
    let pid = Pid::from_child(&cloud.child);
    // Only the soft limit, so that it can be taken back.
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("set");
}

/// Ends every connection to the database, as an operator or a failover does.
fn end_connections(url: &str) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let psql = Command::new("psql").args(["-X", "-q", "-c", sql, url]).stdout(Stdio::null()).status();
    assert!(psql.expect("psql").success());
}

impl Killing {
    /// Causes `fault` in each round, with devices and an operator at work, and kills the cloud in some rounds. After
    /// each fault the cloud must store what is pending without a restart.
    fn suffer(
        mut self,
        rounds: u32,
        mut fault: impl FnMut(&CloudProcess, &mut Rng, &mut dyn FnMut(&mut Rng)),
    ) -> String {
        println!("seed {}", self.seed);
        let (started, data) = (Instant::now(), self.data());
        let mut operator = Operator::new(&data, self.folder.path());
        let threads: Vec<_> = self.devices.iter().map(|device| device.clone().start()).collect();
        let visitor = self.visitor();
        let (mut cloud, mut kills, mut slowest) = (CloudProcess::start(&data), 0, Duration::ZERO);
        for _ in 0..rounds {
            self.devices.iter().for_each(|device| device.go(&cloud.address, LINES / rounds));
            operator.work();
            std::thread::sleep(Duration::from_micros(within(&mut self.rng, LIFE)));
            let is_killed = within(&mut self.rng, 0..KILL) == 0;
            let mut rng = self.rng.clone();
            fault(&cloud, &mut rng, &mut |rng| {
                operator.work();
                std::thread::sleep(Duration::from_micros(within(rng, FAULT)));
                if !is_killed {
                    visitor.visit(&cloud.address).expect("a device is let in meanwhile");
                }
            });
            self.rng = rng;
            if is_killed {
                kills += 1;
                drop(cloud);
                cloud = CloudProcess::start(&data);
                self.devices.iter().for_each(|device| device.go(&cloud.address, 0));
            }
            let over = Instant::now();
            for device in &self.devices {
                assert!(device.catch_up(over + TIMEOUT), "{} is stuck", device.id);
            }
            slowest = slowest.max(over.elapsed());
        }
        operator.finish();
        drop(cloud);
        self.devices.iter().for_each(|device| device.stop());
        for thread in threads {
            thread.join().expect("the device keeps the rules");
        }
        let took = started.elapsed().as_secs_f32();
        let counted = self.count(&operator);
        let slowest = slowest.as_millis();
        format!(
            "{rounds} faults and {kills} kills in {took:.1} s, all stored at most {slowest} ms later; {counted}"
        )
    }

    /// A device that only connects.
    fn visitor(&self) -> Arc<Logger> {
        let runtime = Runtime::new().expect("a runtime");
        let made = runtime.block_on(cloud::provision(&self.data, None, None));
        Logger::new(&made.expect("a device"))
    }
}
