//! Values that the definition of the command line does not have: devices and accounts of the data folder that the typed
//! words name, and limits.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Arg;
use cloud::StoreUrl;
use cloud::limits::LIMITS;
use cloud::store::{Named, StoreNames};

use super::place::Place;
use crate::output::timeline::printable;

/// How long a database may take: a user waits for it at each TAB.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The name that options and arguments for a device or an account have in the help.
const ID_OR_NAME: &str = "ID|NAME";

/// A value that the shell may offer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    value: String,
    help: String,
}

impl Candidate {
    /// The line that a script reads.
    pub(super) fn line(&self, shell: &OsStr, prefix: &str) -> String {
        let Self { value, help } = self;
        match shell.to_str() {
            Some("zsh") => format!("{prefix}{value}:{help}"),
            Some("fish") => format!("{prefix}{value}\t{help}"),
            _ => format!("{prefix}{value}"),
        }
    }
}

/// The candidates for a place; none where this program knows no more than the script.
pub(super) fn candidates(place: &Place<'_>, words: &Words<'_>) -> Vec<Candidate> {
    match kind(place.arg) {
        Some(Kind::Limit) => limits(place.value),
        Some(Kind::Device) => devices(place.value, words).unwrap_or_default(),
        Some(Kind::Account) => accounts(place.value, words).unwrap_or_default(),
        None => Vec::new(),
    }
}

/// What an argument names.
enum Kind {
    Device,
    Account,
    Limit,
}

fn kind(arg: &Arg) -> Option<Kind> {
    let is_id = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == ID_OR_NAME));
    match arg.get_id().as_str() {
        "limits" => Some(Kind::Limit),
        "device" if is_id => Some(Kind::Device),
        "account" | "require_tls_of" if is_id => Some(Kind::Account),
        _ => None,
    }
}

fn limits(current: &str) -> Vec<Candidate> {
    let matching = LIMITS.iter().filter(|limit| limit.name.starts_with(current));
    matching.map(|limit| Candidate { value: format!("{}=", limit.name), help: limit.what.into() }).collect()
}

fn devices(current: &str, words: &Words<'_>) -> Option<Vec<Candidate>> {
    let names = words.names()?;
    let wanted = words.option("--account");
    let account = names.accounts.iter().find(|account| match &wanted {
        Some(wanted) => account.id == *wanted || account.name.as_ref() == Some(wanted),
        None => true,
    })?;
    let devices = names.devices.iter().filter(|device| device.account == account.id);
    Some(devices.filter_map(|device| candidate(device, current)).collect())
}

fn accounts(current: &str, words: &Words<'_>) -> Option<Vec<Candidate>> {
    Some(words.names()?.accounts.iter().filter_map(|account| candidate(account, current)).collect())
}

/// By its name, or by its id: where there is no name, where a shell would split or change it, or where the id is what
/// was begun.
fn candidate(named: &Named, current: &str) -> Option<Candidate> {
    let name = named.name.as_deref();
    let (value, help) = match name.filter(|name| is_plain(name)) {
        Some(name) if name.starts_with(current) => (name, named.id.clone()),
        Some(_) if current.is_empty() => return None,
        _ if named.id.starts_with(current) => (&*named.id, name.map(printable).unwrap_or_default()),
        _ => return None,
    };
    Some(Candidate { value: value.to_owned(), help })
}

/// Whether a name is one word to every shell.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.chars().all(|char| char.is_alphanumeric() || "-_.+".contains(char))
}

/// The words of the command line that is completed.
pub(super) struct Words<'a>(pub(super) &'a [String]);

impl Words<'_> {
    /// The value of an option. Bash makes three words of `--name=value`.
    fn option(&self, name: &str) -> Option<String> {
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            let value = match word.strip_prefix(name) {
                Some("") => words.next().filter(|word| *word != "=").or_else(|| words.next())?,
                Some(rest) if rest.starts_with('=') => &rest[1..],
                _ => continue,
            };
            return Some(unquoted(value));
        }
        None
    }

    /// The names in the store that the words or the environment name; `None` without one, and after any error.
    fn names(&self) -> Option<StoreNames> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let data = PathBuf::from(self.option("--data").or_else(|| variable("OPENVISOR_DATA"))?);
        let store = self.option("--store").or_else(|| variable("OPENVISOR_STORE"));
        let store: Option<StoreUrl> = store.map(|url| url.parse()).transpose().ok()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let names = runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, StoreNames::read(&data, store.as_ref())).await });
        names.ok()?.ok()
    }
}

/// A word as the shell would pass it: without quotes and backslashes, and with the home folder for `~`.
fn unquoted(word: &str) -> String {
    let plain: String = word.chars().filter(|char| !"'\"\\".contains(*char)).collect();
    match (plain.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn an_option_is_found_in_every_form_a_shell_passes() {
        let option = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            Words(&words).option("--data")
        };
        for line in [
            &["openvisor", "devices", "--data", "./my cloud"][..],
            &["openvisor", "--data=./my cloud", "x"],
            &["openvisor", "--data", "=", "./my\\ cloud"],
            &["openvisor", "--data", "'./my cloud'"],
        ] {
            assert_eq!(option(line).as_deref(), Some("./my cloud"), "{line:?}");
        }
        assert_eq!(option(&["--data"]), None);
        assert_eq!(option(&["--database", "x"]), None);
    }

    #[test]
    fn a_name_that_a_shell_would_split_is_completed_by_its_id() {
        let named = |name: Option<&str>| Named {
            id: "UV12".into(),
            name: name.map(str::to_owned),
            account: String::new(),
        };
        let value = |name, current| candidate(&named(name), current).map(|found| found.value);
        assert_eq!(value(Some("kitchen"), "ki").as_deref(), Some("kitchen"));
        assert_eq!(value(Some("kitchen"), "").as_deref(), Some("kitchen"));
        assert_eq!(value(Some("kitchen"), "UV").as_deref(), Some("UV12"));
        assert_eq!(value(Some("kitchen"), "z"), None);
        assert_eq!(value(Some("living room; rm"), "").as_deref(), Some("UV12"));
        assert_eq!(value(Some("-x"), "").as_deref(), Some("UV12"));
        assert_eq!(value(None, "").as_deref(), Some("UV12"));
    }

    #[test]
    fn every_argument_for_a_device_or_account_is_completed() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                let names = arg.get_value_names().unwrap_or_default();
                if names.iter().any(|name| name == ID_OR_NAME) {
                    assert!(kind(arg).is_some(), "{} {}", command.get_name(), arg.get_id());
                }
            }
            command.get_subcommands().for_each(check);
        }
        check(&crate::commands::Arguments::command());
    }
}
