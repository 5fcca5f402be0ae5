use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::{TempDir, tempdir};
use tokio::sync::Notify;

use super::*;
use crate::clock::wall_millis;
use crate::data::DataFolder;
use crate::files::write_new;
use crate::id::DeviceId;
use crate::random;
use crate::store::tests::Fixture;
use crate::store::{LogCursor, LogLine, NewItem, Scope, Store};
use crate::store_url::StoreUrl;

fn folder_end(path: &Path) -> CopyEnd {
    CopyEnd::Folder(path.to_owned())
}

fn server_end(database: &test_postgres::Database) -> CopyEnd {
    CopyEnd::Server(url(database))
}

fn url(database: &test_postgres::Database) -> StoreUrl {
    database.url().parse().expect("a store")
}

async fn copy(from: &CopyEnd, to: &CopyEnd, replace: bool) -> Result<CopySummary, CopyError> {
    StoreCopy::open(from, to).await?.run(replace, |_| ()).await
}

/// A folder with the keys of `folder` and without its database.
fn folder_with_keys_of(folder: &Path) -> TempDir {
    let other = tempdir().expect("a folder");
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o700)).expect("private");
    for name in ["authority.pem", "authority.key", "secret.key", "VERSION"] {
        let content = fs::read(folder.join(name)).expect(name);
        write_new(&other.path().join(name), &content, 0o600).expect(name);
    }
    other
}

/// A random text of printable characters, which need not be ASCII.
fn text(length: usize) -> String {
    let alphabet: Vec<char> = " !'\"\\$%_/~aAzZ09éß漢🦀\u{1}\t".chars().collect();
    let mut bytes = Vec::new();
    while bytes.len() < length {
        bytes.extend(random::bytes::<32>());
    }
    bytes[..length].iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect()
}

fn items(count: usize) -> Vec<NewItem> {
    let item = |number: usize| {
        let [kind, length] = random::bytes::<2>();
        NewItem {
            device_scope: kind % 2 == 0,
            secret: kind % 3 == 0,
            key: format!("{}{number}", ["k", "K ", "~", "/"][usize::from(kind) % 4]),
            value: text(usize::from(length)),
        }
    };
    (0..count).map(item).collect()
}

fn line(device: DeviceId, boot: u32, sequence: u32) -> LogLine {
    let text = random::bytes::<24>()[..usize::from(random::bytes::<1>()[0] % 25)].to_vec();
    LogLine { device, boot, sequence, clock: u64::from(sequence) * 7, received: wall_millis(), text }
}

/// Random contents with everything that can be stored, in more rows than one batch has.
async fn fill(store: &Store) -> DeviceId {
    let other = store.add_account(Some("plant \"2\"")).await.expect("added");
    store.add_account(None).await.expect("added");
    let kitchen = DeviceId::random();
    store.add_device_with(kitchen, Some("Küche"), random::bytes(), &items(700)).await.expect("added");
    let revoked = DeviceId::random();
    let second = store.of_account(other.id);
    second.add_device_with(revoked, None, random::bytes(), &items(20)).await.expect("added");
    second.set_logging(revoked, false, None).await.expect("set");
    second.revoke_device(revoked).await.expect("revoked");
    let lines: Vec<_> =
        (1..=400).filter(|number| *number != 77).map(|number| line(kitchen, 5, number)).collect();
    store.add_logs(&lines).await.expect("stored");
    store.add_logs(&[line(revoked, u32::MAX, 1), line(kitchen, 6, 2)]).await.expect("stored");
    add_api_rows(store, kitchen).await;
    // A line with the greatest number that is not there any more: its number is never given again.
    let gone = DeviceId::random();
    store.add_device(gone, None, [3; 32]).await.expect("added");
    store.add_logs(&[line(gone, 1, 1)]).await.expect("stored");
    store.remove_device(gone).await.expect("removed");
    kitchen
}

/// Rows of every table of the management API.
async fn add_api_rows(store: &Store, device: DeviceId) {
    let (account, content) =
        (store.account(), (0..9000).flat_map(|_| random::bytes::<16>()).collect::<Vec<u8>>());
    let insert = |sql: &'static str| sqlx::query(sql);
    for query in [
        insert("INSERT INTO labels (device, name, value) VALUES ($1, 'hall', '7 \u{1}')").bind(device.as_str()),
        insert("INSERT INTO api_keys (id, account, role, secret, created) VALUES ('KY1', $1, 'owner', $2, 5)")
            .bind(account)
            .bind(&content[..32]),
        insert(
            "INSERT INTO apps (id, account, name, hash, image, manifest, created, updated) \
             VALUES ('KA1', $1, NULL, $2, $2, $2, 1, 2)",
        )
        .bind(account)
        .bind(&content[..32]),
        insert("INSERT INTO layers (hash, content) VALUES ($1, $2)").bind(&content[..32]).bind(&*content),
        insert("INSERT INTO layers (hash, content) VALUES ($1, $2)").bind(&content[1..33]).bind(&content[1..]),
        insert("INSERT INTO app_layers (app, position, layer) VALUES ('KA1', 0, $1)").bind(&content[..32]),
        insert("INSERT INTO audit (account, at, actor, source, action, object) VALUES ($1, 1, 'a', 'b', 'c', 'd')")
            .bind(account),
    ] {
        store.pool.execute(query).await.expect("inserted");
    }
}

/// What operators and devices see of a store.
async fn view(store: &Store, device: DeviceId) -> (Vec<(LogCursor, LogLine)>, String) {
    let lines = store.logs_after(device, LogCursor::default(), 0, 1000).await.expect("read");
    let mut text = String::new();
    for account in store.accounts().await.expect("read") {
        let store = store.of_account(account.id);
        write!(text, "{account:?} {:?}", store.devices().await.expect("read")).expect("written");
        for scope in [Scope::Account, Scope::Device(device)] {
            write!(text, "{:?}", store.configs(scope).await.expect("read")).expect("written");
        }
    }
    (lines, text)
}

/// Shows D355.
#[tokio::test]
async fn a_store_goes_to_postgresql_and_back_unchanged() {
    let fixture = Fixture::sqlite().await;
    let device = fill(&fixture.store).await;
    let secret = ("the secret", "hush ✓");
    fixture.store.set_secret(Scope::Device(device), secret.0, secret.1).await.expect("set");
    let before = view(&fixture.store, device).await;
    let database = test_postgres::shared();
    let there = copy(&folder_end(fixture.directory.path()), &server_end(&database), false).await;
    let there = there.expect("copied");
    assert_eq!(there.tables[0].table, "settings");
    let logs = there.tables.iter().find(|table| table.table == "logs").expect("a table");
    assert!(
        ["accounts", "devices", "configs", "secrets", "labels", "api_keys", "apps", "layers", "audit"]
            .iter()
            .all(|name| there.tables.iter().any(|table| table.table == *name && table.rows > 0)),
        "{there:?}"
    );
    let last = logs.last_number.expect("it has numbers");
    let newest = before.0.last().expect("lines").0;
    assert!(LogCursor::at(last) != newest, "the newest line was removed: {there:?}");

    let other = folder_with_keys_of(fixture.directory.path());
    let back = copy(&server_end(&database), &folder_end(other.path()), false).await.expect("copied");
    assert_eq!(back, there);
    for url in [url(&database), StoreUrl::Folder] {
        let folder = DataFolder::open_existing(other.path()).expect("complete");
        let store = Store::open_at(&folder, Some(&url)).await.expect("opened");
        assert_eq!(view(&store, device).await, before);
        let wanted = relay::LookupKey { device_scope: true, secret: true, key: secret.0.into() };
        let found = store.look_up(device, &[wanted]).await.expect("read");
        assert_eq!(found, [relay::Value::Found(secret.1.into())], "its secrets can be opened");
        // The next line has a position that no line has had.
        store.add_logs(&[line(device, 7, 1)]).await.expect("stored");
        let lines = store.logs_after(device, before.0.last().expect("lines").0, 0, 9).await.expect("read");
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].0, LogCursor::at(last + 1));
        store.close().await;
    }
    assert_eq!(
        fs::read_dir(other.path())
            .expect("there")
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains(".new"))
            })
            .count(),
        0
    );
}

/// Shows D355.
#[tokio::test]
async fn an_interrupted_copy_leaves_nothing_that_looks_complete() {
    let fixture = Fixture::sqlite().await;
    fill(&fixture.store).await;
    let from = folder_end(fixture.directory.path());
    let database = test_postgres::shared();
    let folder = folder_with_keys_of(fixture.directory.path());
    for to in [server_end(&database), folder_end(folder.path())] {
        let (started, open) = (Notify::new(), StoreCopy::open(&from, &to).await.expect("opened"));
        tokio::select! {
            done = open.run(false, |_| started.notify_one()) => panic!("{done:?}"),
            () = started.notified() => {}
        }
    }
    // Neither is taken for a store; a second attempt finds both empty.
    let there = Store::open_at(&fixture.folder, Some(&url(&database))).await;
    assert!(matches!(there, Err(StoreError::Elsewhere { .. })));
    assert!(!folder.path().join("cloud.db").exists());
    assert!(folder.path().join("cloud.db.new").exists());
    let one = copy(&from, &server_end(&database), false).await.expect("copied");
    let two = copy(&from, &folder_end(folder.path()), false).await.expect("copied");
    assert_eq!(one, two);
}

/// Shows D355: also what a copy would replace survives one that fails.
#[tokio::test]
async fn a_copy_that_differs_from_its_source_is_undone() {
    let (fixture, old) = (Fixture::sqlite().await, Fixture::postgres().await);
    fill(&fixture.store).await;
    let device = old.device(Some("old")).await;
    old.store.add_logs(&[line(device, 1, 1)]).await.expect("stored");
    let database = old.database.as_ref().expect("of a server");
    database.psql(
        "CREATE FUNCTION spoil() RETURNS trigger AS $$ BEGIN NEW.value := 'spoilt'; RETURN NEW; END $$ LANGUAGE plpgsql; \
         CREATE TRIGGER spoil BEFORE INSERT ON configs FOR EACH ROW EXECUTE FUNCTION spoil()",
    );
    let from = folder_end(fixture.directory.path());
    let refused = copy(&from, &server_end(database), true).await;
    assert!(matches!(refused, Err(CopyError::Differs("configs"))), "{refused:?}");
    assert_eq!(old.store.devices().await.expect("read").len(), 1);
    old.store.add_logs(&[line(device, 1, 2)]).await.expect("its log continues");
    database.psql("DROP TRIGGER spoil ON configs");
    copy(&from, &server_end(database), true).await.expect("copied");
    assert_eq!(database.psql("SELECT COUNT(*) FROM devices WHERE name = 'old'"), "0");
}

/// Shows D355.
#[tokio::test]
async fn a_copy_is_refused_where_it_would_be_incomplete_or_destroy_something() {
    let (fixture, other) = (Fixture::sqlite().await, Fixture::postgres().await);
    let from = folder_end(fixture.directory.path());
    let to = server_end(other.database.as_ref().expect("of a server"));
    let (here, there) = (fixture.directory.path(), other.directory.path());
    assert!(matches!(copy(&from, &from, true).await, Err(CopyError::Same(_))));
    assert!(matches!(copy(&to, &to, true).await, Err(CopyError::Same(_))));
    let refused = copy(&from, &to, false).await;
    assert!(matches!(refused, Err(CopyError::NotEmpty { .. })), "{refused:?}");
    let refused = copy(&from, &folder_end(there), true).await;
    assert!(matches!(refused, Err(CopyError::OtherKey { .. })), "another folder has other keys: {refused:?}");
    let empty = test_postgres::shared();
    let refused = copy(&server_end(&empty), &from, true).await;
    assert!(matches!(refused, Err(CopyError::NoSource(_))), "{refused:?}");
    let missing = copy(&folder_end(&here.join("none")), &to, true).await;
    assert!(matches!(missing, Err(CopyError::Store(StoreError::Data(DataError::Missing(_))))), "{missing:?}");

    let lock = fixture.folder.lock().expect("a cloud's lock");
    let refused = copy(&from, &server_end(&empty), false).await;
    assert!(matches!(refused, Err(CopyError::Store(StoreError::Data(DataError::InUse(_))))), "{refused:?}");
    drop(lock);
    let lease = other.store.acquire_lease().await.expect("a cloud's lease");
    let refused = copy(&from, &to, true).await;
    assert!(matches!(refused, Err(CopyError::Store(StoreError::InUse(_)))), "{refused:?}");
    drop(lease);
}

/// A column that a later migration adds must be copied too.
#[tokio::test]
async fn every_table_and_column_of_the_schema_is_copied() {
    for fixture in Fixture::each().await {
        let sql = match &fixture.database {
            None => {
                "SELECT CAST(m.name AS TEXT), CAST(c.name AS TEXT) FROM sqlite_master m, pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'"
            }
            Some(_) => {
                "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_sqlx%'"
            }
        };
        let rows =
            fixture.store.pool.fetch_all(crate::store::Purpose::Read, sqlx::query(sql)).await.expect("read");
        let mut found: Vec<(String, String)> =
            rows.iter().map(|row| (sqlx::Row::get(row, 0), sqlx::Row::get(row, 1))).collect();
        found.sort();
        let mut known: Vec<_> = TABLES
            .iter()
            .flat_map(|table| table.column_names().map(|column| (table.name.to_owned(), column.to_owned())))
            .collect();
        known.sort();
        assert_eq!(found, known);
    }
}
