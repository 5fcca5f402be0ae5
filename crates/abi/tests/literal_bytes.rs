//! Structures against bytes written out by hand, as an application's memory would hold them.

use abi::channel::{ChannelType, OpenChannelParams};
use abi::mqtt::{MqttAuthentication, MqttConnectRequest, MqttPublishResponse, UsernamePassword};
use abi::network::NetworkReason;
use abi::notifications::{EventType, Notification};
use abi::strings::SizedString;
use abi::wifi::WifiConfig;
use abi::{Call, Status, memory};

#[test]
fn a_notification_is_sixteen_bytes_little_endian() {
    let record = Notification {
        microseconds: 0x0102_0304_0506_0708,
        event_type: EventType::ChannelDataReadable.raw(),
        tag: 0xCAFE,
    };
    assert_eq!(record.to_bytes(), [8, 7, 6, 5, 4, 3, 2, 1, 2, 0, 0, 0, 0xFE, 0xCA, 0, 0]);
    assert_eq!(Notification::from_bytes(&record.to_bytes()), record);
}

#[test]
fn the_parameters_of_a_channel_are_where_an_application_puts_them() {
    #[rustfmt::skip]
    let bytes = [
        1, 0, 0, 0,             // version
        0x11, 0x22, 0x33, 0x44, // notification_handle
        0x34, 0x12, 0, 0,       // notification_tag
        0x55, 0x66, 0x77, 0x88, // network_handle
        0, 2, 0, 0x20,          // receive_buffer
        0, 0x1C, 0, 0,          // receive_buffer_len
        0, 0x20, 0, 0x20,       // send_buffer
        0, 0x10, 0, 0,          // send_buffer_len
        1, 0, 0, 0,             // channel_type
        0x40, 1, 0, 8,          // endpoint.data
        0, 0, 0, 0,             // endpoint.length
    ];
    let params = OpenChannelParams::from_bytes(&bytes);
    assert_eq!(params.version, 1);
    assert_eq!(params.notification_handle, 0x4433_2211);
    assert_eq!(params.notification_tag, 0x1234);
    assert_eq!(params.network_handle, 0x8877_6655);
    assert_eq!((params.receive_buffer, params.receive_buffer_len), (0x2000_0200, 0x1C00));
    assert_eq!((params.send_buffer, params.send_buffer_len), (0x2000_2000, 0x1000));
    assert_eq!(ChannelType::from_raw(params.channel_type), Some(ChannelType::Mqtt));
    assert_eq!(params.endpoint, SizedString { data: 0x0800_0140, length: 0 });
    assert_eq!(params.to_bytes(), bytes);
}

/// Shows D08.
#[test]
fn the_garbage_after_a_one_byte_enum_is_ignored() {
    let mut bytes = [0; MqttAuthentication::SIZE];
    bytes[..4].copy_from_slice(&[1, 0xAA, 0xBB, 0xCC]);
    bytes[4..8].copy_from_slice(&[0, 0, 0, 0x20]);
    bytes[8] = 3;
    let authentication = MqttAuthentication::from_bytes(&bytes);
    assert_eq!(authentication.method, 1);
    let username = SizedString { data: 0x2000_0000, length: 3 };
    assert_eq!(authentication.username_password, UsernamePassword { username, ..Default::default() });
    assert_eq!(authentication.to_bytes()[..4], [1, 0, 0, 0]);
}

/// Shows D08.
#[test]
fn a_wifi_mode_is_one_byte_and_the_ssid_starts_at_eight() {
    let mut bytes = [0xEE; WifiConfig::SIZE];
    bytes[..5].copy_from_slice(&[1, 0, 0, 0, 1]);
    bytes[8..16].copy_from_slice(&[0x10, 0, 0, 0x20, 4, 0, 0, 0]);
    let config = WifiConfig::from_bytes(&bytes);
    assert_eq!((config.version, config.config_mode), (1, 1));
    assert_eq!(config.wifi_ssid, SizedString { data: 0x2000_0010, length: 4 });
}

#[test]
fn a_connect_requests_narrow_fields_do_not_overlap() {
    let mut bytes = [0; MqttConnectRequest::SIZE];
    bytes[0] = 1;
    bytes[12..16].copy_from_slice(&[0x5B, 0x07, 0xFF, 0xFF]); // port 1883, then padding
    bytes[48] = 60;
    bytes[52..56].copy_from_slice(&[1, 0xFF, 0xFF, 0xFF]); // clean_start, then padding
    bytes[56..60].copy_from_slice(&[0x44, 0x33, 0x22, 0x11]);
    let request = MqttConnectRequest::from_bytes(&bytes);
    assert_eq!((request.protocol_version, request.port, request.keepalive), (1, 1883, 60));
    assert_eq!((request.clean_start, request.will), (1, 0x1122_3344));
    assert_eq!(request.tls_credentials, 0);
}

#[test]
fn a_publish_response_is_three_words() {
    let response = MqttPublishResponse { request_state: 3, correlation_id: 0x0102_0304, reason_code: 0x80 };
    assert_eq!(response.to_bytes(), [3, 0, 0, 0, 4, 3, 2, 1, 0x80, 0, 0, 0]);
}

#[test]
fn statuses_carry_the_public_names_and_numbers() {
    assert_eq!(Status::from_raw(0x26), Some(Status::InputTooLong));
    assert_eq!(Status::from_raw(0x27), None);
    assert_eq!(Status::InvalidBufferSize.raw(), 3);
    assert_eq!(Status::InvalidBufferSize.name(), "MV_STATUS_INVALIDBUFFERSIZE");
}

#[test]
fn reasons_combine_as_bits() {
    let both = NetworkReason::USING_NETWORK.with(NetworkReason::FETCHING_UPDATE);
    assert_eq!(both.raw(), 0x81);
    assert!(both.contains(NetworkReason::FETCHING_UPDATE));
    assert!(!both.contains(NetworkReason::ENHANCE_CALM));
    assert_eq!(both.without(NetworkReason::USING_NETWORK), NetworkReason::FETCHING_UPDATE);
}

#[test]
fn the_first_and_last_entries_are_where_applications_call_them() {
    assert_eq!(Call::from_slot(0), Some(Call::EnableFastInterrupt));
    assert_eq!(Call::from_slot(0x248), Some(Call::GetWifiConfig));
    assert_eq!(memory::ENTRY_PAGE + Call::MqttRequestConnect.slot(), 0x0C1F_E1A8);
}
