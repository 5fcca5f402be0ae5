//! The table of calls and statuses: every error the interface documents is provoked here, or there stands why it cannot
//! be.

mod common;

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
use common::board::Board;
use common::{LINE, Machine, REGISTER, boot};
use kernel::{Boot, Outcome};
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
fn every_documented_error_is_provoked_or_says_why_it_cannot_come() {
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
fn undocumented_errors_come_where_the_decisions_put_them() {
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
        let mut machine = Machine::booted(&Boot { application_test: true, ..boot() });
        let (log, test_log) = (machine.buffer(512), machine.buffer(512));
        machine.nvic.vectors = Some(0);
        machine.ok(Call::ServerLoggingInit, &[log, 512]);
        machine.ok(Call::TestLoggingInit, &[test_log, 512]);
        let outcome = machine.branch(call.slot(), [0; 4]);
        assert_ne!(outcome, Outcome::Status(Status::Unavailable), "{}", call.name());
    }
}

fn provoke(call: Call, error: Status) -> Option<Status> {
    provoke_and_watch(call, error).map(|(status, _)| status)
}

/// Brings a device to where the call answers the error: its status, and how many writes it made.
fn provoke_and_watch(call: Call, error: Status) -> Option<(Status, usize)> {
    let (mut machine, args) = situation(call, error)?;
    machine.memory.written = Some(Vec::new());
    let status = machine.call(call, &args);
    let written = machine.memory.written.take().expect("just put there").len();
    Some((status, written))
}

/// A device and the arguments with which the call answers the error.
fn situation(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
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

fn notifications(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::new();
    let mut setup = NotificationSetup { irq: 50, buffer: machine.room(64), buffer_size: 64 };
    let mut handle = machine.variable(0);
    match (call, error) {
        (Call::SetupNotifications, Status::ParameterFault) => handle = FLASH,
        (Call::SetupNotifications, Status::InvalidBufferSize) => setup.buffer_size = 16,
        (Call::SetupNotifications, Status::BufferAlreadyInUse) => {
            setup.buffer = machine.centre(LINE, 2).buffer;
        }
        (Call::SetupNotifications, Status::InvalidInterrupt) => setup.irq = 3,
        (Call::SetupNotifications, Status::TooManyNotificationBuffers) => {
            for line in 60..92 {
                machine.centre(line, 2);
            }
        }
        (Call::CloseNotifications, Status::ParameterFault) => return Some((machine, vec![FLASH])),
        (Call::CloseNotifications, Status::InvalidHandle) => return Some((machine, vec![handle])),
        (Call::TempTriggerNotification, Status::InvalidHandle) => return Some((machine, vec![1, 2, 3])),
        _ => return None,
    }
    let setup = machine.put(&setup.to_bytes());
    Some((machine, vec![setup, handle]))
}

fn network(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let (mut machine, setup) = Machine::ready();
    let to = machine.variable(0);
    let args = match (call, error) {
        (Call::RequestNetwork, Status::ParameterFault) => vec![NOWHERE, to],
        (Call::RequestNetwork, Status::UnsupportedStructureVersion) => {
            let notification_handle = setup.centre.handle;
            let params = RequestNetworkParams { version: 2, notification_handle, notification_tag: 0 };
            vec![machine.put(&params.to_bytes()), to]
        }
        (Call::ReleaseNetwork, Status::ParameterFault) => vec![FLASH],
        (Call::ReleaseNetwork, Status::InvalidHandle) => vec![to],
        (Call::GetNetworkStatus, Status::ParameterFault) => vec![setup.network, FLASH],
        (Call::GetNetworkStatus, Status::InvalidHandle) => vec![0, to],
        (Call::GetNetworkReasons, Status::ParameterFault) => vec![to, FLASH],
        _ => return None,
    };
    Some((machine, args))
}

fn open_channel(error: Status) -> Option<(Machine, Vec<u32>)> {
    let (mut machine, setup) = Machine::ready();
    let mut params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    let handle = machine.variable(0);
    let repeat = |machine: &mut Machine, count, keep: bool| {
        for _ in 0..count {
            let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
            let channel = machine.open(&params);
            if !keep {
                let handle = machine.variable(channel);
                machine.ok(Call::CloseChannel, &[handle]);
                machine.pump();
            }
        }
    };
    match error {
        Status::ParameterFault => return Some((machine, vec![0, handle])),
        Status::UnsupportedStructureVersion => params.version = 0,
        Status::InvalidHandle => params.network_handle = 0,
        Status::InvalidBufferAlignment => params.send_buffer += 4,
        Status::InvalidBufferSize => params.receive_buffer_len = 100,
        Status::BufferAlreadyInUse => params.send_buffer = params.receive_buffer,
        Status::UnknownChannelEndpoint => params.endpoint.length = 1,
        Status::UnknownChannelType => params.channel_type = 9,
        Status::NetworkNotConnected => machine.cut(),
        Status::RateLimited => repeat(&mut machine, 8, false),
        Status::TooManyChannels => repeat(&mut machine, 4, true),
        Status::Unavailable => {
            // Fifteen numbers of the link wait for the cloud's half of the goodbye.
            machine.connected = false;
            for _ in 0..15 {
                machine.now += Duration::from_secs(1);
                let at = machine.put(&params.to_bytes());
                machine.ok(Call::OpenChannel, &[at, handle]);
                machine.pump();
                machine.ok(Call::CloseChannel, &[handle]);
            }
            machine.now += Duration::from_secs(1);
        }
        _ => return None,
    }
    let params = machine.put(&params.to_bytes());
    Some((machine, vec![params, handle]))
}

fn channel(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Mqtt);
    let variable = machine.variable(0);
    let args = match (call, error) {
        (Call::CloseChannel, Status::ParameterFault) => vec![FLASH],
        (Call::CloseChannel, Status::InvalidHandle) => vec![variable],
        (Call::GetChannelClosureReason, Status::ParameterFault) => vec![channel, FLASH],
        (Call::GetChannelClosureReason, Status::InvalidHandle) => vec![0, variable],
        _ => return None,
    };
    Some((machine, args))
}

fn config(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::ConfigFetch);
    let key = |machine: &mut Machine, length| ConfigKeyToFetch {
        scope: 0,
        store: 0,
        key: machine.string(&vec![b'k'; length]),
    };
    let mut keys = vec![key(&mut machine, 1)];
    let mut item = ConfigResponseReadItemParams {
        item_index: 0,
        result: machine.variable(0),
        buf: machine.string_room(10),
    };
    let mut handle = channel;
    let answered = !matches!(error, Status::ResponseNotPresent | Status::ChannelClosed);
    if call == Call::SendConfigFetchRequest {
        match error {
            Status::ParameterFault => return Some((machine, vec![channel, NOWHERE])),
            Status::LateFault => keys[0].key.data = NOWHERE,
            Status::InvalidHandle => handle = 0,
            Status::InvalidBufferSize => keys = (0..16).map(|_| key(&mut machine, 100)).collect(),
            Status::ChannelClosed => machine.cut(),
            Status::RequestAlreadySent => {
                let params = fetch(&mut machine, &keys);
                machine.ok(call, &[channel, params]);
            }
            Status::TooManyConfigKeys => keys = vec![keys[0]; 33],
            Status::UnknownConfigScope => keys[0].scope = 7,
            Status::UnknownConfigStore => keys[0].store = 7,
            Status::InvalidConfigKey => keys[0].key.length = 0,
            _ => return None,
        }
        let params = fetch(&mut machine, &keys);
        return Some((machine, vec![handle, params]));
    }
    let params = fetch(&mut machine, &keys);
    machine.ok(Call::SendConfigFetchRequest, &[channel, params]);
    machine.pump();
    if answered {
        machine.cloud().config(1, FetchResult::Ok, &[(KeyResult::Ok, b"value")], 4096);
        machine.pump();
    }
    match error {
        Status::ParameterFault => return Some((machine, vec![channel, NOWHERE])),
        Status::InvalidHandle => handle = 0,
        Status::ResponseNotPresent => {}
        Status::ChannelClosed => machine.cut(),
        Status::IndexInvalid => item.item_index = 1,
        Status::LateFault => item.result = FLASH,
        Status::InvalidBufferSize => item.buf.size = 4,
        _ => return None,
    }
    let to = machine.put(&item.to_bytes());
    Some((machine, vec![handle, to]))
}

fn http(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Http);
    let mut request = HttpRequest { method: machine.string(b"GET"), ..HttpRequest::default() };
    let good = machine.put(&request.to_bytes());
    let to = machine.room(16);
    if call != Call::SendHttpRequest {
        machine.ok(Call::SendHttpRequest, &[channel, good]);
        machine.pump();
        if !matches!(error, Status::ResponseNotPresent | Status::ChannelClosed) {
            let result = u8::from(error == Status::RequestUnsuccessful) * 5;
            machine.cloud().item(1, link::kind::to_device::HTTP_RESPONSE, &[result, 0, 0], b"", 100);
            machine.pump();
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
            machine.cut();
            read(channel, 0, to)
        }
        Status::RequestAlreadySent => {
            machine.ok(call, &[channel, good]);
            read(channel, 0, to)
        }
        Status::LateFault => {
            request.url = SizedString { data: NOWHERE, length: 1 };
            vec![channel, machine.put(&request.to_bytes())]
        }
        Status::InvalidBufferSize => {
            request.body = machine.string(&[b'x'; 1536]);
            vec![channel, machine.put(&request.to_bytes())]
        }
        Status::TooManyElements => {
            (request.num_headers, request.headers) = (33, machine.room(33 * 8));
            vec![channel, machine.put(&request.to_bytes())]
        }
        _ => return None,
    };
    Some((machine, args))
}

fn fetch(machine: &mut Machine, keys: &[ConfigKeyToFetch]) -> u32 {
    let array: Vec<u8> = keys.iter().flat_map(ConfigKeyToFetch::to_bytes).collect();
    let keys_to_fetch = machine.put(&array);
    machine.put(&ConfigKeyFetchParams { num_items: keys.len() as u32, keys_to_fetch }.to_bytes())
}

fn logging(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::online();
    let buffer = machine.buffer(512);
    let message = machine.string(&[b'm'; 2000]).data;
    if call == Call::ServerLog && error != Status::Unavailable {
        machine.ok(Call::ServerLoggingInit, &[buffer, 512]);
    }
    let args = match (call, error) {
        (Call::ServerLoggingInit, Status::ParameterFault) => vec![FLASH, 512],
        (Call::ServerLoggingInit, Status::InvalidBufferAlignment) => vec![buffer + 1, 512],
        (Call::ServerLoggingInit, Status::InvalidBufferSize) => vec![buffer, 0],
        (Call::ServerLoggingInit, Status::BufferAlreadyInUse) => {
            vec![machine.centre(LINE, 128).buffer.next_multiple_of(512), 512]
        }
        (Call::ServerLog, Status::Unavailable) => vec![message, 1],
        (Call::ServerLog, Status::ParameterFault) => vec![NOWHERE, 1],
        (Call::ServerLog, Status::InvalidBufferSize) => vec![message, 513],
        (Call::ServerLog, Status::LogMessageTooLong) => vec![message, 1025],
        (Call::ServerLog, Status::LoggingDisabledByServer) => {
            machine.cloud().link.set_logging(false);
            machine.pump();
            vec![message, 1]
        }
        _ => return None,
    };
    Some((machine, args))
}

fn opaque(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::OpaqueBytes);
    let (data, result) = (machine.room(2000), machine.variable(0));
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
            machine.cut();
            args(channel, data, 1, result)
        }
        _ => return None,
    };
    Some((machine, args))
}

fn system(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::new();
    let handle = machine.variable(0);
    let params = machine.put(&OpenSystemNotificationParams::default().to_bytes());
    let args = match (call, error) {
        (_, Status::Unavailable) => {
            machine.nvic.in_handler = true;
            vec![params, handle]
        }
        (Call::OpenSystemNotification, Status::ParameterFault) => vec![params, FLASH],
        (Call::OpenSystemNotification, Status::InvalidHandle) => vec![params, handle],
        (Call::CloseSystemNotification, Status::ParameterFault) => vec![FLASH],
        (Call::CloseSystemNotification, Status::InvalidHandle) => vec![handle],
        _ => return None,
    };
    Some((machine, args))
}

fn fast(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::with_vectors();
    if call != Call::SetFastInterrupt {
        machine.ok(Call::SetFastInterrupt, &[45]);
    }
    match error {
        Status::InvalidInterrupt => return Some((machine, vec![27])),
        Status::InvalidVector => machine.nvic.vectors = Some(0x0c00_0000),
        Status::Unavailable => machine.nvic.vectors = None,
        _ => return None,
    }
    Some((machine, vec![45]))
}

fn power(_call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::new();
    match error {
        Status::Unavailable => machine.nvic.in_handler = true,
        Status::ParameterFault => return Some((machine, vec![99])),
        Status::MicrovisorBusy => machine.enter(|kernel, port| kernel.fetching_update(port, true)),
        _ => return None,
    }
    Some((machine, vec![0]))
}

fn flash(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::new();
    let variable = machine.variable(0);
    machine.ok(Call::ExternalFlashOpen, &[variable]);
    let handle = machine.u32(variable);
    let buffer = machine.room(4096);
    let access = |handle, address, length, buffer| match call {
        Call::ExternalFlashGetInfo => vec![handle, buffer],
        _ => vec![handle, address, length, buffer],
    };
    let args = match (call, error) {
        (_, Status::Unavailable) => {
            machine.nvic.in_handler = true;
            vec![variable, 0, 0, 0]
        }
        (Call::ExternalFlashOpen, Status::TooManyChannels) => {
            for _ in 1..32 {
                let another = machine.variable(0);
                machine.ok(call, &[another]);
            }
            vec![machine.variable(0)]
        }
        (Call::ExternalFlashOpen | Call::ExternalFlashClose, Status::ParameterFault) => vec![FLASH],
        (Call::ExternalFlashClose, Status::InvalidHandle) => vec![machine.variable(handle ^ 1)],
        (Call::ExternalFlashEraseBlocking, Status::ParameterFault) => return None,
        (_, Status::ParameterFault) => access(handle, 0, 4096, NOWHERE),
        (_, Status::InvalidHandle) => access(handle ^ 1, 0, 4096, buffer),
        (_, Status::AddressOutOfRange) => access(handle, u32::MAX - 4095, 4096, buffer),
        (_, Status::InvalidBufferAlignment) => access(handle, 0, 100, buffer),
        (_, Status::UnsupportedStructureVersion) => access(handle, 0, 0, machine.room(16)),
        (_, Status::InternalError) => {
            machine.board.nor().broken = true;
            access(handle, 0, 4096, buffer)
        }
        _ => return None,
    };
    Some((machine, args))
}

fn wifi(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::new();
    let mut set = WifiConfig {
        version: 1,
        config_mode: 0,
        wifi_ssid: machine.string(b"home"),
        wifi_password: machine.string(b""),
    };
    let mut get = WifiConfigOut { version: 1, ssid: machine.string_room(3), has_encryption: machine.room(1) };
    let good = machine.put(&set.to_bytes());
    machine.ok(Call::SetWifiConfig, &[good]);
    match error {
        Status::ParameterFault => return Some((machine, vec![NOWHERE])),
        Status::LateFault => (set.wifi_ssid.data, get.has_encryption) = (NOWHERE, FLASH),
        Status::UnsupportedStructureVersion => (set.version, get.version) = (3, 3),
        Status::InputTooLong => set.wifi_ssid.length = 33,
        Status::RequiredElementMissing => set.wifi_ssid.length = 0,
        Status::Unavailable => machine.board = Board::bare(),
        Status::InternalError => machine.board.wifi.as_mut().expect("a board with Wi-Fi").broken = true,
        Status::InvalidBufferSize => {}
        _ => return None,
    }
    let params = if call == Call::SetWifiConfig { set.to_bytes().to_vec() } else { get.to_bytes().to_vec() };
    let params = machine.put(&params);
    Some((machine, vec![params]))
}

fn factory(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::booted(&Boot { application_test: error != Status::Unavailable, ..boot() });
    let buffer = machine.buffer(512);
    let message = machine.string(&[b'm'; 2000]).data;
    if call == Call::TestLog && error != Status::Unavailable {
        machine.ok(Call::TestLoggingInit, &[buffer, 512]);
    }
    let args = match (call, error) {
        (Call::TestingComplete, Status::Unavailable) => vec![0],
        (Call::TestLoggingInit, Status::Unavailable) => vec![buffer, 512],
        (Call::TestLoggingInit, Status::ParameterFault) => vec![FLASH, 512],
        (Call::TestLoggingInit, Status::InvalidBufferAlignment) => vec![buffer + 1, 512],
        (Call::TestLoggingInit, Status::InvalidBufferSize) => vec![buffer, 0],
        (Call::TestLoggingInit, Status::BufferAlreadyInUse) => {
            machine.ok(Call::ServerLoggingInit, &[buffer, 512]);
            vec![buffer, 512]
        }
        (Call::TestLog, Status::Unavailable) => vec![message, 1],
        (Call::TestLog, Status::ParameterFault) => vec![NOWHERE, 1],
        (Call::TestLog, Status::InvalidBufferSize) => vec![message, 513],
        (Call::TestLog, Status::LogMessageTooLong) => vec![message, 1025],
        _ => return None,
    };
    Some((machine, args))
}

fn device(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::new();
    let to = machine.room(64);
    let args = match (call, error) {
        (Call::GetDeviceId, Status::ParameterFault) => vec![FLASH, 34],
        (Call::GetDeviceId, Status::InvalidBufferSize) => vec![to, 33],
        (Call::GetWallTime, Status::TimeNotSet) => vec![to],
        (Call::GetWallTime, Status::ParameterFault) => {
            machine.connect();
            vec![FLASH]
        }
        (Call::PeriphPeek32, Status::PeripheralAccessFault) => vec![REGISTER + 1, to],
        (Call::PeriphPeek32, Status::ParameterFault) => vec![REGISTER, FLASH],
        (Call::PeriphPoke32, Status::PeripheralAccessFault) => vec![REGISTER + 4, 0, 0],
        (Call::GetWakeReason, Status::Unavailable) => {
            machine.nvic.in_handler = true;
            vec![to]
        }
        (_, Status::ParameterFault) => vec![FLASH],
        _ => return None,
    };
    Some((machine, args))
}

/// What the call is given when nothing is wrong; `late` makes a nested pointer bad.
fn mqtt_argument(machine: &mut Machine, call: Call, late: bool) -> u32 {
    let string = if late { SizedString { data: NOWHERE, length: 1 } } else { machine.string(b"x") };
    let output = if late { FLASH } else { machine.variable(0) };
    match call {
        Call::MqttRequestConnect => {
            let mut request = machine.connect_request();
            request.host = string;
            machine.put(&request.to_bytes())
        }
        Call::MqttRequestPublish => {
            let request = MqttPublishRequest { topic: string, ..MqttPublishRequest::default() };
            machine.put(&request.to_bytes())
        }
        Call::MqttRequestSubscribe => {
            let array = MqttSubscription { topic: string, ..MqttSubscription::default() };
            let subscriptions = machine.put(&array.to_bytes());
            let request = MqttSubscribeRequest { correlation_id: 0, subscriptions, num_subscriptions: 1 };
            machine.put(&request.to_bytes())
        }
        Call::MqttRequestUnsubscribe => {
            let topics = machine.put(&string.to_bytes());
            machine.put(&MqttUnsubscribeRequest { correlation_id: 0, topics, num_topics: 1 }.to_bytes())
        }
        Call::MqttReadSubscribeResponse | Call::MqttReadUnsubscribeResponse => {
            let response = MqttSubscribeResponse { correlation_id: output, ..machine.codes_response(8) };
            machine.put(&response.to_bytes())
        }
        Call::MqttReceiveMessage => {
            let message = MqttMessage { qos: output, ..machine.message_outputs(9, 9) };
            machine.put(&message.to_bytes())
        }
        Call::MqttReceiveLostMessageInfo => {
            let info = MqttLostMessageInfo {
                reason: output,
                topic: machine.string_room(9),
                message_len: machine.variable(0),
            };
            machine.put(&info.to_bytes())
        }
        _ => machine.room(16),
    }
}

fn mqtt(call: Call, error: Status) -> Option<(Machine, Vec<u32>)> {
    let connect = call == Call::MqttRequestConnect;
    let (mut machine, _, channel) =
        if connect { Machine::with_channel(ChannelType::Mqtt) } else { Machine::with_broker() };
    let argument = mqtt_argument(&mut machine, call, false);
    let args = match error {
        Status::ParameterFault => vec![channel, NOWHERE],
        Status::LateFault if IMPOSSIBLE.iter().any(|row| (row.0, row.1) == (call, error)) => return None,
        Status::LateFault => vec![channel, mqtt_argument(&mut machine, call, true)],
        Status::InvalidHandle => vec![0, argument],
        Status::ChannelClosed => {
            machine.cut();
            vec![channel, argument]
        }
        Status::ResponseNotPresent => vec![channel, argument],
        Status::WrongDataRequested => {
            machine.cloud().lost(1, 1, b"");
            machine.pump();
            vec![channel, argument]
        }
        Status::RateLimited => {
            while machine.call(call, &[channel, argument]) == Status::Okay {}
            vec![channel, argument]
        }
        Status::RequestAlreadySent => {
            machine.ok(call, &[channel, argument]);
            vec![channel, argument]
        }
        Status::TooManyElements if connect => {
            let mut request = machine.connect_request();
            let array = machine.room(9 * 8);
            machine.memory.set(array, &[0; 72]);
            let credentials = [9, array, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
            request.tls_credentials = machine.put(&credentials);
            vec![channel, machine.put(&request.to_bytes())]
        }
        Status::TooManyElements => {
            let array = machine.room(9 * 24);
            vec![channel, machine.put(&[0, array, 9].map(u32::to_le_bytes).concat())]
        }
        Status::InvalidAuthentication => {
            let mut request = machine.connect_request();
            request.authentication.method = 1;
            request.authentication.username_password.password = machine.string(b"p");
            let key = machine.string(b"key");
            let credentials = [0, 0, 0, 0, key.data, key.length].map(u32::to_le_bytes).concat();
            request.tls_credentials = machine.put(&credentials);
            vec![channel, machine.put(&request.to_bytes())]
        }
        Status::RequiredElementMissing => {
            let mut request = machine.connect_request();
            request.host = SizedString::default();
            vec![channel, machine.put(&request.to_bytes())]
        }
        Status::InvalidBufferSize => return too_small(machine, channel, call),
        _ => return None,
    };
    Some((machine, args))
}

/// A request larger than the ring, or an output too small for the item.
fn too_small(mut machine: Machine, channel: u32, call: Call) -> Option<(Machine, Vec<u32>)> {
    let long = machine.string(&[b'x'; 1600]);
    let argument = match call {
        Call::MqttRequestConnect => {
            let mut request = machine.connect_request();
            request.host = long;
            machine.put(&request.to_bytes())
        }
        Call::MqttRequestPublish => {
            let request = MqttPublishRequest { payload: long, ..MqttPublishRequest::default() };
            machine.put(&request.to_bytes())
        }
        Call::MqttRequestSubscribe => {
            let array = MqttSubscription { topic: long, ..MqttSubscription::default() };
            let array = machine.put(&array.to_bytes());
            machine.put(&[0, array, 1].map(u32::to_le_bytes).concat())
        }
        Call::MqttRequestUnsubscribe => {
            let array = machine.put(&long.to_bytes());
            machine.put(&[0, array, 1].map(u32::to_le_bytes).concat())
        }
        Call::MqttReadSubscribeResponse => {
            machine.subscribe(channel, 1, &[(b"f", 0)]);
            machine.cloud().subscribed(1, &[0]);
            let response = machine.codes_response(0);
            machine.put(&response.to_bytes())
        }
        Call::MqttReadUnsubscribeResponse => {
            machine.unsubscribe(channel, 1, &[b"f"]);
            machine.cloud().unsubscribed(1, &[0]);
            let response = machine.codes_response(0);
            machine.put(&response.to_bytes())
        }
        Call::MqttReceiveMessage => {
            machine.cloud().message(1, None, false, b"topic", b"payload");
            let message = machine.message_outputs(9, 6);
            machine.put(&message.to_bytes())
        }
        Call::MqttReceiveLostMessageInfo => {
            machine.cloud().lost(1, 1, b"a long topic");
            mqtt_argument(&mut machine, call, false)
        }
        _ => return None,
    };
    machine.pump();
    Some((machine, vec![channel, argument]))
}
