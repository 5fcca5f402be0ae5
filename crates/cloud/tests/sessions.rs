//! Devices at a running cloud: coming, logging, asking, going.

mod support;

use std::time::Duration;

use cloud::store::StoreError;
use cloud::{Cloud, Disconnection, EventKind, Limits, Scope, StartError};
use link::channel::ChannelType;
use link::config::{ConfigHead, FetchResult, KeyResult};
use link::connection::ByeReason;
use link::kind::{to_cloud, to_device};
use support::{Device, MAX_WAIT, Received, TestCloud, config};
use tokio::time::{Instant, timeout};

/// Shows N24, D70.
#[tokio::test]
async fn a_logged_line_is_acknowledged_when_it_is_stored_and_heard_on_the_timeline() {
    let test_cloud = TestCloud::open().await;
    let mut events = test_cloud.cloud.events();
    let mut device = test_cloud.device().await;
    device.log(1, "first").await;
    device.log(2, "").await;
    let mut taken = 0;
    while taken < 2 {
        let Received::LogTaken(sequence) = device.next().await else { panic!("only acknowledgements come") };
        taken = sequence;
    }
    let stored = test_cloud.cloud.store().logs(device.id, 10).await.expect("read");
    let texts: Vec<_> =
        stored.iter().map(|line| (line.boot, line.sequence, line.clock, &line.text[..])).collect();
    assert_eq!(texts, [(7, 1, 1000, &b"first"[..]), (7, 2, 2000, b"")]);
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let event = timeout(MAX_WAIT, events.recv()).await.expect("an event").expect("not behind");
        assert_eq!(event.device, device.id);
        heard.push(event.kind);
    }
    assert!(matches!(heard[0], EventKind::Connected { .. }));
    assert!(matches!(heard[1], EventKind::Started { boot: 7, image: [3, ..], .. }));
    assert!(matches!(&heard[2], EventKind::Log { sequence: 1, clock: 1000, text } if text == b"first"));
    test_cloud.cloud.stop().await;
}

/// Shows D70.
#[tokio::test]
async fn a_flood_of_lines_is_stored_whole_while_another_device_is_served() {
    const LINES: u32 = 2000;
    let test_cloud = TestCloud::with(Limits { log_lines_a_second: 0, ..Limits::default() }).await;
    let (mut loud, mut other) = (test_cloud.device().await, test_cloud.device().await);
    let text = "x".repeat(1024);
    for sequence in 1..=LINES {
        loud.log(sequence, &text).await;
    }
    other.log(1, "me too").await;
    assert_eq!(other.next().await, Received::LogTaken(1));
    while loud.next().await != Received::LogTaken(LINES) {}
    let stored = test_cloud.cloud.store().logs(loud.id, LINES + 1).await.expect("read");
    assert!(stored.iter().map(|line| line.sequence).eq(1..=LINES));
    test_cloud.cloud.stop().await;
}

/// Shows N28, D70.
#[tokio::test]
async fn a_line_sent_again_after_a_lost_link_is_kept_once() {
    let test_cloud = TestCloud::open().await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    for _ in 0..2 {
        let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
        device.welcome().await;
        device.log(1, "the same").await;
        assert_eq!(device.next().await, Received::LogTaken(1));
    }
    assert_eq!(test_cloud.cloud.store().logs(identity.device_id, 10).await.expect("read").len(), 1);
    test_cloud.cloud.stop().await;
}

/// Shows D63.
#[tokio::test]
async fn a_device_fetches_configuration_and_secrets() {
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let store = test_cloud.cloud.store();
    store.set_config(Scope::Account, "broker", "mqtt.example").await.expect("set");
    store.set_secret(Scope::Device(device.id), "pass", "hush").await.expect("set");
    let channel = device.open(ChannelType::ConfigFetch, 1024).await;
    let mut body = Vec::new();
    for (place, key) in [(2, "broker"), (1, "pass"), (3, "none")] {
        body.extend([place, key.len() as u8]);
        body.extend(key.bytes());
    }
    device.item(channel, to_cloud::CONFIG_FETCH, &body).await;
    let Received::Item { kind: to_device::CONFIG_RESPONSE, body, .. } = device.next().await else {
        panic!("no response")
    };
    let (head, length) = ConfigHead::decode(&body).expect("a head").expect("whole");
    assert_eq!(head.result, FetchResult::Ok);
    assert_eq!(head.items(), [(KeyResult::Ok, 12), (KeyResult::Ok, 4), (KeyResult::NotFound, 0)]);
    assert_eq!(&body[length..], b"mqtt.examplehush");
    test_cloud.cloud.stop().await;
}

/// Shows D121.
#[tokio::test]
async fn devices_of_two_accounts_get_their_own_settings_and_nothing_of_the_other() {
    let test_cloud = TestCloud::open().await;
    let store = test_cloud.cloud.store();
    let other_account = store.add_account(Some("plant")).await.expect("added");
    let theirs = store.of_account(other_account.id);
    store.set_config(Scope::Account, "key", "mine").await.expect("set");
    theirs.set_config(Scope::Account, "key", "theirs").await.expect("set");
    theirs.set_secret(Scope::Account, "only", "theirs").await.expect("set");
    let identity = test_cloud.cloud.provision_in(other_account.id, None).await.expect("an identity");
    let mut other = Device::connect(test_cloud.cloud.address(), &identity).await;
    other.welcome().await;
    let mut own = test_cloud.device().await;
    let ask = [&[2, 3][..], b"key", &[0, 4], b"only"].concat();
    for (device, expected) in [(&mut own, &b"mine"[..]), (&mut other, b"theirstheirs")] {
        let channel = device.open(ChannelType::ConfigFetch, 1024).await;
        device.item(channel, to_cloud::CONFIG_FETCH, &ask).await;
        let Received::Item { body, .. } = device.next().await else { panic!("no response") };
        let (_, length) = ConfigHead::decode(&body).expect("a head").expect("whole");
        assert_eq!(&body[length..], expected);
    }
    other.log(1, "of the plant").await;
    assert_eq!(other.next().await, Received::LogTaken(1));
    assert!(store.logs(other.id, 9).await.expect("asked").is_empty(), "the log is another account's");
    assert_eq!(theirs.logs(other.id, 9).await.expect("asked").len(), 1);
    assert!(test_cloud.cloud.remove_device(other.id).await.expect("removed"), "who owns the cloud may");
    assert_eq!(other.next().await, Received::Bye(ByeReason::Revoked));
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_second_connection_of_a_device_replaces_the_first() {
    let test_cloud = TestCloud::open().await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut first = Device::connect(test_cloud.cloud.address(), &identity).await;
    first.welcome().await;
    let mut second = Device::connect(test_cloud.cloud.address(), &identity).await;
    second.welcome().await;
    assert_eq!(first.next().await, Received::Bye(ByeReason::Replaced));
    assert_eq!(first.next().await, Received::End);
    second.log(1, "still here").await;
    assert_eq!(second.next().await, Received::LogTaken(1));
    assert!(test_cloud.cloud.is_connected(identity.device_id));
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn stopping_says_bye_to_every_device_and_keeps_every_line() {
    let test_cloud = TestCloud::open().await;
    let (mut first, mut second) = (test_cloud.device().await, test_cloud.device().await);
    first.log(1, "the last line").await;
    assert_eq!(first.next().await, Received::LogTaken(1));
    let TestCloud { cloud, directory } = test_cloud;
    let stopping = tokio::spawn(cloud.stop());
    for device in [&mut first, &mut second] {
        assert_eq!(device.next().await, Received::Bye(ByeReason::ShuttingDown));
        assert_eq!(device.next().await, Received::End);
    }
    drop((first, second));
    timeout(MAX_WAIT, stopping).await.expect("in time").expect("without a panic");
    let again = Cloud::start(config(&directory)).await.expect("the folder is free again");
    again.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_deaf_device() {
    let limits = Limits { farewell_timeout: Duration::from_millis(100), ..Limits::default() };
    let test_cloud = TestCloud::with(limits).await;
    let _deaf = test_cloud.device().await;
    let start = Instant::now();
    timeout(MAX_WAIT, test_cloud.cloud.stop()).await.expect("in time");
    assert!(start.elapsed() < Duration::from_secs(5), "its own bound, not the test's patience");
}

#[tokio::test]
async fn a_removed_device_is_disconnected_as_revoked_at_once_and_every_time() {
    let test_cloud = TestCloud::open().await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
    device.welcome().await;
    assert!(test_cloud.cloud.remove_device(identity.device_id).await.expect("removed"));
    assert_eq!(device.next().await, Received::Bye(ByeReason::Revoked));
    let mut again = Device::connect(test_cloud.cloud.address(), &identity).await;
    assert_eq!(again.next().await, Received::Bye(ByeReason::Revoked));
    assert_eq!(again.next().await, Received::End);
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_renewed_identity_ends_the_old_one() {
    let test_cloud = TestCloud::open().await;
    let old = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut device = Device::connect(test_cloud.cloud.address(), &old).await;
    device.welcome().await;
    let new = test_cloud.cloud.renew(old.device_id).await.expect("renewed");
    assert_eq!(device.next().await, Received::Bye(ByeReason::Revoked));
    let mut lost = Device::connect(test_cloud.cloud.address(), &old).await;
    assert_eq!(lost.next().await, Received::Bye(ByeReason::Revoked));
    let mut renewed = Device::connect(test_cloud.cloud.address(), &new).await;
    renewed.welcome().await;
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_device_that_violates_the_protocol_is_disconnected_and_others_are_served() {
    let test_cloud = TestCloud::open().await;
    let mut other = test_cloud.device().await;
    let mut device = test_cloud.device().await;
    // Kind 15 of the connection does not exist.
    device.send(&[0xF0, 0x00]).await;
    assert_eq!(device.next().await, Received::Bye(ByeReason::Violation));
    assert_eq!(device.next().await, Received::End);
    other.log(1, "fine").await;
    assert_eq!(other.next().await, Received::LogTaken(1));
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_device_that_says_bye_is_seen_leaving() {
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let mut events = test_cloud.cloud.events();
    device.bye().await;
    assert_eq!(device.next().await, Received::End);
    drop(device);
    let event = timeout(MAX_WAIT, events.recv()).await.expect("an event").expect("not behind");
    assert!(matches!(event.kind, EventKind::Disconnected { reason: Disconnection::Bye(_) }), "{event:?}");
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_cut_cable_is_seen_as_a_loss() {
    let test_cloud = TestCloud::open().await;
    let device = test_cloud.device().await;
    let mut events = test_cloud.cloud.events();
    drop(device);
    let event = timeout(MAX_WAIT, events.recv()).await.expect("an event").expect("not behind");
    assert!(matches!(event.kind, EventKind::Disconnected { reason: Disconnection::Lost }), "{event:?}");
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn logging_is_switched_while_the_device_is_connected() {
    let test_cloud = TestCloud::open().await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
    assert!(device.welcome().await);
    test_cloud.cloud.set_logging(identity.device_id, false, None).await.expect("set");
    assert_eq!(device.next().await, Received::Logging(false));
    let mut again = Device::connect(test_cloud.cloud.address(), &identity).await;
    assert!(!again.welcome().await);
    test_cloud.cloud.stop().await;
}

/// Shows D125.
#[tokio::test]
async fn logging_ends_by_itself_and_lines_that_come_then_are_not_kept() {
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let soon = cloud::clock::wall_millis() + 700;
    test_cloud.cloud.set_logging(device.id, true, Some(soon)).await.expect("set");
    device.log(1, "wanted").await;
    assert_eq!(device.next().await, Received::LogTaken(1));
    assert_eq!(device.next().await, Received::Logging(false));
    assert!(cloud::clock::wall_millis() >= soon, "not before its time");
    device.log(2, "on its way when it ended").await;
    assert_eq!(device.next().await, Received::LogTaken(2), "the device is done with it");
    test_cloud.cloud.set_logging(device.id, true, None).await.expect("set");
    assert_eq!(device.next().await, Received::Logging(true));
    device.log(3, "wanted again").await;
    assert_eq!(device.next().await, Received::LogTaken(3));
    let stored = test_cloud.cloud.store().logs(device.id, 10).await.expect("read");
    assert!(stored.iter().map(|line| line.sequence).eq([1, 3]), "{stored:?}");
    test_cloud.cloud.stop().await;
}

/// Shows D125.
#[tokio::test]
async fn another_process_may_switch_logging_and_the_device_is_notified() {
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let folder = cloud::data::DataFolder::open_existing(test_cloud.directory.path()).expect("there");
    let beside = cloud::Store::open(&folder).await.expect("opened");
    beside.set_logging(device.id, false, None).await.expect("set");
    assert_eq!(device.next().await, Received::Logging(false));
    beside.set_logging(device.id, true, None).await.expect("set");
    assert_eq!(device.next().await, Received::Logging(true));
    assert!(device.is_quiet(Duration::from_millis(1500)).await, "it is said once");
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn what_a_device_reports_is_remembered() {
    let test_cloud = TestCloud::open().await;
    let device = test_cloud.device().await;
    let deadline = Instant::now() + MAX_WAIT;
    loop {
        let known = test_cloud.cloud.store().device(device.id).await.expect("asked").expect("there");
        if known.image == Some([3; 32]) && known.seen.is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "{known:?}");
        tokio::task::yield_now().await;
    }
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_device_can_be_provisioned_beside_a_running_cloud() {
    let test_cloud = TestCloud::open().await;
    let identity =
        cloud::provision(test_cloud.directory.path(), None, Some("kettle")).await.expect("an identity");
    let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
    device.welcome().await;
    let taken = test_cloud.cloud.provision(Some("kettle")).await.expect_err("refused").to_string();
    assert_eq!(taken, StoreError::NameTaken("kettle".to_owned()).to_string());
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_busy_port_is_one_clear_line_and_leaves_the_folder_free() {
    let test_cloud = TestCloud::open().await;
    let directory = tempfile::tempdir().expect("a folder");
    let mut config = config(&directory);
    config.listen = test_cloud.cloud.address();
    let refused = Cloud::start(config.clone()).await.err().expect("refused");
    assert_eq!(refused.to_string(), format!("{} is in use by another program", config.listen));
    test_cloud.cloud.stop().await;
    Cloud::start(config).await.expect("both are free now").stop().await;
}

#[tokio::test]
async fn a_second_cloud_on_the_same_folder_is_refused() {
    let test_cloud = TestCloud::open().await;
    let refused = Cloud::start(config(&test_cloud.directory)).await.err().expect("refused");
    assert!(matches!(refused, StartError::Data(_)));
    assert!(refused.to_string().ends_with("is in use by another running cloud"), "{refused}");
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_folder_of_another_version_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    Cloud::start(config(&directory)).await.expect("started").stop().await;
    std::fs::write(directory.path().join("VERSION"), "99\n").expect("written");
    let refused = Cloud::start(config(&directory)).await.err().expect("refused").to_string();
    assert!(refused.ends_with("has data format 99, this cloud reads format 1"), "{refused}");
}

/// Shows D128.
#[tokio::test]
async fn a_revoked_device_is_turned_away_also_when_it_takes_up_a_session_of_before() {
    let test_cloud = TestCloud::open().await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let (address, tls) = (test_cloud.cloud.address(), support::tls(&identity));
    let connect = || Device::connect_with(address, identity.device_id, tls.clone(), 7);
    let mut first = connect().await;
    first.welcome().await;
    assert!(!first.is_resumed(), "there was none before");
    let mut second = connect().await;
    second.welcome().await;
    assert!(second.is_resumed());
    assert!(test_cloud.cloud.store().revoke_device(identity.device_id).await.expect("revoked"));
    let mut third = connect().await;
    assert!(third.is_resumed(), "TLS knows nothing of it");
    assert_eq!(third.next().await, Received::Bye(ByeReason::Revoked));
}
