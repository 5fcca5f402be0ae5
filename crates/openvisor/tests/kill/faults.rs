//! Writes that fail: a disk that fills and empties, a file that may grow no further, a database that ends connections.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::disk::SmallDisk;
use super::*;

/// Rounds in the check; a chore asks for more.
const ROUNDS: u32 = 6;
/// How long a fault lasts, in microseconds: also longer than the pause after which the cloud tries again.
const FAULT: std::ops::Range<u64> = 1_000..1_300_000;
/// Of so many rounds one ends with a kill, while the fault lasts.
const KILL: u64 = 4;
/// How long the cloud has to store what waits once it can again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Room on the small disk: more than the log SQLite writes ahead.
const DISK: u32 = 48;
/// Bytes left by a full disk, at most.
const LEFT: u64 = 100_000;
/// Bytes of a file that may grow no further, at most.
const FILE: u64 = 200_000;

/// Shows D117, D118, D160.
#[test]
fn a_cloud_whose_writes_fail_has_everything_it_acknowledged_and_goes_on_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("disk");
    let disk = SmallDisk::mount(&place, DISK);
    let killing = Killing::at(folder, place.join("cloud"), None);
    let report = killing.suffer(wanted().unwrap_or(ROUNDS), |cloud, chance, during| match &disk {
        Some(disk) if chance.within(0..2) == 0 => {
            disk.fill(chance.within(0..LEFT));
            during(chance);
            disk.empty();
        }
        _ => {
            limit_files(cloud, Some(chance.within(0..FILE)));
            during(chance);
            limit_files(cloud, None);
        }
    });
    println!("SQLite, {}: {report}", if disk.is_some() { "small disk and file limit" } else { "file limit" });
}

/// Shows D117, D118, D160.
#[test]
fn a_cloud_on_postgresql_whose_writes_fail_has_everything_it_acknowledged_and_goes_on_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    // The server's user must get there.
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
    let report = killing.suffer(wanted().unwrap_or(ROUNDS), |_, chance, during| match &disk {
        Some(disk) if chance.within(0..2) == 0 => {
            disk.fill(chance.within(0..LEFT));
            during(chance);
            disk.empty();
        }
        _ => {
            for _ in 0..chance.within(1..5) {
                end_connections(&url);
                std::thread::sleep(Duration::from_micros(chance.within(LIFE)));
            }
            during(chance);
        }
    });
    let which = if disk.is_some() { "small disk and ended connections" } else { "ended connections" };
    println!("PostgreSQL, {which}: {report}");
    drop(server);
}

/// Lets no file of the cloud grow beyond so many bytes.
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
    /// Has `fault` happen so often, each time with devices and an operator at work, and the cloud killed now and then. After each
    /// fault the cloud stores what waits without being started again.
    fn suffer(
        mut self,
        rounds: u32,
        mut fault: impl FnMut(&CloudProcess, &mut Chance, &mut dyn FnMut(&mut Chance)),
    ) -> String {
        println!("seed {}", self.chance.seed);
        let (started, data) = (Instant::now(), self.data());
        let mut operator = Operator::new(&data, self.folder.path());
        let threads: Vec<_> = self.devices.iter().map(|device| device.clone().start()).collect();
        let visitor = self.visitor();
        let (mut cloud, mut kills, mut slowest) = (CloudProcess::start(&data), 0, Duration::ZERO);
        for _ in 0..rounds {
            self.devices.iter().for_each(|device| device.go(&cloud.address, LINES / rounds));
            operator.work();
            std::thread::sleep(Duration::from_micros(self.chance.within(LIFE)));
            let is_killed = self.chance.within(0..KILL) == 0;
            let mut chance = self.chance.clone();
            fault(&cloud, &mut chance, &mut |chance| {
                operator.work();
                std::thread::sleep(Duration::from_micros(chance.within(FAULT)));
                if !is_killed {
                    visitor.visit(&cloud.address).expect("a device is let in meanwhile");
                }
            });
            self.chance = chance;
            if is_killed {
                kills += 1;
                drop(cloud);
                cloud = CloudProcess::start(&data);
                self.devices.iter().for_each(|device| device.go(&cloud.address, 0));
            }
            let over = Instant::now();
            for device in &self.devices {
                assert!(device.catch_up(over + PATIENCE), "{} is stuck", device.id);
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
