//! `openvisor accounts`: whose devices there are.

use ::cloud::store::Account;
use serde_json::{Value, json};

use crate::arguments::{Accounts, AccountsAction, AddAccount, ListAccounts, RemoveAccount, RenameAccount};
use crate::operate::operator::{Operator, account_named, answer, say, say_json};
use crate::output::exit::Failure;
use crate::output::table::table;
use crate::output::timeline::printable;
use crate::output::{error_text, timestamp};

/// Does what was asked for.
pub(super) async fn accounts(arguments: Accounts) -> Result<(), Failure> {
    match arguments.action {
        AccountsAction::Add(add) => add_one(&add).await,
        AccountsAction::List(list) => list_all(&list).await,
        AccountsAction::Rename(rename) => rename_one(&rename).await,
        AccountsAction::Remove(remove) => remove_one(&remove).await,
    }
}

async fn add_one(add: &AddAccount) -> Result<(), Failure> {
    let operator = Operator::open(&add.list.data, None).await?;
    let added = operator.store().add_account(add.name.as_deref()).await.map_err(error_text::of_store)?;
    operator.close().await;
    answer(add.list.json, || added.id.to_string(), || object(&added, false));
    Ok(())
}

async fn list_all(list: &ListAccounts) -> Result<(), Failure> {
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

async fn rename_one(rename: &RenameAccount) -> Result<(), Failure> {
    let operator = Operator::open(&rename.list.data, None).await?;
    let account = account_named(operator.store(), &rename.list.data, &rename.account).await?;
    let renamed = operator.store().rename_account(account.id, Some(&rename.name)).await;
    renamed.map_err(error_text::of_store)?;
    operator.close().await;
    let (id, name) = (account.id, &rename.name);
    answer(
        rename.list.json,
        || format!("{id} is now called {}", printable(name)),
        || json!({ "id": id.as_str(), "name": name }),
    );
    Ok(())
}

async fn remove_one(remove: &RemoveAccount) -> Result<(), Failure> {
    let operator = Operator::open(&remove.list.data, None).await?;
    let account = account_named(operator.store(), &remove.list.data, &remove.account).await?;
    operator.store().remove_account(account.id).await.map_err(error_text::of_store)?;
    operator.close().await;
    let id = account.id;
    answer(
        remove.list.json,
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
