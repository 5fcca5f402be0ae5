use std::fs;
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::data::DataFolder;
use crate::files::write_new;
use crate::id::DeviceId;
use crate::limits;

pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) folder: DataFolder,
    pub(crate) store: Store,
    /// Of a PostgreSQL server; the file in the folder otherwise.
    pub(crate) database: Option<test_postgres::Database>,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::at(None).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Some(test_postgres::shared())).await
    }

    /// One of each kind, for what must be so on both.
    pub(crate) async fn each() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    async fn at(database: Option<test_postgres::Database>) -> Self {
        let directory = tempdir().expect("a folder");
        let folder = DataFolder::open(directory.path()).expect("made");
        let url = database.as_ref().map(|database| url(&database.url()));
        let store = Store::open_at(&folder, url.as_ref()).await.expect("opened");
        Self { directory, folder, store, database }
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Store::open(&self.folder).await.expect("opened again");
    }

    pub(crate) async fn device(&self, name: Option<&str>) -> DeviceId {
        let id = DeviceId::random();
        self.store.add_device(id, name, [1; 32]).await.expect("added");
        id
    }
}

impl Fixture {
    /// Makes what is stored of a device's certificate no fingerprint.
    pub(crate) async fn damage_fingerprint(&self, device: DeviceId) {
        let query = sqlx::query("UPDATE devices SET fingerprint = $1, updated = updated + 1 WHERE id = $2");
        let query = query.bind(&[1_u8, 2][..]).bind(device.as_str());
        self.store.pool.execute(query).await.expect("damaged");
    }

    /// Takes the database as another cloud that was faster after the server restarted: every connection ends.
    pub(crate) async fn seize(&self) -> StoreLease {
        let other = Store::open(&self.folder).await.expect("opened");
        let database = self.database.as_ref().expect("of a server");
        database.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        other.acquire_lease().await.expect("the quicker one")
    }
}

impl Store {
    /// Holds what another process holds that writes to every device: a backup, or a person with a database shell.
    pub(crate) async fn hold_devices(&self) -> impl Sized + '_ {
        let mut transaction = self.pool.begin().await.expect("begun");
        transaction.execute(sqlx::query("UPDATE devices SET seen = 1")).await.expect("held");
        transaction
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was on {}", if self.database.is_some() { "PostgreSQL" } else { "SQLite" });
        }
    }
}

fn url(text: &str) -> StoreUrl {
    text.parse().expect("a store")
}

fn wanted(device_scope: bool, secret: bool, key: &str) -> LookupKey {
    LookupKey { device_scope, secret, key: key.into() }
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
    for mut fixture in Fixture::each().await {
        let account = fixture.store.account().to_owned();
        let device = fixture.device(Some("kettle")).await;
        fixture.store.set_config(Scope::Account, "broker", "mqtt.example").await.expect("set");
        fixture.store.set_secret(Scope::Device(device), "key", "hush").await.expect("set");
        fixture.store.add_logs(&[line(device, 1, 1, wall_millis())]).await.expect("kept");
        fixture.reopen().await;
        let store = &fixture.store;
        assert_eq!(store.account(), account);
        assert_eq!(store.device_named("kettle").await.expect("asked").expect("there").id, device);
        let values =
            store.look_up(device, &[wanted(false, false, "broker"), wanted(true, true, "key")]).await;
        assert_eq!(values.expect("looked up"), [found("mqtt.example"), found("hush")]);
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 1);
    }
}

#[tokio::test]
async fn the_database_is_set_to_lose_nothing() {
    let fixture = Fixture::sqlite().await;
    let ask = |pragma| fixture.store.pool.fetch_one(Purpose::Write, sqlx::query(pragma));
    for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let row = ask(pragma).await.expect("asked");
        assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
    }
    let row = ask("PRAGMA journal_mode").await.expect("asked");
    assert_eq!(row.get::<String, _>(0), "wal");
}

/// Shows D63.
#[tokio::test]
async fn a_secret_can_be_read_nowhere_in_the_data_folder_but_by_its_device() {
    let fixture = Fixture::sqlite().await;
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
    for fixture in Fixture::each().await {
        fixture.store.close().await;
        write_new(&fixture.directory.path().join("secret.key"), &[9; 32], 0o600).expect("written");
        assert!(matches!(Store::open(&fixture.folder).await, Err(StoreError::SecretKey(_))));
    }
}

/// Shows D63, M51.
#[tokio::test]
async fn keys_and_values_have_bounds() {
    for fixture in Fixture::each().await {
        let store = &fixture.store;
        let (longest_key, longest_value) = ("k".repeat(100), "v".repeat(4096));
        assert!(store.set_config(Scope::Account, &longest_key, &longest_value).await.is_ok());
        assert!(store.set_secret(Scope::Account, &longest_key, &longest_value).await.is_ok());
        for key in ["", &"k".repeat(101), "tab\t", "umlaut ü", "line\n", "\u{7f}"] {
            assert!(
                matches!(store.set_config(Scope::Account, key, "").await, Err(StoreError::InvalidKey)),
                "{key:?}"
            );
            assert!(
                matches!(store.set_secret(Scope::Account, key, "").await, Err(StoreError::InvalidKey)),
                "{key:?}"
            );
        }
        let long = "v".repeat(4097);
        assert!(matches!(store.set_config(Scope::Account, "k", &long).await, Err(StoreError::ValueTooLong)));
        assert!(matches!(store.set_secret(Scope::Account, "k", &long).await, Err(StoreError::ValueTooLong)));
    }
}

/// Shows D63.
#[tokio::test]
async fn a_lookup_finds_each_item_in_its_own_scope_and_store_only() {
    for fixture in Fixture::each().await {
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
            [
                found("account config"),
                found("device config"),
                found("account secret"),
                found("device secret")
            ]
        );
        let values = store.look_up(other, &keys).await.expect("looked up");
        assert_eq!(
            values,
            [found("account config"), Value::NotFound, found("account secret"), Value::NotFound]
        );
        let odd =
            [wanted(false, false, "KEY"), wanted(false, false, ""), wanted(false, false, &"k".repeat(101))];
        let values = store.look_up(device, &odd).await.expect("looked up");
        assert_eq!(values, [Value::NotFound, Value::InvalidKey, Value::InvalidKey]);
    }
}

#[tokio::test]
async fn items_are_set_listed_changed_and_removed() {
    for fixture in Fixture::each().await {
        let (store, scope) = (&fixture.store, Scope::Account);
        assert!(store.set_config(scope, "b", "1").await.expect("set"), "new");
        assert!(!store.set_config(scope, "b", "2").await.expect("set"), "changed");
        assert!(store.set_config(scope, "a", "").await.expect("set"));
        let listed: Vec<_> = store
            .configs(scope)
            .await
            .expect("listed")
            .into_iter()
            .map(|item| (item.key, item.value))
            .collect();
        assert_eq!(listed, [("a".to_owned(), String::new()), ("b".to_owned(), "2".to_owned())]);
        assert!(store.set_secret(scope, "s", "1").await.expect("set"));
        assert!(!store.set_secret(scope, "s", "2").await.expect("set"));
        assert_eq!(store.secrets(scope).await.expect("listed").len(), 1);
        assert!(store.remove_config(scope, "b").await.expect("removed"));
        assert!(!store.remove_config(scope, "b").await.expect("asked"));
        assert!(store.remove_secret(scope, "s").await.expect("removed"));
        assert!(!store.remove_secret(scope, "s").await.expect("asked"));
        let unknown = Scope::Device(DeviceId::random());
        assert!(matches!(store.set_config(unknown, "k", "v").await, Err(StoreError::NoDevice(_))));
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_device_and_is_no_id() {
    for fixture in Fixture::each().await {
        let device = fixture.device(Some("kettle")).await;
        let other = fixture.device(None).await;
        let taken = fixture.store.rename_device(other, Some("kettle")).await;
        assert!(matches!(taken, Err(StoreError::NameTaken(name)) if name == "kettle"));
        for name in ["", device.as_str(), "line\n", &"n".repeat(65)] {
            assert!(
                matches!(fixture.store.rename_device(other, Some(name)).await, Err(StoreError::InvalidName)),
                "{name}"
            );
        }
        fixture.store.rename_device(device, None).await.expect("cleared");
        fixture.store.rename_device(other, Some("kettle")).await.expect("free now");
        assert_eq!(
            fixture.store.device_named(device.as_str()).await.expect("asked").expect("there").name,
            None
        );
        let missing = fixture.store.rename_device(DeviceId::random(), None).await;
        assert!(matches!(missing, Err(StoreError::NoDevice(_))));
    }
}

#[tokio::test]
async fn a_removed_device_takes_its_items_along() {
    for fixture in Fixture::each().await {
        let device = fixture.device(None).await;
        fixture.store.set_secret(Scope::Device(device), "key", "hush").await.expect("set");
        assert!(fixture.store.remove_device(device).await.expect("removed"));
        assert!(!fixture.store.remove_device(device).await.expect("asked"));
        assert!(fixture.store.secrets(Scope::Device(device)).await.expect("listed").is_empty());
        assert!(fixture.store.devices().await.expect("listed").is_empty());
    }
}

#[tokio::test]
async fn logging_can_be_wanted_for_a_time() {
    for fixture in Fixture::each().await {
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
}

/// Shows D70, N28.
#[tokio::test]
async fn a_log_line_sent_twice_is_kept_once() {
    for fixture in Fixture::each().await {
        let (store, device, now) = (&fixture.store, fixture.device(None).await, wall_millis());
        store.add_logs(&[line(device, 7, 1, now), line(device, 7, 2, now)]).await.expect("kept");
        store.add_logs(&[line(device, 7, 2, now + 9), line(device, 8, 1, now)]).await.expect("kept");
        let kept = store.logs(device, 10).await.expect("read");
        assert_eq!(kept, [line(device, 7, 1, now), line(device, 7, 2, now), line(device, 8, 1, now)]);
    }
}

#[tokio::test]
async fn log_lines_go_when_they_are_too_many_or_too_old() {
    for fixture in Fixture::each().await {
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
}

#[tokio::test]
async fn the_files_of_the_database_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::sqlite().await;
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
    for fixture in Fixture::each().await {
        let (device, other) = (fixture.device(None).await, fixture.device(None).await);
        let store = &fixture.store;
        let lines: Vec<_> = (1..=5).map(|sequence| line(device, 1, sequence, i64::from(sequence))).collect();
        store.add_logs(&lines).await.expect("kept");
        store.add_logs(&[line(other, 1, 1, 1)]).await.expect("kept");
        let place = store.log_cursor(device, 2).await.expect("asked");
        let found = store.logs_after(device, place, 0, 10).await.expect("read");
        let sequences: Vec<_> = found.iter().map(|(_, line)| line.sequence).collect();
        assert_eq!(sequences, [4, 5]);
        let (end, _) = found.last().expect("two");
        assert!(store.logs_after(device, *end, 0, 10).await.expect("read").is_empty());
        store.add_logs(&[line(device, 1, 6, 6)]).await.expect("kept");
        assert_eq!(store.logs_after(device, *end, 0, 10).await.expect("read").len(), 1);
        assert_eq!(store.log_cursor(device, 100).await.expect("asked"), LogCursor::default());
        let late = store.logs_after(device, LogCursor::default(), 3, 2).await.expect("read");
        assert_eq!(late.iter().map(|(_, line)| line.sequence).collect::<Vec<_>>(), [3, 4]);
    }
}

#[tokio::test]
async fn a_value_holds_any_character() {
    for fixture in Fixture::each().await {
        let (store, odd) = (&fixture.store, "\0 \u{1} ü \u{1f980}\n");
        store.set_config(Scope::Account, "odd", odd).await.expect("set");
        store.set_secret(Scope::Account, "odd", odd).await.expect("set");
        assert_eq!(store.config(Scope::Account, "odd").await.expect("asked").expect("there").value, odd);
        let keys = [wanted(false, false, "odd"), wanted(false, true, "odd")];
        let values = store.look_up(DeviceId::random(), &keys).await.expect("looked up");
        assert_eq!(values, [found(odd), found(odd)]);
    }
}

/// Shows D70.
#[tokio::test]
async fn many_lines_at_once_are_kept_in_order_whatever_their_number() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let lines: Vec<_> = (1..=300).map(|sequence| line(device, 1, sequence, 1)).collect();
        let mut from = 0;
        for count in [1, 2, 127, 170] {
            store.add_logs(&lines[from..from + count]).await.expect("kept");
            from += count;
        }
        // Some of these are there already, and one is named twice.
        let again = [&lines[250..], &lines[299..]].concat();
        store.add_logs(&again).await.expect("kept");
        assert_eq!(store.logs(device, 1000).await.expect("read"), lines);
    }
}

/// Shows D116.
#[tokio::test]
async fn the_folder_remembers_its_store_and_a_new_password_for_it() {
    let mut fixture = Fixture::postgres().await;
    let device = fixture.device(Some("kettle")).await;
    fixture.reopen().await;
    assert_eq!(fixture.store.device(device).await.expect("asked").expect("there").id, device);
    assert!(!fixture.folder.database().exists(), "an empty file is not mistaken for the store");
    let database = fixture.database.as_ref().expect("of a server");
    database.psql("DROP ROLE IF EXISTS ann; CREATE ROLE ann SUPERUSER LOGIN PASSWORD 'new'");
    let (_, place) =
        database.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a user");
    let renewed = url(&format!("postgres://ann:new@{place}"));
    Store::open_at(&fixture.folder, Some(&renewed)).await.expect("the same devices");
    assert_eq!(fixture.folder.store().expect("remembered"), renewed);
}

/// Shows D116.
#[tokio::test]
async fn a_folder_with_devices_is_not_led_to_an_empty_database() {
    let (fixture, empty) = (Fixture::sqlite().await, test_postgres::shared());
    fixture.device(None).await;
    let refused =
        Store::open_at(&fixture.folder, Some(&url(&empty.url()))).await.err().expect("refused").to_string();
    assert!(
        refused.starts_with("the devices of this data folder are in cloud.db; postgres://postgres@"),
        "{refused}"
    );
    assert_eq!(fixture.folder.store().expect("read"), StoreUrl::Folder, "nothing new is remembered");
    assert_eq!(empty.psql("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"), "0", "nor made");
    let fixture = Fixture::postgres().await;
    let refused = Store::open_at(&fixture.folder, Some(&StoreUrl::Folder)).await;
    assert!(matches!(refused, Err(StoreError::Elsewhere { .. })));
}

/// Shows D116.
#[tokio::test]
async fn what_stands_in_the_way_of_a_database_is_said_without_the_password() {
    let fixture = Fixture::postgres().await;
    let good = fixture.database.as_ref().expect("of a server").url();
    let (_, place) = good.rsplit_once('@').expect("a user");
    let (server, _) = place.rsplit_once('/').expect("a database");
    let error_of = async |text: String| {
        let directory = tempdir().expect("a folder");
        let folder = DataFolder::open(directory.path()).expect("made");
        let error = Store::open_at(&folder, Some(&url(&text))).await.err().expect("refused");
        assert!(!directory.path().join("store.url").exists());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hush"), "{shown}");
        error
    };
    let error = error_of(format!("postgres://postgres:hush@{place}")).await;
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    let error = error_of(good.replace(place, &format!("{server}/nowhere"))).await;
    assert!(error.to_string().contains(r#"database "nowhere" does not exist"#), "{error}");
    let error = error_of("postgres://ann:hush@127.0.0.1:1/fleet".to_owned()).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().starts_with("cannot reach the database postgres://ann@127.0.0.1:1/fleet: "),
        "{error}"
    );
    let error = error_of(good).await;
    assert!(matches!(error, StoreError::SecretKey(_)), "another folder's: {error}");
}

/// Shows D116.
#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_by_both_numbers() {
    for fixture in Fixture::each().await {
        let query = sqlx::query("SELECT MAX(version) FROM _sqlx_migrations");
        let row = fixture.store.pool.fetch_one(Purpose::Read, query).await;
        let known: i64 = row.expect("asked").try_get(0).expect("a number");
        let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                   SELECT $1, description, success, checksum, execution_time FROM _sqlx_migrations WHERE version = $2";
        fixture.store.pool.execute(sqlx::query(sql).bind(known + 6).bind(known)).await.expect("added");
        fixture.store.close().await;
        let refused = Store::open(&fixture.folder).await.err().expect("refused").to_string();
        let expected =
            format!("has schema {} of a newer Openvisor; this one knows schema {known}", known + 6);
        assert!(refused.ends_with(&expected), "{refused}");
    }
}

/// Shows D116.
#[tokio::test]
async fn one_cloud_at_a_time_occupies_a_shared_database() {
    let fixture = Fixture::postgres().await;
    let other = Store::open(&fixture.folder).await.expect("others may look and change");
    let lease = fixture.store.acquire_lease().await.expect("free");
    assert!(matches!(other.acquire_lease().await, Err(StoreError::InUse(_))));
    drop(lease);
    assert!(other.acquire_lease().await.is_ok());
}

/// A database that restarts releases the lock, and the cloud acquires it again; writes wait until then.
///
/// Shows D117.
#[tokio::test]
async fn a_database_that_restarts_is_used_again() {
    let mut server = test_postgres::Server::start(test_postgres::Durability::Memory).expect("a server");
    let fixture = Fixture::at(Some(server.database())).await;
    let (store, device) = (&fixture.store, fixture.device(None).await);
    let lease = store.acquire_lease().await.expect("free");
    store.add_logs(&[line(device, 1, 1, 1)]).await.expect("kept");
    server.crash();
    let revived = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    while store.add_logs(&[line(device, 1, 2, 1)]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _server = revived.await.expect("revived");
    assert_eq!(store.logs(device, 10).await.expect("read").len(), 2);
    let database = fixture.database.as_ref().expect("of a server");
    while database.psql("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'") != "1" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(lease);
}

/// Shows D116.
#[tokio::test]
async fn a_cloud_whose_database_was_taken_by_another_writes_nothing_more() {
    let fixture = Fixture::postgres().await;
    let (store, device) = (&fixture.store, fixture.device(None).await);
    let _lease = store.acquire_lease().await.expect("free");
    let other = Store::open(&fixture.folder).await.expect("opened");
    let _rival = fixture.seize().await;
    // It tries to connect for as long as it waits for any database.
    let refused =
        tokio::time::timeout(Duration::from_secs(1), store.add_logs(&[line(device, 1, 1, 1)])).await;
    assert!(!matches!(refused, Ok(Ok(()))), "it may not write");
    assert!(other.logs(device, 10).await.expect("read").is_empty());
    other.add_logs(&[line(device, 1, 1, 1)]).await.expect("the tenant may");
}

/// Shows D120.
#[tokio::test]
async fn many_lines_go_in_slices_and_a_device_is_looked_at_again_when_it_has_logged_more() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let slice = limits::LOG_PRUNE_CHUNK;
        let kept = LogRetention { lines: 100, age: Duration::from_mins(1) };
        let now = wall_millis();
        let lines = |from, to| (from..=to).map(|sequence| line(device, 1, sequence, now)).collect::<Vec<_>>();
        store.add_logs(&lines(1, 2 * slice + 500)).await.expect("kept");
        let count = async || store.logs(device, u32::MAX >> 1).await.expect("read").len();
        store.prune_logs(kept).await.expect("pruned");
        assert_eq!(count().await, 100, "more than a slice went");
        store.add_logs(&lines(2 * slice + 501, 2 * slice + 510)).await.expect("kept");
        store.prune_logs(kept).await.expect("pruned");
        assert_eq!(count().await, 110, "a tenth more is not worth looking");
        store.add_logs(&lines(2 * slice + 511, 2 * slice + 520)).await.expect("kept");
        store.prune_logs(kept).await.expect("pruned");
        let left = store.logs(device, 1000).await.expect("read");
        assert_eq!((left.len(), left.last().map(|line| line.sequence)), (100, Some(2 * slice + 520)));
    }
}

fn run_line(device: DeviceId, sequence: u32, clock: u64, text: &str) -> LogLine {
    LogLine { device, boot: 9, sequence, clock, received: 1, text: text.into() }
}

/// Lines of one connection, whose device said at its beginning that its clock is at `clock`.
async fn connection(store: &Store, run: &mut LogRun, lines: &[LogLine]) -> u64 {
    store.add_run_logs(&mut [RunLines { run, lines }]).await.expect("kept")
}

/// Shows D118, D165.
#[tokio::test]
async fn a_run_that_is_repeated_bit_by_bit_is_kept_beside_the_first() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let lines: Vec<_> =
            (1..=25).map(|number| run_line(device, number, 1000 * u64::from(number), "same")).collect();
        for _ in 0..3 {
            let mut run = LogRun::new(500, false);
            // In two transactions: the second goes to where the first went.
            assert_eq!(connection(store, &mut run, &lines[..10]).await, 0);
            assert_eq!(connection(store, &mut run, &lines[10..]).await, 0);
        }
        assert_eq!(
            store.logs(device, 100).await.expect("read"),
            [&lines[..], &lines[..], &lines[..]].concat()
        );
        // What the last of them sends again after a lost connection is there once.
        let mut again = LogRun::new(25_001, false);
        let next = run_line(device, 26, 26_000, "next");
        assert_eq!(
            connection(store, &mut again, &[&lines[20..], std::slice::from_ref(&next)].concat()).await,
            5
        );
        assert_eq!(store.logs(device, 1).await.expect("read"), [next]);
        assert_eq!(store.logs(device, 100).await.expect("read").len(), 76);
    }
}

/// Shows D118, D165.
#[tokio::test]
async fn a_number_that_comes_again_with_another_line_is_no_repetition() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let first: Vec<_> = (1..=5).map(|number| run_line(device, number, 5, "first")).collect();
        let second: Vec<_> = (1..=7).map(|number| run_line(device, number, 5, "second")).collect();
        store.add_logs(&first).await.expect("kept");
        store.add_logs(&second).await.expect("kept");
        // Each of them sent again once more is a repetition of the last.
        store.add_logs(&second[3..]).await.expect("kept");
        assert_eq!(store.logs(device, 100).await.expect("read"), [&first[..], &second[..]].concat());
        let other_clock = run_line(device, 7, 6, "second");
        store.add_logs(std::slice::from_ref(&other_clock)).await.expect("kept");
        assert_eq!(store.logs(device, 1).await.expect("read"), [other_clock]);
    }
}

/// Two connections of a device, the older with lines that are stored only now: none is lost.
///
/// Shows D118, D165.
#[tokio::test]
async fn lines_of_an_older_connection_that_come_late_are_kept_too() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let (mut older, mut newer) = (LogRun::new(1, false), LogRun::new(1, false));
        connection(store, &mut older, &[run_line(device, 1, 10, "older")]).await;
        connection(store, &mut newer, &[run_line(device, 1, 11, "newer"), run_line(device, 2, 12, "newer")])
            .await;
        connection(store, &mut older, &[run_line(device, 2, 12, "older"), run_line(device, 3, 13, "older")])
            .await;
        let late = [run_line(device, 2, 14, "newer, otherwise"), run_line(device, 3, 15, "newer")];
        connection(store, &mut older, &late).await;
        let texts = store.logs(device, 100).await.expect("read");
        assert_eq!(texts.len(), 7, "{texts:?}");
    }
}

/// Shows D63.
#[tokio::test]
async fn a_damaged_secret_is_missing_by_itself() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        for key in ["good", "bad"] {
            store.set_secret(Scope::Account, key, key).await.expect("set");
            store.set_config(Scope::Account, key, key).await.expect("set");
        }
        for table in ["secrets", "configs"] {
            let sql = format!("UPDATE {table} SET value = $1 WHERE key = 'bad'");
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&[0xFF_u8, 1][..]);
            store.pool.execute(query).await.expect("damaged");
        }
        let keys = [
            wanted(false, true, "bad"),
            wanted(false, true, "good"),
            wanted(false, false, "bad"),
            wanted(false, false, "good"),
        ];
        let values = store.look_up(device, &keys).await.expect("looked up");
        assert_eq!(values, [Value::Unavailable, found("good"), Value::Unavailable, found("good")]);
    }
}

/// Shows D163.
#[tokio::test]
async fn a_database_that_is_gone_or_empty_is_an_error_and_no_new_store() {
    let fixture = Fixture::sqlite().await;
    fixture.device(None).await;
    fixture.store.close().await;
    let (path, aside) = (fixture.folder.database(), fixture.directory.path().join("aside"));
    fs::rename(&path, &aside).expect("moved");
    let refused = Store::open(&fixture.folder).await.err().expect("refused").to_string();
    assert_eq!(refused, format!("{} is missing; the devices of this data folder were in it", path.display()));
    assert!(!path.exists(), "none is made");
    write_new(&path, b"", 0o600).expect("written");
    let refused = Store::open(&fixture.folder).await.err().expect("refused").to_string();
    assert_eq!(refused, format!("{} is empty; the devices of this data folder were in it", path.display()));
    fs::rename(&aside, &path).expect("moved back");
    let store = Store::open(&fixture.folder).await.expect("opened");
    assert_eq!(store.devices().await.expect("listed").len(), 1);
}

/// A file of an Openvisor that did not note which store a folder has.
///
/// Shows D163.
#[tokio::test]
async fn a_folder_that_does_not_say_which_store_it_has_is_marked_when_it_is_opened() {
    let mut fixture = Fixture::sqlite().await;
    let mark = fixture.directory.path().join("store.url");
    fs::remove_file(&mark).expect("there");
    fixture.reopen().await;
    assert_eq!(fs::read_to_string(&mark).expect("there"), "sqlite\n");
}

/// What is wrong with a file is said at once, before anything listens.
///
/// Shows D163.
#[tokio::test]
async fn a_file_that_is_no_database_is_refused_without_waiting() {
    let fixture = Fixture::sqlite().await;
    fixture.store.close().await;
    fs::write(fixture.folder.database(), [0x55; 8192]).expect("written");
    let opened = tokio::time::timeout(limits::DATABASE_TIMEOUT / 2, Store::open(&fixture.folder)).await;
    let refused = opened.expect("at once").err().expect("refused").to_string();
    assert!(refused.contains("not a database"), "{refused}");
}

/// Shows D161.
#[tokio::test]
async fn a_store_that_cannot_be_written_is_not_ready_and_can_still_be_read() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        store.check().await.expect("ready");
        store.check().await.expect("at once again");
        let other = Store::open(&fixture.folder).await.expect("opened");
        let mut held = other.pool.begin().await.expect("begun");
        held.execute(sqlx::query("UPDATE settings SET value = value")).await.expect("held");
        tokio::time::sleep(limits::READY_INTERVAL).await;
        let checked = tokio::time::timeout(Duration::from_millis(300), store.check()).await;
        assert!(checked.is_err(), "it waits for the other");
        assert!(store.admission(device).await.expect("asked").is_some());
        held.commit().await.expect("committed");
        store.check().await.expect("ready again");
    }
}

/// Shows D160.
#[tokio::test]
async fn lines_that_are_not_stored_make_the_store_not_ready() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let rename = |from: &str, to: &str| {
            sqlx::query(sqlx::AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}")))
        };
        store.pool.execute(rename("logs", "away")).await.expect("renamed");
        assert!(store.add_logs(&[line(device, 1, 1, 1)]).await.is_err());
        assert!(matches!(store.check().await, Err(StoreError::LogsNotStored)));
        store.pool.execute(rename("away", "logs")).await.expect("renamed");
        store.add_logs(&[line(device, 1, 1, 1)]).await.expect("kept");
        store.check().await.expect("ready");
    }
}

/// Shows D121.
#[tokio::test]
async fn lines_of_a_device_that_is_forgotten_are_nobodys() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        store.remove_device(device).await.expect("removed");
        // One was on its way.
        store.add_logs(&[line(device, 1, 1, 1)]).await.expect("kept");
        let other = store.add_account(None).await.expect("made");
        for store in [store, &store.of_account(other.id)] {
            assert!(store.logs(device, 10).await.expect("read").is_empty());
            assert!(store.logs_after(device, LogCursor::default(), 0, 10).await.expect("read").is_empty());
        }
    }
}

/// Shows D163.
#[tokio::test]
async fn a_device_is_made_with_its_settings_or_not_at_all() {
    for fixture in Fixture::each().await {
        let store = &fixture.store;
        let item = |key: &str, secret, device_scope| NewItem {
            device_scope,
            secret,
            key: key.to_owned(),
            value: "value".to_owned(),
        };
        let items =
            [item("a", false, true), item("b", true, true), item("c", false, false), item("d", true, false)];
        let device = DeviceId::random();
        store.add_device_with(device, Some("kettle"), [1; 32], &items).await.expect("added");
        let keys = [
            wanted(true, false, "a"),
            wanted(true, true, "b"),
            wanted(false, false, "c"),
            wanted(false, true, "d"),
        ];
        assert_eq!(store.look_up(device, &keys).await.expect("looked up"), [(); 4].map(|()| found("value")));
        let bad = [item("e", false, false), item("bad\tkey", false, true)];
        let refused = store.add_device_with(DeviceId::random(), Some("pot"), [1; 32], &bad).await;
        assert!(matches!(refused, Err(StoreError::InvalidKey)));
        let again = [item("e", false, false)];
        let refused = store.add_device_with(DeviceId::random(), Some("kettle"), [1; 32], &again).await;
        assert!(matches!(refused, Err(StoreError::NameTaken(_))));
        assert_eq!(store.config(Scope::Account, "e").await.expect("asked"), None);
        assert_eq!(store.devices().await.expect("listed").len(), 1);
    }
}
