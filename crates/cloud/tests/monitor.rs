//! Health and metrics of a running cloud, asked as a collector asks.

mod support;

use cloud::{Cloud, Config, Limits, StartError};
use link::channel::ChannelType;
use link::kind::to_cloud;
use support::scrape::{ask, metrics, test_cloud, until, value};
use support::{Device, MAX_WAIT, Received, config};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn what_devices_do_can_be_read_and_no_device_is_named() {
    let (test_cloud, address) = test_cloud(|_| ()).await;
    let mut device = test_cloud.device().await;
    device.log(1, "a line").await;
    assert_eq!(device.next().await, Received::LogTaken(1));
    let channel = device.open(ChannelType::ConfigFetch, 512).await;
    device.item(channel, to_cloud::CONFIG_FETCH, &[1, 4, b'n', b'o', b'n', b'e']).await;
    assert!(matches!(device.next().await, Received::Item { .. }));
    until(address, "openvisor_devices_connected", 1).await;
    until(address, r#"openvisor_log_lines_total{result="taken"}"#, 1).await;
    until(address, r#"openvisor_config_items_total{result="missing"}"#, 1).await;
    until(address, r#"openvisor_channels{type="config"}"#, 1).await;
    let text = metrics(address).await;
    assert!(!text.contains(device.id.as_str()), "a label of its own for every device would have no bound");
    drop(device);
    until(address, "openvisor_devices_connected", 0).await;
    until(address, r#"openvisor_channels{type="config"}"#, 0).await;
    until(address, r#"openvisor_sessions_ended_total{reason="lost"}"#, 1).await;
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let (test_cloud, address) = test_cloud(|_| ()).await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    test_cloud.cloud.remove_device(identity.device_id).await.expect("removed");
    let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
    assert!(matches!(device.next().await, Received::Bye(_)));
    let mut stranger = TcpStream::connect(test_cloud.cloud.address()).await.expect("connected");
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
    until(address, r#"openvisor_connections_refused_total{reason="revoked"}"#, 1).await;
    until(address, r#"openvisor_connections_refused_total{reason="handshake_failed"}"#, 1).await;
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_cloud_is_alive_and_ready_and_nothing_else_is_there() {
    let (test_cloud, address) = test_cloud(|_| ()).await;
    assert_eq!(ask(address, "GET", "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(ask(address, "GET", "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(ask(address, "GET", "/").await.0, 404);
    assert_eq!(ask(address, "POST", "/metrics").await.0, 405);
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_stopping_cloud_is_alive_and_not_ready() {
    let directory = tempfile::tempdir().expect("a folder");
    let limits = Limits { farewell_timeout: std::time::Duration::from_secs(1), ..Limits::default() };
    let metrics = Some("127.0.0.1:0".parse().expect("an address"));
    let cloud = Cloud::start(Config { metrics, limits, ..config(&directory) }).await.expect("started");
    let address = cloud.metrics_address().expect("it answers");
    let identity = cloud.provision(None).await.expect("an identity");
    // It does not read the `BYE`, so that stopping takes a moment.
    let mut deaf = Device::connect(cloud.address(), &identity).await;
    deaf.welcome().await;
    let stopping = tokio::spawn(cloud.stop());
    let deadline = Instant::now() + MAX_WAIT;
    while ask(address, "GET", "/readyz").await != (503, "stopping\n".to_owned()) {
        assert!(Instant::now() < deadline, "it is never said");
    }
    assert_eq!(ask(address, "GET", "/healthz").await.0, 200);
    timeout(MAX_WAIT, stopping).await.expect("in time").expect("without a panic");
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

/// Shows D176: idle connections, from one address or many, prevent no answer to others.
#[tokio::test]
async fn idle_connections_do_not_keep_health_from_being_answered() {
    let (test_cloud, address) = test_cloud(|_| ()).await;
    let mut idle = Vec::new();
    for number in 0..200 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind(std::net::SocketAddr::from(([127, 78, 0, number / 2], 0)))
            .expect("an address of this machine");
        let mut stream = socket.connect(address).await.expect("connected");
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("written");
        idle.push(stream);
        if number % 10 == 0 {
            assert_eq!(ask(address, "GET", "/healthz").await.0, 200);
        }
    }
    assert_eq!(ask(address, "GET", "/readyz").await.0, 200);
    test_cloud.cloud.stop().await;
}

/// Shows D173: a refused device that connects again at once is refused for the same reason, and the store is not read
/// each time.
#[tokio::test]
async fn a_refused_device_in_a_loop_costs_few_questions_to_the_store_and_a_new_certificate_none() {
    const ASKED: &str = r#"openvisor_store_seconds_count{operation="admit"}"#;
    let (test_cloud, address) = test_cloud(|_| ()).await;
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    assert!(test_cloud.cloud.store().revoke_device(identity.device_id).await.expect("revoked"));
    let start = Instant::now();
    for _ in 0..40 {
        let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
        assert!(matches!(device.next().await, Received::Bye(link::connection::ByeReason::Revoked)));
    }
    let asked = value(address, ASKED).await;
    assert!(asked <= 1 + start.elapsed().as_secs(), "asked {asked} times");
    until(address, r#"openvisor_connections_refused_total{reason="revoked"}"#, 40).await;
    let renewed = test_cloud.cloud.renew(identity.device_id).await.expect("renewed");
    Device::connect(test_cloud.cloud.address(), &renewed).await.welcome().await;
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_busy_port_for_metrics_is_one_clear_line() {
    let (test_cloud, address) = test_cloud(|_| ()).await;
    let directory = tempfile::tempdir().expect("a folder");
    let refused = Cloud::start(Config { metrics: Some(address), ..config(&directory) }).await.err();
    assert!(matches!(refused, Some(StartError::AddressInUse(taken)) if taken == address));
    test_cloud.cloud.stop().await;
}
