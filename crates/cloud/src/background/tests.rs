use super::*;
use crate::id::DeviceId;
use crate::store::LogLine;
use crate::store::tests::Fixture;

const DAY: i64 = 24 * 3600 * 1000;

async fn with_lines(store: &Store, device: DeviceId) {
    let line = |sequence, age_days: i64| LogLine {
        device,
        boot: 1,
        sequence,
        clock: 1,
        received: wall_millis() - age_days * DAY,
        text: vec![b'x'],
    };
    store.add_logs(&[line(1, 30), line(2, 8), line(3, 0)]).await.expect("kept");
}

async fn prune_now(store: &Store) -> Option<ClockWatch> {
    let mut clock = None;
    prune_once(store, Epoch::start(), &Limits::default(), &mut clock).await.expect("pruned");
    clock
}

/// A cloud that finds a clock far ahead of all it knows, as after a battery was changed.
///
/// Shows D164.
#[tokio::test]
async fn a_clock_that_is_ahead_deletes_nothing() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        with_lines(store, device).await;
        store.record_moment(wall_millis() - 40 * DAY).await.expect("noted");
        let clock = prune_now(store).await.expect("checked");
        assert!(!clock.is_trusted());
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 3);
        let known = store.newest_moment().await.expect("asked").expect("known");
        assert!(known < wall_millis() - 39 * DAY, "a doubtful time is not recorded");
        store.record_moment(wall_millis() - DAY / 2).await.expect("noted");
        assert!(prune_now(store).await.expect("checked").is_trusted());
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 1, "a clock that keeps time does");
    }
}

/// Shows D164.
#[tokio::test]
async fn a_store_that_never_pruned_knows_the_time_by_its_newest_line() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        assert_eq!(store.newest_moment().await.expect("asked"), None);
        with_lines(store, device).await;
        let newest = store.newest_moment().await.expect("asked").expect("known");
        assert!((wall_millis() - newest).abs() < DAY);
        assert!(prune_now(store).await.expect("checked").is_trusted());
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 1);
    }
}
