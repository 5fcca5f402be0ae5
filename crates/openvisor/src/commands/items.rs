//! `openvisor configs` and `openvisor secrets`: what applications fetch.

mod arguments;
mod import;
mod set;

use std::io::{IsTerminal, Write};

use ::cloud::store::{Scope, Store, StoreError};
use serde_json::json;

use crate::operate::cloud_data::{CloudData, ItemOwner};
use crate::operate::settings;
use crate::output::exit::Failure;
use crate::output::print::{print_json, print_line, print_result};
use crate::output::table::{table, truncated};
use crate::output::timeline::{printable, stdout_line};
use crate::output::timestamp;
use arguments::{ConfigsAction, KeyArguments, ScopeOptions, SecretsAction};
pub(super) use arguments::{ConfigsArguments, SecretsArguments};

/// Configuration or secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    Secret,
}

/// Runs a subcommand of `configs`.
pub(super) async fn configs(arguments: ConfigsArguments) -> Result<(), Failure> {
    match arguments.action {
        ConfigsAction::Set(set) => set::run(Kind::Config, &set).await,
        ConfigsAction::Import(import) => import::run(&import).await,
        ConfigsAction::Get(key) => get(&key).await,
        ConfigsAction::List(items) => list_configs(&items).await,
        ConfigsAction::Remove(key) => remove(Kind::Config, &key).await,
    }
}

/// Runs a subcommand of `secrets`.
pub(super) async fn secrets(arguments: SecretsArguments) -> Result<(), Failure> {
    match arguments.action {
        SecretsAction::Set(set) => set::run(Kind::Secret, &set).await,
        SecretsAction::Get(_) => Err(Failure::bad_input(
            "a secret is never shown, only applications can read it",
        )
        .hint("list the keys with `openvisor secrets list`, or replace it with `openvisor secrets set`")),
        SecretsAction::List(items) => list_secrets(&items).await,
        SecretsAction::Remove(key) => remove(Kind::Secret, &key).await,
    }
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Config => "configs",
            Self::Secret => "secrets",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Config => "entry",
            Self::Secret => "secret",
        }
    }

    async fn remove(self, store: &Store, scope: Scope, key: &str) -> Result<bool, StoreError> {
        match self {
            Self::Config => store.remove_config(scope, key).await,
            Self::Secret => store.remove_secret(scope, key).await,
        }
    }
}

async fn remove(kind: Kind, arguments: &KeyArguments) -> Result<(), Failure> {
    let (key, items) = (&arguments.key, &arguments.scope);
    settings::check_key(&format!("{} remove", kind.command()), key)?;
    let cloud = CloudData::open(&items.cloud.folder, items.cloud.account.as_deref()).await?;
    let (scope, owner) = cloud.scope(items.device.as_deref()).await?;
    let removed = kind.remove(cloud.store(), scope, key).await?;
    cloud.close().await;
    if !removed {
        return Err(missing(kind, key, &owner));
    }
    print_result(
        items.cloud.json,
        || format!("removed {key} of {}", owner.name()),
        || json!({ "key": key, "device": owner.id(), "removed": true }),
    );
    Ok(())
}

fn missing(kind: Kind, key: &str, owner: &ItemOwner) -> Failure {
    let failure = Failure::failed(format!("there is no {} `{key}` of {}", kind.noun(), owner.name()));
    let list = format!("openvisor {} list", kind.command());
    // A key of the account was looked for; it may well be one of a device, and the other way round.
    if owner.id().is_null() {
        return failure.hint(format!("list them with `{list}`; for those of a device add --device ID|NAME"));
    }
    failure.hint(format!("list them with `{list} --device …`, and those of the account without --device"))
}

/// Prints the value unchanged with one newline, for scripts; escaped on a terminal.
async fn get(arguments: &KeyArguments) -> Result<(), Failure> {
    let (key, items) = (&arguments.key, &arguments.scope);
    settings::check_key("configs get", key)?;
    let cloud = CloudData::open(&items.cloud.folder, items.cloud.account.as_deref()).await?;
    let (scope, owner) = cloud.scope(items.device.as_deref()).await?;
    let found = cloud.store().config(scope, key).await?;
    cloud.close().await;
    let config = found.ok_or_else(|| missing(Kind::Config, key, &owner))?;
    if items.cloud.json {
        let updated = timestamp::rfc3339(config.updated);
        let line = json!({ "key": key, "device": owner.id(), "value": config.value, "updated": updated });
        let _ = print_json(&line);
    } else {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&stdout_line(out.is_terminal(), config.value.as_bytes()));
    }
    Ok(())
}

async fn list_configs(items: &ScopeOptions) -> Result<(), Failure> {
    let cloud = CloudData::open(&items.cloud.folder, items.cloud.account.as_deref()).await?;
    let (scope, owner) = cloud.scope(items.device.as_deref()).await?;
    let configs = cloud.store().configs(scope).await?;
    cloud.close().await;
    if items.cloud.json {
        let line = |config: &::cloud::store::ConfigItem| {
            let updated = timestamp::rfc3339(config.updated);
            json!({ "key": config.key, "device": owner.id(), "value": config.value, "updated": updated })
        };
        let _ = configs.iter().map(line).try_for_each(|line| print_json(&line));
        return Ok(());
    }
    let row = |config: &::cloud::store::ConfigItem| {
        vec![config.key.clone(), truncated(&printable(&config.value)), timestamp::short(config.updated)]
    };
    print_table(
        Kind::Config,
        &["KEY", "VALUE", "CHANGED"],
        &configs.iter().map(row).collect::<Vec<_>>(),
        &owner,
    );
    Ok(())
}

async fn list_secrets(items: &ScopeOptions) -> Result<(), Failure> {
    let cloud = CloudData::open(&items.cloud.folder, items.cloud.account.as_deref()).await?;
    let (scope, owner) = cloud.scope(items.device.as_deref()).await?;
    let secrets = cloud.store().secrets(scope).await?;
    cloud.close().await;
    if items.cloud.json {
        let line = |secret: &::cloud::store::SecretInfo| json!({ "key": secret.key, "device": owner.id(), "updated": timestamp::rfc3339(secret.updated) });
        let _ = secrets.iter().map(line).try_for_each(|line| print_json(&line));
        return Ok(());
    }
    let row =
        |secret: &::cloud::store::SecretInfo| vec![secret.key.clone(), timestamp::short(secret.updated)];
    print_table(Kind::Secret, &["KEY", "CHANGED"], &secrets.iter().map(row).collect::<Vec<_>>(), &owner);
    Ok(())
}

/// Prints the table. If there are no rows it prints a note to standard error, where it does not disturb a script.
fn print_table(kind: Kind, header: &[&str], rows: &[Vec<String>], owner: &ItemOwner) {
    if rows.is_empty() {
        let _ = writeln!(anstream::stderr(), "{} has no {}", owner.name(), kind.command());
        return;
    }
    let _ = print_line(&table(header, rows));
}
