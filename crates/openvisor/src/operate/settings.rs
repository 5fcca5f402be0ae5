//! Configuration items and secrets given on the command line, as `KEY=VALUE` or `KEY=@FILE`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use cloud::DeviceId;
use cloud::store::{Scope, Store};

use crate::options::{AccountSettingsOptions, SettingsOptions};
use crate::output::exit::Failure;

/// Longest key in characters, as the original limits it (D63).
pub(crate) const MAX_KEY: usize = 100;
/// Longest value in bytes. It is text, because that is all the original's stores accept (M51).
pub(crate) const MAX_VALUE: usize = 4096;

/// The store a setting is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettingStore {
    /// `--config`: the device's configuration, which operators can read back.
    Config,
    /// `--secret`: the device's secrets, which only the device can read.
    Secret,
    /// `--account-config`: the account's configuration, for all of its devices.
    AccountConfig,
    /// `--account-secret`: the account's secrets, for all of its devices.
    AccountSecret,
}

impl SettingStore {
    /// The option that writes to it.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Config => "--config",
            Self::Secret => "--secret",
            Self::AccountConfig => "--account-config",
            Self::AccountSecret => "--account-secret",
        }
    }
}

/// One entry of a store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) store: SettingStore,
    /// 1 to [`MAX_KEY`] printable ASCII characters.
    pub(crate) key: String,
    /// At most [`MAX_VALUE`] bytes of text.
    pub(crate) value: String,
}

impl fmt::Debug for Setting {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}=…", self.store.option(), self.key)
    }
}

/// The settings of the device and of the account.
pub(crate) fn parse_all(
    device: &SettingsOptions,
    account: &AccountSettingsOptions,
) -> Result<Vec<Setting>, Failure> {
    Ok([parse_device(device)?, parse_account(account)?].concat())
}

/// The settings of `--config`, then of `--secret`, each in the order given.
pub(crate) fn parse_device(settings: &SettingsOptions) -> Result<Vec<Setting>, Failure> {
    parse_options([(SettingStore::Config, &settings.configs), (SettingStore::Secret, &settings.secrets)])
}

/// The same for the account.
fn parse_account(settings: &AccountSettingsOptions) -> Result<Vec<Setting>, Failure> {
    let (configs, secrets) = (&settings.account_configs, &settings.account_secrets);
    parse_options([(SettingStore::AccountConfig, configs), (SettingStore::AccountSecret, secrets)])
}

fn parse_options(options: [(SettingStore, &Vec<String>); 2]) -> Result<Vec<Setting>, Failure> {
    options.into_iter().flat_map(|(store, texts)| texts.iter().map(move |text| parse(store, text))).collect()
}

/// Parses one argument. No error repeats the value, which may be a secret.
pub(crate) fn parse(store: SettingStore, argument: &str) -> Result<Setting, Failure> {
    let option = store.option();
    let (key, value) = argument.split_once('=').ok_or_else(|| no_equals_sign(option))?;
    check_key(option, key)?;
    let value = read_value(option, key, value)?;
    Ok(Setting { store, key: key.to_owned(), value })
}

/// The value that `text` stands for: itself, the text of a file (`@FILE`), or one that starts with `@` (`@@text`).
/// `what` is the option or command, for the error.
pub(crate) fn read_value(what: &str, key: &str, text: &str) -> Result<String, Failure> {
    let value = match text.strip_prefix('@') {
        Some(escaped) if escaped.starts_with('@') => escaped.to_owned(),
        Some(path) => read_file(what, key, Path::new(path))?,
        None => text.to_owned(),
    };
    check_value(what, key, &value)?;
    Ok(value)
}

fn no_equals_sign(option: &str) -> Failure {
    Failure::bad_input(format!("{option} needs KEY=VALUE or KEY=@FILE, but has no '='"))
        .hint(format!("for example {option} broker-host=127.0.0.1"))
}

/// Refuses a key that no device can request.
pub(crate) fn check_key(what: &str, key: &str) -> Result<(), Failure> {
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && (1..=MAX_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Failure::bad_input(format!("{what}: {key:?} is not a valid key"))
        .hint(format!("a key is 1 to {MAX_KEY} printable ASCII characters")))
}

/// Refuses a value that no store accepts.
pub(crate) fn check_value(what: &str, key: &str, value: &str) -> Result<(), Failure> {
    if value.contains('\0') {
        return Err(not_text(what, key));
    }
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    let size = value.len();
    Err(Failure::bad_input(format!("{what} {key}: the value has {size} bytes; the maximum is {MAX_VALUE}")))
}

/// The file's text without its final newline, which editors and `echo` add and which belongs to no password.
fn read_file(what: &str, key: &str, path: &Path) -> Result<String, Failure> {
    let bytes = read_start(path).map_err(|error| {
        Failure::bad_input(format!("{what} {key}: cannot read {}: {error}", path.display()))
    })?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A character cut in two by the limit in `read_start`: the file is text, but too long.
        Err(error) if error.utf8_error().error_len().is_none() && error.as_bytes().len() > MAX_VALUE + 2 => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(_) => return Err(not_text(what, key)),
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// The start of the file, enough to see whether the value is too long: a large file is not read whole.
fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_VALUE as u64 + 3).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_text(what: &str, key: &str) -> Failure {
    Failure::bad_input(format!("{what} {key}: the value is not text"))
        .hint("write binary data as hexadecimal and decode it in the application, for example: xxd -p -c0 key.der > key.hex")
}

/// Writes `settings` to the stores of `device` or its account. An entry that exists gets the new value.
pub(crate) async fn write(store: &Store, device: DeviceId, settings: &[Setting]) -> Result<(), Failure> {
    for Setting { store: target, key, value } in settings {
        match target {
            SettingStore::Config => store.set_config(Scope::Device(device), key, value).await?,
            SettingStore::Secret => store.set_secret(Scope::Device(device), key, value).await?,
            SettingStore::AccountConfig => store.set_config(Scope::Account, key, value).await?,
            SettingStore::AccountSecret => store.set_secret(Scope::Account, key, value).await?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
