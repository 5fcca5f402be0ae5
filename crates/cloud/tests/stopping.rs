//! A cloud that is stopped while its devices are at work.

mod support;

use std::time::Duration;

use cloud::{Cloud, Limits};
use link::channel::ChannelType;
use link::connection::ByeReason;
use link::device::Answer;
use link::kind::to_cloud;
use link::mqtt::{Published, RequestState};
use support::scripted::{Peer, Scripted, ask_for, publish_item};
use support::{Device, MAX_WAIT, Received, TestCloud};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// A device at a broker, with a publish on its way that the broker has and has not acknowledged.
async fn at_work(test_cloud: &TestCloud, broker: &Scripted) -> (Device, Peer) {
    let mut device = test_cloud.device().await;
    let channel = ask_for(&mut device, broker.port).await;
    let mut peer = broker.accept().await;
    peer.let_in().await;
    assert!(matches!(device.next().await, Received::Answer { answer: Answer::Connected(_), .. }));
    device.item(channel, to_cloud::PUBLISH, &publish_item(3, 1, "t", b"work")).await;
    assert_eq!(peer.packet().await, *b"\x32\x09\x00\x01t\x00\x01work");
    (device, peer)
}

fn stop(test_cloud: TestCloud) -> JoinHandle<tempfile::TempDir> {
    let TestCloud { cloud, directory } = test_cloud;
    tokio::spawn(async move {
        Cloud::stop(cloud).await;
        directory
    })
}

/// Shows D123.
#[tokio::test]
async fn requests_in_flight_are_answered_before_the_bye() {
    let (test_cloud, broker) = (TestCloud::open().await, Scripted::start().await);
    let address = test_cloud.cloud.address();
    let (mut device, mut peer) = at_work(&test_cloud, &broker).await;
    let stopping = stop(test_cloud);
    assert!(device.is_quiet(Duration::from_millis(200)).await, "the broker has its time");
    assert!(TcpStream::connect(address).await.is_err(), "no connection is accepted in the meantime");
    peer.send(&[0x40, 2, 0, 1]).await;
    let published = Published { slot: 3, state: RequestState::Completed, reason: 0 };
    let received = device.next().await;
    let Received::Answer { answer: Answer::Published(answer), .. } = received else { panic!("{received:?}") };
    assert_eq!(answer, published);
    assert_eq!(device.next().await, Received::Bye(ByeReason::ShuttingDown));
    assert_eq!(
        peer.rest().await,
        b"",
        "the application did not ask for a DISCONNECT, so there is none (D52)"
    );
    drop(device);
    timeout(MAX_WAIT, stopping).await.expect("in time").expect("without a panic");
}

/// Shows D123.
#[tokio::test]
async fn a_broker_that_never_answers_is_waited_for_so_long_and_no_longer() {
    let drain_timeout = Duration::from_millis(500);
    let limits = Limits { drain_timeout, farewell_timeout: Duration::from_millis(300), ..Limits::default() };
    let (test_cloud, broker) = (TestCloud::with(limits).await, Scripted::start().await);
    let (mut device, _peer) = at_work(&test_cloud, &broker).await;
    let start = Instant::now();
    let stopping = stop(test_cloud);
    assert_eq!(device.next().await, Received::Bye(ByeReason::ShuttingDown));
    assert!(start.elapsed() + Duration::from_millis(50) >= drain_timeout, "{:?}", start.elapsed());
    drop(device);
    timeout(MAX_WAIT, stopping).await.expect("in time").expect("without a panic");
}

/// Shows D70, D123.
#[tokio::test]
async fn lines_that_were_read_are_stored_and_acknowledged_before_the_bye() {
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let id = device.id;
    device.log(1, "first").await;
    // The answer shows that the line before has been read.
    let channel = device.open(ChannelType::ConfigFetch, 512).await;
    device.item(channel, to_cloud::CONFIG_FETCH, &[2, 1, b'k']).await;
    device.log(2, "second").await;
    let mut taken = 0;
    while !matches!(device.next().await, Received::Item { .. }) {}
    let stopping = stop(test_cloud);
    loop {
        match device.next().await {
            Received::LogTaken(sequence) => taken = sequence,
            Received::Bye(reason) => break assert_eq!(reason, ByeReason::ShuttingDown),
            other => panic!("{other:?}"),
        }
    }
    drop(device);
    let directory = timeout(MAX_WAIT, stopping).await.expect("in time").expect("without a panic");
    let again = Cloud::start(support::config(&directory)).await.expect("started again");
    let stored = again.store().logs(id, 10).await.expect("read");
    assert!(stored.len() as u32 >= taken.max(1), "{taken} acknowledged, {} stored", stored.len());
    again.stop().await;
}
