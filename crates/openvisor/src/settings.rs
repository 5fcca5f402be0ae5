//! `--config KEY=VALUE|KEY=@FILE`: what goes into a device's configuration and secret stores.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::exit::Failure;

/// Longest key a store takes, in characters (D63).
pub const MAX_KEY: usize = 100;
/// Longest value a store takes, in bytes of text; it holds text only (M51).
pub const MAX_VALUE: usize = 4096;

/// Which of a device's two stores a setting goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// `--config`: readable again by whoever manages the device.
    Config,
    /// `--secret`: readable by the device alone.
    Secret,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "--config",
            Self::Secret => "--secret",
        })
    }
}

/// One entry for a store.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it goes.
    pub store: Store,
    /// 1 to [`MAX_KEY`] printable ASCII characters.
    pub key: String,
    /// At most [`MAX_VALUE`] bytes of text.
    pub value: String,
}

impl fmt::Debug for Setting {
    /// Leaves the value out: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}=…", self.store, self.key)
    }
}

/// The settings of both options, in the order given: `--config` first.
pub fn read_all(configs: &[String], secrets: &[String]) -> Result<Vec<Setting>, Failure> {
    let configs = configs.iter().map(|text| read(Store::Config, text));
    configs.chain(secrets.iter().map(|text| read(Store::Secret, text))).collect()
}

/// Reads one argument. No error repeats the value: it may be a secret.
pub fn read(store: Store, argument: &str) -> Result<Setting, Failure> {
    let (key, value) = argument.split_once('=').ok_or_else(|| no_equals_sign(store))?;
    check_key(store, key)?;
    let value = match value.strip_prefix('@') {
        Some(escaped) if escaped.starts_with('@') => escaped.to_owned(),
        Some(path) => read_file(store, key, Path::new(path))?,
        None => value.to_owned(),
    };
    check_value(store, key, &value)?;
    Ok(Setting { store, key: key.to_owned(), value })
}

fn no_equals_sign(store: Store) -> Failure {
    Failure::bad_input(format!("{store} needs KEY=VALUE or KEY=@FILE, but there is no '=' in it"))
        .hint(format!("example: {store} broker-host=127.0.0.1"))
}

fn check_key(store: Store, key: &str) -> Result<(), Failure> {
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && (1..=MAX_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Failure::bad_input(format!("the key {key:?} of {store} is not one a device can ask for"))
        .hint(format!("a key is 1 to {MAX_KEY} printable ASCII characters")))
}

fn check_value(store: Store, key: &str, value: &str) -> Result<(), Failure> {
    if value.contains('\0') {
        return Err(not_text(store, key));
    }
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    let size = value.len();
    Err(Failure::bad_input(format!(
        "{store} {key}: the value is {size} bytes, and a store takes at most {MAX_VALUE}"
    )))
}

/// The file's text without its last line end, which editors and `echo` add and no password has.
fn read_file(store: Store, key: &str, path: &Path) -> Result<String, Failure> {
    let bytes = read_start(path).map_err(|error| {
        Failure::bad_input(format!("{store} {key}: cannot read {}: {error}", path.display()))
    })?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A character cut in two by the size limit is still text that is too long.
        Err(error) if error.utf8_error().error_len().is_none() && error.as_bytes().len() > MAX_VALUE + 2 => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(_) => return Err(not_text(store, key)),
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

fn not_text(store: Store, key: &str) -> Failure {
    Failure::bad_input(format!("{store} {key}: the value is not text, and the stores hold text only"))
        .hint("write binary as hexadecimal and decode it in the application, for example: xxd -p -c0 key.der > key.hex")
}

#[cfg(test)]
mod tests;
