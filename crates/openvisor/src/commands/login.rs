//! `openvisor login`, `logout` and `profiles`: the clouds elsewhere that commands can work on.

mod arguments;

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use serde_json::{Value, json};

use crate::operate::management::remote::{Remote, parse_url};
use crate::operate::management::target::{KEY_VARIABLE, variable};
use crate::operate::management::trust::{fingerprint_text, parse_fingerprint};
use crate::operate::profiles::{Profile, Profiles, is_name, name_for};
use crate::output::exit::Failure;
use crate::output::print::{print_json, print_line, print_result};
use crate::output::table::table;
use crate::output::timeline::printable;
use arguments::ProfilesAction;
pub(super) use arguments::{LoginArguments, LogoutArguments, ProfilesArguments};

/// Longest key, in bytes.
const MAX_KEY: u64 = 1024;

/// Checks a key and the cloud's certificate, and stores both.
pub(super) async fn login(arguments: LoginArguments) -> Result<(), Failure> {
    let url = parse_url(&arguments.url)?;
    let name = arguments.profile.clone().unwrap_or_else(|| name_for(url.host_str().unwrap_or_default()));
    if !is_name(&name) {
        return Err(Failure::bad_input(format!("--profile {}: not a name", printable(&name)))
            .hint("1 to 64 letters, digits, `-`, `_` and `.`"));
    }
    let certificate = match &arguments.fingerprint {
        None => None,
        Some(text) => Some(parse_fingerprint(text).ok_or_else(|| {
            Failure::bad_input(format!("--fingerprint {}: not a fingerprint", printable(text)))
                .hint("SHA256: and 64 hexadecimal digits")
        })?),
    };
    let mut profiles = Profiles::load()?;
    let key = read_key(&arguments, url.as_str().trim_end_matches('/'))?;
    let mut profile = Profile {
        url: url.as_str().trim_end_matches('/').to_owned(),
        key,
        certificate: certificate.map(|pin| fingerprint_text(&pin)),
    };
    let account = check(&mut profile).await?;
    let shown = Profile { key: String::new(), ..profile.clone() };
    profiles.profiles.insert(name.clone(), profile);
    profiles.selected = Some(name.clone());
    profiles.save()?;
    let of = account["sid"].as_str().unwrap_or("a key that may only enrol devices");
    print_result(
        arguments.json,
        || format!("logged in to {} ({of}) as profile {name}, which is now selected", shown.url),
        || {
            json!({
                "profile": name, "url": shown.url, "account": account["sid"], "account_name": account["unique_name"],
                "certificate": shown.certificate,
            })
        },
    );
    Ok(())
}

/// The account of the key; null for a key that may not read it. Pins the certificate if the user confirms it.
async fn check(profile: &mut Profile) -> Result<Value, Failure> {
    let remote = Remote::new(profile)?;
    let answered = remote.request("GET", "/v1/Accounts/me", String::new()).await;
    let (status, body) = match (answered, remote.refused()) {
        (Ok(answer), _) => answer,
        (Err(_), Some(fingerprint)) if profile.certificate.is_none() => {
            confirm(remote.url(), &fingerprint)?;
            profile.certificate = Some(fingerprint);
            Remote::new(profile)?.request("GET", "/v1/Accounts/me", String::new()).await?
        }
        (Err(failure), _) => return Err(failure),
    };
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match status {
        200 if value["sid"].is_string() => Ok(value),
        // The role `provision` reads nothing; the cloud knows the key all the same.
        403 if value["code"].is_number() => Ok(Value::Null),
        401 | 429 => {
            let message = value["message"].as_str().unwrap_or("the key is refused").to_owned();
            Err(remote.explain(status, Failure::bad_input(message)))
        }
        _ => Err(Failure::failed(format!("{}: not a management API (status {status})", remote.url()))
            .hint("the cloud prints the URL of its API when it starts")),
    }
}

/// Asks whether to trust a certificate that no public authority signed.
fn confirm(url: &str, fingerprint: &str) -> Result<(), Failure> {
    let shown =
        format!("the certificate of {url} is not of a public authority; its fingerprint is {fingerprint}");
    if !io::stdin().is_terminal() {
        return Err(Failure::failed(shown).hint(format!(
            "compare it with that of authority.pem in the cloud's folder; if it is the same, add --fingerprint {fingerprint}"
        )));
    }
    let question = format!(
        "{shown}\nOn the cloud's machine it is shown by: openssl x509 -in DIR/authority.pem -noout -fingerprint \
         -sha256\nTrust this certificate from now on, and no other for this cloud? [y/N] "
    );
    let mut answer = String::new();
    let answered = write!(anstream::stderr(), "{question}").and_then(|()| io::stdin().read_line(&mut answer));
    match answered {
        Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
        _ => Err(Failure::failed(format!("not logged in to {url}"))),
    }
}

/// The key: of a file, the environment or the user.
fn read_key(arguments: &LoginArguments, url: &str) -> Result<String, Failure> {
    let text = match (&arguments.key_file, variable(KEY_VARIABLE)) {
        (Some(path), _) => {
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                io::stdin().take(MAX_KEY).read_to_string(&mut text)
            } else {
                std::fs::File::open(path).and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
            };
            read.map_err(|error| Failure::bad_input(format!("--key-file {}: {error}", path.display())))?;
            text
        }
        (None, Some(text)) => text,
        (None, None) if io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("Key for {url} (ID:SECRET): "))
                .map_err(|error| Failure::failed(format!("cannot read the key: {error}")))?
        }
        (None, None) => {
            return Err(Failure::bad_input("there is no key, and no terminal to ask for it").hint(format!(
                "add --key-file FILE (- for standard input), or set {KEY_VARIABLE} to ID:SECRET"
            )));
        }
    };
    Ok(text.trim().to_owned())
}

/// Forgets a cloud and its key.
pub(super) fn logout(arguments: &LogoutArguments) -> Result<(), Failure> {
    let selected = Profiles::load()?.selected;
    let name = arguments.profile.clone().or(selected);
    let name = name.ok_or_else(|| {
        Failure::bad_input("no profile is selected").hint("list them with: openvisor profiles list")
    })?;
    remove(&name, arguments.json)
}

fn remove(name: &str, json: bool) -> Result<(), Failure> {
    let mut profiles = Profiles::load()?;
    profiles.remove(name)?;
    profiles.save()?;
    print_result(
        json,
        || {
            format!(
                "removed the profile {name}\n  its key stays valid; revoke it with: openvisor keys revoke"
            )
        },
        || json!({ "profile": name, "removed": true }),
    );
    Ok(())
}

/// Runs a subcommand of `profiles`.
pub(super) fn profiles(arguments: &ProfilesArguments) -> Result<(), Failure> {
    match &arguments.action {
        ProfilesAction::List(list) => list_all(list.json),
        ProfilesAction::Use(chosen) => {
            let mut profiles = Profiles::load()?;
            let url = profiles.get(&chosen.name)?.url;
            profiles.selected = Some(chosen.name.clone());
            profiles.save()?;
            let name = &chosen.name;
            print_result(
                chosen.json,
                || format!("selected {name} ({url})"),
                || json!({ "profile": name, "url": url, "selected": true }),
            );
            Ok(())
        }
        ProfilesAction::Remove(removed) => remove(&removed.name, removed.json),
    }
}

fn list_all(json: bool) -> Result<(), Failure> {
    let profiles = Profiles::load()?;
    let is_selected = |name: &str| profiles.selected.as_deref() == Some(name);
    let id = |profile: &Profile| profile.key.split(':').next().unwrap_or_default().to_owned();
    if json {
        let line = |(name, profile): (&String, &Profile)| {
            json!({
                "profile": name, "url": profile.url, "key": id(profile), "certificate": profile.certificate,
                "selected": is_selected(name),
            })
        };
        let _ = profiles.profiles.iter().map(line).try_for_each(|line| print_json(&line));
        return Ok(());
    }
    let row = |(name, profile): (&String, &Profile)| {
        let selected = if is_selected(name) { "yes" } else { "" }.to_owned();
        vec![printable(name), printable(&profile.url), printable(&id(profile)), selected]
    };
    let rows: Vec<_> = profiles.profiles.iter().map(row).collect();
    let _ = print_line(&table(&["PROFILE", "URL", "KEY", "SELECTED"], &rows));
    Ok(())
}
