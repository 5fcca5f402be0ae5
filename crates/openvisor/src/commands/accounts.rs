//! `openvisor accounts`: adds, lists, renames and removes accounts.

mod arguments;

use ::cloud::store::Account;
use serde_json::{Value, json};

use crate::operate::cloud_data::{CloudData, find_account};
use crate::operate::management::Management;
use crate::output::exit::Failure;
use crate::output::print::{print_json, print_line, print_result};
use crate::output::table::{pairs, table};
use crate::output::timeline::printable;
use crate::output::timestamp;
pub(super) use arguments::AccountsArguments;
use arguments::{
    AccountsAction, AddArguments, AllAccountsOptions, RemoveArguments, RenameArguments, TokenArguments,
};

/// Runs the subcommand.
pub(super) async fn run(arguments: AccountsArguments) -> Result<(), Failure> {
    match arguments.action {
        AccountsAction::Add(add) => add_one(&add).await,
        AccountsAction::List(list) => list_all(&list).await,
        AccountsAction::Rename(rename) => rename_one(&rename).await,
        AccountsAction::Remove(remove) => remove_one(&remove).await,
        AccountsAction::Token(token) => token_of(&token).await,
    }
}

async fn add_one(add: &AddArguments) -> Result<(), Failure> {
    let cloud = CloudData::open(&add.cloud.folder, None).await?;
    let added = cloud.store().add_account(add.name.as_deref()).await?;
    cloud.close().await;
    print_result(add.cloud.json, || added.id.to_string(), || object(&added, false));
    Ok(())
}

async fn list_all(list: &AllAccountsOptions) -> Result<(), Failure> {
    let cloud = CloudData::open(&list.folder, None).await?;
    let accounts = cloud.store().accounts().await?;
    cloud.close().await;
    if list.json {
        let mut lines = accounts.iter().enumerate().map(|(index, account)| object(account, index == 0));
        let _ = lines.try_for_each(|line| print_json(&line));
        return Ok(());
    }
    let row = |(index, account): (usize, &Account)| {
        vec![
            account.id.to_string(),
            account.name.as_deref().map_or_else(|| "-".into(), printable),
            account.devices.to_string(),
            if index == 0 { "yes" } else { "" }.to_owned(),
            timestamp::short(account.created),
        ]
    };
    let rows: Vec<_> = accounts.iter().enumerate().map(row).collect();
    let _ = print_line(&table(&["ID", "NAME", "DEVICES", "DEFAULT", "CREATED"], &rows));
    Ok(())
}

async fn rename_one(rename: &RenameArguments) -> Result<(), Failure> {
    let cloud = CloudData::open(&rename.cloud.folder, None).await?;
    let account = find_account(cloud.store(), cloud.path(), &rename.account).await?;
    cloud.store().rename_account(account.id, Some(&rename.name)).await?;
    cloud.close().await;
    let (id, name) = (account.id, &rename.name);
    print_result(
        rename.cloud.json,
        || format!("renamed {id} to {}", printable(name)),
        || json!({ "id": id.as_str(), "name": name }),
    );
    Ok(())
}

async fn remove_one(remove: &RemoveArguments) -> Result<(), Failure> {
    let cloud = CloudData::open(&remove.cloud.folder, None).await?;
    let account = find_account(cloud.store(), cloud.path(), &remove.account).await?;
    cloud.store().remove_account(account.id).await?;
    cloud.close().await;
    let id = account.id;
    print_result(
        remove.cloud.json,
        || format!("removed {id}"),
        || json!({ "id": id.as_str(), "name": account.name, "removed": true }),
    );
    Ok(())
}

async fn token_of(token: &TokenArguments) -> Result<(), Failure> {
    let cloud = Management::open(&token.cloud.folder, token.cloud.account.as_deref()).await?;
    let account = cloud.get("/v1/Accounts/me").await?;
    let created = account["date_token_created"].as_str().map(str::to_owned);
    if let (Some(created), false) = (created, token.rotate) {
        cloud.close().await;
        return Err(Failure::failed(format!(
            "the account has a token since {created}, which is shown once only"
        ))
        .hint("replace it with: openvisor accounts token --rotate"));
    }
    let made = cloud.post("/v1/Accounts/me/Token", &[]).await;
    cloud.close().await;
    let made = made?;
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    let rows = [("account", text("account_sid")), ("token", text("auth_token"))];
    print_result(
        token.cloud.json,
        || format!("{}\nThe token is shown once. It may do everything in the account.", pairs(&rows)),
        || made.clone(),
    );
    Ok(())
}

fn object(account: &Account, default: bool) -> Value {
    json!({
        "id": account.id.as_str(),
        "name": account.name,
        "devices": account.devices,
        "default": default,
        "created": timestamp::rfc3339(account.created),
    })
}
