//! Which cloud a command works on: options before the environment before the selected profile (D385).

use std::path::PathBuf;

use super::remote::is_same_cloud;
use crate::operate::profiles::{Profile, Profiles};
use crate::options::CloudFolderOptions;
use crate::output::exit::Failure;
use crate::output::timeline::printable;

/// The variable with the key for a URL.
pub(crate) const KEY_VARIABLE: &str = "OPENVISOR_KEY";

const OPTIONS: [&str; 3] = ["--data", "--url", "--profile"];
const VARIABLES: [&str; 3] = ["OPENVISOR_DATA", "OPENVISOR_URL", "OPENVISOR_PROFILE"];

/// A cloud.
pub(crate) enum Target {
    /// Its data folder, on this machine.
    Folder(PathBuf),
    /// Its management API.
    Remote(Profile),
}

/// The cloud that the options, the environment or the selected profile names.
pub(crate) fn select(options: &CloudFolderOptions) -> Result<Target, Failure> {
    let target = select_from(options, &variable, Profiles::load)?;
    match target {
        Target::Remote(_) if options.store.is_some() => {
            Err(Failure::bad_input("--store goes with --data, and the command is for a cloud at a URL"))
        }
        target => Ok(target),
    }
}

/// The data folder, for commands that work on nothing else.
pub(crate) fn folder(options: &CloudFolderOptions) -> Result<PathBuf, Failure> {
    match select(options)? {
        Target::Folder(folder) => Ok(folder),
        Target::Remote(Profile { url, .. }) => {
            Err(Failure::bad_input(format!("this command cannot work at {} yet", printable(&url)))
                .hint("run it on the cloud's machine, with --data DIR"))
        }
    }
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn select_from(
    options: &CloudFolderOptions,
    variable: &dyn Fn(&str) -> Option<String>,
    profiles: impl FnOnce() -> Result<Profiles, Failure>,
) -> Result<Target, Failure> {
    let data = |text: String| Named::Data(text.into());
    let given = [
        options.data.clone().map(Named::Data),
        options.url.clone().map(Named::Url),
        options.profile.clone().map(Named::Profile),
    ];
    let mut named = only_one(given, OPTIONS)?;
    if named.is_none() {
        let [folder, url, profile] = VARIABLES.map(variable);
        named = only_one([folder.map(data), url.map(Named::Url), profile.map(Named::Profile)], VARIABLES)?;
    }
    match named {
        Some(Named::Data(folder)) => Ok(Target::Folder(folder)),
        Some(Named::Url(url)) => at_url(url, variable(KEY_VARIABLE), &profiles()?).map(Target::Remote),
        Some(Named::Profile(name)) => profiles()?.get(&name).map(Target::Remote),
        None => match profiles()?.selected()? {
            Some(profile) => Ok(Target::Remote(profile)),
            None => Err(Failure::bad_input("no cloud is named")
                .hint("add --data DIR or --url URL, set OPENVISOR_DATA or OPENVISOR_URL, or use: openvisor login URL")),
        },
    }
}

enum Named {
    Data(PathBuf),
    Url(String),
    Profile(String),
}

fn only_one(values: [Option<Named>; 3], names: [&str; 3]) -> Result<Option<Named>, Failure> {
    let given: Vec<_> = names.iter().zip(&values).filter(|(_, value)| value.is_some()).collect();
    if let [(first, _), (second, _), ..] = given[..] {
        return Err(Failure::bad_input(format!("{first} and {second}: each names a cloud"))
            .hint("give one of them only"));
    }
    Ok(values.into_iter().flatten().next())
}

/// A URL with the key of the environment or else of a profile, and with the certificate of a profile.
fn at_url(url: String, key: Option<String>, profiles: &Profiles) -> Result<Profile, Failure> {
    let stored = profiles.profiles.values().find(|profile| is_same_cloud(&profile.url, &url));
    let certificate = stored.and_then(|profile| profile.certificate.clone());
    let key = key.or_else(|| stored.map(|profile| profile.key.clone()));
    match key {
        Some(key) => Ok(Profile { url, key, certificate }),
        None => Err(Failure::bad_input(format!("there is no key for {}", printable(&url)))
            .hint(format!("set {KEY_VARIABLE} to ID:SECRET, or use: openvisor login URL"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> Profiles {
        let text = "selected = \"home\"\n[profile.home]\nurl = \"https://home.example\"\nkey = \"SK1:a\"\n\
            [profile.work]\nurl = \"https://work.example:7885\"\nkey = \"SK2:b\"\ncertificate = \"SHA256:00\"\n";
        toml::from_str(text).expect("valid")
    }

    fn selected(options: [Option<&str>; 3], environment: &[(&str, &str)]) -> Result<String, String> {
        let [data, url, profile] = options.map(|text| text.map(str::to_owned));
        let options = CloudFolderOptions { data: data.map(Into::into), url, profile, store: None };
        let variable = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        match select_from(&options, &variable, || Ok(profiles())) {
            Ok(Target::Folder(folder)) => Ok(folder.display().to_string()),
            Ok(Target::Remote(Profile { url, key, certificate })) => {
                Ok(format!("{url} {key} {}", certificate.as_deref().unwrap_or("-")))
            }
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// Shows D385.
    #[test]
    fn options_come_before_the_environment_and_that_before_the_selected_profile() {
        let ok = |text: &str| Ok(text.to_owned());
        let environment = [("OPENVISOR_DATA", "/cloud"), (KEY_VARIABLE, "SK3:c")];
        assert_eq!(selected([None; 3], &[]), ok("https://home.example SK1:a -"));
        assert_eq!(selected([None; 3], &environment), ok("/cloud"));
        assert_eq!(
            selected([None, None, Some("work")], &environment),
            ok("https://work.example:7885 SK2:b SHA256:00")
        );
        let url = [None, Some("https://work.example:7885/v1"), None];
        assert_eq!(selected(url, &environment), ok("https://work.example:7885/v1 SK3:c SHA256:00"));
        assert_eq!(selected(url, &[]), ok("https://work.example:7885/v1 SK2:b SHA256:00"));
        assert_eq!(selected([Some("/here"), None, None], &environment), ok("/here"));
        let both =
            selected([Some("/here"), Some("https://work.example"), None], &[]).expect_err("two clouds");
        assert!(both.contains("--data and --url"), "{both}");
        let both = selected([None; 3], &[("OPENVISOR_DATA", "/x"), ("OPENVISOR_URL", "https://y")]);
        assert!(both.expect_err("two clouds").contains("OPENVISOR_DATA and OPENVISOR_URL"));
        let no_key = selected([None, Some("https://new.example"), None], &[]).expect_err("no key");
        assert!(no_key.contains("openvisor login"), "{no_key}");
        let unknown = selected([None, None, Some("moon")], &[]).expect_err("not stored");
        assert!(unknown.contains("moon") && unknown.contains("home, work"), "{unknown}");
    }
}
