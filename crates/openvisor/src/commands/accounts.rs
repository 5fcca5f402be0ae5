//! `openvisor accounts`: whose devices there are.

mod arguments;

use ::cloud::store::Account;
use serde_json::{Value, json};

use crate::operate::operator::{Operator, account_named, answer, say, say_json};
use crate::output::exit::Failure;
use crate::output::table::table;
use crate::output::timeline::printable;
use crate::output::{error_text, timestamp};
pub(super) use arguments::AccountsArguments;
use arguments::{AccountsAction, AddArguments, AllAccountsOptions, RemoveArguments, RenameArguments};

/// Does what was asked for.
pub(super) async fn run(arguments: AccountsArguments) -> Result<(), Failure> {
    match arguments.action {
        AccountsAction::Add(add) => add_one(&add).await,
        AccountsAction::List(list) => list_all(&list).await,
        AccountsAction::Rename(rename) => rename_one(&rename).await,
        AccountsAction::Remove(remove) => remove_one(&remove).await,
    }
}

async fn add_one(add: &AddArguments) -> Result<(), Failure> {
    let operator = Operator::open(&add.cloud.data, None).await?;
    let added = operator.store().add_account(add.name.as_deref()).await.map_err(error_text::of_store)?;
    operator.close().await;
    answer(add.cloud.json, || added.id.to_string(), || object(&added, false));
    Ok(())
}

async fn list_all(list: &AllAccountsOptions) -> Result<(), Failure> {
    let operator = Operator::open(&list.data, None).await?;
    let accounts = operator.store().accounts().await.map_err(error_text::of_store)?;
    operator.close().await;
    if list.json {
        let mut lines = accounts.iter().enumerate().map(|(place, account)| object(account, place == 0));
        let _ = lines.try_for_each(|line| say_json(&line));
        return Ok(());
    }
    let row = |(place, account): (usize, &Account)| {
        vec![
            account.id.to_string(),
            account.name.as_deref().map_or_else(|| "-".into(), printable),
            account.devices.to_string(),
            if place == 0 { "yes" } else { "" }.to_owned(),
            timestamp::plain(account.created),
        ]
    };
    let rows: Vec<_> = accounts.iter().enumerate().map(row).collect();
    let _ = say(&table(&["ID", "NAME", "DEVICES", "DEFAULT", "CREATED"], &rows));
    Ok(())
}

async fn rename_one(rename: &RenameArguments) -> Result<(), Failure> {
    let operator = Operator::open(&rename.cloud.data, None).await?;
    let account = account_named(operator.store(), &rename.cloud.data, &rename.account).await?;
    let renamed = operator.store().rename_account(account.id, Some(&rename.name)).await;
    renamed.map_err(error_text::of_store)?;
    operator.close().await;
    let (id, name) = (account.id, &rename.name);
    answer(
        rename.cloud.json,
        || format!("{id} is now called {}", printable(name)),
        || json!({ "id": id.as_str(), "name": name }),
    );
    Ok(())
}

async fn remove_one(remove: &RemoveArguments) -> Result<(), Failure> {
    let operator = Operator::open(&remove.cloud.data, None).await?;
    let account = account_named(operator.store(), &remove.cloud.data, &remove.account).await?;
    operator.store().remove_account(account.id).await.map_err(error_text::of_store)?;
    operator.close().await;
    let id = account.id;
    answer(
        remove.cloud.json,
        || format!("removed {id}"),
        || json!({ "id": id.as_str(), "name": account.name, "removed": true }),
    );
    Ok(())
}

fn object(account: &Account, default: bool) -> Value {
    json!({
        "id": account.id.as_str(),
        "name": account.name,
        "devices": account.devices,
        "default": default,
        "created": timestamp::exact(account.created),
    })
}
