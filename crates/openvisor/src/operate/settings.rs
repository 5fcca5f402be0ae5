//! `--config KEY=VALUE|KEY=@FILE` and its like: what goes into the configuration and secret stores.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::options::{AccountSettingsOptions, SettingsOptions};
use crate::output::exit::Failure;

/// Longest key a store takes, in characters (D63).
pub(crate) const MAX_KEY: usize = 100;
/// Longest value a store takes, in bytes of text; it holds text only (M51).
pub(crate) const MAX_VALUE: usize = 4096;

/// Which of the stores a setting goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// `--config`: the device's, readable again by whoever manages it.
    Config,
    /// `--secret`: the device's, readable by it alone.
    Secret,
    /// `--account-config`: of the whole account, for each of its devices.
    AccountConfig,
    /// `--account-secret`: the same, readable by the account's devices alone.
    AccountSecret,
}

impl Store {
    /// The option that fills it.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Config => "--config",
            Self::Secret => "--secret",
            Self::AccountConfig => "--account-config",
            Self::AccountSecret => "--account-secret",
        }
    }
}

/// One entry for a store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Where it goes.
    pub(crate) store: Store,
    /// 1 to [`MAX_KEY`] printable ASCII characters.
    pub(crate) key: String,
    /// At most [`MAX_VALUE`] bytes of text.
    pub(crate) value: String,
}

impl fmt::Debug for Setting {
    /// Leaves the value out: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}=…", self.store.option(), self.key)
    }
}

/// All of them, for `run` and `demo`.
pub(crate) fn of_run(
    device: &SettingsOptions,
    account: &AccountSettingsOptions,
) -> Result<Vec<Setting>, Failure> {
    Ok([of_device(device)?, of_account(account)?].concat())
}

/// The settings of `--config` and `--secret`, in this order and each in the order given.
pub(crate) fn of_device(settings: &SettingsOptions) -> Result<Vec<Setting>, Failure> {
    read_all([(Store::Config, &settings.configs), (Store::Secret, &settings.secrets)])
}

/// The settings of `--account-config` and `--account-secret` in the same way.
fn of_account(settings: &AccountSettingsOptions) -> Result<Vec<Setting>, Failure> {
    let (configs, secrets) = (&settings.account_configs, &settings.account_secrets);
    read_all([(Store::AccountConfig, configs), (Store::AccountSecret, secrets)])
}

fn read_all(options: [(Store, &Vec<String>); 2]) -> Result<Vec<Setting>, Failure> {
    let each = options.into_iter().flat_map(|(store, texts)| texts.iter().map(move |text| read(store, text)));
    each.collect()
}

/// Reads one argument. No error repeats the value: it may be a secret.
pub(crate) fn read(store: Store, argument: &str) -> Result<Setting, Failure> {
    let option = store.option();
    let (key, value) = argument.split_once('=').ok_or_else(|| no_equals_sign(option))?;
    check_key(option, key)?;
    let value = read_value(option, key, value)?;
    Ok(Setting { store, key: key.to_owned(), value })
}

/// The value that `text` stands for: itself, the text of a file (`@FILE`), or one that begins with `@` (`@@text`). `what` is the
/// option or command it was given to, for the error.
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
    Failure::bad_input(format!("{option} needs KEY=VALUE or KEY=@FILE, but there is no '=' in it"))
        .hint(format!("example: {option} broker-host=127.0.0.1"))
}

/// Refuses what no device could ask for.
pub(crate) fn check_key(what: &str, key: &str) -> Result<(), Failure> {
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && (1..=MAX_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Failure::bad_input(format!("the key {key:?} of {what} is not one a device can ask for"))
        .hint(format!("a key is 1 to {MAX_KEY} printable ASCII characters")))
}

/// Refuses what no store takes.
pub(crate) fn check_value(what: &str, key: &str, value: &str) -> Result<(), Failure> {
    if value.contains('\0') {
        return Err(not_text(what, key));
    }
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    let size = value.len();
    Err(Failure::bad_input(format!(
        "{what} {key}: the value is {size} bytes, and a store takes at most {MAX_VALUE}"
    )))
}

/// The file's text without its last line end, which editors and `echo` add and no password has.
fn read_file(what: &str, key: &str, path: &Path) -> Result<String, Failure> {
    let bytes = read_start(path).map_err(|error| {
        Failure::bad_input(format!("{what} {key}: cannot read {}: {error}", path.display()))
    })?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A character cut in two by the size limit is still text that is too long.
        Err(error) if error.utf8_error().error_len().is_none() && error.as_bytes().len() > MAX_VALUE + 2 => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(_) => return Err(not_text(what, key)),
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// As much of the file as shows whether it fits: never all of a large one.
fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_VALUE as u64 + 3).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_text(what: &str, key: &str) -> Failure {
    Failure::bad_input(format!("{what} {key}: the value is not text, and the stores hold text only"))
        .hint("write binary as hexadecimal and decode it in the application, for example: xxd -p -c0 key.der > key.hex")
}

#[cfg(test)]
mod tests;
