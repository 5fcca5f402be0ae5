//! `cargo xtask clients`: the original's public clients, unmodified, against a cloud of this workspace.
//!
//! Each client is installed in `target/clients` from the ordinary registries, and makes the calls of its script in
//! `xtask/clients`: by the base URL that its library has, and without a change of code, through a proxy that joins the
//! original's host name to the cloud.

mod cloud;
mod install;
mod proxy;
mod upload;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::process::{Ended, capture};
use crate::workspace::root;
use cloud::{Cloud, Credentials, Tls};
use install::{InstallError, Package};
use proxy::Proxy;

/// For all calls of one client. The command line starts a process for each call.
const LIMIT: Duration = Duration::from_mins(15);

/// A client, and what is expected of it.
struct Client {
    name: &'static str,
    package: Package,
    ways: &'static [Way],
    /// Calls that its script makes in each way; fewer are a failure, since a script may not skip silently.
    calls: usize,
}

/// How a client is pointed at the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Its library's base URL is set.
    BaseUrl,
    /// The same, with the library's asynchronous methods.
    Async,
    /// Nothing is set in its code: the environment names a proxy and a certificate authority.
    Proxy,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::BaseUrl => "base-url",
            Self::Async => "async",
            Self::Proxy => "proxy",
        }
    }
}

const SYNC: &[Way] = &[Way::BaseUrl, Way::Proxy];
const ALL_WAYS: &[Way] = &[Way::BaseUrl, Way::Async, Way::Proxy];

const CLIENTS: &[Client] = &[
    Client { name: "python-7.17.0", package: Package::Pip("twilio==7.17.0"), ways: SYNC, calls: 52 },
    Client { name: "python-8.13.0", package: Package::Pip("twilio==8.13.0"), ways: ALL_WAYS, calls: 52 },
    Client { name: "python-9.6.3", package: Package::Pip("twilio==9.6.3"), ways: ALL_WAYS, calls: 52 },
    Client { name: "node-3.84.1", package: Package::Npm("twilio@3.84.1"), ways: SYNC, calls: 15 },
    Client { name: "node-4.23.0", package: Package::Npm("twilio@4.23.0"), ways: SYNC, calls: 52 },
    Client { name: "node-5.7.1", package: Package::Npm("twilio@5.7.1"), ways: SYNC, calls: 52 },
    Client { name: "cli-5.23.1", package: Package::Npm("twilio-cli@5.23.1"), ways: &[Way::Proxy], calls: 42 },
    Client { name: "cli-6.2.4", package: Package::Npm("twilio-cli@6.2.4"), ways: &[Way::Proxy], calls: 42 },
];

/// The clients that `cargo xtask check` runs, one of each family.
const CHECKED: &[&str] = &["python-9.6.3", "node-5.7.1"];

/// The result of one client in one way.
struct Row {
    client: &'static str,
    way: Way,
    passed: usize,
    failed: Vec<String>,
    took: Duration,
}

/// Runs all clients, or those named.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let known = |name: &String| CLIENTS.iter().any(|client| client.name == name);
    if let Some(unknown) = arguments.iter().find(|name| !known(name)) {
        let names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
        return Err(format!("there is no client {unknown}; there are {}", names.join(", ")));
    }
    let wanted = |client: &&Client| arguments.is_empty() || arguments.iter().any(|name| name == client.name);
    let wanted: Vec<&Client> = CLIENTS.iter().filter(wanted).collect();
    run_clients(&wanted).map_err(|error| error.to_string())
}

/// The step of the check: one client of each family. Without a registry there is nothing to test, and it says so.
pub(crate) fn check() -> Outcome {
    let wanted: Vec<&Client> = CLIENTS.iter().filter(|client| CHECKED.contains(&client.name)).collect();
    match run_clients(&wanted) {
        Err(InstallError::Unreachable(why)) => {
            println!("SKIPPED: the clients cannot be installed, as a registry cannot be reached: {why}");
            Ok(())
        }
        result => result.map_err(|error| error.to_string()),
    }
}

fn run_clients(clients: &[&Client]) -> Result<(), InstallError> {
    let base = root().join("target/clients");
    std::fs::create_dir_all(&base)?;
    for client in clients {
        install::install(client.package, &base.join(client.name))?;
    }
    let rows = run_installed(clients, &base)?;
    print_table(&rows);
    let failed: Vec<&Row> = rows.iter().filter(|row| !row.failed.is_empty()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let lines = failed.iter().flat_map(|row| {
        row.failed.iter().map(|line| format!("{} by {}: {line}", row.client, row.way.name()))
    });
    Err(InstallError::Other(format!("failed calls:\n  {}", lines.collect::<Vec<_>>().join("\n  "))))
}

/// Everything by base URL against the cloud without TLS, then the rest against the same data with TLS.
fn run_installed(clients: &[&Client], base: &Path) -> Result<Vec<Row>, String> {
    let run = Run::prepare(base)?;
    let runs = |is_proxy: bool| {
        let ways =
            |client: &&'static Client| client.ways.iter().map(|way| (*client, *way)).collect::<Vec<_>>();
        let all = CLIENTS.iter().filter(|client| clients.iter().any(|wanted| wanted.name == client.name));
        let all: Vec<(&Client, Way)> = all.flat_map(|client| ways(&client)).collect();
        all.into_iter().filter(move |(_, way)| (*way == Way::Proxy) == is_proxy)
    };
    let total = runs(false).count() + runs(true).count();
    let mut rows = Vec::new();
    let cloud = Cloud::start(&run.data, None)?;
    let credentials = cloud::credentials(&run.data)?;
    let mut apps = upload_all(&cloud, &credentials, total + 1, &run.folder)?;
    let target = apps.remove(0);
    let mut call = |client: &'static Client, way, url: &str, proxy: Option<&Proxy>| {
        let left = apps.len();
        let spare = apps.pop().ok_or("as many applications as runs were uploaded")?;
        let mut command = run.command(client, way, base);
        command.env("OV_SID", &credentials.sid).env("OV_TOKEN", &credentials.token);
        command.env("OV_APP", &target).env("OV_SPARE", &spare).env("OV_APPS", (left + 1).to_string());
        command.env("OV_URL", url);
        if let Some(proxy) = proxy {
            proxied(&mut command, client, proxy, &run.tls);
        }
        println!("{} by {} …", client.name, way.name());
        let started = Instant::now();
        let ended = capture(&mut command, LIMIT)?;
        rows.push(row(client, way, &ended, started.elapsed()));
        Ok::<_, String>(())
    };
    runs(false).try_for_each(|(client, way)| call(client, way, &cloud.url, None))?;
    drop(cloud);
    let cloud = Cloud::start(&run.data, Some(&run.tls))?;
    let proxy = Proxy::start(cloud.address()?)?;
    runs(true).try_for_each(|(client, way)| call(client, way, "", Some(&proxy)))?;
    Ok(rows)
}

/// What the environment of a client names when nothing in its code does.
fn proxied(command: &mut Command, client: &Client, proxy: &Proxy, tls: &Tls) {
    let url = format!("http://{}", proxy.address);
    match client.package {
        Package::Pip(_) => command.env("HTTPS_PROXY", url).env("REQUESTS_CA_BUNDLE", &tls.authority),
        // Their libraries read HTTP_PROXY for both schemes.
        Package::Npm(_) => command.env("HTTP_PROXY", url).env("NODE_EXTRA_CA_CERTS", &tls.authority),
    };
}

/// The folders of a run.
struct Run {
    folder: PathBuf,
    data: PathBuf,
    tls: Tls,
}

impl Run {
    fn prepare(base: &Path) -> Result<Self, String> {
        let folder = base.join("run");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("home")).map_err(|error| error.to_string())?;
        cloud::build()?;
        let data = folder.join("cloud");
        cloud::provision(&data, &folder)?;
        let tls = Tls::write(&folder)?;
        Ok(Self { folder, data, tls })
    }

    /// The script of a client, with no setting of this user's.
    fn command(&self, client: &Client, way: Way, base: &Path) -> Command {
        let installed = base.join(client.name);
        let scripts = root().join("xtask/clients");
        let mut command = match client.package {
            Package::Pip(_) => {
                let mut command = Command::new(installed.join("bin/python"));
                command.arg(scripts.join("calls.py")).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Package::Npm(_) => {
                let mut command = Command::new("node");
                let is_cli = client.name.starts_with("cli");
                command.arg(scripts.join(if is_cli { "cli.js" } else { "calls.js" }));
                command
            }
        };
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.arg(way.name()).arg(&installed).env("HOME", self.folder.join("home"));
        command.current_dir(&self.folder);
        command
    }
}

/// Uploads that many applications; their ids.
fn upload_all(
    cloud: &Cloud,
    credentials: &Credentials,
    count: usize,
    folder: &Path,
) -> Result<Vec<String>, String> {
    (0..count)
        .map(|number| {
            let bundle = cloud::bundle(number, folder)?;
            upload::upload(cloud.address()?, credentials, &bundle)
        })
        .collect()
}

/// Reads what a script printed.
fn row(client: &'static Client, way: Way, ended: &Ended, took: Duration) -> Row {
    let lines = || ended.output.lines();
    let passed = lines().filter(|line| line.starts_with("ok ")).count();
    let mut failed: Vec<String> =
        lines().filter_map(|line| line.strip_prefix("FAIL ")).map(str::to_owned).collect();
    if !lines().any(|line| line == "end") {
        failed.push(format!("the script did not end ({}):\n{}", ended.how, ended.output));
    } else if passed + failed.len() != client.calls {
        failed.push(format!("{} calls made instead of {}", passed + failed.len(), client.calls));
    }
    Row { client: client.name, way, passed, failed, took }
}

fn print_table(rows: &[Row]) {
    println!("\n{:<16} {:<10} {:>6} {:>6} {:>5}", "client", "way", "passed", "failed", "s");
    for row in rows {
        let (way, seconds) = (row.way.name(), row.took.as_secs());
        println!("{:<16} {way:<10} {:>6} {:>6} {seconds:>5}", row.client, row.passed, row.failed.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(output: &str) -> Ended {
        Ended { success: true, how: String::new(), output: output.to_owned() }
    }

    #[test]
    fn a_script_that_makes_fewer_calls_or_stops_early_fails() {
        let client = &CLIENTS[0];
        let all = "ok a call\n".repeat(client.calls);
        let failed = |output: &str| row(client, Way::Proxy, &ended(output), Duration::ZERO).failed.len();
        assert_eq!(failed(&format!("{all}end\n")), 0);
        assert_eq!(failed(&all), 1, "it has no end");
        assert_eq!(failed("ok 1\nend\n"), 1, "too few");
        assert_eq!(failed(&format!("FAIL x: y\n{}end\n", &all["ok a call\n".len()..])), 1);
    }

    #[test]
    fn the_check_runs_clients_that_there_are() {
        assert!(CHECKED.iter().all(|name| CLIENTS.iter().any(|client| client.name == *name)));
    }
}
