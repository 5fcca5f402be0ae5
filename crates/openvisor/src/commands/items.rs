//! `openvisor configs` and `openvisor secrets`: what applications fetch.

mod arguments;

use std::io::{IsTerminal, Write};

use ::cloud::store::{Scope, Store, StoreError};
use serde_json::json;

use crate::operate::operator::{Operator, Owner, answer, say, say_json};
use crate::operate::settings;
use crate::output::exit::Failure;
use crate::output::table::{brief, table};
use crate::output::timeline::{printable, shown_to};
use crate::output::{error_text, timestamp};
use arguments::{ConfigsAction, KeyArguments, ScopeOptions, SecretsAction, SetArguments};
pub(super) use arguments::{ConfigsArguments, SecretsArguments};

/// Which of the two stores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    Secret,
}

/// Does what was asked for with configuration.
pub(super) async fn configs(arguments: ConfigsArguments) -> Result<(), Failure> {
    match arguments.action {
        ConfigsAction::Set(set) => set_item(Kind::Config, &set).await,
        ConfigsAction::Get(key) => get(&key).await,
        ConfigsAction::List(items) => list_configs(&items).await,
        ConfigsAction::Remove(key) => remove(Kind::Config, &key).await,
    }
}

/// Does what was asked for with secrets.
pub(super) async fn secrets(arguments: SecretsArguments) -> Result<(), Failure> {
    match arguments.action {
        SecretsAction::Set(set) => set_item(Kind::Secret, &set).await,
        SecretsAction::Get(_) => Err(Failure::bad_input("a secret is never shown: only applications get it")
            .hint("see which there are with `openvisor secrets list`, or set it anew with `openvisor secrets set`")),
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

    async fn set(self, store: &Store, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        match self {
            Self::Config => store.set_config(scope, key, value).await,
            Self::Secret => store.set_secret(scope, key, value).await,
        }
    }

    async fn remove(self, store: &Store, scope: Scope, key: &str) -> Result<bool, StoreError> {
        match self {
            Self::Config => store.remove_config(scope, key).await,
            Self::Secret => store.remove_secret(scope, key).await,
        }
    }
}

/// The value is looked at before the folder is.
async fn set_item(kind: Kind, set: &SetArguments) -> Result<(), Failure> {
    let what = format!("{} set", kind.command());
    settings::check_key(&what, &set.key)?;
    let value = settings::read_value(&what, &set.key, &set.value)?;
    let operator = Operator::open(&set.scope.cloud.data, set.scope.cloud.account.as_deref()).await?;
    let (scope, owner) = operator.scope(set.scope.device.as_deref()).await?;
    let new = kind.set(operator.store(), scope, &set.key, &value).await.map_err(error_text::of_store)?;
    operator.close().await;
    let done = if new { "set" } else { "changed" };
    answer(
        set.scope.cloud.json,
        || format!("{done} {} of {}", set.key, owner.name()),
        || json!({ "key": set.key, "device": owner.id(), "new": new }),
    );
    Ok(())
}

async fn remove(kind: Kind, asked: &KeyArguments) -> Result<(), Failure> {
    let (key, items) = (&asked.key, &asked.scope);
    settings::check_key(&format!("{} remove", kind.command()), key)?;
    let operator = Operator::open(&items.cloud.data, items.cloud.account.as_deref()).await?;
    let (scope, owner) = operator.scope(items.device.as_deref()).await?;
    let removed = kind.remove(operator.store(), scope, key).await.map_err(error_text::of_store)?;
    operator.close().await;
    if !removed {
        return Err(missing(kind, key, &owner));
    }
    answer(
        items.cloud.json,
        || format!("removed {key} of {}", owner.name()),
        || json!({ "key": key, "device": owner.id(), "removed": true }),
    );
    Ok(())
}

fn missing(kind: Kind, key: &str, owner: &Owner) -> Failure {
    let failure = Failure::not_happened(format!("there is no {} `{key}` of {}", kind.noun(), owner.name()));
    let list = format!("openvisor {} list", kind.command());
    if owner.id().is_null() {
        return failure
            .hint(format!("see which there are with `{list}`; those of a device: --device ID|NAME"));
    }
    failure
        .hint(format!("see which there are with `{list} --device …`; without --device, those of the account"))
}

/// The value goes out as it is, for scripts, with one line end; on a terminal it is escaped.
async fn get(asked: &KeyArguments) -> Result<(), Failure> {
    let (key, items) = (&asked.key, &asked.scope);
    settings::check_key("configs get", key)?;
    let operator = Operator::open(&items.cloud.data, items.cloud.account.as_deref()).await?;
    let (scope, owner) = operator.scope(items.device.as_deref()).await?;
    let found = operator.store().config(scope, key).await.map_err(error_text::of_store)?;
    operator.close().await;
    let config = found.ok_or_else(|| missing(Kind::Config, key, &owner))?;
    if items.cloud.json {
        let updated = timestamp::exact(config.updated);
        let line = json!({ "key": key, "device": owner.id(), "value": config.value, "updated": updated });
        let _ = say_json(&line);
    } else {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&shown_to(out.is_terminal(), config.value.as_bytes()));
    }
    Ok(())
}

async fn list_configs(items: &ScopeOptions) -> Result<(), Failure> {
    let operator = Operator::open(&items.cloud.data, items.cloud.account.as_deref()).await?;
    let (scope, owner) = operator.scope(items.device.as_deref()).await?;
    let configs = operator.store().configs(scope).await.map_err(error_text::of_store)?;
    operator.close().await;
    if items.cloud.json {
        let line = |config: &::cloud::store::ConfigItem| {
            let updated = timestamp::exact(config.updated);
            json!({ "key": config.key, "device": owner.id(), "value": config.value, "updated": updated })
        };
        let _ = configs.iter().map(line).try_for_each(|line| say_json(&line));
        return Ok(());
    }
    let row = |config: &::cloud::store::ConfigItem| {
        vec![config.key.clone(), brief(&printable(&config.value)), timestamp::plain(config.updated)]
    };
    show(Kind::Config, &["KEY", "VALUE", "CHANGED"], &configs.iter().map(row).collect::<Vec<_>>(), &owner);
    Ok(())
}

async fn list_secrets(items: &ScopeOptions) -> Result<(), Failure> {
    let operator = Operator::open(&items.cloud.data, items.cloud.account.as_deref()).await?;
    let (scope, owner) = operator.scope(items.device.as_deref()).await?;
    let secrets = operator.store().secrets(scope).await.map_err(error_text::of_store)?;
    operator.close().await;
    if items.cloud.json {
        let line = |secret: &::cloud::store::SecretInfo| json!({ "key": secret.key, "device": owner.id(), "updated": timestamp::exact(secret.updated) });
        let _ = secrets.iter().map(line).try_for_each(|line| say_json(&line));
        return Ok(());
    }
    let row =
        |secret: &::cloud::store::SecretInfo| vec![secret.key.clone(), timestamp::plain(secret.updated)];
    show(Kind::Secret, &["KEY", "CHANGED"], &secrets.iter().map(row).collect::<Vec<_>>(), &owner);
    Ok(())
}

/// The table; where it would be empty, that is said where it does not disturb a script.
fn show(kind: Kind, heads: &[&str], rows: &[Vec<String>], owner: &Owner) {
    if rows.is_empty() {
        let _ = writeln!(anstream::stderr(), "{} has no {}", owner.name(), kind.command());
        return;
    }
    let _ = say(&table(heads, rows));
}
