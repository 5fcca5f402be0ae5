use std::fs;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::data::DataFolder;
use crate::device_id::DeviceId;

struct Fixture {
    directory: TempDir,
    folder: DataFolder,
    store: Store,
}

impl Fixture {
    async fn new() -> Fixture {
        let directory = tempdir().expect("a folder");
        let folder = DataFolder::open(directory.path()).expect("made");
        let store = Store::open(&folder).await.expect("opened");
        Fixture { directory, folder, store }
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Store::open(&self.folder).await.expect("opened again");
    }

    async fn device(&self, name: Option<&str>) -> DeviceId {
        let id = DeviceId::random();
        self.store.add_device(id, name, [1; 32]).await.expect("added");
        id
    }
}

fn wanted(device_scope: bool, secret: bool, key: &str) -> Wanted {
    Wanted { device_scope, secret, key: key.into() }
}

fn found(value: &str) -> Value {
    Value::Found(value.into())
}

fn line(device: DeviceId, boot: u32, sequence: u32, received: i64) -> LogLine {
    LogLine {
        device,
        boot,
        sequence,
        clock: 5,
        received,
        text: format!("line {sequence}\u{ff}").into_bytes(),
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let mut fixture = Fixture::new().await;
    let account = fixture.store.account().to_owned();
    let device = fixture.device(Some("kettle")).await;
    fixture.store.set_config(Scope::Account, "broker", "mqtt.example").await.expect("set");
    fixture.store.set_secret(Scope::Device(device), "key", "hush").await.expect("set");
    fixture.store.add_logs(&[line(device, 1, 1, wall_millis())]).await.expect("kept");
    fixture.reopen().await;
    let store = &fixture.store;
    assert_eq!(store.account(), account);
    assert_eq!(store.device_named("kettle").await.expect("asked").expect("there").id, device);
    let values = store.look_up(device, &[wanted(false, false, "broker"), wanted(true, true, "key")]).await;
    assert_eq!(values.expect("looked up"), [found("mqtt.example"), found("hush")]);
    assert_eq!(store.logs(device, 10).await.expect("read").len(), 1);
}

#[tokio::test]
async fn the_database_is_set_to_lose_nothing() {
    let fixture = Fixture::new().await;
    let mut connection = fixture.store.pool.acquire().await.expect("a connection");
    for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let row = sqlx::query(pragma).fetch_one(&mut *connection).await.expect("asked");
        assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
    }
    let row = sqlx::query("PRAGMA journal_mode").fetch_one(&mut *connection).await.expect("asked");
    assert_eq!(row.get::<String, _>(0), "wal");
}

/// Shows D63.
#[tokio::test]
async fn a_secret_can_be_read_nowhere_in_the_data_folder_but_by_its_device() {
    let fixture = Fixture::new().await;
    let device = fixture.device(None).await;
    let secret = "correct horse battery staple";
    fixture.store.set_secret(Scope::Device(device), "pass", secret).await.expect("set");
    fixture.store.set_config(Scope::Device(device), "plain", "to be seen in the file").await.expect("set");
    fixture.store.close().await;
    let mut all = Vec::new();
    for entry in fs::read_dir(fixture.directory.path()).expect("a folder") {
        all.extend(fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    let holds = |text: &str| all.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(secret) && !holds(&secret[..12]));
    assert!(holds("to be seen in the file"), "the search finds what is not sealed");
}

#[tokio::test]
async fn another_secret_key_is_noticed_at_the_start() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    data::write_new(&fixture.directory.path().join("secret.key"), &[9; 32], 0o600).expect("written");
    assert!(matches!(Store::open(&fixture.folder).await, Err(StoreError::SecretKey)));
}

/// Shows D63, M51.
#[tokio::test]
async fn keys_and_values_have_bounds() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (longest_key, longest_value) = ("k".repeat(100), "v".repeat(4096));
    assert!(store.set_config(Scope::Account, &longest_key, &longest_value).await.is_ok());
    assert!(store.set_secret(Scope::Account, &longest_key, &longest_value).await.is_ok());
    for key in ["", &"k".repeat(101), "tab\t", "umlaut ü", "line\n", "\u{7f}"] {
        assert!(matches!(store.set_config(Scope::Account, key, "").await, Err(StoreError::Key)), "{key:?}");
        assert!(matches!(store.set_secret(Scope::Account, key, "").await, Err(StoreError::Key)), "{key:?}");
    }
    let long = "v".repeat(4097);
    assert!(matches!(store.set_config(Scope::Account, "k", &long).await, Err(StoreError::Value)));
    assert!(matches!(store.set_secret(Scope::Account, "k", &long).await, Err(StoreError::Value)));
}

/// Shows D63.
#[tokio::test]
async fn a_lookup_finds_each_item_in_its_own_scope_and_store_only() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (device, other) = (fixture.device(None).await, fixture.device(None).await);
    store.set_config(Scope::Account, "key", "account config").await.expect("set");
    store.set_config(Scope::Device(device), "key", "device config").await.expect("set");
    store.set_secret(Scope::Account, "key", "account secret").await.expect("set");
    store.set_secret(Scope::Device(device), "key", "device secret").await.expect("set");
    let keys = [
        wanted(false, false, "key"),
        wanted(true, false, "key"),
        wanted(false, true, "key"),
        wanted(true, true, "key"),
    ];
    let values = store.look_up(device, &keys).await.expect("looked up");
    assert_eq!(
        values,
        [found("account config"), found("device config"), found("account secret"), found("device secret")]
    );
    let values = store.look_up(other, &keys).await.expect("looked up");
    assert_eq!(values, [found("account config"), Value::Missing, found("account secret"), Value::Missing]);
    let odd = [wanted(false, false, "KEY"), wanted(false, false, ""), wanted(false, false, &"k".repeat(101))];
    let values = store.look_up(device, &odd).await.expect("looked up");
    assert_eq!(values, [Value::Missing, Value::InvalidKey, Value::InvalidKey]);
}

#[tokio::test]
async fn items_are_set_listed_changed_and_removed() {
    let fixture = Fixture::new().await;
    let (store, scope) = (&fixture.store, Scope::Account);
    assert!(store.set_config(scope, "b", "1").await.expect("set"), "new");
    assert!(!store.set_config(scope, "b", "2").await.expect("set"), "changed");
    assert!(store.set_config(scope, "a", "").await.expect("set"));
    let listed: Vec<_> =
        store.configs(scope).await.expect("listed").into_iter().map(|item| (item.key, item.value)).collect();
    assert_eq!(listed, [("a".to_owned(), String::new()), ("b".to_owned(), "2".to_owned())]);
    assert!(store.set_secret(scope, "s", "1").await.expect("set"));
    assert!(!store.set_secret(scope, "s", "2").await.expect("set"));
    assert_eq!(store.secrets(scope).await.expect("listed").len(), 1);
    assert!(store.remove_config(scope, "b").await.expect("removed"));
    assert!(!store.remove_config(scope, "b").await.expect("asked"));
    assert!(store.remove_secret(scope, "s").await.expect("removed"));
    assert!(!store.remove_secret(scope, "s").await.expect("asked"));
    let nobody = Scope::Device(DeviceId::random());
    assert!(matches!(store.set_config(nobody, "k", "v").await, Err(StoreError::NoDevice(_))));
}

#[tokio::test]
async fn a_name_belongs_to_one_device_and_is_no_id() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kettle")).await;
    let other = fixture.device(None).await;
    let taken = fixture.store.rename_device(other, Some("kettle")).await;
    assert!(matches!(taken, Err(StoreError::NameTaken(name)) if name == "kettle"));
    for name in ["", device.as_str(), "line\n", &"n".repeat(65)] {
        assert!(
            matches!(fixture.store.rename_device(other, Some(name)).await, Err(StoreError::Name)),
            "{name}"
        );
    }
    fixture.store.rename_device(device, None).await.expect("cleared");
    fixture.store.rename_device(other, Some("kettle")).await.expect("free now");
    assert_eq!(fixture.store.device_named(device.as_str()).await.expect("asked").expect("there").name, None);
    let missing = fixture.store.rename_device(DeviceId::random(), None).await;
    assert!(matches!(missing, Err(StoreError::NoDevice(_))));
}

#[tokio::test]
async fn a_removed_device_takes_its_items_along() {
    let fixture = Fixture::new().await;
    let device = fixture.device(None).await;
    fixture.store.set_secret(Scope::Device(device), "key", "hush").await.expect("set");
    assert!(fixture.store.remove_device(device).await.expect("removed"));
    assert!(!fixture.store.remove_device(device).await.expect("asked"));
    assert!(fixture.store.secrets(Scope::Device(device)).await.expect("listed").is_empty());
    assert!(fixture.store.devices().await.expect("listed").is_empty());
}

#[tokio::test]
async fn logging_can_be_wanted_for_a_time() {
    let fixture = Fixture::new().await;
    let device = fixture.device(None).await;
    let logging = async || fixture.store.device(device).await.expect("asked").expect("there").logging;
    assert!(logging().await);
    fixture.store.set_logging(device, true, Some(wall_millis() - 1)).await.expect("set");
    assert!(!logging().await);
    fixture.store.set_logging(device, true, Some(wall_millis() + 60_000)).await.expect("set");
    assert!(logging().await);
    fixture.store.set_logging(device, false, None).await.expect("set");
    assert!(!logging().await);
}

/// Shows D70, N28.
#[tokio::test]
async fn a_log_line_sent_twice_is_kept_once() {
    let fixture = Fixture::new().await;
    let (store, device, now) = (&fixture.store, fixture.device(None).await, wall_millis());
    store.add_logs(&[line(device, 7, 1, now), line(device, 7, 2, now)]).await.expect("kept");
    store.add_logs(&[line(device, 7, 2, now + 9), line(device, 8, 1, now)]).await.expect("kept");
    let kept = store.logs(device, 10).await.expect("read");
    assert_eq!(kept, [line(device, 7, 1, now), line(device, 7, 2, now), line(device, 8, 1, now)]);
}

#[tokio::test]
async fn log_lines_go_when_they_are_too_many_or_too_old() {
    let fixture = Fixture::new().await;
    let (store, now) = (&fixture.store, wall_millis());
    let (device, other) = (fixture.device(None).await, fixture.device(None).await);
    let lines: Vec<_> = (1..=10).map(|sequence| line(device, 1, sequence, now)).collect();
    store.add_logs(&lines).await.expect("kept");
    store.add_logs(&[line(other, 1, 1, now - 5_000), line(other, 1, 2, now)]).await.expect("kept");
    store.prune_logs(LogRetention { lines: 3, age: Duration::from_secs(4) }).await.expect("pruned");
    let sequences = async |device| -> Vec<u32> {
        store.logs(device, 100).await.expect("read").iter().map(|line| line.sequence).collect()
    };
    assert_eq!(sequences(device).await, [8, 9, 10]);
    assert_eq!(sequences(other).await, [2]);
}

#[tokio::test]
async fn the_files_of_the_database_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new().await;
    fixture.device(None).await;
    for name in ["cloud.db", "cloud.db-wal", "cloud.db-shm"] {
        let mode = fs::metadata(fixture.directory.path().join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn two_openers_at_once_both_find_a_finished_database() {
    let directory = tempdir().expect("a folder");
    let folder = DataFolder::open(directory.path()).expect("made");
    let (first, second) = tokio::join!(Store::open(&folder), Store::open(&folder));
    assert_eq!(first.expect("opened").account(), second.expect("opened").account());
}

#[tokio::test]
async fn a_folder_with_an_odd_name_holds_a_database() {
    let parent = tempdir().expect("a folder");
    let path = parent.path().join("a ?mode=memory&x=%41 #ü");
    let folder = DataFolder::open(&path).expect("made");
    Store::open(&folder).await.expect("opened").close().await;
    assert!(path.join("cloud.db").exists());
}

/// Shows D70.
#[tokio::test]
async fn a_log_is_followed_from_any_place() {
    let fixture = Fixture::new().await;
    let (device, other) = (fixture.device(None).await, fixture.device(None).await);
    let store = &fixture.store;
    let lines: Vec<_> = (1..=5).map(|sequence| line(device, 1, sequence, i64::from(sequence))).collect();
    store.add_logs(&lines).await.expect("kept");
    store.add_logs(&[line(other, 1, 1, 1)]).await.expect("kept");
    let place = store.log_place(device, 2).await.expect("asked");
    let found = store.logs_after(device, place, 0, 10).await.expect("read");
    let sequences: Vec<_> = found.iter().map(|(_, line)| line.sequence).collect();
    assert_eq!(sequences, [4, 5]);
    let (end, _) = found.last().expect("two");
    assert!(store.logs_after(device, *end, 0, 10).await.expect("read").is_empty());
    store.add_logs(&[line(device, 1, 6, 6)]).await.expect("kept");
    assert_eq!(store.logs_after(device, *end, 0, 10).await.expect("read").len(), 1);
    assert_eq!(store.log_place(device, 100).await.expect("asked"), LogPlace::default());
    let late = store.logs_after(device, LogPlace::default(), 3, 2).await.expect("read");
    assert_eq!(late.iter().map(|(_, line)| line.sequence).collect::<Vec<_>>(), [3, 4]);
}
