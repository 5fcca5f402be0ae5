//! The table of calls and statuses: every error that the interface documents is provoked here, or has a reason why it
//! cannot be.

use abi::channel::ChannelType;
use abi::config::{ConfigKeyFetchParams, ConfigKeyToFetch, ConfigResponseReadItemParams};
use abi::http::HttpRequest;
use abi::mqtt::{
    MqttLostMessageInfo, MqttMessage, MqttPublishRequest, MqttSubscribeRequest, MqttSubscribeResponse,
    MqttSubscription, MqttUnsubscribeRequest,
};
use abi::network::RequestNetworkParams;
use abi::notifications::{NotificationSetup, OpenSystemNotificationParams};
use abi::strings::SizedString;
use abi::wifi::{WifiConfig, WifiConfigOut};
use abi::{Call, Status};
use kernel::{Boot, Outcome};
use kernel_testport::board::TestBoard;
use kernel_testport::{LINE, REGISTER, TestDevice, boot};
use link::config::{FetchResult, KeyResult};
use sansio::Duration;

/// No memory of the application's.
const NOWHERE: u32 = 0x4000_0000;
/// Readable, not writable.
const FLASH: u32 = 0x0800_0000;

/// Documented errors that cannot come, and why.
const IMPOSSIBLE: &[(Call, Status, &str)] = &[
    (
        Call::ReleaseNetwork,
        Status::UnsupportedStructureVersion,
        "the call takes no structure; the header lists the status by mistake",
    ),
    (
        Call::MqttReadConnectResponse,
        Status::LateFault,
        "the response has no pointers, so every fault is an early one",
    ),
    (
        Call::MqttReadPublishResponse,
        Status::LateFault,
        "the response has no pointers, so every fault is an early one",
    ),
    (
        Call::MqttReadDisconnectResponse,
        Status::LateFault,
        "the response has no pointers, so every fault is an early one",
    ),
    (
        Call::ExternalFlashEraseBlocking,
        Status::ParameterFault,
        "the call takes no address of memory; the header's list is that of the read",
    ),
];

/// Shows D02, D05, D30, D45, M02, M09, N33, N45.
#[test]
fn every_documented_error_is_provoked_or_says_why_it_cannot_occur() {
    let mut missing = Vec::new();
    for &call in &Call::ALL {
        for &error in call.documented_errors() {
            let impossible = IMPOSSIBLE.iter().any(|row| (row.0, row.1) == (call, error));
            match provoke(call, error) {
                Some(status) => {
                    assert!(!impossible, "{} answers {} after all", call.name(), error.name());
                    assert_eq!(status, error, "{}", call.name());
                }
                None if impossible => {}
                None => missing.push((call.name(), error.name())),
            }
        }
    }
    assert_eq!(missing, [], "neither provoked nor explained");
}

/// Statuses the header lists for no call, or not for this one, and where the decisions put them.
/// Shows D30, D31, D44, D45, D61, D63, D102, D106, D109, D110.
#[test]
fn undocumented_errors_occur_where_the_decisions_put_them() {
    for (call, error) in [
        (Call::OpenChannel, Status::UnsupportedStructureVersion),
        (Call::OpenChannel, Status::BufferAlreadyInUse),
        (Call::ServerLoggingInit, Status::BufferAlreadyInUse),
        (Call::SendConfigFetchRequest, Status::TooManyConfigKeys),
        (Call::SendConfigFetchRequest, Status::UnknownConfigScope),
        (Call::SendConfigFetchRequest, Status::UnknownConfigStore),
        (Call::SendConfigFetchRequest, Status::InvalidConfigKey),
        (Call::ReadConfigFetchResponseData, Status::InvalidHandle),
        (Call::ReadConfigFetchResponseData, Status::ResponseNotPresent),
        (Call::ReadConfigResponseItem, Status::LateFault),
        (Call::ReadConfigResponseItem, Status::InvalidBufferSize),
        (Call::MqttRequestConnect, Status::InvalidBufferSize),
        (Call::MqttRequestPublish, Status::InvalidBufferSize),
        (Call::MqttRequestSubscribe, Status::InvalidBufferSize),
        (Call::MqttRequestUnsubscribe, Status::InvalidBufferSize),
        (Call::MqttReadConnectResponse, Status::ResponseNotPresent),
        (Call::MqttReadConnectResponse, Status::WrongDataRequested),
        (Call::MqttReceiveMessage, Status::WrongDataRequested),
        (Call::ReadHttpResponseHeader, Status::RequestUnsuccessful),
        (Call::ReadHttpResponseBody, Status::RequestUnsuccessful),
        (Call::PeriphPeek32, Status::ParameterFault),
        (Call::ReadChannelComplete, Status::ParameterFault),
        (Call::CloseSystemNotification, Status::ParameterFault),
        (Call::SystemLedEnable, Status::ParameterFault),
        (Call::TestLoggingInit, Status::BufferAlreadyInUse),
        (Call::ExternalFlashClose, Status::ParameterFault),
        (Call::ExternalFlashReadBlocking, Status::InternalError),
        (Call::ExternalFlashWriteBlocking, Status::InternalError),
        (Call::ExternalFlashEraseBlocking, Status::InternalError),
        (Call::SetWifiConfig, Status::ParameterFault),
        (Call::SetWifiConfig, Status::LateFault),
        (Call::SetWifiConfig, Status::UnsupportedStructureVersion),
        (Call::SetWifiConfig, Status::InputTooLong),
        (Call::SetWifiConfig, Status::RequiredElementMissing),
        (Call::SetWifiConfig, Status::Unavailable),
        (Call::SetWifiConfig, Status::InternalError),
        (Call::GetWifiConfig, Status::ParameterFault),
        (Call::GetWifiConfig, Status::LateFault),
        (Call::GetWifiConfig, Status::UnsupportedStructureVersion),
        (Call::GetWifiConfig, Status::InvalidBufferSize),
        (Call::GetWifiConfig, Status::Unavailable),
    ] {
        assert_eq!(provoke(call, error), Some(error), "{} {}", call.name(), error.name());
    }
}

/// Shows D02.
#[test]
fn a_refused_call_writes_nothing_into_the_application() {
    for &call in &Call::ALL {
        for &error in call.documented_errors() {
            // What the provoking call itself wrote is counted from the last entry into the kernel.
            if let Some((status, written)) = provoke_and_watch(call, error) {
                assert_eq!(status, error);
                assert_eq!(written, 0, "{} wrote although it answered {}", call.name(), error.name());
            }
        }
    }
}

/// A call that were not implemented would answer `UNAVAILABLE`; on a device that has everything none does.
#[test]
fn every_call_is_implemented() {
    for &call in &Call::ALL {
        let mut device = TestDevice::booted(&Boot { application_test: true, ..boot() });
        let (log, test_log) = (device.alloc_buffer(512), device.alloc_buffer(512));
        device.nvic.vectors = Some(0);
        device.call_ok(Call::ServerLoggingInit, &[log, 512]);
        device.call_ok(Call::TestLoggingInit, &[test_log, 512]);
        let outcome = device.call_slot(call.slot(), [0; 4]);
        assert_ne!(outcome, Outcome::Status(Status::Unavailable), "{}", call.name());
    }
}

fn provoke(call: Call, error: Status) -> Option<Status> {
    provoke_and_watch(call, error).map(|(status, _)| status)
}

/// Brings a device to where the call answers the error: its status, and how many writes it made.
fn provoke_and_watch(call: Call, error: Status) -> Option<(Status, usize)> {
    let (mut device, args) = situation(call, error)?;
    device.memory.written = Some(Vec::new());
    let status = device.call(call, &args);
    let written = device.memory.written.take().expect("just put there").len();
    Some((status, written))
}

/// A device and the arguments with which the call answers the error.
fn situation(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    match call {
        Call::SetupNotifications | Call::CloseNotifications | Call::TempTriggerNotification => {
            notifications(call, error)
        }
        Call::RequestNetwork | Call::ReleaseNetwork | Call::GetNetworkStatus | Call::GetNetworkReasons => {
            network(call, error)
        }
        Call::OpenChannel => open_channel(error),
        Call::CloseChannel | Call::GetChannelClosureReason => channel(call, error),
        Call::SendConfigFetchRequest | Call::ReadConfigFetchResponseData | Call::ReadConfigResponseItem => {
            config(call, error)
        }
        Call::SendHttpRequest
        | Call::ReadHttpResponseData
        | Call::ReadHttpResponseHeader
        | Call::ReadHttpResponseBody => http(call, error),
        Call::ServerLoggingInit | Call::ServerLog => logging(call, error),
        Call::WriteChannel | Call::WriteChannelStream | Call::ReadChannel | Call::ReadChannelComplete => {
            opaque(call, error)
        }
        Call::OpenSystemNotification | Call::CloseSystemNotification => system(call, error),
        Call::SetFastInterrupt
        | Call::ClearFastInterrupt
        | Call::EnableFastInterrupt
        | Call::DisableFastInterrupt => fast(call, error),
        Call::PowerSave | Call::DeepSleep | Call::Restart | Call::SystemLedEnable => power(call, error),
        Call::SetWifiConfig | Call::GetWifiConfig => wifi(call, error),
        Call::TestingComplete | Call::TestLoggingInit | Call::TestLog => factory(call, error),
        _ if call.name().starts_with("mvExternalFlash") => flash(call, error),
        _ if call.name().starts_with("mvMqtt") => mqtt(call, error),
        _ => device(call, error),
    }
}

fn notifications(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::new();
    let mut setup = NotificationSetup { irq: 50, buffer: device.alloc(64), buffer_size: 64 };
    let mut handle = device.alloc_u32(0);
    match (call, error) {
        (Call::SetupNotifications, Status::ParameterFault) => handle = FLASH,
        (Call::SetupNotifications, Status::InvalidBufferSize) => setup.buffer_size = 16,
        (Call::SetupNotifications, Status::BufferAlreadyInUse) => {
            setup.buffer = device.open_centre(LINE, 2).buffer;
        }
        (Call::SetupNotifications, Status::InvalidInterrupt) => setup.irq = 3,
        (Call::SetupNotifications, Status::TooManyNotificationBuffers) => {
            for line in 60..92 {
                device.open_centre(line, 2);
            }
        }
        (Call::CloseNotifications, Status::ParameterFault) => return Some((device, vec![FLASH])),
        (Call::CloseNotifications, Status::InvalidHandle) => return Some((device, vec![handle])),
        (Call::TempTriggerNotification, Status::InvalidHandle) => return Some((device, vec![1, 2, 3])),
        _ => return None,
    }
    let setup = device.alloc_bytes(&setup.to_bytes());
    Some((device, vec![setup, handle]))
}

fn network(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let (mut device, setup) = TestDevice::with_network();
    let to = device.alloc_u32(0);
    let args = match (call, error) {
        (Call::RequestNetwork, Status::ParameterFault) => vec![NOWHERE, to],
        (Call::RequestNetwork, Status::UnsupportedStructureVersion) => {
            let notification_handle = setup.centre.handle;
            let params = RequestNetworkParams { version: 2, notification_handle, notification_tag: 0 };
            vec![device.alloc_bytes(&params.to_bytes()), to]
        }
        (Call::ReleaseNetwork, Status::ParameterFault) => vec![FLASH],
        (Call::ReleaseNetwork, Status::InvalidHandle) => vec![to],
        (Call::GetNetworkStatus, Status::ParameterFault) => vec![setup.network, FLASH],
        (Call::GetNetworkStatus, Status::InvalidHandle) => vec![0, to],
        (Call::GetNetworkReasons, Status::ParameterFault) => vec![to, FLASH],
        _ => return None,
    };
    Some((device, args))
}

fn open_channel(error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let (mut device, setup) = TestDevice::with_network();
    let mut params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let handle = device.alloc_u32(0);
    let repeat = |device: &mut TestDevice, count, keep: bool| {
        for _ in 0..count {
            let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
            let channel = device.open_channel(&params);
            if !keep {
                let handle = device.alloc_u32(channel);
                device.call_ok(Call::CloseChannel, &[handle]);
                device.pump();
            }
        }
    };
    match error {
        Status::ParameterFault => return Some((device, vec![0, handle])),
        Status::UnsupportedStructureVersion => params.version = 0,
        Status::InvalidHandle => params.network_handle = 0,
        Status::InvalidBufferAlignment => params.send_buffer += 4,
        Status::InvalidBufferSize => params.receive_buffer_len = 100,
        Status::BufferAlreadyInUse => params.send_buffer = params.receive_buffer,
        Status::UnknownChannelEndpoint => params.endpoint.length = 1,
        Status::UnknownChannelType => params.channel_type = 9,
        Status::NetworkNotConnected => device.lose_link(),
        Status::RateLimited => repeat(&mut device, 8, false),
        Status::TooManyChannels => repeat(&mut device, 4, true),
        Status::Unavailable => {
            // Fifteen numbers of the link wait for the cloud's half of the goodbye.
            device.connected = false;
            for _ in 0..15 {
                device.now += Duration::from_secs(1);
                let at = device.alloc_bytes(&params.to_bytes());
                device.call_ok(Call::OpenChannel, &[at, handle]);
                device.pump();
                device.call_ok(Call::CloseChannel, &[handle]);
            }
            device.now += Duration::from_secs(1);
        }
        _ => return None,
    }
    let params = device.alloc_bytes(&params.to_bytes());
    Some((device, vec![params, handle]))
}

fn channel(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let variable = device.alloc_u32(0);
    let args = match (call, error) {
        (Call::CloseChannel, Status::ParameterFault) => vec![FLASH],
        (Call::CloseChannel, Status::InvalidHandle) => vec![variable],
        (Call::GetChannelClosureReason, Status::ParameterFault) => vec![channel, FLASH],
        (Call::GetChannelClosureReason, Status::InvalidHandle) => vec![0, variable],
        _ => return None,
    };
    Some((device, args))
}

fn config(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::ConfigFetch);
    let key = |device: &mut TestDevice, length| ConfigKeyToFetch {
        scope: 0,
        store: 0,
        key: device.flash_string(&vec![b'k'; length]),
    };
    let mut keys = vec![key(&mut device, 1)];
    let mut item = ConfigResponseReadItemParams {
        item_index: 0,
        result: device.alloc_u32(0),
        buf: device.alloc_string(10),
    };
    let mut handle = channel;
    let answered = !matches!(error, Status::ResponseNotPresent | Status::ChannelClosed);
    if call == Call::SendConfigFetchRequest {
        match error {
            Status::ParameterFault => return Some((device, vec![channel, NOWHERE])),
            Status::LateFault => keys[0].key.data = NOWHERE,
            Status::InvalidHandle => handle = 0,
            Status::InvalidBufferSize => keys = (0..16).map(|_| key(&mut device, 100)).collect(),
            Status::ChannelClosed => device.lose_link(),
            Status::RequestAlreadySent => {
                let params = fetch(&mut device, &keys);
                device.call_ok(call, &[channel, params]);
            }
            Status::TooManyConfigKeys => keys = vec![keys[0]; 33],
            Status::UnknownConfigScope => keys[0].scope = 7,
            Status::UnknownConfigStore => keys[0].store = 7,
            Status::InvalidConfigKey => keys[0].key.length = 0,
            _ => return None,
        }
        let params = fetch(&mut device, &keys);
        return Some((device, vec![handle, params]));
    }
    let params = fetch(&mut device, &keys);
    device.call_ok(Call::SendConfigFetchRequest, &[channel, params]);
    device.pump();
    if answered {
        device.cloud().send_config(1, FetchResult::Ok, &[(KeyResult::Ok, b"value")], 4096);
        device.pump();
    }
    match error {
        Status::ParameterFault => return Some((device, vec![channel, NOWHERE])),
        Status::InvalidHandle => handle = 0,
        Status::ResponseNotPresent => {}
        Status::ChannelClosed => device.lose_link(),
        Status::IndexInvalid => item.item_index = 1,
        Status::LateFault => item.result = FLASH,
        Status::InvalidBufferSize => item.buf.size = 4,
        _ => return None,
    }
    let to = device.alloc_bytes(&item.to_bytes());
    Some((device, vec![handle, to]))
}

fn http(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Http);
    let mut request = HttpRequest { method: device.flash_string(b"GET"), ..HttpRequest::default() };
    let good = device.alloc_bytes(&request.to_bytes());
    let to = device.alloc(16);
    if call != Call::SendHttpRequest {
        device.call_ok(Call::SendHttpRequest, &[channel, good]);
        device.pump();
        if !matches!(error, Status::ResponseNotPresent | Status::ChannelClosed) {
            let result = u8::from(error == Status::RequestUnsuccessful) * 5;
            device.cloud().send_item(1, link::kind::to_device::HTTP_RESPONSE, &[result, 0, 0], b"", 100);
            device.pump();
        }
    }
    let read = |handle, first, to| match call {
        Call::SendHttpRequest => vec![handle, good],
        Call::ReadHttpResponseData => vec![handle, to],
        _ => vec![handle, first, to, 16],
    };
    let args = match error {
        Status::ParameterFault if call == Call::SendHttpRequest => vec![channel, NOWHERE],
        Status::ParameterFault => read(channel, 0, FLASH),
        Status::InvalidHandle => read(0, 0, to),
        Status::ResponseNotPresent | Status::RequestUnsuccessful => read(channel, 0, to),
        Status::IndexInvalid | Status::OffsetInvalid => read(channel, 1, to),
        Status::ChannelClosed => {
            device.lose_link();
            read(channel, 0, to)
        }
        Status::RequestAlreadySent => {
            device.call_ok(call, &[channel, good]);
            read(channel, 0, to)
        }
        Status::LateFault => {
            request.url = SizedString { data: NOWHERE, length: 1 };
            vec![channel, device.alloc_bytes(&request.to_bytes())]
        }
        Status::InvalidBufferSize => {
            request.body = device.flash_string(&[b'x'; 1536]);
            vec![channel, device.alloc_bytes(&request.to_bytes())]
        }
        Status::TooManyElements => {
            (request.num_headers, request.headers) = (33, device.alloc(33 * 8));
            vec![channel, device.alloc_bytes(&request.to_bytes())]
        }
        _ => return None,
    };
    Some((device, args))
}

fn fetch(device: &mut TestDevice, keys: &[ConfigKeyToFetch]) -> u32 {
    let array: Vec<u8> = keys.iter().flat_map(ConfigKeyToFetch::to_bytes).collect();
    let keys_to_fetch = device.alloc_bytes(&array);
    device.alloc_bytes(&ConfigKeyFetchParams { num_items: keys.len() as u32, keys_to_fetch }.to_bytes())
}

fn logging(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::online();
    let buffer = device.alloc_buffer(512);
    let message = device.flash_string(&[b'm'; 2000]).data;
    if call == Call::ServerLog && error != Status::Unavailable {
        device.call_ok(Call::ServerLoggingInit, &[buffer, 512]);
    }
    let args = match (call, error) {
        (Call::ServerLoggingInit, Status::ParameterFault) => vec![FLASH, 512],
        (Call::ServerLoggingInit, Status::InvalidBufferAlignment) => vec![buffer + 1, 512],
        (Call::ServerLoggingInit, Status::InvalidBufferSize) => vec![buffer, 0],
        (Call::ServerLoggingInit, Status::BufferAlreadyInUse) => {
            vec![device.open_centre(LINE, 128).buffer.next_multiple_of(512), 512]
        }
        (Call::ServerLog, Status::Unavailable) => vec![message, 1],
        (Call::ServerLog, Status::ParameterFault) => vec![NOWHERE, 1],
        (Call::ServerLog, Status::InvalidBufferSize) => vec![message, 513],
        (Call::ServerLog, Status::LogMessageTooLong) => vec![message, 1025],
        (Call::ServerLog, Status::LoggingDisabledByServer) => {
            device.cloud().link.set_logging(false);
            device.pump();
            vec![message, 1]
        }
        _ => return None,
    };
    Some((device, args))
}

fn opaque(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::OpaqueBytes);
    let (data, result) = (device.alloc(2000), device.alloc_u32(0));
    let args = |handle, data, length, result| match call {
        Call::ReadChannel => vec![handle, result, result],
        Call::ReadChannelComplete => vec![handle, 1],
        _ => vec![handle, data, length, result],
    };
    let args = match error {
        Status::InvalidHandle => args(0, data, 1, result),
        Status::ParameterFault => args(channel, NOWHERE, 1, FLASH),
        Status::LateFault => args(channel, data, 1, FLASH),
        Status::InvalidBufferSize => args(channel, data, 1537, result),
        Status::ChannelClosed => {
            device.lose_link();
            args(channel, data, 1, result)
        }
        _ => return None,
    };
    Some((device, args))
}

fn system(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::new();
    let handle = device.alloc_u32(0);
    let params = device.alloc_bytes(&OpenSystemNotificationParams::default().to_bytes());
    let args = match (call, error) {
        (_, Status::Unavailable) => {
            device.nvic.in_handler = true;
            vec![params, handle]
        }
        (Call::OpenSystemNotification, Status::ParameterFault) => vec![params, FLASH],
        (Call::OpenSystemNotification, Status::InvalidHandle) => vec![params, handle],
        (Call::CloseSystemNotification, Status::ParameterFault) => vec![FLASH],
        (Call::CloseSystemNotification, Status::InvalidHandle) => vec![handle],
        _ => return None,
    };
    Some((device, args))
}

fn fast(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::with_vectors();
    if call != Call::SetFastInterrupt {
        device.call_ok(Call::SetFastInterrupt, &[45]);
    }
    match error {
        Status::InvalidInterrupt => return Some((device, vec![27])),
        Status::InvalidVector => device.nvic.vectors = Some(0x0c00_0000),
        Status::Unavailable => device.nvic.vectors = None,
        _ => return None,
    }
    Some((device, vec![45]))
}

fn power(_call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::new();
    match error {
        Status::Unavailable => device.nvic.in_handler = true,
        Status::ParameterFault => return Some((device, vec![99])),
        Status::MicrovisorBusy => device.enter(|kernel, port| kernel.fetching_update(port, true)),
        _ => return None,
    }
    Some((device, vec![0]))
}

fn flash(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::new();
    let variable = device.alloc_u32(0);
    device.call_ok(Call::ExternalFlashOpen, &[variable]);
    let handle = device.u32(variable);
    let buffer = device.alloc(4096);
    let access = |handle, address, length, buffer| match call {
        Call::ExternalFlashGetInfo => vec![handle, buffer],
        _ => vec![handle, address, length, buffer],
    };
    let args = match (call, error) {
        (_, Status::Unavailable) => {
            device.nvic.in_handler = true;
            vec![variable, 0, 0, 0]
        }
        (Call::ExternalFlashOpen, Status::TooManyChannels) => {
            for _ in 1..32 {
                let another = device.alloc_u32(0);
                device.call_ok(call, &[another]);
            }
            vec![device.alloc_u32(0)]
        }
        (Call::ExternalFlashOpen | Call::ExternalFlashClose, Status::ParameterFault) => vec![FLASH],
        (Call::ExternalFlashClose, Status::InvalidHandle) => vec![device.alloc_u32(handle ^ 1)],
        (Call::ExternalFlashEraseBlocking, Status::ParameterFault) => return None,
        (_, Status::ParameterFault) => access(handle, 0, 4096, NOWHERE),
        (_, Status::InvalidHandle) => access(handle ^ 1, 0, 4096, buffer),
        (_, Status::AddressOutOfRange) => access(handle, u32::MAX - 4095, 4096, buffer),
        (_, Status::InvalidBufferAlignment) => access(handle, 0, 100, buffer),
        (_, Status::UnsupportedStructureVersion) => access(handle, 0, 0, device.alloc(16)),
        (_, Status::InternalError) => {
            device.board.nor().broken = true;
            access(handle, 0, 4096, buffer)
        }
        _ => return None,
    };
    Some((device, args))
}

fn wifi(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::new();
    let mut set = WifiConfig {
        version: 1,
        config_mode: 0,
        wifi_ssid: device.flash_string(b"home"),
        wifi_password: device.flash_string(b""),
    };
    let mut get = WifiConfigOut { version: 1, ssid: device.alloc_string(3), has_encryption: device.alloc(1) };
    let good = device.alloc_bytes(&set.to_bytes());
    device.call_ok(Call::SetWifiConfig, &[good]);
    match error {
        Status::ParameterFault => return Some((device, vec![NOWHERE])),
        Status::LateFault => (set.wifi_ssid.data, get.has_encryption) = (NOWHERE, FLASH),
        Status::UnsupportedStructureVersion => (set.version, get.version) = (3, 3),
        Status::InputTooLong => set.wifi_ssid.length = 33,
        Status::RequiredElementMissing => set.wifi_ssid.length = 0,
        Status::Unavailable => device.board = TestBoard::bare(),
        Status::InternalError => device.board.wifi.as_mut().expect("a board with Wi-Fi").broken = true,
        Status::InvalidBufferSize => {}
        _ => return None,
    }
    let params = if call == Call::SetWifiConfig { set.to_bytes().to_vec() } else { get.to_bytes().to_vec() };
    let params = device.alloc_bytes(&params);
    Some((device, vec![params]))
}

fn factory(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::booted(&Boot { application_test: error != Status::Unavailable, ..boot() });
    let buffer = device.alloc_buffer(512);
    let message = device.flash_string(&[b'm'; 2000]).data;
    if call == Call::TestLog && error != Status::Unavailable {
        device.call_ok(Call::TestLoggingInit, &[buffer, 512]);
    }
    let args = match (call, error) {
        (Call::TestingComplete, Status::Unavailable) => vec![0],
        (Call::TestLoggingInit, Status::Unavailable) => vec![buffer, 512],
        (Call::TestLoggingInit, Status::ParameterFault) => vec![FLASH, 512],
        (Call::TestLoggingInit, Status::InvalidBufferAlignment) => vec![buffer + 1, 512],
        (Call::TestLoggingInit, Status::InvalidBufferSize) => vec![buffer, 0],
        (Call::TestLoggingInit, Status::BufferAlreadyInUse) => {
            device.call_ok(Call::ServerLoggingInit, &[buffer, 512]);
            vec![buffer, 512]
        }
        (Call::TestLog, Status::Unavailable) => vec![message, 1],
        (Call::TestLog, Status::ParameterFault) => vec![NOWHERE, 1],
        (Call::TestLog, Status::InvalidBufferSize) => vec![message, 513],
        (Call::TestLog, Status::LogMessageTooLong) => vec![message, 1025],
        _ => return None,
    };
    Some((device, args))
}

fn device(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let mut device = TestDevice::new();
    let to = device.alloc(64);
    let args = match (call, error) {
        (Call::GetDeviceId, Status::ParameterFault) => vec![FLASH, 34],
        (Call::GetDeviceId, Status::InvalidBufferSize) => vec![to, 33],
        (Call::GetWallTime, Status::TimeNotSet) => vec![to],
        (Call::GetWallTime, Status::ParameterFault) => {
            device.connect();
            vec![FLASH]
        }
        (Call::PeriphPeek32, Status::PeripheralAccessFault) => vec![REGISTER + 1, to],
        (Call::PeriphPeek32, Status::ParameterFault) => vec![REGISTER, FLASH],
        (Call::PeriphPoke32, Status::PeripheralAccessFault) => vec![REGISTER + 4, 0, 0],
        (Call::GetWakeReason, Status::Unavailable) => {
            device.nvic.in_handler = true;
            vec![to]
        }
        (_, Status::ParameterFault) => vec![FLASH],
        _ => return None,
    };
    Some((device, args))
}

/// What the call is given when nothing is wrong; `late` makes a nested pointer bad.
fn mqtt_argument(device: &mut TestDevice, call: Call, late: bool) -> u32 {
    let string = if late { SizedString { data: NOWHERE, length: 1 } } else { device.flash_string(b"x") };
    let output = if late { FLASH } else { device.alloc_u32(0) };
    match call {
        Call::MqttRequestConnect => {
            let mut request = device.connect_params();
            request.host = string;
            device.alloc_bytes(&request.to_bytes())
        }
        Call::MqttRequestPublish => {
            let request = MqttPublishRequest { topic: string, ..MqttPublishRequest::default() };
            device.alloc_bytes(&request.to_bytes())
        }
        Call::MqttRequestSubscribe => {
            let array = MqttSubscription { topic: string, ..MqttSubscription::default() };
            let subscriptions = device.alloc_bytes(&array.to_bytes());
            let request = MqttSubscribeRequest { correlation_id: 0, subscriptions, num_subscriptions: 1 };
            device.alloc_bytes(&request.to_bytes())
        }
        Call::MqttRequestUnsubscribe => {
            let topics = device.alloc_bytes(&string.to_bytes());
            device
                .alloc_bytes(&MqttUnsubscribeRequest { correlation_id: 0, topics, num_topics: 1 }.to_bytes())
        }
        Call::MqttReadSubscribeResponse | Call::MqttReadUnsubscribeResponse => {
            let response = MqttSubscribeResponse { correlation_id: output, ..device.codes_params(8) };
            device.alloc_bytes(&response.to_bytes())
        }
        Call::MqttReceiveMessage => {
            let message = MqttMessage { qos: output, ..device.message_params(9, 9) };
            device.alloc_bytes(&message.to_bytes())
        }
        Call::MqttReceiveLostMessageInfo => {
            let info = MqttLostMessageInfo {
                reason: output,
                topic: device.alloc_string(9),
                message_len: device.alloc_u32(0),
            };
            device.alloc_bytes(&info.to_bytes())
        }
        _ => device.alloc(16),
    }
}

fn mqtt(call: Call, error: Status) -> Option<(TestDevice, Vec<u32>)> {
    let connect = call == Call::MqttRequestConnect;
    let (mut device, _, channel) =
        if connect { TestDevice::with_channel(ChannelType::Mqtt) } else { TestDevice::with_broker() };
    let argument = mqtt_argument(&mut device, call, false);
    let args = match error {
        Status::ParameterFault => vec![channel, NOWHERE],
        Status::LateFault if IMPOSSIBLE.iter().any(|row| (row.0, row.1) == (call, error)) => return None,
        Status::LateFault => vec![channel, mqtt_argument(&mut device, call, true)],
        Status::InvalidHandle => vec![0, argument],
        Status::ChannelClosed => {
            device.lose_link();
            vec![channel, argument]
        }
        Status::ResponseNotPresent => vec![channel, argument],
        Status::WrongDataRequested => {
            device.cloud().send_lost(1, 1, b"");
            device.pump();
            vec![channel, argument]
        }
        Status::RateLimited => {
            while device.call(call, &[channel, argument]) == Status::Okay {}
            vec![channel, argument]
        }
        Status::RequestAlreadySent => {
            device.call_ok(call, &[channel, argument]);
            vec![channel, argument]
        }
        Status::TooManyElements if connect => {
            let mut request = device.connect_params();
            let array = device.alloc(9 * 8);
            device.memory.set(array, &[0; 72]);
            let credentials = [9, array, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
            request.tls_credentials = device.alloc_bytes(&credentials);
            vec![channel, device.alloc_bytes(&request.to_bytes())]
        }
        Status::TooManyElements => {
            let array = device.alloc(9 * 24);
            vec![channel, device.alloc_bytes(&[0, array, 9].map(u32::to_le_bytes).concat())]
        }
        Status::InvalidAuthentication => {
            let mut request = device.connect_params();
            request.authentication.method = 1;
            request.authentication.username_password.password = device.flash_string(b"p");
            let key = device.flash_string(b"key");
            let credentials = [0, 0, 0, 0, key.data, key.length].map(u32::to_le_bytes).concat();
            request.tls_credentials = device.alloc_bytes(&credentials);
            vec![channel, device.alloc_bytes(&request.to_bytes())]
        }
        Status::RequiredElementMissing => {
            let mut request = device.connect_params();
            request.host = SizedString::default();
            vec![channel, device.alloc_bytes(&request.to_bytes())]
        }
        Status::InvalidBufferSize => return too_small(device, channel, call),
        _ => return None,
    };
    Some((device, args))
}

/// A request larger than the ring, or an output too small for the item.
fn too_small(mut device: TestDevice, channel: u32, call: Call) -> Option<(TestDevice, Vec<u32>)> {
    let long = device.flash_string(&[b'x'; 1600]);
    let argument = match call {
        Call::MqttRequestConnect => {
            let mut request = device.connect_params();
            request.host = long;
            device.alloc_bytes(&request.to_bytes())
        }
        Call::MqttRequestPublish => {
            let request = MqttPublishRequest { payload: long, ..MqttPublishRequest::default() };
            device.alloc_bytes(&request.to_bytes())
        }
        Call::MqttRequestSubscribe => {
            let array = MqttSubscription { topic: long, ..MqttSubscription::default() };
            let array = device.alloc_bytes(&array.to_bytes());
            device.alloc_bytes(&[0, array, 1].map(u32::to_le_bytes).concat())
        }
        Call::MqttRequestUnsubscribe => {
            let array = device.alloc_bytes(&long.to_bytes());
            device.alloc_bytes(&[0, array, 1].map(u32::to_le_bytes).concat())
        }
        Call::MqttReadSubscribeResponse => {
            device.subscribe(channel, 1, &[(b"f", 0)]);
            device.cloud().answer_subscribe(1, &[0]);
            let response = device.codes_params(0);
            device.alloc_bytes(&response.to_bytes())
        }
        Call::MqttReadUnsubscribeResponse => {
            device.unsubscribe(channel, 1, &[b"f"]);
            device.cloud().answer_unsubscribe(1, &[0]);
            let response = device.codes_params(0);
            device.alloc_bytes(&response.to_bytes())
        }
        Call::MqttReceiveMessage => {
            device.cloud().send_message(1, None, false, b"topic", b"payload");
            let message = device.message_params(9, 6);
            device.alloc_bytes(&message.to_bytes())
        }
        Call::MqttReceiveLostMessageInfo => {
            device.cloud().send_lost(1, 1, b"a long topic");
            mqtt_argument(&mut device, call, false)
        }
        _ => return None,
    };
    device.pump();
    Some((device, vec![channel, argument]))
}
