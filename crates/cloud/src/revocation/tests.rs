use std::task::{Context, Poll, Waker};

use super::*;
use crate::registry::RegistrationGuard;
use crate::store::tests::Fixture;

const CERTIFICATE: [u8; 32] = [1; 32];

fn watch(authorization_timeout: Duration) -> RevocationWatcher {
    RevocationWatcher::new(Arc::default(), authorization_timeout)
}

/// Each store with a watcher and N connected devices.
async fn each<const N: usize>() -> Vec<(Fixture, RevocationWatcher, [DeviceId; N], [RegistrationGuard; N])> {
    let mut all = Vec::new();
    for fixture in Fixture::each().await {
        let watch = watch(Duration::from_mins(1));
        let mut devices = [DeviceId::random(); N];
        for device in &mut devices {
            *device = fixture.device(None).await;
        }
        let guards = devices.map(|device| watch.registry.register(device, CERTIFICATE).expect("open"));
        all.push((fixture, watch, devices, guards));
    }
    all
}

fn heard(guard: &RegistrationGuard) -> Option<Command> {
    match guard.poll_command(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(command) => Some(command),
        Poll::Pending => None,
    }
}

fn ending(guard: &RegistrationGuard) -> Option<EndReason> {
    match heard(guard) {
        Some(Command::End(ending)) => Some(ending),
        _ => None,
    }
}

/// Shows D161.
#[tokio::test]
async fn a_device_revoked_or_forgotten_by_another_process_is_ended_and_no_other() {
    for (fixture, mut watch, devices, guards) in each::<4>().await {
        let store = &fixture.store;
        watch.check(store).await.expect("looked");
        assert_eq!(guards.each_ref().map(ending), [None; 4]);
        assert!(store.revoke_device(devices[0]).await.expect("revoked"));
        assert!(store.remove_device(devices[1]).await.expect("removed"));
        store.set_fingerprint(devices[2], [2; 32]).await.expect("set");
        watch.check(store).await.expect("looked");
        let revoked = Some(EndReason::Revoked);
        assert_eq!(guards.each_ref().map(ending), [revoked, revoked, revoked, None]);
    }
}

/// Shows D161.
#[tokio::test]
async fn a_device_let_in_while_it_was_being_revoked_is_ended_too() {
    for (fixture, mut watch, [device], guards) in each::<1>().await {
        fixture.store.revoke_device(device).await.expect("revoked");
        let other = watch.registry.register(fixture.device(None).await, CERTIFICATE).expect("open");
        watch.check(&fixture.store).await.expect("looked");
        assert_eq!((ending(&guards[0]), ending(&other)), (Some(EndReason::Revoked), None));
        let again = watch.registry.register(device, CERTIFICATE).expect("open");
        watch.check(&fixture.store).await.expect("looked");
        assert_eq!(ending(&again), Some(EndReason::Revoked), "also with nothing changed since");
    }
}

/// Shows D161.
#[tokio::test]
async fn a_device_that_is_not_noted_as_connected_is_not_taken_for_revoked() {
    for (fixture, mut watch, _, guards) in each::<2>().await {
        fixture.store.clear_presence(true).await.expect("noted");
        for _ in 0..3 {
            watch.check(&fixture.store).await.expect("looked");
            assert_eq!(guards.each_ref().map(ending), [None; 2]);
        }
    }
}

/// Shows D161.
#[tokio::test]
async fn a_revocation_and_a_switch_of_logging_take_effect_while_nothing_can_be_written() {
    for (fixture, mut watch, devices, guards) in each::<2>().await {
        let store = &fixture.store;
        watch.check(store).await.expect("looked");
        store.revoke_device(devices[0]).await.expect("revoked");
        store.set_logging(devices[1], false, None).await.expect("set");
        while guards.iter().any(|guard| heard(guard).is_some()) {}
        // Of SQLite this holds the whole database, of PostgreSQL the rows.
        let other = Store::open(&fixture.folder).await.expect("opened");
        let _backup = other.hold_devices().await;
        watch.check(store).await.expect("looked");
        assert_eq!(heard(&guards[0]), Some(Command::End(EndReason::Revoked)));
        assert_eq!(heard(&guards[1]), Some(Command::Logging(Logging::OFF)));
    }
}

/// Shows D161.
#[tokio::test]
async fn a_damaged_row_ends_its_own_device_only() {
    for (fixture, mut watch, [device, _], guards) in each::<2>().await {
        fixture.damage_fingerprint(device).await;
        watch.check(&fixture.store).await.expect("looked");
        assert_eq!(guards.each_ref().map(ending), [Some(EndReason::Internal), None]);
    }
}

/// Shows D162.
#[tokio::test]
async fn when_revocations_cannot_be_read_every_connection_ends_after_a_timeout() {
    for (fixture, mut watch, _, guards) in each::<2>().await {
        watch.check(&fixture.store).await.expect("looked");
        let closed = Store::open(&fixture.folder).await.expect("opened");
        closed.close().await;
        assert!(watch.check(&closed).await.is_err());
        assert_eq!(guards.each_ref().map(ending), [None; 2], "not yet");
        watch.authorization_timeout = Duration::ZERO;
        assert!(watch.check(&closed).await.is_err());
        assert_eq!(guards.each_ref().map(ending), [Some(EndReason::Internal); 2]);
        assert!(
            matches!(closed.check().await, Err(StoreError::AuthorizationsUnknown)),
            "and it is not ready"
        );
        watch.check(&fixture.store).await.expect("it is back");
        fixture.store.check().await.expect("ready");
    }
}

async fn wait_for(store: &Store, lease: LeaseState) {
    while store.lease_state() != lease {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Shows D162.
#[tokio::test]
async fn a_cloud_whose_database_was_taken_by_another_serves_no_device() {
    let fixture = Fixture::postgres().await;
    let (store, mut watch) = (&fixture.store, watch(Duration::from_mins(1)));
    let device = fixture.device(None).await;
    let guard = watch.registry.register(device, CERTIFICATE).expect("open");
    let _lease = store.acquire_lease().await.expect("free");
    watch.check(store).await.expect("looked");
    while heard(&guard).is_some() {}
    let rival = fixture.seize().await;
    wait_for(store, LeaseState::Taken).await;
    assert!(watch.check(store).await.is_err());
    assert_eq!(ending(&guard), Some(EndReason::Internal));
    assert!(matches!(store.admission(device).await, Err(StoreError::InUse(_))), "nor lets anybody in");
    assert!(matches!(store.check().await, Err(StoreError::InUse(_))), "nor is ready");
    drop(rival);
    wait_for(store, LeaseState::Held).await;
    watch.check(store).await.expect("looked");
    assert!(store.admission(device).await.expect("asked").is_some());
}

/// Shows D162.
#[tokio::test]
async fn a_cloud_whose_database_file_was_replaced_serves_no_device() {
    let fixture = Fixture::sqlite().await;
    let (store, mut watch) = (&fixture.store, watch(Duration::from_mins(1)));
    let device = fixture.device(None).await;
    let guard = watch.registry.register(device, CERTIFICATE).expect("open");
    let _lease = store.acquire_lease().await.expect("free");
    let (path, aside) = (fixture.folder.database(), fixture.directory.path().join("aside"));
    std::fs::rename(&path, &aside).expect("moved");
    std::fs::copy(&aside, &path).expect("copied");
    wait_for(store, LeaseState::Taken).await;
    assert!(watch.check(store).await.is_err());
    assert_eq!(ending(&guard), Some(EndReason::Internal));
    assert!(matches!(store.admission(device).await, Err(StoreError::Replaced(_))));
    assert!(matches!(store.check().await, Err(StoreError::Replaced(_))));
    std::fs::rename(&aside, &path).expect("moved back");
    wait_for(store, LeaseState::Held).await;
    store.check().await.expect("ready");
}
