use sqlx::Row as _;

use super::*;
use crate::store::tests::Fixture;

/// The generation of the connections in use.
fn generation(pool: &Pool) -> u64 {
    lock(&pool.0.pools).generation
}

fn set(name: &str, bytes: usize) -> Query<'static> {
    let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query(sql).bind(name.to_owned()).bind(vec![7_u8; bytes])
}

/// Whether another process would see it.
async fn is_seen(fixture: &Fixture, name: &str) -> bool {
    let other = Pool::connect(&fixture.store.database, &LeaseStatus::default()).await.expect("connected");
    let query = sqlx::query("SELECT COUNT(*) FROM settings WHERE name = $1").bind(name.to_owned());
    let row = other.fetch_one(Purpose::Read, query).await.expect("asked");
    other.close().await;
    row.try_get::<i64, _>(0).expect("a number") == 1
}

/// The pages a database may have stand for the room on a disk: SQLite rolls the transaction back by itself in either
/// case.
///
/// Shows D160.
#[tokio::test]
async fn what_is_committed_after_a_full_disk_is_seen_by_everybody() {
    let fixture = Fixture::sqlite().await;
    let pool = &fixture.store.pool;
    for round in 0..3 * limits::DATABASE_WRITE_CONNECTIONS {
        let before = generation(pool);
        let mut full = pool.begin().await.expect("begun");
        // It cannot be less than there are.
        full.execute(sqlx::query("PRAGMA max_page_count = 1")).await.expect("set");
        let refused = full.execute(set("large", 1 << 20)).await.expect_err("there is no room");
        assert!(refused.to_string().contains("full"), "{refused}");
        assert!(full.commit().await.is_err(), "it has lost what it did");
        assert_eq!(generation(pool), before + 1, "every other connection is replaced");
        let name = format!("round {round}");
        let mut good = pool.begin().await.expect("begun");
        good.execute(set(&name, 10)).await.expect("set");
        good.commit().await.expect("committed");
        assert!(is_seen(&fixture, &name).await, "{name}");
        assert!(!is_seen(&fixture, "large").await);
    }
}

/// Shows D160.
#[tokio::test]
async fn a_transaction_with_a_failed_statement_cannot_be_committed() {
    for fixture in Fixture::each().await {
        let mut transaction = fixture.store.pool.begin().await.expect("begun");
        transaction.execute(set("first", 1)).await.expect("set");
        let failed = transaction.execute(sqlx::query("INSERT INTO settings (name) VALUES ('second')")).await;
        assert!(failed.is_err());
        transaction.execute(set("third", 1)).await.err();
        assert!(matches!(transaction.commit().await, Err(StoreError::TransactionFailed)));
        assert!(!is_seen(&fixture, "first").await);
    }
}

/// Even if no statement had been seen to fail: PostgreSQL answers the commit of a failed transaction with a rollback.
///
/// Shows D160.
#[tokio::test]
async fn a_commit_that_is_no_commit_is_an_error() {
    for fixture in Fixture::each().await {
        let mut transaction = fixture.store.pool.begin().await.expect("begun");
        transaction.execute(set("lost", 1)).await.expect("set");
        let rollback = if fixture.store.database.is_shared() { "SELECT 1 / 0" } else { "ROLLBACK" };
        let _ = transaction.execute(sqlx::query(rollback)).await;
        transaction.has_succeeded = true;
        assert!(transaction.commit().await.is_err());
        assert!(!is_seen(&fixture, "lost").await);
    }
}

/// Shows D160.
#[tokio::test]
async fn an_abandoned_transaction_blocks_no_others() {
    for fixture in Fixture::each().await {
        for _ in 0..2 * limits::DATABASE_WRITE_CONNECTIONS {
            let mut transaction = fixture.store.pool.begin().await.expect("begun");
            transaction.execute(set("abandoned", 1)).await.expect("set");
        }
        fixture.store.pool.execute(set("abandoned", 2)).await.expect("set");
        assert!(is_seen(&fixture, "abandoned").await);
    }
}

/// Shows D116, D160, D162.
#[tokio::test]
async fn a_cloud_whose_database_has_another_tenant_commits_no_lines_on_connections_it_has() {
    let fixture = Fixture::postgres().await;
    let _lease = fixture.store.acquire_lease().await.expect("free");
    let mut transaction = fixture.store.pool.begin().await.expect("begun");
    transaction.execute(set("late", 1)).await.expect("set");
    let database = fixture.database.as_ref().expect("of a server");
    database.psql("UPDATE settings SET value = 'another' WHERE name = 'tenant'");
    let refused = transaction.commit().await.expect_err("not its database any more");
    assert!(refused.to_string().contains("division by zero"), "{refused}");
    assert!(!is_seen(&fixture, "late").await);
}
