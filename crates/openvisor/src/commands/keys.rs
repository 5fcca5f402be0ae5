//! `openvisor keys`: creates, lists and revokes API keys.

mod arguments;

use ::cloud::clock::wall_millis;
use serde_json::Value;

use crate::operate::management::{Management, segment};
use crate::output::exit::Failure;
use crate::output::print::{print_json, print_line, print_result};
use crate::output::table::{pairs, table};
use crate::output::timeline::printable;
use crate::output::timestamp;
pub(super) use arguments::KeysArguments;
use arguments::{CreateArguments, KeysAction, ListArguments, RevokeArguments};

/// Runs the subcommand.
pub(super) async fn run(arguments: KeysArguments) -> Result<(), Failure> {
    match arguments.action {
        KeysAction::Create(create) => create_one(&create).await,
        KeysAction::List(list) => list_all(&list).await,
        KeysAction::Revoke(revoke) => revoke_one(&revoke).await,
    }
}

async fn create_one(create: &CreateArguments) -> Result<(), Failure> {
    let expires = create.expires.as_deref().map(expiry).transpose()?;
    let devices = create.devices.map(|count| count.to_string());
    let parameters = [
        ("Role", Some(create.role.name())),
        ("FriendlyName", create.name.as_deref()),
        ("DateExpires", expires.as_deref()),
        ("Devices", devices.as_deref()),
    ];
    let form: Vec<_> = parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let cloud = Management::open(&create.cloud.folder, create.cloud.account.as_deref()).await?;
    let key = cloud.post("/v1/Keys", &form).await;
    cloud.close().await;
    let key = key?;
    let text = || {
        let rows = [
            ("key", text_of(&key, "sid")),
            ("secret", text_of(&key, "secret")),
            ("role", text_of(&key, "role")),
        ];
        format!("{}\nThe secret is shown once. Use both as user name and password of the API.", pairs(&rows))
    };
    print_result(create.cloud.json, text, || key.clone());
    Ok(())
}

async fn list_all(list: &ListArguments) -> Result<(), Failure> {
    let cloud = Management::open(&list.cloud.folder, list.cloud.account.as_deref()).await?;
    let keys = cloud.list("/v1/Keys", None).await;
    cloud.close().await;
    let keys: Vec<_> = keys?.into_iter().filter(|key| list.all || is_valid(key)).collect();
    if list.cloud.json {
        let _ = keys.iter().try_for_each(print_json);
        return Ok(());
    }
    let row = |key: &Value| {
        ["sid", "friendly_name", "role", "date_created", "date_expires", "date_used", "date_revoked"]
            .map(|name| text_of(key, name))
            .to_vec()
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let header = ["KEY", "NAME", "ROLE", "CREATED", "EXPIRES", "USED", "REVOKED"];
    let _ = print_line(&table(&header, &rows));
    Ok(())
}

async fn revoke_one(revoke: &RevokeArguments) -> Result<(), Failure> {
    let cloud = Management::open(&revoke.cloud.folder, revoke.cloud.account.as_deref()).await?;
    let done = cloud.delete(&format!("/v1/Keys/{}", segment(&revoke.key))).await;
    cloud.close().await;
    done.map_err(|failure| {
        failure.context(&printable(&revoke.key)).hint("list the keys with: openvisor keys list")
    })?;
    let key = &revoke.key;
    print_result(
        revoke.cloud.json,
        || format!("revoked {key}"),
        || serde_json::json!({ "sid": key, "revoked": true }),
    );
    Ok(())
}

/// The date at which a duration that starts now ends, as the API takes it.
fn expiry(duration: &str) -> Result<String, Failure> {
    let millis = timestamp::parse_duration(duration).filter(|millis| *millis > 0);
    let expires = millis.and_then(|millis| wall_millis().checked_add(millis));
    expires.map(timestamp::rfc3339).ok_or_else(|| {
        Failure::bad_input(format!("--expires {}: not a duration", printable(duration)))
            .hint("for example 24h or 90d")
    })
}

fn is_valid(key: &Value) -> bool {
    key["date_revoked"].is_null()
}

/// A property as text, `-` if it is null.
fn text_of(key: &Value, name: &str) -> String {
    key[name].as_str().unwrap_or("-").to_owned()
}
