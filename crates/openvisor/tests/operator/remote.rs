//! The same commands at a cloud elsewhere: over TLS, with a pinned certificate.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;

use super::support::fixtures::{CloudProcess, make_certificates, text};
use super::support::{Process, Processes, within};
use super::{BAD_INPUT, FAILED, Fixture, LIMIT, SUCCESS};

/// What `Exit::Environment` is.
const ENVIRONMENT: i32 = 3;

/// A cloud whose API has a certificate of an authority that is not public, and an empty configuration folder.
struct Elsewhere {
    fixture: Fixture,
    url: String,
    config: std::path::PathBuf,
    _cloud: CloudProcess,
}

impl Elsewhere {
    fn start(processes: &Processes) -> Self {
        let fixture = Fixture::new(processes);
        let folder = fixture.folder.path().to_owned();
        make_certificates(&folder);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        std::fs::write(folder.join("chain.pem"), read("server.pem") + &read("ca.pem")).unwrap();
        let (chain, key) = (folder.join("chain.pem"), folder.join("server.key"));
        let data = text(&fixture.data);
        let words = ["cloud", "--data", data, "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"];
        let process = processes.openvisor(words.into_iter().chain([
            "--api-cert",
            text(&chain),
            "--api-key",
            text(&key),
        ]));
        let line = process.out.expect("management API at ");
        let url = line.rsplit(' ').next().unwrap().to_owned();
        let cloud = CloudProcess { address: String::new(), process };
        Self { config: folder.join("config"), fixture, url, _cloud: cloud }
    }

    /// Runs a command that names no cloud, for a user with this configuration folder.
    fn run(&self, processes: &Processes, words: &[&str]) -> (i32, String, String) {
        self.run_with(processes, &[], words)
    }

    fn run_with(
        &self,
        processes: &Processes,
        more: &[(&str, &str)],
        words: &[&str],
    ) -> (i32, String, String) {
        let variables = [&[("XDG_CONFIG_HOME", text(&self.config))], more].concat();
        let process: Process = processes.openvisor_with(&variables, words);
        (process.code(), process.out.text(), process.err.text())
    }

    /// Creates a key in the folder; answers `ID:SECRET`.
    fn key(&self, processes: &Processes, role: &str) -> String {
        let key = self.fixture.objects(processes, &["keys", "create", "--role", role]).remove(0);
        format!("{}:{}", key["sid"].as_str().unwrap(), key["secret"].as_str().unwrap())
    }

    /// Logs in with a key file, trusting the certificate that the cloud shows.
    fn login(&self, processes: &Processes) -> String {
        let key = self.fixture.file("key", self.key(processes, "owner").as_bytes());
        let login = ["login", &self.url, "--profile", "plant", "--key-file", key.trim_start_matches('@')];
        let (code, _, err) = self.run(processes, &login);
        assert_eq!(code, FAILED, "an unknown certificate is not trusted without a question: {err}");
        let fingerprint = err.split_once("fingerprint is ").unwrap().1.lines().next().unwrap().to_owned();
        let (code, out, err) = self.run(processes, &[&login[..], &["--fingerprint", &fingerprint]].concat());
        assert_eq!(code, SUCCESS, "{err}");
        assert!(out.contains("plant"), "{out}");
        fingerprint
    }
}

fn objects(text: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        // The first names the host that answered; the second changes with each request.
        for name in ["url", "date_used"] {
            value.as_object_mut().unwrap().remove(name);
        }
        value
    };
    text.lines().map(parse).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

/// Shows D385, D386, D387.
#[test]
fn after_login_commands_do_the_same_at_a_cloud_elsewhere_as_on_its_folder() {
    within(LIMIT, |processes| {
        let cloud = Elsewhere::start(processes);
        cloud.login(processes);
        let file = cloud.config.join("openvisor/profiles.toml");
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let (code, created, err) =
            cloud.run(processes, &["keys", "create", "--name", "ci", "--role", "read", "--json"]);
        assert_eq!(code, SUCCESS, "{err}");
        let created = objects(&created).remove(0);
        for words in [&["keys", "list", "--json"][..], &["audit", "--json"]] {
            let (code, there, err) = cloud.run(processes, words);
            assert_eq!(code, SUCCESS, "{words:?}: {err}");
            let here = cloud.fixture.run_ok(processes, words);
            assert_eq!(objects(&there), objects(&here), "{words:?}");
            assert!(there.contains(created["sid"].as_str().unwrap()), "{words:?}");
        }
        assert_eq!(cloud.run(processes, &["audit"]).1, cloud.fixture.run_ok(processes, &["audit"]));
        assert_eq!(cloud.run(processes, &["accounts", "token"]).0, SUCCESS);
        assert_eq!(cloud.run(processes, &["accounts", "token"]).0, FAILED, "there is one now");
        assert_eq!(cloud.fixture.run(processes, &["accounts", "token"]).0, FAILED);
        let sid = created["sid"].as_str().unwrap();
        assert_eq!(cloud.run(processes, &["keys", "revoke", sid]).0, SUCCESS);
        let (code, _, err) = cloud.run(processes, &["logs", "stream", "kitchen"]);
        assert!(code == BAD_INPUT && err.contains(&cloud.url[..20]) && err.contains("--data"), "{err}");
        let (code, _, err) = cloud.run(processes, &["keys", "list", "--account", "other"]);
        assert!(code == BAD_INPUT && err.contains("another account"), "{err}");
        assert_eq!(cloud.run(processes, &["logout"]).0, SUCCESS);
        let (code, _, err) = cloud.run(processes, &["keys", "list"]);
        assert!(code == BAD_INPUT && err.contains("openvisor login"), "{err}");
    });
}

/// Shows D385, D386.
#[test]
fn a_key_and_a_certificate_are_checked_each_time() {
    within(LIMIT, |processes| {
        let cloud = Elsewhere::start(processes);
        let fingerprint = cloud.login(processes);
        let key = cloud.key(processes, "read");
        let variables = [("OPENVISOR_URL", &*cloud.url), ("OPENVISOR_KEY", &*key)];
        // The certificate is the profile's, the key that of the environment.
        let (code, _, err) = cloud.run_with(processes, &variables, &["keys", "list"]);
        assert!(code == BAD_INPUT && err.contains("role `read`") && err.contains("127.0.0.1"), "{err}");
        let wrong = [("OPENVISOR_URL", &*cloud.url), ("OPENVISOR_KEY", "SKno:ovs_no")];
        let (code, _, err) = cloud.run_with(processes, &wrong, &["keys", "list"]);
        assert!(code == BAD_INPUT && err.contains("openvisor login") && !err.contains("ovs_no"), "{err}");
        // Another certificate than the pinned one, as after an attack or a new installation.
        let other = fingerprint.replace("SHA256:", "SHA256:0").chars().take(71).collect::<String>();
        let file = cloud.config.join("openvisor/profiles.toml");
        let stored = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, stored.replace(&fingerprint, &other)).unwrap();
        let (code, _, err) = cloud.run(processes, &["keys", "list"]);
        assert!(code == ENVIRONMENT && err.contains(&fingerprint) && err.contains("log in again"), "{err}");
    });
}
