//! What the operator's commands have in common: a cloud's data folder, whether or not a cloud runs on it, and how they answer.

use std::io::{self, Write};
use std::path::Path;

use cloud::data::DataFolder;
use cloud::store::{Account, Device, Scope, Store};
use serde_json::Value;

use crate::output::error_text;
use crate::output::exit::Failure;
use crate::output::timeline::{json_text, printable};

/// A cloud's data folder that was there before.
pub(crate) struct Operator {
    folder: DataFolder,
    store: Store,
}

impl Operator {
    /// Opens the folder, as the account of this id or name sees it, or the first; never makes one.
    pub(crate) async fn open(data: &Path, account: Option<&str>) -> Result<Self, Failure> {
        let folder = DataFolder::open_existing(data).map_err(|error| error_text::of_data(&error))?;
        let store = Store::open(&folder).await.map_err(error_text::of_store)?;
        let store = match account {
            Some(named) => store.of_account(account_named(&store, data, named).await?.id),
            None => store,
        };
        Ok(Self { folder, store })
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether a cloud runs on the folder now.
    pub(crate) fn is_cloud_running(&self) -> Result<bool, Failure> {
        self.folder.is_in_use().map_err(|error| error_text::of_data(&error))
    }

    /// The device of this id or name.
    pub(crate) async fn device(&self, named: &str) -> Result<Device, Failure> {
        let found = self.store.device_named(named).await.map_err(error_text::of_store)?;
        found.ok_or_else(|| {
            Failure::bad_input(format!("there is no device `{}`", printable(named))).hint(format!(
                "see which there are with: openvisor devices list --data {}",
                self.folder.path().display()
            ))
        })
    }

    /// The scope of `--device`, and its name for people: the account's where none is given.
    pub(crate) async fn scope(&self, named: Option<&str>) -> Result<(Scope, Owner), Failure> {
        let Some(named) = named else { return Ok((Scope::Account, Owner(None))) };
        let device = self.device(named).await?;
        Ok((Scope::Device(device.id), Owner(Some(device))))
    }

    /// Lets the database go.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}

/// The account of this id or name.
pub(crate) async fn account_named(store: &Store, data: &Path, named: &str) -> Result<Account, Failure> {
    let found = store.account_named(named).await.map_err(error_text::of_store)?;
    found.ok_or_else(|| {
        Failure::bad_input(format!("there is no account `{}`", printable(named)))
            .hint(format!("see which there are with: openvisor accounts list --data {}", data.display()))
    })
}

/// Whose an item is, for people and machines.
pub(crate) struct Owner(Option<Device>);

impl Owner {
    /// `the account`, or the device by name and id.
    pub(crate) fn name(&self) -> String {
        self.0.as_ref().map_or_else(|| "the account".to_owned(), called)
    }

    /// The device's id, nothing for the account.
    pub(crate) fn id(&self) -> Value {
        self.0.as_ref().map_or(Value::Null, |device| device.id.as_str().into())
    }
}

/// A device for people: its name, if it has one, and its id.
pub(crate) fn called(device: &Device) -> String {
    match &device.name {
        Some(name) => format!("{} ({})", printable(name), device.id),
        None => device.id.to_string(),
    }
}

/// Answers in one of the two forms. That nobody reads is no reason to fail: what was to be done is done.
pub(crate) fn answer(json: bool, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
    let line = if json { json_text(&value()) } else { text() };
    let _ = say(&line);
}

/// One line of JSON on standard output.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn say_json(value: &Value) -> io::Result<()> {
    say(&json_text(value))
}

/// One line on standard output. Text from outside in it is escaped already.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
