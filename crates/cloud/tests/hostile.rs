//! Peers that cost memory if they are let: what the cloud keeps for them, in figures.

mod support;

use std::time::Duration;

use link::channel::ChannelType;
use link::device::Answer;
use link::kind::to_cloud;
use support::Received;
use support::scrape::{test_cloud, value};
use support::scripted::{Scripted, connect_item};
use tokio::time::{sleep, timeout};

/// Bytes of each message.
const LENGTH: usize = 200_000;

/// Shows D124.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_never_reads_costs_little_however_large_it_says_its_rings_are() {
    let (test_cloud, address) = test_cloud(|config| config.limits.link_bytes_a_second = 0).await;
    let mut device = test_cloud.device().await;
    let broker = Scripted::start().await;
    let mut peers = Vec::new();
    for _ in 0..8 {
        let channel = device.open(ChannelType::Mqtt, 64 * 1024 * 1024).await;
        let connect = connect_item(false, "127.0.0.1", broker.port, None);
        device.item(channel, to_cloud::CONNECT, &connect).await;
        let mut peer = broker.accept().await;
        peer.let_in().await;
        assert!(matches!(device.next().await, Received::Answer { answer: Answer::Connected(_), .. }));
        peers.push(peer);
    }
    // Nothing is read any more, and each broker sends what it can: 32 messages each would be outstanding by the link's
    // rule.
    let message = message(&vec![b'm'; LENGTH]);
    let sending = peers.into_iter().map(|mut peer| {
        let message = message.clone();
        tokio::spawn(async move {
            for _ in 0..32 {
                if timeout(Duration::from_secs(1), peer.send(&message)).await.is_err() {
                    break;
                }
            }
            peer
        })
    });
    let sending: Vec<_> = sending.collect();
    let mut most = 0;
    for _ in 0..30 {
        sleep(Duration::from_millis(50)).await;
        most = most.max(value(address, "openvisor_link_backlog_bytes").await);
    }
    assert!(most > 128 * 1024, "the device is far behind: {most}");
    assert!(most < 4 * 1024 * 1024, "{most} bytes wait for one device");
    for task in sending {
        drop(task.await.expect("no panic"));
    }
    drop(device);
    test_cloud.cloud.stop().await;
}

/// A PUBLISH of QoS 0 on topic `t`.
fn message(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x30];
    let mut left = 3 + payload.len();
    while left > 0x7f {
        packet.push(left as u8 | 0x80);
        left >>= 7;
    }
    packet.push(left as u8);
    packet.extend([0, 1, b't']);
    packet.extend_from_slice(payload);
    packet
}
