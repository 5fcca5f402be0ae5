//! What a correct application would pass: one structure for each call that takes one, each at a fixed address.

use abi::Call;
use abi::channel::OpenChannelParams;
use abi::config::{ConfigKeyFetchParams, ConfigKeyToFetch, ConfigResponseReadItemParams};
use abi::http::{HttpHeader, HttpRequest};
use abi::memory::APPLICATION_RAM_START;
use abi::mqtt::{
    MqttConnectRequest, MqttLostMessageInfo, MqttMessage, MqttPublishRequest, MqttSubscribeRequest,
    MqttSubscribeResponse, MqttSubscription, MqttUnsubscribeRequest, MqttWill, TlsCredentials,
};
use abi::network::RequestNetworkParams;
use abi::notifications::{NotificationSetup, OpenSystemNotificationParams};
use abi::strings::{SizedString, SizedStringBuffer};
use abi::wifi::{WifiConfig, WifiConfigOut};

/// Bytes of RAM that exist.
pub(super) const RAM: usize = 0x4000;
/// Memory for results.
pub(super) const OUT: u32 = APPLICATION_RAM_START + 0x3000;
/// Where the latest handles are: notifications, network, channel, external flash, system notification.
pub(super) const HANDLES: u32 = APPLICATION_RAM_START + 0x3800;
/// Buffers for the kernel, one after another, 512 bytes each.
const BUFFERS: u32 = APPLICATION_RAM_START + 0x1000;
const TEXT: u32 = APPLICATION_RAM_START + 0xc00;

const TOPIC: SizedString = SizedString { data: TEXT, length: 7 };
const PAYLOAD: SizedString = SizedString { data: TEXT + 0x20, length: 40 };
const ROOM: SizedStringBuffer = SizedStringBuffer { data: OUT + 0x100, size: 0x200, length: OUT + 0x20 };

/// An address and the bytes that belong there.
pub(super) struct Part(pub u32, pub Vec<u8>);

/// Handles as an application has them: of notifications, a network, a channel, the external flash.
pub(super) type Handles = [u32; 4];

fn at(index: u32) -> u32 {
    APPLICATION_RAM_START + index * 0x80
}

/// What is in memory all the time.
pub(super) fn texts() -> Vec<Part> {
    let key = ConfigKeyToFetch { scope: 0, store: 1, key: TOPIC };
    let filter = MqttSubscription { topic: TOPIC, desired_qos: 1, ..MqttSubscription::default() };
    let will = MqttWill { topic: TOPIC, payload: PAYLOAD, qos: 1, retain: 0 };
    let mut tls = TlsCredentials::default();
    (tls.cacert.num_certs, tls.cacert.certs) = (1, at(16));
    vec![
        Part(TEXT, b"a/topic/and some more text, which is the payload as well as all others".to_vec()),
        Part(at(16), [TOPIC, PAYLOAD].iter().flat_map(SizedString::to_bytes).collect()),
        Part(at(17), key.to_bytes().repeat(2)),
        Part(at(18), filter.to_bytes().repeat(2)),
        Part(at(19), will.to_bytes().to_vec()),
        Part(at(20), tls.to_bytes().to_vec()),
        Part(at(21), HttpHeader { length: 7, data: TEXT }.to_bytes().repeat(2)),
    ]
}

/// The arguments of a call, and the structure it needs.
#[allow(clippy::too_many_lines, reason = "a table: a few lines a call")]
pub(super) fn arguments(call: Call, handles: Handles, variant: u8) -> ([u32; 4], Option<Part>) {
    let [centre, network, channel, flash] = handles;
    let small = u32::from(variant % 4);
    let with = |address: u32, bytes: &[u8]| Some(Part(address, bytes.to_vec()));
    match call {
        Call::SetupNotifications => {
            let buffer = BUFFERS + small * 0x200;
            let setup = NotificationSetup { irq: 40 + small, buffer, buffer_size: 64 };
            ([at(0), HANDLES, 0, 0], with(at(0), &setup.to_bytes()))
        }
        Call::RequestNetwork => {
            let params =
                RequestNetworkParams { version: 1, notification_handle: centre, notification_tag: 5 };
            ([at(1), HANDLES + 4, 0, 0], with(at(1), &params.to_bytes()))
        }
        Call::OpenChannel => {
            let receive_buffer = BUFFERS + 0x800 + small * 0x400;
            let params = OpenChannelParams {
                version: 1,
                notification_handle: centre,
                notification_tag: 6,
                network_handle: network,
                receive_buffer,
                receive_buffer_len: 0x200,
                send_buffer: receive_buffer + 0x200,
                send_buffer_len: 0x200,
                channel_type: u32::from(variant >> 4) % 4,
                endpoint: SizedString::default(),
            };
            ([at(2), HANDLES + 8, 0, 0], with(at(2), &params.to_bytes()))
        }
        Call::CloseNotifications => ([HANDLES, 0, 0, 0], None),
        Call::ReleaseNetwork => ([HANDLES + 4, 0, 0, 0], None),
        Call::CloseChannel => ([HANDLES + 8, 0, 0, 0], None),
        Call::TempTriggerNotification => ([centre, small, 9, 0], None),
        Call::GetNetworkStatus => ([network, OUT, 0, 0], None),
        Call::GetNetworkReasons => ([OUT, OUT + 4, 0, 0], None),
        Call::ServerLoggingInit => ([BUFFERS + 0x1800, 0x200, 0, 0], None),
        Call::ServerLog => ([TEXT, u32::from(variant), 0, 0], None),
        Call::GetDeviceId => ([OUT, 34, 0, 0], None),
        Call::SendHttpRequest => {
            let request = HttpRequest {
                method: TOPIC,
                url: PAYLOAD,
                num_headers: small,
                headers: at(21),
                body: PAYLOAD,
                timeout_ms: 9000,
            };
            ([channel, at(3), 0, 0], with(at(3), &request.to_bytes()))
        }
        Call::ReadHttpResponseHeader | Call::ReadHttpResponseBody => ([channel, small, OUT, 100], None),
        Call::SendConfigFetchRequest => {
            let params = ConfigKeyFetchParams { num_items: small, keys_to_fetch: at(17) };
            ([channel, at(4), 0, 0], with(at(4), &params.to_bytes()))
        }
        Call::ReadConfigResponseItem => {
            let params = ConfigResponseReadItemParams { item_index: small, result: OUT, buf: ROOM };
            ([channel, at(5), 0, 0], with(at(5), &params.to_bytes()))
        }
        Call::MqttRequestConnect => {
            let request = MqttConnectRequest {
                protocol_version: u32::from(variant & 1),
                host: TOPIC,
                port: 1883,
                clientid: TOPIC,
                keepalive: 60,
                clean_start: 1,
                will: if variant & 2 == 0 { 0 } else { at(19) },
                tls_credentials: if variant & 4 == 0 { 0 } else { at(20) },
                ..MqttConnectRequest::default()
            };
            ([channel, at(6), 0, 0], with(at(6), &request.to_bytes()))
        }
        Call::MqttRequestPublish => {
            let payload = SizedString { length: u32::from(variant), ..PAYLOAD };
            let request = MqttPublishRequest {
                correlation_id: 4,
                topic: TOPIC,
                payload,
                desired_qos: small % 2,
                retain: 0,
            };
            ([channel, at(7), 0, 0], with(at(7), &request.to_bytes()))
        }
        Call::MqttRequestSubscribe => {
            let request =
                MqttSubscribeRequest { correlation_id: 1, subscriptions: at(18), num_subscriptions: small };
            ([channel, at(8), 0, 0], with(at(8), &request.to_bytes()))
        }
        Call::MqttRequestUnsubscribe => {
            let request = MqttUnsubscribeRequest { correlation_id: 2, topics: at(16), num_topics: small };
            ([channel, at(9), 0, 0], with(at(9), &request.to_bytes()))
        }
        Call::MqttReceiveMessage => {
            let message = MqttMessage {
                correlation_id: OUT,
                topic: ROOM,
                payload: SizedStringBuffer { data: OUT + 0x300, size: 0x200, length: OUT + 0x24 },
                qos: OUT + 4,
                retain: OUT + 8,
            };
            ([channel, at(10), 0, 0], with(at(10), &message.to_bytes()))
        }
        Call::MqttReceiveLostMessageInfo => {
            let info = MqttLostMessageInfo { reason: OUT, topic: ROOM, message_len: OUT + 4 };
            ([channel, at(11), 0, 0], with(at(11), &info.to_bytes()))
        }
        Call::MqttReadSubscribeResponse | Call::MqttReadUnsubscribeResponse => {
            let response = MqttSubscribeResponse {
                request_state: OUT,
                correlation_id: OUT + 4,
                reason_codes: OUT + 0x40,
                reason_codes_size: 8,
                reason_codes_len: OUT + 8,
            };
            ([channel, at(12), 0, 0], with(at(12), &response.to_bytes()))
        }
        Call::WriteChannel | Call::WriteChannelStream => ([channel, TEXT, u32::from(variant), OUT], None),
        Call::ReadChannel => ([channel, OUT, OUT + 4, 0], None),
        Call::ReadChannelComplete => ([channel, small, 0, 0], None),
        Call::ExternalFlashOpen => ([HANDLES + 12, 0, 0, 0], None),
        Call::ExternalFlashClose => ([HANDLES + 12, 0, 0, 0], None),
        Call::ExternalFlashGetInfo => ([flash, OUT, 0, 0], None),
        Call::ExternalFlashReadBlocking => ([flash, u32::from(variant) * 16, 300, OUT], None),
        Call::ExternalFlashWriteBlocking => ([flash, u32::from(variant) * 16, 300, TEXT], None),
        Call::ExternalFlashEraseBlocking => ([flash, small * 4096, 4096, 0], None),
        Call::SetWifiConfig => {
            let config =
                WifiConfig { version: 1, config_mode: variant % 3, wifi_ssid: TOPIC, wifi_password: PAYLOAD };
            ([at(13), 0, 0, 0], with(at(13), &config.to_bytes()))
        }
        Call::GetWifiConfig => {
            let config = WifiConfigOut { version: 1, ssid: ROOM, has_encryption: OUT };
            ([at(14), 0, 0, 0], with(at(14), &config.to_bytes()))
        }
        Call::OpenSystemNotification => {
            let params = OpenSystemNotificationParams {
                notification_handle: centre,
                notification_tag: 7,
                notification_source: small,
            };
            ([at(15), HANDLES + 16, 0, 0], with(at(15), &params.to_bytes()))
        }
        Call::CloseSystemNotification => ([HANDLES + 16, 0, 0, 0], None),
        Call::SetFastInterrupt
        | Call::ClearFastInterrupt
        | Call::EnableFastInterrupt
        | Call::DisableFastInterrupt => ([40 + small, 0, 0, 0], None),
        Call::PowerSave | Call::DeepSleep => ([small, 0, 0, 0], None),
        Call::MqttAcknowledgeMessage => ([channel, small, 0, 0], None),
        _ if call.parameters().first().is_some_and(|parameter| parameter.name == "handle") => {
            ([channel, OUT, small, OUT], None)
        }
        _ => ([OUT, OUT + 0x40, small, 0], None),
    }
}
