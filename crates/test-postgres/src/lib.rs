//! A temporary PostgreSQL server for a test or a measurement: on a free loopback port, with a password, ended with the
//! process that started it.
//!
//! One server serves all tests of a process ([`shared`]), and all processes of `cargo xtask check`, which starts one
//! and passes its URL in [`VARIABLE`]. Each test has its own database there.
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

/// Environment variable with the URL, without a database, of a running server and a user who may create databases.
pub const VARIABLE: &str = "OPENVISOR_TEST_POSTGRES";

/// The hint where PostgreSQL is not installed.
pub const INSTALL_HINT: &str =
    "PostgreSQL's server is needed (initdb, postgres, psql): on Debian the package postgresql";

const SUPERVISOR: &str = include_str!("supervisor.sh");
const PASSWORD: &str = "made for tests";
/// The password, percent-encoded for URLs. It has blanks so that encoding errors are found.
const PASSWORD_IN_URL: &str = "made%20for%20tests";
/// Several ports are tried: another program may take a port after it was found free.
const ATTEMPTS: usize = 5;

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: a commit survives a power cut.
    Disk,
    /// A commit survives the end of every process, but not of the machine. Faster, for tests.
    Memory,
}

/// A running server, ended when dropped and when this process ends.
pub struct Server {
    supervisor: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    url: String,
    /// User and group it runs as, if not those of this process.
    user: Option<(u32, u32)>,
}

/// A database on a server, removed when dropped.
pub struct Database {
    server: String,
    name: String,
}

impl Server {
    /// Creates and starts a server.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or its message.
    pub fn start(durability: Durability) -> Result<Self, String> {
        let programs = programs().ok_or(INSTALL_HINT)?;
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            match Self::launch(&programs, durability) {
                Ok(server) => return Ok(server),
                Err(error) => failure = error,
            }
        }
        Err(format!("PostgreSQL does not start: {failure}"))
    }

    fn launch(programs: &Path, durability: Durability) -> Result<Self, String> {
        let user = unprivileged_user()?;
        let (folder, port) = make_folder(user)
            .and_then(|folder| Ok((folder, free_port()?)))
            .map_err(|error| error.to_string())?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(SUPERVISOR).arg("supervisor").arg(programs).arg(&folder).arg(port.to_string());
        command.arg(if durability == Durability::Disk { "on" } else { "off" });
        command.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A process group of its own, so that Ctrl-C, or killing the group of a hanging test, does not prevent it from
        // cleaning up.
        command.process_group(0);
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        let mut supervisor = command.spawn().map_err(|error| error.to_string())?;
        let commands = supervisor.stdin.take();
        let replies = BufReader::new(supervisor.stdout.take().expect("piped"));
        let url = format!("postgres://postgres:{PASSWORD_IN_URL}@127.0.0.1:{port}");
        let mut server = Self { supervisor, commands, replies, url, user };
        server.await_reply("ready")?;
        Ok(server)
    }

    /// The URL of the server, without a database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates a database.
    pub fn database(&self) -> Database {
        Database::new(&self.url)
    }

    /// Creates a database whose tables are in `folder`, which must be empty, for example on a small disk.
    ///
    /// # Errors
    /// The owner of the folder cannot be changed to the server's user.
    pub fn database_in(&self, folder: &Path) -> io::Result<Database> {
        if let Some((user, group)) = self.user {
            chown(folder, Some(user), Some(group))?;
        }
        Ok(Database::in_tablespace(&self.url, Some(folder)))
    }

    /// Stops the server at once, as a crash would. Its data is kept.
    pub fn crash(&mut self) {
        self.command("stop", "stopped");
    }

    /// Starts it again, at the same port.
    pub fn restart(&mut self) {
        self.command("start", "ready");
    }

    fn command(&mut self, command: &str, reply: &str) {
        let commands = self.commands.as_mut().expect("present until it is dropped");
        writeln!(commands, "{command}").expect("the supervisor reads commands");
        self.await_reply(reply).expect("done");
    }

    fn await_reply(&mut self, reply: &str) -> Result<(), String> {
        let mut line = String::new();
        self.replies.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim_end() == reply { Ok(()) } else { Err("its message is above".to_owned()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The supervisor stops the server when its input ends, and that it does also when this process is killed.
        drop(self.commands.take());
        let _ = self.supervisor.wait();
    }
}

impl Database {
    fn new(server: &str) -> Self {
        Self::in_tablespace(server, None)
    }

    fn in_tablespace(server: &str, folder: Option<&Path>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server: server.to_owned(), name };
        let mut tablespace = String::new();
        if let Some(folder) = folder {
            let (name, folder) = (&database.name, folder.display());
            database.administer(&format!("CREATE TABLESPACE space_{name} LOCATION '{folder}'"));
            tablespace = format!(" TABLESPACE space_{name}");
        }
        database.administer(&format!("CREATE DATABASE {}{tablespace}", database.name));
        database
    }

    /// Its URL, with the password.
    pub fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// Runs a statement with `psql` and returns its output.
    pub fn psql(&self, statement: &str) -> String {
        psql(&self.url(), statement).expect("psql")
    }

    fn administer(&self, statement: &str) {
        psql(&format!("{}/postgres", self.server), statement).expect("psql");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Fails if the server is down already, which deletes its databases anyway.
        let _ =
            psql(&format!("{}/postgres", self.server), &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// Creates a database on the server of this process, or of the whole check.
///
/// # Panics
/// If PostgreSQL is not installed: a test that cannot run has failed.
pub fn shared() -> Database {
    static OWN: OnceLock<Server> = OnceLock::new();
    if let Ok(url) = env::var(VARIABLE) {
        return Database::new(&url);
    }
    OWN.get_or_init(|| Server::start(Durability::Memory).unwrap_or_else(|error| panic!("{error}"))).database()
}

/// The folder of PostgreSQL's server programs: in `PATH`, or where Debian installs them.
pub fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).find(|folder| is_complete(folder));
    in_path.or_else(|| debian().into_iter().rev().find(|folder| is_complete(folder)))
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file())
}

/// The oldest version first.
fn debian() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders
}

/// The user and group to run PostgreSQL as when this process is root's, as which it refuses to run.
fn unprivileged_user() -> Result<Option<(u32, u32)>, String> {
    let own = fs::metadata("/proc/self").map_err(|error| error.to_string())?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let found = ["postgres", "nobody"].iter().find_map(|name| user(&users, name));
    found.map(Some).ok_or_else(|| "there is no user to run it as: neither postgres nor nobody".to_owned())
}

fn user(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn make_folder(user: Option<(u32, u32)>) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let folder = env::temp_dir().join(format!("openvisor-postgres-{}-{now}", std::process::id()));
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    fs::write(folder.join("password"), PASSWORD)?;
    if let Some((user, group)) = user {
        chown(folder.join("password"), Some(user), Some(group))?;
        chown(&folder, Some(user), Some(group))?;
    }
    Ok(folder)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn psql(url: &str, statement: &str) -> Result<String, String> {
    let program = programs().map(|folder| folder.join("psql")).filter(|program| program.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| "psql".into()));
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url]);
    let ended = command.output().map_err(|error| format!("psql: {error}; {INSTALL_HINT}"))?;
    if !ended.status.success() {
        return Err(String::from_utf8_lossy(&ended.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/:/bin/sh\npostgresql:x:7:8::/:/bin/sh\npostgres:x:105:110::/:/bin/sh\n";
        assert_eq!(user(users, "postgres"), Some((105, 110)));
        assert_eq!(user(users, "nobody"), None);
    }

    #[test]
    fn a_server_serves_crashes_restarts_and_ends_with_nothing_left() {
        let mut server = Server::start(Durability::Memory).expect("started");
        let database = server.database();
        database.psql("CREATE TABLE things (name TEXT)");
        database.psql("INSERT INTO things VALUES ('kettle')");
        server.crash();
        assert!(psql(&database.url(), "SELECT 1").is_err());
        server.restart();
        assert_eq!(database.psql("SELECT name FROM things"), "kettle");
        drop(database);
        let port: u16 = server.url().rsplit(':').next().expect("a port").parse().expect("a number");
        drop(server);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(), "the port is free again");
    }

    #[test]
    fn a_server_ends_with_the_process_that_started_it_even_if_that_is_killed() {
        if env::var_os("OPENVISOR_TEST_HOLDER").is_some() {
            let server = Server::start(Durability::Memory).expect("started");
            println!("port {}", server.url().rsplit(':').next().expect("a port"));
            std::thread::sleep(std::time::Duration::from_mins(1));
            return;
        }
        let name = "tests::a_server_ends_with_the_process_that_started_it_even_if_that_is_killed";
        let mut holder = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", name, "--nocapture"])
            .env("OPENVISOR_TEST_HOLDER", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(holder.stdout.take().expect("piped")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("port ").nth(1)?.trim().parse::<u16>().ok());
        let port = port.expect("it says where");
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err(), "it serves");
        holder.kill().expect("killed");
        holder.wait().expect("ended");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(std::time::Instant::now() < deadline, "the server still runs");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
