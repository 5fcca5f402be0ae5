//! A cloud whose store is a PostgreSQL database, as its operator meets it.

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::fixtures::{CONFIG_SAMPLE, CloudProcess, provision, text};
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(2);

const SUCCESS: i32 = 0;
const FAILED: i32 = 1;
const BAD_INPUT: i32 = 2;
const ENVIRONMENT: i32 = 3;

/// The password of the tests' server as a URL writes it and as a person would; neither may be printed.
const PASSWORDS: [&str; 2] = ["made%20for%20tests", "made for tests"];

/// Runs a command; answers its exit code, standard output and standard error, having looked that no password is there.
fn run(processes: &Processes, variables: &[(&str, &str)], words: &[&str]) -> (i32, String, String) {
    let process = processes.openvisor_with(variables, words);
    let (code, out, err) = (process.code(), process.out.text(), process.err.text());
    assert!(!PASSWORDS.iter().any(|password| out.contains(password) || err.contains(password)), "{out}{err}");
    (code, out, err)
}

fn run_ok(processes: &Processes, words: &[&str]) -> String {
    let (code, out, err) = run(processes, &[], words);
    assert_eq!(code, SUCCESS, "{words:?}: {err}");
    out
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Shows D116.
#[test]
fn a_cloud_on_postgresql_is_named_once_and_found_by_every_command() {
    within(LIMIT, |processes| {
        let (folder, database) = (tempfile::tempdir().unwrap(), test_postgres::shared());
        let (data, device) = (folder.path().join("cloud"), folder.path().join("kitchen"));
        let url = database.url();
        let words = ["provision", "--name", "kitchen", "--data", text(&data), "--out", text(&device)];
        let (code, _, err) = run(processes, &[("OPENVISOR_STORE", &url)], &words);
        assert_eq!(code, SUCCESS, "{err}");
        assert!(!data.join("cloud.db").exists());

        let cloud = processes.openvisor(["cloud", "--data", text(&data), "--listen", "127.0.0.1:0"]);
        cloud.out.expect("listening on ");
        run_ok(processes, &["configs", "set", "motd", "hello", "--device", "kitchen", "--data", text(&data)]);
        run_ok(processes, &["secrets", "set", "key", "hush", "--device", "kitchen", "--data", text(&data)]);
        let value =
            run_ok(processes, &["configs", "get", "motd", "--device", "kitchen", "--data", text(&data)]);
        assert_eq!(value.trim_end(), "hello");
        assert!(run_ok(processes, &["devices", "list", "--data", text(&data)]).contains("kitchen"));
        assert_eq!(database.psql("SELECT COUNT(*) FROM devices WHERE name = 'kitchen'"), "1");

        // The same cloud on another machine: the folder's lock does not help there, the database's does.
        let other = folder.path().join("other");
        copy(&data, &other);
        let words = ["cloud", "--data", text(&other), "--listen", "127.0.0.1:0"];
        let (code, _, err) = run(processes, &[], &words);
        assert_eq!(code, ENVIRONMENT, "{err}");
        assert!(
            err.contains("another running cloud uses the database postgres://postgres@127.0.0.1:"),
            "{err}"
        );
    });
}

/// Shows D116.
#[test]
fn a_store_that_cannot_be_used_is_refused_with_what_to_do_and_without_its_password() {
    within(LIMIT, |processes| {
        let (folder, database) = (tempfile::tempdir().unwrap(), test_postgres::shared());
        let (data, url) = (folder.path().join("cloud"), database.url());
        let refused = |store: &str| {
            let words = ["cloud", "--data", text(&data), "--store", store, "--listen", "127.0.0.1:0"];
            let (code, _, err) = run(processes, &[], &words);
            (code, err)
        };
        let (code, err) = refused(&url.replace("postgres://", "mysql://"));
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("--store: a store is `sqlite`, or postgres://USER@HOST/DATABASE"), "{err}");
        let (code, err) = refused(&format!("{url}_missing"));
        assert_eq!(code, ENVIRONMENT);
        assert!(err.contains("does not exist") && err.contains("createdb"), "{err}");
        let (code, err) = refused("postgres://ann:made%20for%20tests@127.0.0.1:1/fleet");
        assert_eq!(code, ENVIRONMENT);
        assert!(err.contains("cannot reach the database postgres://ann@127.0.0.1:1/fleet"), "{err}");
        assert!(err.contains("is it running"), "{err}");
    });
}

/// Shows D324.
#[test]
fn a_first_start_that_fails_says_what_it_leaves_behind() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let store = "postgres://ann@127.0.0.1:1/fleet";
        let words = ["cloud", "--data", text(&data), "--store", store, "--listen", "127.0.0.1:0"];
        let (_, _, err) = run(processes, &[], &words);
        assert!(err.contains("was created with new keys; the next start uses it"), "{err}");
        let (_, _, err) = run(processes, &[], &words);
        assert!(!err.contains("was created"), "{err}");
    });
}

#[test]
fn following_the_log_of_a_device_shows_that_it_was_revoked() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let (data, device) = (folder.path().join("cloud"), folder.path().join("kitchen"));
        run_ok(processes, &["provision", "--name", "kitchen", "--data", text(&data), "--out", text(&device)]);
        let stream = processes.openvisor(["logs", "stream", "kitchen", "--data", text(&data)]);
        run_ok(processes, &["devices", "revoke", "kitchen", "--yes", "--data", text(&data)]);
        assert_eq!(stream.code(), FAILED);
        stream.err.expect("device kitchen was revoked: there are no more log lines");
    });
}

/// The lines of a device's log, in order.
fn log_texts(processes: &Processes, data: &Path) -> Vec<Value> {
    let words =
        ["logs", "stream", "kitchen", "--no-follow", "--last", "1000", "--json", "--data", text(data)];
    let lines = run_ok(processes, &words);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "app_log").collect()
}

/// Runs a cloud on the folder until a device has logged more lines than `known`.
fn log_more(processes: &Processes, data: &Path, identity: &Path, known: usize) {
    let cloud = CloudProcess::start(processes, data, "127.0.0.1:0");
    let words = ["device", CONFIG_SAMPLE, "--cloud", &cloud.address, "--data", text(identity)];
    let device = processes.openvisor(words);
    let start = std::time::Instant::now();
    while log_texts(processes, data).len() <= known {
        assert!(start.elapsed() < support::TIMEOUT && device.is_running());
    }
    device.signal("INT");
    device.wait();
    cloud.process.signal("TERM");
    assert_eq!(cloud.process.code(), SUCCESS);
}

/// Shows D355: the devices, settings and log of a folder with SQLite, in PostgreSQL and back.
#[test]
fn a_store_is_copied_and_a_cloud_on_the_copy_continues() {
    within(LIMIT, |processes| {
        let (folder, database) = (tempfile::tempdir().unwrap(), test_postgres::shared());
        let (data, url) = (folder.path().join("cloud"), database.url());
        let name = ["--name", "kitchen"].map(str::to_owned);
        let identity = provision(processes, &data, folder.path(), "kitchen", &name);
        log_more(processes, &data, &identity, 0);
        let before = log_texts(processes, &data);

        // The database is not taken before it has the data.
        let words = ["cloud", "--data", text(&data), "--store", &url, "--listen", "127.0.0.1:0"];
        let (code, _, err) = run(processes, &[], &words);
        assert_eq!(code, ENVIRONMENT);
        assert!(err.contains("openvisor store copy"), "{err}");
        let running = CloudProcess::start(processes, &data, "127.0.0.1:0");
        let copy = ["store", "copy", "--from", text(&data), "--to", &url];
        let (code, _, err) = run(processes, &[], &copy);
        assert_eq!(code, ENVIRONMENT);
        assert!(err.contains("stop the cloud"), "{err}");
        running.process.signal("TERM");
        running.process.wait();

        let out = run_ok(processes, &copy);
        assert!(out.lines().any(|line| line.starts_with("devices     1     ")), "{out}");
        assert!(
            out.contains("copied and compared: ") && out.contains("--store postgres://postgres@"),
            "{out}"
        );
        run_ok(processes, &["devices", "list", "--data", text(&data), "--store", &url]);
        log_more(processes, &data, &identity, before.len());
        let after = log_texts(processes, &data);
        assert_eq!(after[..before.len()], before, "the log of SQLite, continued in PostgreSQL");
        assert_ne!(database.psql("SELECT COUNT(*) FROM logs"), before.len().to_string());

        // Back, over the old file.
        let back = ["store", "copy", "--from", text(&data), "--to", text(&data)];
        let (code, _, err) = run(processes, &[], &back);
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("cloud.db is not empty") && err.contains("--replace"), "{err}");
        let (code, _, err) = run(processes, &[], &[&back[..], &["--replace"]].concat());
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("needs a confirmation") && err.contains("--yes"), "{err}");
        let out = run_ok(processes, &[&back[..], &["--replace", "--yes", "--json"]].concat());
        let summary: Value = serde_json::from_str(&out).unwrap();
        let logs = summary["tables"].as_array().unwrap().iter().find(|table| table["table"] == "logs");
        assert_eq!(logs.unwrap()["rows"], after.len());
        run_ok(processes, &["devices", "list", "--data", text(&data), "--store", "sqlite"]);
        assert_eq!(log_texts(processes, &data), after);
        log_more(processes, &data, &identity, after.len());
    });
}
