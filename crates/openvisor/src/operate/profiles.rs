//! The clouds that `openvisor login` stored, in `profiles.toml` in the user's configuration folder (D387).

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::output::exit::Failure;
use crate::output::timeline::printable;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Longest name of a profile.
const MAX_NAME: usize = 64;

/// A cloud elsewhere. No `Debug`: it has the key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// Scheme, host and port.
    pub(crate) url: String,
    /// Id and secret of an API key, or of an account and its token: `ID:SECRET`.
    pub(crate) key: String,
    /// Fingerprint of the certificate that alone is trusted; `None`: those of public authorities are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
}

/// All of them.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Profiles {
    /// The one that is used if a command names no cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selected: Option<String>,
    /// By name.
    #[serde(default, rename = "profile")]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the file; without one there are no profiles.
    pub(crate) fn load() -> Result<Self, Failure> {
        match path() {
            Ok(path) => Self::read(&path),
            // Without a home folder no one can have logged in.
            Err(_) => Ok(Self::default()),
        }
    }

    /// Writes the file: mode 0600, in a folder with mode 0700, the old content or all of the new.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        self.write(&path()?)
    }

    /// The profile with this name.
    pub(crate) fn get(&self, name: &str) -> Result<Profile, Failure> {
        self.profiles.get(name).cloned().ok_or_else(|| {
            let names: Vec<_> = self.profiles.keys().map(|name| printable(name)).collect();
            let known = if names.is_empty() { "there are none".into() } else { names.join(", ") };
            Failure::bad_input(format!("there is no profile `{}`", printable(name)))
                .hint(format!("profiles: {known}; add one with: openvisor login URL --profile NAME"))
        })
    }

    /// The selected profile, if one is.
    pub(crate) fn selected(&self) -> Result<Option<Profile>, Failure> {
        self.selected.as_deref().map(|name| self.get(name)).transpose()
    }

    /// Removes a profile; it is no longer the selected one.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.get(name)?;
        self.profiles.remove(name);
        self.selected = self.selected.take().filter(|selected| selected != name);
        Ok(())
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |what: String| Failure::bad_input(format!("{}: {what}", path.display()));
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
        if metadata.mode() & 0o077 != 0 {
            return Err(failed("it has keys and can be read by others".into())
                .hint("make it readable by its owner only (chmod 600), and replace the keys if others may have read it"));
        }
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
        // The parser's own message would show the line, which may have a key.
        toml::from_str(&text).map_err(|_| {
            failed("it is not a file of profiles".into())
                .hint("remove it, and log in again with: openvisor login URL")
        })
    }

    fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).expect("names and texts are TOML");
        let folder = path.parent().expect("in a folder");
        let temporary = path.with_extension(format!("toml.{}.new", std::process::id()));
        let written = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
    }
}

/// Whether a profile can have this name: letters, digits, `-`, `_` and `.`.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(is_name_character)
}

/// The name for a profile of this host if none is given.
pub(crate) fn name_for(host: &str) -> String {
    let name = host.chars().map(|letter| if is_name_character(letter) { letter } else { '-' });
    name.take(MAX_NAME).collect()
}

fn is_name_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&letter)
}

/// Where the file is.
fn path() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    let base = base.ok_or_else(|| {
        Failure::environment("there is no folder for profiles").hint("set HOME or XDG_CONFIG_HOME")
    })?;
    Ok(base.join("openvisor").join("profiles.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D387.
    #[test]
    fn profiles_are_private_and_survive_being_written_and_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("openvisor").join("profiles.toml");
        let mut profiles = Profiles::read(&path).unwrap_or_default();
        let profile = Profile { url: "https://a.example".into(), key: "SK1:\"q\\".into(), certificate: None };
        profiles.profiles.insert("a.example".into(), profile);
        profiles.selected = Some("a.example".into());
        profiles.write(&path).unwrap_or_else(|failure| panic!("{failure}"));
        profiles.write(&path).unwrap_or_else(|failure| panic!("{failure}"));
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        let mut read = Profiles::read(&path).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(read.get("a.example").map(|profile| profile.key).ok().as_deref(), Some("SK1:\"q\\"));
        assert!(read.remove("b").is_err() && read.remove("a.example").is_ok());
        assert_eq!(read.selected, None);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("changed");
        assert!(Profiles::read(&path).is_err_and(|failure| failure.to_string().contains("chmod 600")));
    }
}
