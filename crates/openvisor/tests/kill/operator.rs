//! An operator who sets configuration and secrets and provisions devices, one command after the other. A command that
//! ends with success is an acknowledgement.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cloud::DeviceId;
use cloud::store::{LookupKey, Scope, Store, Value};

/// Something the operator did, or tried to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Config,
    Secret,
    Device,
}

pub(crate) struct Operator {
    data: PathBuf,
    folder: PathBuf,
    /// Commands started, which numbers them.
    count: u32,
    running: Option<(Kind, u32, Child)>,
    done: Vec<(Kind, u32)>,
}

impl Operator {
    pub(crate) fn new(data: &Path, folder: &Path) -> Self {
        let (data, folder) = (data.to_owned(), folder.to_owned());
        Self { data, folder, count: 0, running: None, done: Vec::new() }
    }

    /// Starts the next command if the last has ended.
    pub(crate) fn work(&mut self) {
        if let Some((_, _, child)) = &mut self.running {
            if child.try_wait().expect("a status").is_none() {
                return;
            }
            self.finish();
        }
        self.count += 1;
        let number = self.count;
        let kind = [Kind::Config, Kind::Secret, Kind::Device][number as usize % 3];
        let mut command = Command::new(env!("CARGO_BIN_EXE_openvisor"));
        match kind {
            Kind::Config => command.args(["configs", "set", &key(number), &value(number)]),
            Kind::Secret => command.args(["secrets", "set", &key(number), &value(number)]),
            Kind::Device => {
                command.args(["provision", "--name", &key(number), "--out"]).arg(self.out(number))
            }
        };
        command.arg("--data").arg(&self.data).stdin(Stdio::null()).stdout(Stdio::null());
        // It prints errors while the database is down.
        command.stderr(Stdio::null());
        self.running = Some((kind, number, command.spawn().expect("started")));
    }

    /// Waits for the running command, and records whether it succeeded.
    pub(crate) fn finish(&mut self) {
        if let Some((kind, number, mut child)) = self.running.take()
            && child.wait().expect("ended").success()
        {
            self.done.push((kind, number));
        }
    }

    /// Kills the running command.
    pub(crate) fn kill(&mut self) {
        if let Some((_, _, child)) = &mut self.running {
            let _ = child.kill();
        }
        self.finish();
    }

    fn out(&self, number: u32) -> PathBuf {
        self.folder.join(format!("device-{number}"))
    }

    /// Checks that everything acknowledged is stored, and that everything stored was requested.
    pub(crate) async fn check(&self, store: &Store) -> String {
        for (kind, number) in &self.done {
            match kind {
                Kind::Device => self.check_device(store, *number).await,
                Kind::Config | Kind::Secret => check_item(store, *kind == Kind::Secret, *number).await,
            }
        }
        for config in store.configs(Scope::Account).await.expect("listed") {
            let number: u32 = config.key.strip_prefix("key-").expect("ours").parse().expect("a number");
            assert_eq!(config.value, value(number), "nothing half done");
        }
        for secret in store.secrets(Scope::Account).await.expect("listed") {
            let number = secret.key.strip_prefix("key-").expect("ours").parse().expect("a number");
            check_item(store, true, number).await;
        }
        let count = |wanted| self.done.iter().filter(|(kind, _)| *kind == wanted).count();
        assert!(!self.done.is_empty(), "some commands succeeded");
        format!(
            "{} of {} commands acknowledged: {} configs, {} secrets, {} devices",
            self.done.len(),
            self.count,
            count(Kind::Config),
            count(Kind::Secret),
            count(Kind::Device)
        )
    }

    /// A device that was provisioned with success is known, and its folder is complete.
    async fn check_device(&self, store: &Store, number: u32) {
        let folder = self.out(number);
        assert!(device::identity::Identity::load(&folder).is_ok(), "its folder is complete");
        let known = store.device_named(&key(number)).await.expect("an answer");
        assert!(known.is_some_and(|device| device.revoked.is_none()), "the cloud knows it");
    }
}

async fn check_item(store: &Store, secret: bool, number: u32) {
    let wanted = LookupKey { device_scope: false, secret, key: key(number).into_bytes() };
    let anyone = DeviceId::parse(&format!("UV{}", "0".repeat(32))).expect("an id");
    let found = store.look_up(anyone, &[wanted]).await.expect("looked up");
    assert_eq!(found, [Value::Found(value(number).into_bytes())], "secret: {secret}");
}

fn key(number: u32) -> String {
    format!("key-{number}")
}

/// Long enough for two pages of a database.
fn value(number: u32) -> String {
    format!("value {number} ").repeat(300).chars().take(4000).collect()
}
