//! Configuration fetches.

use abi::channel::ChannelType;
use abi::config::{
    ConfigKeyFetchParams, ConfigKeyFetchResult, ConfigKeyToFetch, ConfigResponseData,
    ConfigResponseReadItemParams,
};
use abi::notifications::EventType;
use abi::strings::SizedStringBuffer;
use abi::{Call, Status};
use kernel_testport::{AppSetup, TAG, TestDevice};
use link::config::{ConfigFetch, FetchResult, KeyLocation, KeyResult};
use link::kind::to_cloud;
use sansio::Duration;

const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);

fn keys(device: &mut TestDevice, keys: &[(u32, u32, &[u8])]) -> u32 {
    let mut array = Vec::new();
    for (scope, store, name) in keys {
        let key = ConfigKeyToFetch { scope: *scope, store: *store, key: device.flash_string(name) };
        array.extend(key.to_bytes());
    }
    let keys_to_fetch = device.alloc_bytes(&array);
    let params = ConfigKeyFetchParams { num_items: keys.len() as u32, keys_to_fetch };
    device.alloc_bytes(&params.to_bytes())
}

fn fetch(device: &mut TestDevice, channel: u32, names: &[(u32, u32, &[u8])]) -> Status {
    let params = keys(device, names);
    let status = device.call(Call::SendConfigFetchRequest, &[channel, params]);
    device.pump();
    status
}

/// A channel with a request for two keys in flight.
fn requested() -> (TestDevice, AppSetup, u32) {
    let (mut device, setup, channel) = TestDevice::with_channel(ChannelType::ConfigFetch);
    assert_eq!(fetch(&mut device, channel, &[(0, 0, b"one"), (1, 1, b"two")]), Status::Okay);
    (device, setup, channel)
}

fn data(device: &mut TestDevice, channel: u32) -> Result<ConfigResponseData, Status> {
    let to = device.alloc(8);
    match device.call(Call::ReadConfigFetchResponseData, &[channel, to]) {
        Status::Okay => {
            Ok(ConfigResponseData::from_bytes(&device.memory.bytes(to, 8).try_into().expect("8 bytes")))
        }
        status => Err(status),
    }
}

fn item(device: &mut TestDevice, channel: u32, index: u32, room: u32) -> Result<(u32, Vec<u8>), Status> {
    let buf = device.alloc_string(room);
    let result = device.alloc_u32(99);
    let params = ConfigResponseReadItemParams { item_index: index, result, buf };
    let params = device.alloc_bytes(&params.to_bytes());
    match device.call(Call::ReadConfigResponseItem, &[channel, params]) {
        Status::Okay => Ok((device.u32(result), device.read_string(buf))),
        status => {
            assert_eq!(device.u32(result), 99, "a refused read writes nothing");
            Err(status)
        }
    }
}

/// Shows D63.
#[test]
fn keys_go_out_with_their_scope_and_store() {
    let (mut device, _, _) = requested();
    let items = device.cloud().take_items();
    let [(to_cloud::CONFIG_FETCH, body)] = &items[..] else { panic!("{items:?}") };
    let fetch: Vec<_> = ConfigFetch::decode(body).expect("a fetch").iter().collect();
    let expected: [(KeyLocation, &[u8]); 2] = [
        (KeyLocation { device: false, config: false }, b"one"),
        (KeyLocation { device: true, config: true }, b"two"),
    ];
    assert_eq!(fetch, expected);
}

/// Shows D12, D32.
#[test]
fn values_are_readable_in_any_order_and_again_once_the_response_is_complete() {
    let (mut device, mut setup, channel) = requested();
    assert_eq!(data(&mut device, channel), Err(Status::ResponseNotPresent));
    let values: [(KeyResult, &[u8]); 2] = [(KeyResult::Ok, &[b'v'; 700]), (KeyResult::NotFound, b"")];
    device.chunk = 7;
    device.cloud().send_config(1, FetchResult::Ok, &values, 100);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE], "one, when it is complete");
    assert_eq!(data(&mut device, channel), Ok(ConfigResponseData { result: 0, num_items: 2 }));
    for _ in 0..2 {
        assert_eq!(item(&mut device, channel, 1, 10), Ok((ConfigKeyFetchResult::KeyNotFound.raw(), vec![])));
        assert_eq!(item(&mut device, channel, 0, 700), Ok((0, vec![b'v'; 700])));
    }
    assert_eq!(item(&mut device, channel, 0, 699), Err(Status::InvalidBufferSize));
    assert_eq!(item(&mut device, channel, 2, 10), Err(Status::IndexInvalid));
}

/// Shows D12.
#[test]
fn an_incomplete_response_is_not_there() {
    let (mut device, mut setup, channel) = requested();
    let head = [0, 2, 0, 100, 0, 0];
    device.cloud().send_fragments(1, link::kind::to_device::CONFIG_RESPONSE, &head, &[b'v'; 100], 60, 1);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), []);
    assert_eq!(data(&mut device, channel), Err(Status::ResponseNotPresent));
    device.lose_link();
    assert_eq!(data(&mut device, channel), Err(Status::ChannelClosed), "and never will be");
}

/// Shows D31, N68, D13.
#[test]
fn a_complete_response_outlives_the_link() {
    let (mut device, mut setup, channel) = requested();
    device.cloud().send_config(1, FetchResult::Ok, &[(KeyResult::Ok, b"a"), (KeyResult::Ok, b"b")], 4096);
    device.pump();
    device.events(&mut setup.centre);
    device.lose_link();
    assert_eq!(item(&mut device, channel, 1, 1), Ok((0, b"b".to_vec())));
}

/// Shows D14.
#[test]
fn a_finished_fetch_raises_no_event_when_the_cloud_ends_the_channel() {
    let (mut device, mut setup, channel) = requested();
    device.cloud().send_config(1, FetchResult::Ok, &[(KeyResult::Ok, b"a"), (KeyResult::Ok, b"b")], 4096);
    device.cloud().send_closed(1, link::channel::ClosureReason::None);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(item(&mut device, channel, 0, 1), Ok((0, b"a".to_vec())));
}

/// A response that does not fit has that result and no items.
#[test]
fn a_response_too_large_has_no_items() {
    let (mut device, _, channel) = requested();
    device.cloud().send_config(1, FetchResult::ResponseTooLarge, &[], 4096);
    device.pump();
    assert_eq!(data(&mut device, channel), Ok(ConfigResponseData { result: 1, num_items: 0 }));
    assert_eq!(item(&mut device, channel, 0, 10), Err(Status::IndexInvalid));
}

/// Shows D63.
#[test]
fn bad_keys_are_refused_and_the_channel_stays_usable() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::ConfigFetch);
    let long = [b'k'; 101];
    let cases: &[(u32, u32, &[u8], Status)] = &[
        (0, 0, b"", Status::InvalidConfigKey),
        (0, 0, &long, Status::InvalidConfigKey),
        (0, 0, b"tab\there", Status::InvalidConfigKey),
        (0, 0, b"\xc3\xa9", Status::InvalidConfigKey),
        (2, 0, b"k", Status::UnknownConfigScope),
        (0, 2, b"k", Status::UnknownConfigStore),
    ];
    for (scope, store, name, status) in cases {
        assert_eq!(fetch(&mut device, channel, &[(0, 0, b"fine"), (*scope, *store, name)]), *status);
    }
    let many = vec![(0, 0, &b"k"[..]); 33];
    assert_eq!(fetch(&mut device, channel, &many), Status::TooManyConfigKeys);
    assert_eq!(device.cloud().take_items(), [], "nothing was sent");
    assert_eq!(fetch(&mut device, channel, &[(0, 0, &long[..100])]), Status::Okay);
    assert_eq!(fetch(&mut device, channel, &[(0, 0, b"k")]), Status::RequestAlreadySent);
    assert_eq!(device.cloud().take_items().len(), 1);
}

/// Shows D02, D03.
#[test]
fn pointers_are_checked_early_and_late() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::ConfigFetch);
    let send = Call::SendConfigFetchRequest;
    assert_eq!(device.call(send, &[channel, 0x3000_0000]), Status::ParameterFault);
    let params = ConfigKeyFetchParams { num_items: 2, keys_to_fetch: 0x2007_fff0 };
    let params = device.alloc_bytes(&params.to_bytes());
    assert_eq!(device.call(send, &[channel, params]), Status::LateFault);
    let params = ConfigKeyFetchParams { num_items: u32::MAX, keys_to_fetch: 0x2000_0000 };
    let params = device.alloc_bytes(&params.to_bytes());
    assert_eq!(device.call(send, &[channel, params]), Status::LateFault);
    let key = ConfigKeyToFetch {
        scope: 0,
        store: 0,
        key: abi::strings::SizedString { data: 0x0810_0000, length: 1 },
    };
    let keys_to_fetch = device.alloc_bytes(&key.to_bytes());
    let params = device.alloc_bytes(&ConfigKeyFetchParams { num_items: 1, keys_to_fetch }.to_bytes());
    assert_eq!(device.call(send, &[channel, params]), Status::LateFault);
    assert_eq!(fetch(&mut device, channel, &[(0, 0, b"k")]), Status::Okay, "never issued before");
}

/// Shows D45.
#[test]
fn a_request_larger_than_the_send_ring_is_refused() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::ConfigFetch, 512, 512);
    let channel = device.open_channel(&params);
    let name = [b'k'; 100];
    assert_eq!(fetch(&mut device, channel, &[(0, 0, &name[..]); 6]), Status::InvalidBufferSize);
    // Five keys of 102 bytes each fill 510 of 512.
    assert_eq!(fetch(&mut device, channel, &[(0, 0, &name[..]); 5]), Status::Okay);
}

/// Shows D82.
#[test]
fn a_fetch_of_nothing_is_answered_with_nothing() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::ConfigFetch);
    assert_eq!(fetch(&mut device, channel, &[]), Status::Okay);
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(data(&mut device, channel), Ok(ConfigResponseData { result: 0, num_items: 0 }));
    assert_eq!(device.cloud().take_items(), []);
}

/// Shows D02, D04.
#[test]
fn a_read_with_a_bad_pointer_leaves_the_item() {
    let (mut device, _, channel) = requested();
    device.cloud().send_config(1, FetchResult::Ok, &[(KeyResult::Ok, b"a"), (KeyResult::Ok, b"b")], 4096);
    device.pump();
    assert_eq!(
        device.call(Call::ReadConfigFetchResponseData, &[channel, 0x0800_0000]),
        Status::ParameterFault
    );
    assert_eq!(device.call(Call::ReadConfigResponseItem, &[channel, 0]), Status::ParameterFault);
    let good = device.alloc_string(4);
    let result = device.alloc_u32(0);
    for (result, buf) in [
        (0x0800_0000, good),
        (result, SizedStringBuffer { data: 0x0800_0000, ..good }),
        (result, SizedStringBuffer { size: u32::MAX, ..good }),
        (result, SizedStringBuffer { length: 0, ..good }),
    ] {
        let params =
            device.alloc_bytes(&ConfigResponseReadItemParams { item_index: 0, result, buf }.to_bytes());
        assert_eq!(device.call(Call::ReadConfigResponseItem, &[channel, params]), Status::LateFault);
    }
    assert_eq!(item(&mut device, channel, 0, 4), Ok((0, b"a".to_vec())));
}

/// A cloud that answers for another number of keys is left.
#[test]
fn a_response_for_other_keys_is_a_violation() {
    let (mut device, _, channel) = requested();
    device.cloud().send_config(1, FetchResult::Ok, &[(KeyResult::Ok, b"a")], 4096);
    device.pump();
    assert!(!device.connected);
    assert_eq!(data(&mut device, channel), Err(Status::ChannelClosed));
    device.advance(Duration::from_secs(3));
    device.connect();
}
