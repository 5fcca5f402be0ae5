//! What an operator does with a cloud's data folder, beside a running cloud and without one.

mod support;

#[path = "operator/completions.rs"]
mod completions;
#[path = "operator/fleets.rs"]
mod fleets;
#[path = "operator/remote.rs"]
mod remote;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::fixtures::{CONFIG_SAMPLE, CloudProcess, SAMPLE, provision, text};
use support::{Processes, TIMEOUT, within};

const LIMIT: Duration = Duration::from_mins(2);

const SUCCESS: i32 = 0;
const FAILED: i32 = 1;
const BAD_INPUT: i32 = 2;

/// A cloud's data folder with one device, `kitchen`; nothing runs on it.
struct Fixture {
    folder: tempfile::TempDir,
    data: PathBuf,
    identity: PathBuf,
}

impl Fixture {
    fn new(processes: &Processes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let name = ["--name", "kitchen"].map(str::to_owned);
        let identity = provision(processes, &data, folder.path(), "device", &name);
        Self { folder, data, identity }
    }

    /// Runs a command on the folder; answers its exit code, standard output and standard error.
    fn run(&self, processes: &Processes, words: &[&str]) -> (i32, String, String) {
        let process = processes.openvisor(words.iter().copied().chain(["--data", text(&self.data)]));
        (process.code(), process.out.text(), process.err.text())
    }

    /// The same for a command that succeeds; answers what it says.
    fn run_ok(&self, processes: &Processes, words: &[&str]) -> String {
        let (code, out, err) = self.run(processes, words);
        assert_eq!(code, SUCCESS, "{words:?}: {err}");
        out
    }

    /// The same in JSON.
    fn objects(&self, processes: &Processes, words: &[&str]) -> Vec<Value> {
        let out = self.run_ok(processes, &[words, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("@{}", text(&path))
    }

    fn device(&self, processes: &Processes, cloud: &CloudProcess) -> support::Process {
        processes.openvisor(["device", SAMPLE, "--cloud", &cloud.address, "--data", text(&self.identity)])
    }

    /// Waits until `devices show` says so.
    fn wait_for_state(&self, processes: &Processes, state: &str) -> Value {
        self.wait_for(processes, "state", &state.into())
    }

    fn wait_for(&self, processes: &Processes, field: &str, value: &Value) -> Value {
        let start = Instant::now();
        loop {
            let shown = self.objects(processes, &["devices", "show", "kitchen"]).remove(0);
            if &shown[field] == value {
                return shown;
            }
            assert!(start.elapsed() < TIMEOUT, "{field} is not {value}: {shown}");
        }
    }
}

#[test]
fn a_config_is_set_read_listed_and_removed_for_the_account_and_for_a_device() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let kitchen = ["--device", "kitchen"];
        assert!(
            fixture.run_ok(processes, &["configs", "set", "host", "a.example"]).contains("of the account")
        );
        let ca = fixture.file("ca.hex", b"0a0b\n");
        fixture.run_ok(processes, &[&["configs", "set", "ca", &ca], &kitchen[..]].concat());
        let changed = fixture.run_ok(processes, &["configs", "set", "host", "-b.example"]);
        assert!(changed.starts_with("changed host"), "{changed}");
        assert_eq!(fixture.run_ok(processes, &["configs", "get", "host"]), "-b.example\n");
        assert_eq!(fixture.run_ok(processes, &[&["configs", "get", "ca"], &kitchen[..]].concat()), "0a0b\n");
        let listed = fixture.objects(processes, &["configs", "list"]);
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0]["key"], &listed[0]["device"]), (&"host".into(), &Value::Null));
        let table = fixture.run_ok(processes, &[&["configs", "list"], &kitchen[..]].concat());
        assert!(table.starts_with("KEY") && table.lines().any(|line| line.starts_with("ca ")), "{table}");
        // The device has no `host` of its own: neither scope stands in for the other.
        let (code, out, err) = fixture.run(processes, &[&["configs", "get", "host"], &kitchen[..]].concat());
        assert_eq!((code, out.as_str()), (FAILED, ""));
        assert!(err.contains("`host` of kitchen") && err.contains("configs list"), "{err}");
        fixture.run_ok(processes, &["configs", "remove", "host"]);
        assert_eq!(fixture.run(processes, &["configs", "remove", "host"]).0, FAILED);
        assert!(fixture.objects(processes, &["configs", "list"]).is_empty());
    });
}

#[test]
fn a_secret_is_listed_by_its_key_and_never_shown() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let password = fixture.file("password", b"hunter2\n");
        fixture.run_ok(processes, &["secrets", "set", "password", &password, "--device", "kitchen"]);
        let listed = fixture.run_ok(processes, &["secrets", "list", "--device", "kitchen", "--json"]);
        let (code, out, err) = fixture.run(processes, &["secrets", "get", "password", "--device", "kitchen"]);
        assert_eq!((code, out.as_str()), (BAD_INPUT, ""));
        assert!(err.contains("never shown") && err.contains("secrets set"), "{err}");
        assert!(listed.contains("password") && !listed.contains("hunter2"), "{listed}");
        fixture.run_ok(processes, &["secrets", "remove", "password", "--device", "kitchen"]);
        let (code, out, err) = fixture.run(processes, &["secrets", "list", "--device", "kitchen"]);
        assert_eq!((code, out.as_str()), (SUCCESS, ""));
        assert!(err.contains("kitchen") && err.contains("has no secrets"), "{err}");
    });
}

/// Shows M51, D63.
#[test]
fn invalid_keys_and_values_are_refused_with_the_limit() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let (long_key, full, long) = ("k".repeat(101), "v".repeat(4096), "v".repeat(4097));
        assert_eq!(fixture.run(processes, &["configs", "set", &"k".repeat(100), &full]).0, SUCCESS);
        let binary = fixture.file("key.der", &[0x30, 0x82, 0xff]);
        for (kind, key, value, expected) in [
            ("configs", &*long_key, "v", "1 to 100 printable ASCII"),
            ("secrets", "tab\t", "v", "1 to 100 printable ASCII"),
            ("configs", "", "v", "1 to 100 printable ASCII"),
            ("secrets", "key", &*long, "4097 bytes; the maximum is 4096"),
            ("configs", "key", &*binary, "hexadecimal"),
            ("secrets", "key", "@/no/such/file", "/no/such/file"),
        ] {
            let (code, out, err) = fixture.run(processes, &[kind, "set", key, value]);
            assert_eq!((code, out.as_str()), (BAD_INPUT, ""), "{err}");
            assert!(err.contains(expected) && err.lines().count() <= 2, "{err}");
        }
        let (code, _, err) = fixture.run(processes, &["configs", "list", "--device", "cellar"]);
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("no device `cellar`") && err.contains("devices list"), "{err}");
    });
}

#[test]
fn a_folder_without_a_clouds_data_is_never_changed() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let missing = fixture.folder.path().join("typo");
        for words in [
            "devices list",
            "configs list",
            "secrets set a b",
            "logs stream kitchen",
            "devices revoke kitchen",
        ] {
            let process = processes.openvisor(words.split(' ').chain(["--data", text(&missing)]));
            assert_eq!(process.code(), BAD_INPUT, "{words}");
            assert!(process.err.text().contains("openvisor cloud --data"), "{}", process.err.text());
        }
        assert!(!missing.exists());
        // What `run --data` keeps is one folder deeper.
        let outer = processes.openvisor(["devices", "list", "--data", text(fixture.folder.path())]);
        assert_eq!(outer.code(), BAD_INPUT);
        assert!(outer.err.text().contains(text(&fixture.data)), "{}", outer.err.text());
    });
}

#[test]
fn a_device_is_listed_and_shown_as_it_connects_and_disconnects() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let never = fixture.objects(processes, &["devices", "list"]).remove(0);
        assert_eq!((&never["name"], &never["state"]), (&"kitchen".into(), &"never".into()));
        let cloud = CloudProcess::start(processes, &fixture.data, "127.0.0.1:0");
        let device = fixture.device(processes, &cloud);
        let shown = fixture.wait_for_state(processes, "connected");
        assert_eq!(shown["image"].as_str().unwrap().len(), 64);
        let table = fixture.run_ok(processes, &["devices", "list"]);
        assert!(table.contains("kitchen") && table.contains("connected"), "{table}");
        let by_id = fixture.objects(processes, &["devices", "show", shown["id"].as_str().unwrap()]);
        assert_eq!(by_id[0]["name"], "kitchen");
        device.signal("INT");
        device.wait();
        let away = fixture.wait_for_state(processes, "away");
        assert!(away["seen"].is_string());
        // A cloud that is killed cannot say that its devices are gone; it is not believed for ever.
        let device = fixture.device(processes, &cloud);
        fixture.wait_for_state(processes, "connected");
        cloud.process.kill();
        assert_eq!(fixture.wait_for_state(processes, "away")["connected"], false);
        assert!(device.is_running());
    });
}

/// Shows D323.
#[test]
fn a_revoked_device_is_disconnected_by_the_running_cloud_for_good() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let cloud = CloudProcess::start(processes, &fixture.data, "127.0.0.1:0");
        let device = fixture.device(processes, &cloud);
        fixture.wait_for_state(processes, "connected");
        let (code, _, err) = fixture.run(processes, &["devices", "revoke", "kitchen"]);
        assert_eq!(code, BAD_INPUT, "there is no terminal for a confirmation");
        assert!(err.contains("--yes"), "{err}");
        let text = fixture.run_ok(processes, &["devices", "revoke", "kitchen", "--yes"]);
        assert!(text.starts_with("revoked kitchen") && text.contains("running cloud"), "{text}");
        cloud.process.out.expect("device disconnected: the device is revoked");
        let reason = "link    down: the cloud has revoked this device or does not know it";
        device.out.expect(reason);
        // It does not try again soon, but one that is restarted does, and shows the same reason.
        fixture.device(processes, &cloud).out.expect(reason);
        assert_eq!(fixture.wait_for(processes, "connected", &false.into())["state"], "revoked");
        let again = fixture.run_ok(processes, &["devices", "revoke", "kitchen", "--yes"]);
        assert!(again.contains("already"), "{again}");
        // Forgotten, it leaves its name to another.
        fixture.run_ok(processes, &["devices", "revoke", "kitchen", "--yes", "--forget"]);
        let name = ["--name", "kitchen"].map(str::to_owned);
        provision(processes, &fixture.data, fixture.folder.path(), "device-2", &name);
        assert_eq!(fixture.objects(processes, &["devices", "list"])[0]["state"], "never");
    });
}

/// Shows D70.
#[test]
fn stored_lines_are_shown_and_followed_until_ctrl_c() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let cloud = CloudProcess::start(processes, &fixture.data, "127.0.0.1:0");
        let _device = fixture.device(processes, &cloud);
        let follow = ["logs", "stream", "kitchen", "--data", text(&fixture.data)];
        let stream = processes.openvisor(follow);
        let first = stream.out.expect("network: connected");
        assert!(first.starts_with("20") && first.contains("Z  "), "{first}");
        stream.signal("INT");
        assert_eq!((stream.code(), stream.err.text()), (SUCCESS, String::new()));
        // What was logged is there without a cloud, too.
        drop(cloud);
        let lines = fixture.objects(processes, &["logs", "stream", "kitchen", "--no-follow"]);
        let sequences: Vec<_> = lines.iter().filter_map(|line| line["sequence"].as_u64()).collect();
        assert!(
            sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]) && !sequences.is_empty(),
            "{lines:?}"
        );
        let last = fixture.objects(processes, &["logs", "stream", "kitchen", "--no-follow", "--last", "1"]);
        assert_eq!(last.len(), 1);
        assert_eq!(last[0]["sequence"].as_u64(), sequences.last().copied());
        let all = ["logs", "stream", "kitchen", "--no-follow", "--since"];
        assert!(
            fixture.objects(processes, &[&all[..], &["2020-01-01T00:00:00Z"]].concat()).len() >= lines.len()
        );
        assert!(fixture.objects(processes, &[&all[..], &["2120-01-01T00:00:00Z"]].concat()).is_empty());
        let (code, _, err) = fixture.run(processes, &[&all[..], &["soon"]].concat());
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("10m"), "{err}");
    });
}

#[test]
fn a_log_stream_whose_reader_is_gone_ends() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let cloud = CloudProcess::start(processes, &fixture.data, "127.0.0.1:0");
        let _device = fixture.device(processes, &cloud);
        let script = format!(
            "{} logs stream kitchen --data {} | head -n 1",
            env!("CARGO_BIN_EXE_openvisor"),
            text(&fixture.data)
        );
        let pipeline = processes.tool("sh", ["-c", &script]);
        assert_eq!(pipeline.code(), 0);
        assert_eq!(pipeline.out.count(), 1);
    });
}

#[test]
fn every_commands_help_has_examples() {
    within(LIMIT, |processes| {
        for words in [
            "configs",
            "configs set",
            "configs get",
            "configs list",
            "configs remove",
            "secrets",
            "secrets set",
            "secrets list",
            "secrets remove",
            "devices",
            "devices list",
            "devices show",
            "devices revoke",
            "logs",
            "logs stream",
            "completions",
        ] {
            let process = processes.openvisor(words.split(' ').chain(["--help"]));
            assert_eq!(process.code(), SUCCESS, "{words}");
            let out = process.out.text();
            assert!(out.contains("Example") && out.contains(&format!("openvisor {words}")), "{words}: {out}");
            assert!(out.lines().all(|line| line.chars().count() <= 110), "{words}: {out}");
        }
        let completions = processes.openvisor(["completions", "bash"]);
        assert_eq!(completions.code(), SUCCESS);
        assert!(completions.out.text().contains("configs"));
    });
}

#[test]
fn the_accounts_settings_reach_the_application_and_stay() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let words = "--account-config region=north --account-config interval=7 --account-secret api-token=t1 \
             --config region=kitchen";
        let start = ["run", CONFIG_SAMPLE, "--data", text(&data)];
        let run = processes.openvisor(start.into_iter().chain(words.split_whitespace()));
        run.out.expect("api-token is a secret of 2 bytes");
        let interval = run.out.expect("config: interval");
        assert!(interval.contains('7') && !interval.contains("not set"), "{interval}");
        run.signal("INT");
        assert_eq!(run.code(), SUCCESS, "{}", run.err.text());
        let cloud = data.join("cloud");
        let get = |more: &[&str]| {
            let words = ["configs", "get", "region", "--data", text(&cloud)];
            let process = processes.openvisor(words.iter().chain(more));
            assert_eq!(process.code(), SUCCESS, "{}", process.err.text());
            process.out.text()
        };
        let device = run.err.expect("id UV").split_whitespace().last().unwrap().to_owned();
        assert_eq!(get(&[]), "north\n");
        assert_eq!(get(&["--device", &device]), "kitchen\n");
        let secrets = processes.openvisor(["secrets", "list", "--data", text(&cloud)]);
        secrets.out.expect("api-token");
    });
}

/// Shows D121.
#[test]
fn accounts_separate_their_devices_and_settings() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let id = fixture.run_ok(processes, &["accounts", "add", "plant"]);
        let id = id.trim_end();
        assert!(id.len() == 34 && id.starts_with("AC"), "{id}");
        let out = fixture.folder.path().join("press");
        let words = ["provision", "--account", "plant", "--name", "kitchen", "--out", text(&out)];
        fixture.run_ok(processes, &[&words[..], &["--config", "speed=9"]].concat());
        fixture.run_ok(processes, &["configs", "set", "broker", "theirs", "--account", "plant"]);
        fixture.run_ok(processes, &["configs", "set", "broker", "ours"]);
        assert_eq!(fixture.run_ok(processes, &["configs", "get", "broker"]), "ours\n");
        assert_eq!(fixture.run_ok(processes, &["configs", "get", "broker", "--account", id]), "theirs\n");
        let speed = ["configs", "get", "speed", "--device", "kitchen"];
        assert_eq!(fixture.run(processes, &speed).0, FAILED, "this kitchen is another account's");
        assert_eq!(fixture.run_ok(processes, &[&speed[..], &["--account", "plant"]].concat()), "9\n");
        let theirs = fixture.objects(processes, &["devices", "list", "--account", "plant"]);
        assert_eq!((theirs.len(), &theirs[0]["name"]), (1, &Value::from("kitchen")));
        let their_id = theirs[0]["id"].as_str().unwrap();
        assert_eq!(
            fixture.run(processes, &["devices", "show", their_id]).0,
            BAD_INPUT,
            "an id alone opens nothing"
        );
        let (code, _, err) = fixture.run(processes, &["accounts", "remove", "plant"]);
        assert_eq!((code, err.contains("it has devices")), (FAILED, true), "{err}");
        fixture.run_ok(processes, &["accounts", "rename", "plant", "west"]);
        let accounts = fixture.objects(processes, &["accounts", "list"]);
        assert_eq!(accounts.len(), 2);
        assert_eq!((&accounts[0]["default"], &accounts[1]["name"]), (&true.into(), &Value::from("west")));
        let (code, _, err) = fixture.run(processes, &["devices", "list", "--account", "plant"]);
        assert_eq!((code, err.contains("accounts list")), (BAD_INPUT, true), "{err}");
    });
}

/// Shows D125.
#[test]
fn logging_is_switched_and_shown_with_its_end() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let show = ["devices", "show", "kitchen"];
        let shown = fixture.objects(processes, &show).remove(0);
        assert_eq!((&shown["logging"], &shown["logging_expires"]), (&true.into(), &Value::Null));
        let text = fixture.run_ok(processes, &["devices", "logging", "kitchen", "on"]);
        assert!(text.contains("is on until 20"), "{text}");
        let shown = fixture.objects(processes, &show).remove(0);
        let first = shown["logging_expires"].as_str().unwrap().to_owned();
        fixture.run_ok(processes, &["devices", "logging", "kitchen", "on", "--for", "7d"]);
        let shown = fixture.objects(processes, &show).remove(0);
        assert!(shown["logging_expires"].as_str().unwrap() > first.as_str(), "it is extended: {shown}");
        fixture.run_ok(processes, &["devices", "logging", "kitchen", "off"]);
        let text = fixture.run_ok(processes, &show);
        assert!(text.lines().any(|line| line.starts_with("logging") && line.ends_with("off")), "{text}");
        let (code, _, err) =
            fixture.run(processes, &["devices", "logging", "kitchen", "on", "--for", "soon"]);
        assert_eq!((code, err.contains("not a duration")), (BAD_INPUT, true), "{err}");
        let cloud = CloudProcess::start(processes, &fixture.data, "127.0.0.1:0");
        let _device = fixture.device(processes, &cloud);
        fixture.wait_for_state(processes, "connected");
        fixture.run_ok(processes, &["devices", "logging", "kitchen", "on", "--for", "ever"]);
        cloud.process.out.expect("  app     ");
    });
}
