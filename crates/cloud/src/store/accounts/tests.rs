use std::time::Duration;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::data::DataFolder;
use crate::store::{LogCursor, LogLine, LogRetention, LookupKey, Scope, Value};

/// A store with a second account, and a device in each, both called `kitchen`.
struct Fixture {
    _directory: TempDir,
    folder: DataFolder,
    first: Store,
    second: Store,
    own: DeviceId,
    other: DeviceId,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempdir().expect("a folder");
        let folder = DataFolder::open(directory.path()).expect("made");
        let first = Store::open(&folder).await.expect("opened");
        let account = first.add_account(Some("plant")).await.expect("added");
        let second = first.of_account(account.id);
        let (own, other) = (DeviceId::random(), DeviceId::random());
        first.add_device(own, Some("kitchen"), [1; 32]).await.expect("added");
        second.add_device(other, Some("kitchen"), [2; 32]).await.expect("a name is free in each account");
        Self { _directory: directory, folder, first, second, own, other }
    }
}

fn line(device: DeviceId) -> LogLine {
    LogLine { device, boot: 1, sequence: 1, clock: 0, received: wall_millis(), text: b"hello".to_vec() }
}

fn found(value: &str) -> Value {
    Value::Found(value.into())
}

/// Shows D121.
#[tokio::test]
async fn there_is_one_account_to_begin_with_and_it_stays_the_default() {
    let fixture = Fixture::new().await;
    let accounts = fixture.first.accounts().await.expect("read");
    assert_eq!((accounts.len(), accounts[0].id.as_str()), (2, fixture.first.account()));
    assert_eq!((accounts[0].devices, accounts[1].devices), (1, 1));
    let again = Store::open(&fixture.folder).await.expect("opened again");
    assert_eq!(again.account(), fixture.first.account());
}

/// Shows D121.
#[tokio::test]
async fn accounts_made_in_one_instant_are_in_their_order_and_none_takes_the_firsts_place() {
    let Fixture { first, second, _directory, .. } = Fixture::new().await;
    let mut made = vec![first.account().to_owned(), second.account().to_owned()];
    for _ in 0..20 {
        made.push(first.add_account(None).await.expect("added").id.as_str().to_owned());
    }
    let accounts = first.accounts().await.expect("read");
    assert_eq!(accounts.iter().map(|account| account.id.as_str()).collect::<Vec<_>>(), made);
}

/// Shows D121.
#[tokio::test]
async fn a_device_is_given_the_settings_of_its_own_account_only() {
    let fixture = Fixture::new().await;
    let Fixture { first, second, own, other, .. } = &fixture;
    for (store, device, value) in [(first, *own, "mine"), (second, *other, "theirs")] {
        for scope in [Scope::Account, Scope::Device(device)] {
            store.set_config(scope, "key", value).await.expect("set");
            store.set_secret(scope, "key", value).await.expect("set");
        }
    }
    for (store, device, value) in [(first, *own, "mine"), (second, *other, "theirs")] {
        for (device_scope, secret) in [(false, false), (false, true), (true, false), (true, true)] {
            let wanted = LookupKey { device_scope, secret, key: b"key".to_vec() };
            assert_eq!(store.look_up(device, &[wanted]).await.expect("asked"), [found(value)]);
        }
    }
}

/// Shows D121.
#[tokio::test]
async fn what_is_of_another_account_is_not_there_even_by_its_id() {
    let fixture = Fixture::new().await;
    let Fixture { first, second, other, .. } = &fixture;
    let scope = Scope::Device(*other);
    second.set_config(scope, "key", "theirs").await.expect("set");
    second.set_secret(scope, "key", "theirs").await.expect("set");
    second.add_logs(&[line(*other)]).await.expect("kept");
    assert_eq!(first.device(*other).await.expect("asked"), None);
    assert_eq!(first.device_named(other.as_str()).await.expect("asked"), None);
    assert_eq!(first.config(scope, "key").await.expect("asked"), None);
    assert!(first.configs(scope).await.expect("asked").is_empty());
    assert!(first.secrets(scope).await.expect("asked").is_empty());
    let wanted = LookupKey { device_scope: true, secret: true, key: b"key".to_vec() };
    assert_eq!(first.look_up(*other, &[wanted]).await.expect("asked"), [Value::NotFound]);
    assert!(first.logs(*other, 9).await.expect("asked").is_empty());
    assert_eq!(first.log_cursor(*other, 0).await.expect("asked"), LogCursor::default());
    assert!(first.logs_after(*other, LogCursor::default(), 0, 9).await.expect("asked").is_empty());
    assert_eq!(second.logs(*other, 9).await.expect("asked").len(), 1);
}

/// Shows D121.
#[tokio::test]
async fn what_is_of_another_account_cannot_be_changed_even_by_its_id() {
    let fixture = Fixture::new().await;
    let Fixture { first, second, other, .. } = &fixture;
    let scope = Scope::Device(*other);
    second.set_config(scope, "key", "theirs").await.expect("set");
    second.add_logs(&[line(*other)]).await.expect("kept");
    assert!(matches!(first.set_config(scope, "key", "x").await, Err(StoreError::NoDevice(_))));
    assert!(matches!(first.set_secret(scope, "key", "x").await, Err(StoreError::NoDevice(_))));
    assert!(!first.remove_config(scope, "key").await.expect("asked"));
    assert!(matches!(first.revoke_device(*other).await, Err(StoreError::NoDevice(_))));
    assert!(matches!(first.rename_device(*other, None).await, Err(StoreError::NoDevice(_))));
    assert!(matches!(first.set_fingerprint(*other, [9; 32]).await, Err(StoreError::NoDevice(_))));
    assert!(matches!(first.set_logging(*other, false, None).await, Err(StoreError::NoDevice(_))));
    assert!(!first.remove_device(*other).await.expect("asked"));
    let known = second.device(*other).await.expect("asked").expect("still there");
    assert_eq!((known.fingerprint, known.logging, known.revoked), ([2; 32], true, None));
    assert_eq!(second.config(scope, "key").await.expect("asked").expect("still there").value, "theirs");
    assert_eq!(second.logs(*other, 9).await.expect("asked").len(), 1);
}

/// Shows D121.
#[tokio::test]
async fn a_secret_moved_to_another_account_does_not_open_there() {
    let fixture = Fixture::new().await;
    let Fixture { first, second, own, .. } = &fixture;
    second.set_secret(Scope::Account, "key", "theirs").await.expect("set");
    let moved = sqlx::query("UPDATE secrets SET account = $1").bind(first.account().to_owned());
    first.pool.execute(moved).await.expect("moved by somebody with the database");
    let wanted = LookupKey { device_scope: false, secret: true, key: b"key".to_vec() };
    assert_eq!(first.look_up(*own, &[wanted]).await.expect("looked up"), [Value::Unavailable]);
}

#[tokio::test]
async fn a_name_stands_for_one_account_and_never_looks_like_an_id() {
    let fixture = Fixture::new().await;
    let store = &fixture.first;
    assert!(matches!(store.add_account(Some("plant")).await, Err(StoreError::AccountNameTaken(_))));
    let like_an_id = format!("AC{}", "0".repeat(32));
    for name in ["", "a\nb", &like_an_id] {
        assert!(matches!(store.add_account(Some(name)).await, Err(StoreError::InvalidAccountName)), "{name}");
    }
    let unnamed = store.add_account(None).await.expect("added");
    store.add_account(None).await.expect("no name twice is no clash");
    store.rename_account(unnamed.id, Some("lab")).await.expect("renamed");
    assert_eq!(store.account_named("lab").await.expect("asked").expect("there").id, unnamed.id);
    let by_id = store.account_named(unnamed.id.as_str()).await.expect("asked").expect("there");
    assert_eq!(by_id.name.as_deref(), Some("lab"));
    assert_eq!(store.account_named("none").await.expect("asked"), None);
}

#[tokio::test]
async fn an_account_goes_with_its_settings_once_it_has_no_devices_and_the_first_stays() {
    let fixture = Fixture::new().await;
    let Fixture { first, second, other, .. } = &fixture;
    let (default, plant) = {
        let accounts = first.accounts().await.expect("read");
        (accounts[0].id, accounts[1].id)
    };
    assert!(matches!(first.remove_account(plant).await, Err(StoreError::AccountInUse("it has devices"))));
    assert!(matches!(first.remove_account(default).await, Err(StoreError::AccountInUse(_))));
    second.set_secret(Scope::Account, "key", "theirs").await.expect("set");
    assert!(second.remove_device(*other).await.expect("removed"));
    first.remove_account(plant).await.expect("removed");
    assert!(matches!(first.remove_account(plant).await, Err(StoreError::NoAccount(_))));
    assert!(second.secrets(Scope::Account).await.expect("asked").is_empty());
}

/// Shows D121.
#[tokio::test]
async fn admission_data_names_the_account_of_a_device() {
    let fixture = Fixture::new().await;
    let Fixture { first, second, own, other, .. } = &fixture;
    let known = first.admission(*other).await.expect("asked").expect("known");
    assert_eq!((known.account.as_str(), known.fingerprint), (second.account(), [2; 32]));
    assert_eq!(second.of_device(*own).await.expect("asked").account(), first.account());
    assert!(matches!(first.of_device(DeviceId::random()).await, Err(StoreError::NoDevice(_))));
    let retention = LogRetention { lines: 0, age: Duration::ZERO };
    first.prune_logs(retention).await.expect("of every account");
}
