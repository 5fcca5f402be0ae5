//! What a device can make the cloud do towards brokers, and what that occupies.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloud::limits::CHANNEL_BURST_SECONDS;
use link::bytes::Writer;
use link::channel::ChannelType;
use link::device::Answer;
use link::kind::to_cloud;
use link::mqtt::RequestState;
use support::scrape::{test_cloud, until, value};
use support::{Device, Received};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

const RATE: u32 = 8;

fn connect(port: u16) -> Vec<u8> {
    let mut body = vec![0; 200];
    let mut writer = Writer::new(&mut body);
    writer.u8(1 << 1);
    writer.varint32(u32::from(port));
    writer.varint32(60);
    writer.str(b"127.0.0.1");
    writer.str(b"c");
    let length = writer.finish().expect("fits");
    body.truncate(length);
    body
}

/// A listener that counts who comes.
async fn counting() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count)
}

/// A broker that accepts every connect and closes no connection before it is notified, then all of them.
async fn clinging() -> (u16, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let close = Arc::new(Notify::new());
    let notify = close.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let notify = notify.clone();
            tokio::spawn(async move {
                let notified = notify.notified();
                let _ = stream.read(&mut [0; 512]).await;
                let _ = stream.write_all(&[0x20, 2, 0, 0]).await;
                notified.await;
            });
        }
    });
    (port, close)
}

async fn answer(device: &mut Device) -> Answer {
    loop {
        if let Received::Answer { answer, .. } = device.next().await {
            return answer;
        }
    }
}

/// Shows D122, D30: however fast a device asks, no more connections are begun than a kernel lets an application begin.
#[tokio::test]
async fn a_device_begins_no_more_connections_than_a_kernel_would() {
    let (port, count) = counting().await;
    let (test_cloud, address) = test_cloud(|config| config.limits.channels_a_second = RATE).await;
    let mut device = test_cloud.device().await;
    let start = Instant::now();
    let burst = (RATE * CHANNEL_BURST_SECONDS) as usize;
    for _ in 0..3 {
        let mut open = Vec::new();
        for _ in 0..14 {
            let channel = device.open_patiently(ChannelType::Mqtt, 512).await;
            device.item(channel, to_cloud::CONNECT, &connect(port)).await;
            open.push(channel);
        }
        let most = burst + start.elapsed().as_millis() as usize * RATE as usize / 1000 + 1;
        assert!(count.load(Ordering::SeqCst) <= most);
        for channel in open {
            device.close(channel).await;
        }
    }
    let limited = r#"openvisor_limited_total{limit="channels_a_second"}"#;
    assert!(value(address, limited).await >= 1);
    let most = burst + start.elapsed().as_millis() as usize * RATE as usize / 1000 + 1;
    assert!(count.load(Ordering::SeqCst) <= most, "of 42");
    test_cloud.cloud.stop().await;
}

/// Shows D122: what is beyond the rate begins later and is not lost.
#[tokio::test]
async fn a_connect_beyond_the_rate_is_made_later() {
    let (port, _close) = clinging().await;
    let (test_cloud, _) = test_cloud(|config| {
        config.limits.channels_a_second = RATE;
        // Channels are closed at once, which is another reason for later connects to wait (D197).
        config.limits.reconnect_delay = Duration::ZERO;
    })
    .await;
    let mut device = test_cloud.device().await;
    let start = Instant::now();
    let wanted = RATE * CHANNEL_BURST_SECONDS + 4;
    for _ in 0..wanted {
        let (channel, state) = connected(&mut device, port).await;
        assert_eq!(state, RequestState::Completed);
        device.close(channel).await;
    }
    let least = Duration::from_secs(1) * 3 / RATE;
    assert!(start.elapsed() >= least, "{wanted} took {:?}", start.elapsed());
    test_cloud.cloud.stop().await;
}

/// Shows D122.
///
/// The fault of a task that outlives its permit: a connection that is being closed still counts, for the account and
/// in the metric.
#[tokio::test]
async fn a_connection_counts_until_its_socket_is_closed() {
    let (port, close) = clinging().await;
    let (test_cloud, address) = test_cloud(|config| {
        config.limits.outbound_connections_per_account = 2;
        config.limits.farewell_timeout = Duration::from_hours(1);
    })
    .await;
    let mut device = test_cloud.device().await;
    for _ in 0..2 {
        let (channel, state) = connected(&mut device, port).await;
        assert_eq!(state, RequestState::Completed);
        device.item(channel, to_cloud::DISCONNECT, &[]).await;
        let Answer::Disconnected(_) = answer(&mut device).await else { panic!("another answer") };
        device.close(channel).await;
    }
    assert_eq!(value(address, "openvisor_broker_connections").await, 2, "both are being closed");
    let (channel, state) = connected(&mut device, port).await;
    assert_eq!(state, RequestState::SocketError);
    assert_eq!(value(address, r#"openvisor_broker_connections_failed_total{cause="too_many"}"#).await, 1);
    device.close(channel).await;
    close.notify_waiters();
    until(address, "openvisor_broker_connections", 0).await;
    let (_, state) = connected(&mut device, port).await;
    assert_eq!(state, RequestState::Completed, "their places are free again");
    drop(device);
    until(address, "openvisor_devices_connected", 0).await;
    test_cloud.cloud.stop().await;
}

/// Opens a channel and asks for a connect; its result.
async fn connected(device: &mut Device, port: u16) -> (u8, RequestState) {
    let channel = device.open(ChannelType::Mqtt, 512).await;
    device.item(channel, to_cloud::CONNECT, &connect(port)).await;
    let Answer::Connected(outcome) = answer(device).await else { panic!("another answer") };
    (channel, outcome.state)
}

/// Shows D183.
///
/// The device that holds most is throttled, another one of the account continues, and what was throttled long is
/// disconnected.
#[tokio::test]
async fn short_of_memory_the_largest_device_is_throttled_and_a_small_one_is_not() {
    let (port, _close) = clinging().await;
    let (test_cloud, address) = test_cloud(|config| config.limits.memory_per_account = 1).await;
    let (mut large, mut small) = (test_cloud.device().await, test_cloud.device().await);
    // Items without an end, until no more is taken.
    let mut taken = 0;
    loop {
        let channel = large.open(ChannelType::Mqtt, 512).await;
        let sent = large.send_unfinished(channel, to_cloud::PUBLISH, 250_000).await;
        taken += sent;
        if sent < 200_000 {
            break;
        }
    }
    assert!(taken < 1024 * 1024, "{taken} bytes taken");
    assert_eq!(value(address, r#"openvisor_limited_total{limit="memory_per_account"}"#).await, 1);
    assert!(value(address, "openvisor_memory_held_bytes").await <= taken as u64 + 1024);
    let (_, state) = connected(&mut small, port).await;
    assert_eq!(state, RequestState::Completed);
    drop((large, small));
    until(address, "openvisor_memory_held_bytes", 0).await;
    test_cloud.cloud.stop().await;
}
