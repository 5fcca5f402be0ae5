//! The network, from an application's calls to the cloud.

use std::time::Duration;

use abi::channel::{ChannelType, OpenChannelParams};
use abi::config::{ConfigKeyFetchParams, ConfigKeyToFetch, ConfigResponseData, ConfigResponseReadItemParams};
use abi::http::{HttpRequest, HttpResponseData};
use abi::mqtt::{MqttReadableDataType, MqttRequestState};
use abi::network::{NetworkReason, NetworkStatus};
use abi::notifications::EventType;
use abi::power::WakeReason;
use abi::{Call, Status};
use cloud::Scope;
use cloud::events::{Disconnection, EventKind};
use kernel::{Boot, Kernel, Policy};
use link::connection::ByeReason;
use relay::Notice;

use crate::broker::Broker;
use crate::device::{App, CHANGED, LiveDevice, Site, blank_centre};
use crate::support::https::{HOST, Https, resolve};
use kernel_testport::mqtt::{NOT_CONNECTED, READABLE};
use kernel_testport::{AppSetup, TAG, TestDevice, boot};

/// How long a test waits to see that nothing happens.
const QUIET_TIME: Duration = Duration::from_millis(150);

#[expect(clippy::needless_pass_by_value, reason = "as all questions to the cloud's events are")]
fn connected(kind: EventKind) -> Option<()> {
    matches!(kind, EventKind::Connected { .. }).then_some(())
}

fn disconnected(kind: EventKind) -> Option<Disconnection> {
    if let EventKind::Disconnected { reason } = kind { Some(reason) } else { None }
}

fn reasons(device: &mut TestDevice) -> NetworkReason {
    NetworkReason::from_raw(device.network_reasons().0)
}

/// Gives a handle back by its call; the variable must then be 0 and the handle worth nothing.
fn close_handle(device: &mut TestDevice, call: Call, handle: u32) {
    let variable = device.alloc_u32(handle);
    device.call_ok(call, &[variable]);
    assert_eq!(device.u32(variable), 0, "{}", call.name());
    let stale = device.alloc_u32(handle);
    assert_eq!(device.call(call, &[stale]), Status::InvalidHandle, "{}", call.name());
}

/// Shows N12, N13, N21, N22.
#[test]
fn a_device_connects_by_itself_and_keeps_the_link_until_the_application_requests_it() {
    let mut site = Site::open();
    let mut live = LiveDevice::new(&site);
    // Nothing has been requested, and the reasons can be read all the same.
    let own = reasons(&mut live.device);
    assert!(own.contains(NetworkReason::COLD_BOOT_CONNECTION.with(NetworkReason::NEVER_USED_NETWORK_API)));
    live.run_until_online();
    site.expect("the device", connected);
    assert!(reasons(&mut live.device).contains(NetworkReason::NEVER_USED_NETWORK_API));
    live.run_for(QUIET_TIME);
    assert!(live.device.connected, "kept until the application requests the network");
    live.device.open_centre(kernel_testport::LINE, 16);
    assert_eq!(live.connections, 1);
}

/// Shows N29, N30, N31, N33, N34, N35, N42, N45, N46, D21.
#[test]
fn a_network_request_uses_the_link_that_is_up_and_is_notified_of_it() {
    let mut site = Site::open();
    let mut live = LiveDevice::new(&site);
    live.run_until_online();
    let mut centre = live.device.open_centre(kernel_testport::LINE, 16);
    let network = live.device.request_network(&centre, 5);
    assert_eq!(live.device.network_status(network), Some(NetworkStatus::Connected));
    live.run_until("the event", |device| device.nvic.pending[usize::from(kernel_testport::LINE)]);
    let event = EventType::NetworkStatusChanged.raw();
    assert_eq!(live.device.events(&mut centre), [(event, 5)]);
    assert!(reasons(&mut live.device).contains(NetworkReason::USING_NETWORK));
    assert_eq!(live.connections, 1, "the link that was up is used");
    assert!(site.take_events().into_iter().all(|kind| disconnected(kind).is_none()));
}

/// Shows N36, N37, N38, N39, N40, N41.
#[test]
fn a_centre_gets_one_record_of_16_bytes_and_one_interrupt_an_event() {
    let site = Site::open();
    let mut live = LiveDevice::new(&site);
    live.run_until_online();
    let mut centre = blank_centre(&mut live.device, 16);
    assert_ne!(centre.handle, 0);
    live.device.request_network(&centre, 5);
    let line = usize::from(kernel_testport::LINE);
    live.run_until("the event", |device| device.nvic.pending[line]);
    assert_eq!(live.device.nvic.pends[line], 1);
    assert_eq!(live.device.memory.bytes(centre.buffer + 16, 16), [0xFF; 16], "one record, 16 bytes");
    assert_eq!(live.device.events(&mut centre), [(EventType::NetworkStatusChanged.raw(), 5)]);
}

/// Shows N03, N05, N06, N08, N11, N61.
#[test]
fn every_handle_is_a_number_of_its_own_and_0_is_none() {
    let site = Site::open();
    let mut app = App::online(&site);
    let (network, centre) = (app.setup.network, app.setup.centre.handle);
    let second = {
        let App { live, setup, .. } = &mut app;
        live.device.request_network(&setup.centre, 1)
    };
    app.expect(CHANGED);
    let channels = [(); 2].map(|()| app.open_channel(ChannelType::Mqtt, 1024));
    let all = [network, second, centre, channels[0], channels[1]];
    assert!(all.iter().all(|handle| *handle != 0));
    assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])), "{all:?}");
    assert_eq!(app.live.device.call(Call::MqttRequestDisconnect, &[0]), Status::InvalidHandle);
}

/// Shows N02, N04, N07, N32, N47, N48, N61.
#[test]
fn a_transfer_takes_a_connection_and_a_channel_over_it() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    assert_eq!(app.status(), Some(NetworkStatus::Connected));
    let channel = app.open_channel(ChannelType::Mqtt, 1024);
    let request = app.connect_params("transfers", broker.open);
    app.connect(channel, &request);
    app.publish(channel, 1, "t", "transfer", 1, false);
    broker.expect_log("Received PUBLISH from transfers");
    app.close_channel(channel);
    close_handle(&mut app.live.device, Call::ReleaseNetwork, app.setup.network);
    app.live.run_until("off line", |device| !device.connected);
}

/// Shows N10, N62, N63, N64, N65, N75, N79, N80, D14.
#[test]
fn closing_a_handle_sets_its_variable_to_0_and_makes_the_handle_void() {
    let site = Site::open();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1024);
    close_handle(&mut app.live.device, Call::CloseChannel, channel);
    app.expect_no_event(QUIET_TIME);
    close_handle(&mut app.live.device, Call::ReleaseNetwork, app.setup.network);
    close_handle(&mut app.live.device, Call::CloseNotifications, app.setup.centre.handle);
}

/// Shows N14, N75, N76, N78, D24.
#[test]
fn the_last_release_takes_the_device_off_line() {
    let mut site = Site::open();
    let mut app = App::online(&site);
    let (network, centre) = (app.setup.network, app.setup.centre.handle);
    let second = {
        let App { live, setup, .. } = &mut app;
        live.device.request_network(&setup.centre, 1)
    };
    app.expect(CHANGED);
    close_handle(&mut app.live.device, Call::ReleaseNetwork, second);
    app.expect_no_event(QUIET_TIME);
    assert!(app.live.device.connected, "the other handle keeps the link");
    close_handle(&mut app.live.device, Call::ReleaseNetwork, network);
    app.live.run_until("off line", |device| !device.connected);
    assert_eq!(site.expect("the end", disconnected), Disconnection::Bye(ByeReason::Done));
    close_handle(&mut app.live.device, Call::CloseNotifications, centre);
    app.live.run_for(QUIET_TIME);
    assert_eq!(app.live.connections, 1, "it stays off line");
}

/// Shows N33, N43, N44, N45, N49, N32, D23.
#[test]
fn before_the_link_is_up_a_request_is_accepted_and_no_channel_opens() {
    let site = Site::open();
    let mut live = LiveDevice::new(&site);
    live.is_plugged_in = false;
    live.step();
    let centre = live.device.open_centre(kernel_testport::LINE, 16);
    let network = live.device.request_network(&centre, 1);
    let setup = AppSetup { centre, network };
    assert_eq!(live.device.network_status(network), Some(NetworkStatus::Connecting));
    let params = live.device.channel_params(&setup, ChannelType::Mqtt, 1024, 1024);
    assert_eq!(live.device.try_open_channel(&params), Status::NetworkNotConnected);
    live.is_plugged_in = true;
    live.skip_time(Duration::from_secs(3));
    live.run_until("connected", |device| device.network_status(network) == Some(NetworkStatus::Connected));
    live.device.open_channel(&params);
}

/// An application with a message to read and a publish in flight, whose link has just been lost.
fn lost(site: &Site, broker: &Broker) -> (App, u32) {
    let mut app = App::online(site);
    let channel = app.open_connected_channel("loses", broker.open);
    app.subscribe(channel, 1, &[(b"topic", 1)]);
    broker.publish("topic", "before", &[]);
    app.expect(READABLE);
    let in_flight = app.live.device.publish_params(8, b"t", b"p", 1);
    assert_eq!(app.live.device.request_publish(channel, &in_flight), Status::Okay);
    app.live.unplug();
    (app, channel)
}

/// Shows N50, N51, N66, N67, N71, N73.
#[test]
fn a_lost_link_is_reported_and_its_channels_stay_open_until_they_are_closed() {
    let site = Site::open();
    let broker = Broker::start();
    let (mut app, channel) = lost(&site, &broker);
    app.expect(READABLE);
    app.expect(NOT_CONNECTED);
    app.expect(CHANGED);
    assert_eq!(app.status(), Some(NetworkStatus::Connecting));
    app.live.is_plugged_in = true;
    app.live.skip_time(Duration::from_secs(3));
    app.expect(CHANGED);
    assert_eq!(app.status(), Some(NetworkStatus::Connected));
    app.expect_no_event(QUIET_TIME);
    close_handle(&mut app.live.device, Call::CloseChannel, channel);
    app.open_connected_channel("has a new channel", broker.open);
}

/// Shows N68, N69, N72, N74, D31.
#[test]
fn what_had_arrived_before_the_loss_can_be_read_and_nothing_is_added() {
    let site = Site::open();
    let broker = Broker::start();
    let (mut app, channel) = lost(&site, &broker);
    broker.publish("topic", "after", &[]);
    let device = &mut app.live.device;
    let message = device.receive_message(channel, 64, 64).expect("still there");
    assert_eq!((&message.topic[..], &message.payload[..]), (&b"topic"[..], &b"before"[..]));
    device.read_publish_response(channel).expect("a response");
    assert_eq!(device.publish(channel, 9, b"t", b"p"), Status::ChannelClosed);
    app.live.is_plugged_in = true;
    app.live.skip_time(Duration::from_secs(3));
    app.live.run_until_online();
    app.live.run_for(QUIET_TIME);
    let after = app.live.device.receive_message(channel, 64, 64);
    assert_eq!(after.err(), Some(Status::ChannelClosed), "nothing was added");
}

/// Shows M12, M18, D53.
#[test]
fn a_request_in_flight_is_answered_when_the_link_is_lost() {
    let site = Site::open();
    let broker = Broker::start();
    let (mut app, channel) = lost(&site, &broker);
    app.expect(READABLE);
    app.live.device.receive_message(channel, 64, 64).expect("the message before it");
    let response = app.live.device.read_publish_response(channel);
    assert_eq!(response, Ok((MqttRequestState::NotConnected.raw(), 8, 0)));
}

/// Shows N50, N51, N66, N67, N73.
#[test]
fn a_cloud_that_stops_is_a_loss_like_any_other() {
    let mut site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channels = [app.open_connected_channel("one", broker.open), app.open_channel(ChannelType::Http, 512)];
    site.stop();
    app.expect(NOT_CONNECTED);
    app.expect(NOT_CONNECTED);
    app.expect(CHANGED);
    for channel in channels {
        app.close_channel(channel);
    }
}

/// Shows N76, N77.
#[test]
fn releasing_the_network_disconnects_every_open_channel() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channels =
        [app.open_connected_channel("one", broker.open), app.open_connected_channel("two", broker.open)];
    let variable = app.live.device.alloc_u32(app.setup.network);
    app.live.device.call_ok(Call::ReleaseNetwork, &[variable]);
    app.expect(NOT_CONNECTED);
    app.expect(NOT_CONNECTED);
    app.expect_no_event(QUIET_TIME);
    broker.expect_log("Client one closed its connection");
    broker.expect_log("Client two closed its connection");
    for channel in channels {
        app.close_channel(channel);
    }
}

/// Shows N48, N53, N54, N55, N59, N60, M06, D30.
#[test]
fn a_channel_with_buffers_that_cannot_be_never_reaches_the_cloud() {
    let mut site = Site::open();
    let mut app = App::online(&site);
    let App { live: LiveDevice { device, .. }, setup, .. } = &mut app;
    let good = device.channel_params(setup, ChannelType::Mqtt, 1536, 1536);
    let endpoint = device.flash_string(b"x");
    let bad = |change: fn(&mut OpenChannelParams)| {
        let mut params = good;
        change(&mut params);
        params
    };
    for (params, status) in [
        (bad(|params| params.receive_buffer_len = 1500), Status::InvalidBufferSize),
        (bad(|params| params.send_buffer_len = 0), Status::InvalidBufferSize),
        (bad(|params| params.receive_buffer += 256), Status::InvalidBufferAlignment),
        (bad(|params| params.send_buffer += 4), Status::InvalidBufferAlignment),
        (OpenChannelParams { endpoint, ..good }, Status::UnknownChannelEndpoint),
    ] {
        assert_eq!(device.try_open_channel(&params), status);
    }
    let channel = device.open_channel(&good);
    assert_eq!(device.try_open_channel(&good), Status::BufferAlreadyInUse);
    let opened = |kind| matches!(kind, EventKind::Notice(Notice::ChannelOpened { .. })).then_some(());
    app.expect_no_event(QUIET_TIME);
    assert_eq!(site.take_events().into_iter().filter_map(opened).count(), 1);
    app.close_channel(channel);
    // Closed, the same buffers are good for another channel.
    app.live.device.open_channel(&good);
}

/// Shows N56, N57, N58, M24, M84.
#[test]
fn both_rings_go_round_many_times_and_no_byte_is_lost() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 512);
    let request = app.connect_params("rounds", broker.open);
    app.connect(channel, &request);
    app.subscribe(channel, 1, &[(b"round", 0)]);
    for number in 0..24u32 {
        let payload = format!("{number:03}").repeat(90 + number as usize % 7);
        let device = &mut app.live.device;
        let publish = device.publish_params(number, b"round", payload.as_bytes(), 0);
        assert_eq!(device.request_publish(channel, &publish), Status::Okay);
        // The broker's copy and the answer come in whatever order.
        app.expect(READABLE);
        app.expect(READABLE);
        let mut seen = 0;
        for _ in 0..2 {
            let device = &mut app.live.device;
            if device.next_readable(channel) == Ok(MqttReadableDataType::MessageReceived) {
                let message = device.receive_message(channel, 16, 512).expect("a message");
                assert_eq!(String::from_utf8_lossy(&message.payload), payload);
                seen += 1;
            } else {
                assert_eq!(device.read_publish_response(channel), Ok((0, number, 0)));
            }
        }
        assert_eq!(seen, 1);
    }
}

fn logging(device: &mut TestDevice) {
    let buffer = device.alloc_buffer(512);
    device.call_ok(Call::ServerLoggingInit, &[buffer, 512]);
}

fn log(device: &mut TestDevice, text: &str) {
    let message = device.flash_string(text.as_bytes());
    device.call_ok(Call::ServerLog, &[message.data, message.length]);
}

/// Waits until the cloud has received this log line.
fn wait_for_log(live: &mut LiveDevice, site: &mut Site, text: &str) {
    live.run_until(text, |_| {
        site.take_events()
            .into_iter()
            .any(|kind| matches!(kind, EventKind::Log { text: found, .. } if found == text.as_bytes()))
    });
}

fn lines(site: &mut Site) -> usize {
    site.take_events().into_iter().filter(|kind| matches!(kind, EventKind::Log { .. })).count()
}

/// Shows N24, N25, N26, N27, N28, D70, D71.
#[test]
fn log_lines_use_whatever_link_there_is_and_wait_where_they_must() {
    let mut site = Site::open();
    let mut live = LiveDevice::new(&site);
    let id = live.device_id();
    live.run_until_online();
    logging(&mut live.device);
    log(&mut live.device, "over the kernel's own link");
    wait_for_log(&mut live, &mut site, "over the kernel's own link");
    live.unplug();
    log(&mut live.device, "during an outage");
    live.is_plugged_in = true;
    live.skip_time(Duration::from_secs(3));
    wait_for_log(&mut live, &mut site, "during an outage");

    let mut app = App::on(live);
    let variable = app.live.device.alloc_u32(app.setup.network);
    app.live.device.call_ok(Call::ReleaseNetwork, &[variable]);
    log(&mut app.live.device, "off line on purpose");
    app.live.run_for(QUIET_TIME);
    assert!(!app.live.device.connected);
    assert_eq!(lines(&mut site), 0);
    let App { mut live, setup, .. } = app;
    live.device.request_network(&setup.centre, 1);
    wait_for_log(&mut live, &mut site, "off line on purpose");
    // What the cloud has stored, each line once and in order, the application may continue without.
    let mut stored = Vec::new();
    live.run_until("stored", |_| {
        stored = site.runtime.block_on(site.cloud().store().logs(id, 10)).expect("readable");
        stored.len() == 3
    });
    let texts: Vec<_> = stored.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect();
    assert_eq!(texts, ["over the kernel's own link", "during an outage", "off line on purpose"]);
}

/// Shows N16, N17, N26, D104.
#[test]
fn a_device_off_line_on_purpose_checks_in_with_the_cloud_for_a_short_time() {
    let mut site = Site::open();
    let policy = Policy { minimum_check_in_time_sec: 60, connection_grace_time_sec: 0 };
    let mut app = App::on(LiveDevice::booted(&site, &Boot { policy, ..boot() }));
    logging(&mut app.live.device);
    let variable = app.live.device.alloc_u32(app.setup.network);
    app.live.device.call_ok(Call::ReleaseNetwork, &[variable]);
    log(&mut app.live.device, "not for a check-in");
    app.live.run_until("off line", |device| !device.connected);
    app.live.skip_time(Duration::from_secs(40));
    app.live.run_for(QUIET_TIME);
    assert_eq!(app.live.connections, 1, "not yet");
    app.live.skip_time(Duration::from_secs(21));
    app.live.run_until("a check-in", |device| device.connected);
    app.live.run_for(QUIET_TIME);
    assert!(reasons(&mut app.live.device).contains(NetworkReason::MINIMUM_CHECK_IN_EXPIRED));
    app.live.skip_time(Duration::from_secs(6));
    app.live.run_until("off line again", |device| !device.connected);
    assert_eq!((app.live.connections, lines(&mut site)), (2, 0));
}

/// Shows D24.
#[test]
fn a_grace_time_keeps_the_connection_to_the_cloud() {
    let site = Site::open();
    let policy = Policy { minimum_check_in_time_sec: 0, connection_grace_time_sec: 20 };
    let mut app = App::on(LiveDevice::booted(&site, &Boot { policy, ..boot() }));
    let variable = app.live.device.alloc_u32(app.setup.network);
    app.live.device.call_ok(Call::ReleaseNetwork, &[variable]);
    app.live.skip_time(Duration::from_secs(10));
    assert!(app.live.device.connected);
    app.live.skip_time(Duration::from_secs(11));
    app.live.run_until("off line", |device| !device.connected);
}

/// Shows N09, N18, N19, D73.
#[test]
fn a_crash_makes_the_device_connect_and_takes_the_network_from_the_application() {
    let mut site = Site::open();
    let mut app = App::online(&site);
    let network = app.setup.network;
    let variable = app.live.device.alloc_u32(network);
    app.live.device.call_ok(Call::ReleaseNetwork, &[variable]);
    app.live.run_until("off line", |device| !device.connected);
    let mut live = app.live;
    let crash = WakeReason::ApplicationCrash;
    live.device.enter(|kernel, port| kernel.application_restarted(port, crash));
    assert!(reasons(&mut live.device).contains(NetworkReason::APPLICATION_ERROR));
    live.run_until("connected after the crash", |device| device.connected);
    let to = live.device.alloc_u32(0);
    assert_eq!(live.device.call(Call::GetNetworkStatus, &[network, to]), Status::InvalidHandle);
    live.run_for(QUIET_TIME);
    assert!(live.device.connected, "kept until the application requests the network again");
    site.take_events();
    // A start of the whole device: the cloud gets the reason, and earlier handles are void.
    let mut live = live.restarted(&Boot { wake_reason: crash, seed: [4; 16], ..boot() });
    live.run_until_online();
    let why = site.expect("a start", |kind| match kind {
        EventKind::Started { wake_reason, .. } => Some(wake_reason),
        _ => None,
    });
    assert_eq!(why, crash.raw());
    let to = live.device.alloc_u32(0);
    assert_eq!(live.device.call(Call::GetNetworkStatus, &[network, to]), Status::InvalidHandle);
}

/// Shows N20, N21, N23, N76.
#[test]
fn a_debugger_or_an_update_keeps_the_link_up_after_the_application_releases_it() {
    type Hold = fn(&mut Kernel, &mut kernel::Port<'_>, bool);
    let holds: [(Hold, NetworkReason); 2] = [
        (Kernel::debugger_attached, NetworkReason::DEBUGGER_ATTACHED),
        (Kernel::fetching_update, NetworkReason::FETCHING_UPDATE),
    ];
    let site = Site::open();
    for (hold, reason) in holds {
        let mut app = App::online(&site);
        app.live.device.enter(|kernel, port| hold(kernel, port, true));
        let variable = app.live.device.alloc_u32(app.setup.network);
        app.live.device.call_ok(Call::ReleaseNetwork, &[variable]);
        app.live.run_for(QUIET_TIME);
        assert!(app.live.device.connected && site.cloud().is_connected(app.live.device_id()));
        assert_eq!(reasons(&mut app.live.device), reason);
        app.live.device.enter(|kernel, port| hold(kernel, port, false));
        app.live.run_until("off line", |device| !device.connected);
    }
}

/// Shows N52, N53, D60, D63, D99.
#[test]
fn each_type_of_channel_leads_to_its_own_service() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let server = runtime.block_on(Https::start(move |_| Some(answer.clone())));
    let site = Site::with(|config| {
        config.resolve = resolve(server.address);
        config.extra_authorities = vec![server.authority.clone()];
    });
    let broker = Broker::start();
    let mut app = App::online(&site);
    let store = site.cloud().store();
    let device = Scope::Device(app.live.device_id());
    site.runtime.block_on(store.set_config(device, "ca", "3082")).expect("stored");

    app.open_connected_channel("mqtt", broker.open);
    let channel = app.open_channel(ChannelType::Http, 2048);
    assert_eq!(fetch_page(&mut app, channel), (200, b"hello".to_vec()));
    let channel = app.open_channel(ChannelType::ConfigFetch, 1024);
    assert_eq!(fetch_config(&mut app, channel, b"ca"), b"3082");
    // Opaque bytes have no other end (D99).
    app.open_channel(ChannelType::OpaqueBytes, 512);
    app.expect((EventType::ChannelNotConnected.raw(), TAG));
}

fn fetch_page(app: &mut App, channel: u32) -> (u32, Vec<u8>) {
    let device = &mut app.live.device;
    let request = HttpRequest {
        method: device.flash_string(b"GET"),
        url: device.flash_string(format!("https://{HOST}/").as_bytes()),
        num_headers: 0,
        headers: device.alloc(8),
        body: device.flash_string(b""),
        timeout_ms: 10_000,
    };
    let request = device.alloc_bytes(&request.to_bytes());
    device.call_ok(Call::SendHttpRequest, &[channel, request]);
    app.expect(READABLE);
    let device = &mut app.live.device;
    let to = device.alloc(16);
    device.call_ok(Call::ReadHttpResponseData, &[channel, to]);
    let data = HttpResponseData::from_bytes(&device.memory.bytes(to, 16).try_into().expect("16 bytes"));
    let to = device.alloc(data.body_length as usize);
    device.call_ok(Call::ReadHttpResponseBody, &[channel, 0, to, data.body_length]);
    (data.status_code, device.memory.bytes(to, data.body_length as usize))
}

/// A value of the device's configuration.
pub(crate) fn fetch_config(app: &mut App, channel: u32, key: &[u8]) -> Vec<u8> {
    let device = &mut app.live.device;
    let key = ConfigKeyToFetch { scope: 1, store: 1, key: device.flash_string(key) };
    let keys_to_fetch = device.alloc_bytes(&key.to_bytes());
    let params = device.alloc_bytes(&ConfigKeyFetchParams { num_items: 1, keys_to_fetch }.to_bytes());
    device.call_ok(Call::SendConfigFetchRequest, &[channel, params]);
    app.expect(READABLE);
    let device = &mut app.live.device;
    let to = device.alloc(8);
    device.call_ok(Call::ReadConfigFetchResponseData, &[channel, to]);
    let data = ConfigResponseData::from_bytes(&device.memory.bytes(to, 8).try_into().expect("8 bytes"));
    assert_eq!(data.num_items, 1);
    let buf = device.alloc_string(4096);
    let result = device.alloc_u32(99);
    let params = ConfigResponseReadItemParams { item_index: 0, result, buf };
    let params = device.alloc_bytes(&params.to_bytes());
    device.call_ok(Call::ReadConfigResponseItem, &[channel, params]);
    assert_eq!(device.u32(result), 0);
    device.read_string(buf)
}
