//! Every limit of a device and an account, from both sides.

mod support;

use std::time::Duration;

use cloud::Limits;
use link::bytes::Writer;
use link::channel::ChannelType;
use link::connection::ByeReason;
use link::device::Answer;
use link::kind::to_cloud;
use link::mqtt::RequestState;
use support::scrape::{test_cloud, until, value};
use support::{Device, Received, TestCloud};
use tokio::net::TcpListener;
use tokio::time::Instant;

const LIMITED: &str = "openvisor_limited_total";

fn limited(name: &str) -> String {
    format!(r#"{LIMITED}{{limit="{name}"}}"#)
}

/// Shows D122.
#[tokio::test]
async fn the_connected_devices_of_an_account_are_limited_and_another_has_its_own_limit() {
    let (test_cloud, address) = test_cloud(|config| config.limits.connections_per_account = 1).await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut first = Device::connect(test_cloud.cloud.address(), &identity).await;
    first.welcome().await;
    let second = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut refused = Device::connect(test_cloud.cloud.address(), &second).await;
    assert_eq!(refused.next().await, Received::Bye(ByeReason::Overloaded));
    assert_eq!(value(address, &limited("connections_per_account")).await, 1);
    let other = test_cloud.cloud.store().add_account(None).await.expect("added").id;
    let other = test_cloud.cloud.provision_in(other, None).await.expect("an identity");
    Device::connect(test_cloud.cloud.address(), &other).await.welcome().await;
    let mut again = Device::connect(test_cloud.cloud.address(), &identity).await;
    again.welcome().await;
    assert_eq!(first.next().await, Received::Bye(ByeReason::Replaced), "it is the same one");
    drop((first, again));
    until(address, "openvisor_devices_connected", 0).await;
    // Its refusal is remembered for a moment (D173).
    tokio::time::sleep(cloud::limits::REFUSED_DURATION).await;
    Device::connect(test_cloud.cloud.address(), &second).await.welcome().await;
    test_cloud.cloud.stop().await;
}

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

/// Shows D173: a device that connects again and again, whatever it does then, is refused without a question to the
/// store.
#[tokio::test]
async fn a_device_that_connects_faster_than_its_rate_is_refused_without_reading_the_store() {
    const ASKED: &str = r#"openvisor_store_seconds_count{operation="admit"}"#;
    let (test_cloud, address) = test_cloud(|_| ()).await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let start = Instant::now();
    let mut refused = 0;
    for _ in 0..40 {
        let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
        refused += u32::from(device.next().await == Received::Bye(ByeReason::Overloaded));
    }
    let most = u64::from(cloud::limits::BURST_SECONDS) + start.elapsed().as_secs() + 1;
    assert!(value(address, ASKED).await <= most);
    assert!(u64::from(refused) >= 40 - most, "{refused} refused");
    assert_eq!(value(address, &limited("connections_a_second_per_device")).await, u64::from(refused));
    test_cloud.cloud.stop().await;
}

/// Shows D122, D175.
#[tokio::test]
async fn the_connections_to_brokers_of_all_accounts_together_are_limited() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let (test_cloud, address) = test_cloud(|config| config.limits.outbound_connections = 1).await;
    let other = test_cloud.cloud.store().add_account(None).await.expect("added").id;
    let other = test_cloud.cloud.provision_in(other, None).await.expect("an identity");
    let (mut one, mut two) =
        (test_cloud.device().await, Device::connect(test_cloud.cloud.address(), &other).await);
    two.welcome().await;
    let first = one.open(ChannelType::Mqtt, 512).await;
    one.item(first, to_cloud::CONNECT, &connect(port)).await;
    until(address, "openvisor_broker_connections", 1).await;
    let second = two.open(ChannelType::Mqtt, 512).await;
    two.item(second, to_cloud::CONNECT, &connect(port)).await;
    let Received::Answer { answer: Answer::Connected(outcome), .. } = two.next().await else {
        panic!("no answer")
    };
    assert_eq!(outcome.state, RequestState::SocketError);
    test_cloud.cloud.stop().await;
}

/// Shows D122.
#[tokio::test]
async fn the_connections_to_brokers_of_an_account_are_limited_and_returned() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let (test_cloud, address) = test_cloud(|config| config.limits.outbound_connections_per_account = 1).await;
    let (mut one, mut two) = (test_cloud.device().await, test_cloud.device().await);
    let first = one.open(ChannelType::Mqtt, 512).await;
    one.item(first, to_cloud::CONNECT, &connect(port)).await;
    until(address, "openvisor_broker_connections", 1).await;
    let second = two.open(ChannelType::Mqtt, 512).await;
    two.item(second, to_cloud::CONNECT, &connect(port)).await;
    let Received::Answer { answer: Answer::Connected(outcome), .. } = two.next().await else {
        panic!("no answer")
    };
    assert_eq!(outcome.state, RequestState::SocketError);
    let failed = r#"openvisor_broker_connections_failed_total{cause="too_many"}"#;
    assert_eq!(value(address, failed).await, 1);
    one.close(first).await;
    until(address, "openvisor_broker_connections", 0).await;
    let third = two.open(ChannelType::Mqtt, 512).await;
    two.item(third, to_cloud::CONNECT, &connect(port)).await;
    until(address, "openvisor_broker_connections", 1).await;
    test_cloud.cloud.stop().await;
}

async fn fetch(device: &mut Device, keys: usize) {
    let channel = device.open(ChannelType::ConfigFetch, 256 * 1024).await;
    let body: Vec<u8> = (0..keys).flat_map(|_| [2, 3, b'k', b'e', b'y']).collect();
    device.item(channel, to_cloud::CONFIG_FETCH, &body).await;
    let Received::Item { .. } = device.next().await else { panic!("no response") };
    device.close(channel).await;
}

/// Shows D122.
#[tokio::test]
async fn a_device_that_requests_faster_than_its_rate_is_held_back_and_loses_nothing() {
    const RATE: u32 = 20;
    let (test_cloud, address) = test_cloud(|config| config.limits.requests_a_second = RATE).await;
    let mut device = test_cloud.device().await;
    let burst = RATE * cloud::limits::BURST_SECONDS;
    for _ in 0..burst {
        fetch(&mut device, 1).await;
    }
    assert_eq!(value(address, &limited("requests_a_second")).await, 0, "this burst is allowed");
    let start = Instant::now();
    // What was filled up while those went through is used up first.
    while value(address, &limited("requests_a_second")).await == 0 {
        fetch(&mut device, 1).await;
    }
    for _ in 0..10 {
        fetch(&mut device, 1).await;
    }
    let least = Duration::from_secs(1) * 9 / RATE;
    assert!(start.elapsed() >= least, "ten beyond the burst took {:?}", start.elapsed());
    test_cloud.cloud.stop().await;
}

/// Shows D122.
#[tokio::test]
async fn a_device_that_sends_faster_than_its_rate_is_held_back_and_loses_nothing() {
    const RATE: u32 = 10_000;
    let (test_cloud, address) = test_cloud(|config| {
        config.limits.link_bytes_a_second = RATE;
        config.limits.log_lines_a_second = 0;
    })
    .await;
    let mut device = test_cloud.device().await;
    let text = "x".repeat(1000);
    let start = Instant::now();
    for sequence in 1..=50 {
        device.log(sequence, &text).await;
    }
    while device.next().await != Received::LogTaken(50) {}
    assert_eq!(value(address, &limited("link_bytes_a_second")).await, 0, "half of the burst");
    for sequence in 51..=115 {
        device.log(sequence, &text).await;
    }
    while device.next().await != Received::LogTaken(115) {}
    // The last piece read before the hold may be as long as a buffer, and is not waited for.
    assert!(start.elapsed() >= Duration::from_millis(600), "{:?}", start.elapsed());
    assert!(value(address, &limited("link_bytes_a_second")).await >= 1);
    assert_eq!(test_cloud.cloud.store().logs(device.id, 200).await.expect("read").len(), 115);
    test_cloud.cloud.stop().await;
}

/// Shows D122.
#[tokio::test]
async fn a_device_waits_for_bytes_beyond_its_rate() {
    const RATE: u32 = 8_000;
    let (test_cloud, address) = test_cloud(|config| config.limits.link_bytes_a_second = RATE).await;
    test_cloud.cloud.store().set_config(cloud::Scope::Account, "key", &"x".repeat(4000)).await.expect("set");
    let mut device = test_cloud.device().await;
    fetch(&mut device, 15).await;
    assert_eq!(value(address, &limited("link_bytes_a_second")).await, 0, "60,000 of 80,000");
    fetch(&mut device, 8).await;
    let start = Instant::now();
    fetch(&mut device, 1).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "12,000 too many: {:?}", start.elapsed());
    assert!(value(address, &limited("link_bytes_a_second")).await >= 1);
    test_cloud.cloud.stop().await;
}

/// Shows D122.
#[tokio::test]
async fn devices_of_one_account_share_its_rate_and_another_account_has_its_own() {
    const RATE: u32 = 8_000;
    let (test_cloud, address) =
        test_cloud(|config| config.limits.link_bytes_a_second_per_account = RATE).await;
    let store = test_cloud.cloud.store();
    store.set_config(cloud::Scope::Account, "key", &"x".repeat(4000)).await.expect("set");
    let (mut one, mut two) = (test_cloud.device().await, test_cloud.device().await);
    fetch(&mut one, 12).await;
    assert_eq!(value(address, &limited("link_bytes_a_second")).await, 0);
    fetch(&mut two, 12).await;
    let start = Instant::now();
    let other = store.add_account(None).await.expect("added").id;
    let other = test_cloud.cloud.provision_in(other, None).await.expect("an identity");
    let mut third = Device::connect(test_cloud.cloud.address(), &other).await;
    third.welcome().await;
    fetch(&mut third, 1).await;
    fetch(&mut two, 1).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "16,000 too many of both: {:?}", start.elapsed());
    test_cloud.cloud.stop().await;
}

/// Shows D70, D122.
#[tokio::test]
async fn log_lines_beyond_the_rate_are_dropped_and_one_line_says_how_many() {
    const RATE: u32 = 2;
    let burst = RATE * cloud::limits::BURST_SECONDS;
    let limits = Limits {
        log_lines_a_second: RATE,
        farewell_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let test_cloud = TestCloud::with(limits).await;
    let mut device = test_cloud.device().await;
    for sequence in 1..=burst + 7 {
        device.log(sequence, "a line").await;
    }
    while device.next().await != Received::LogTaken(burst + 7) {}
    let lines = test_cloud.cloud.store().logs(device.id, 100).await.expect("read");
    let (last, put_back_list) = lines.split_last().expect("lines");
    assert!(put_back_list.iter().map(|line| line.sequence).eq(1..=burst), "the burst is kept whole");
    let text = String::from_utf8_lossy(&last.text);
    assert_eq!(text, "[openvisor: 7 log lines dropped, more than 2 a second]");
    assert_eq!(last.sequence, burst + 7);
    test_cloud.cloud.stop().await;
}
