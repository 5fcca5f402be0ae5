//! Every size, offset, number and slot against `docs/spec/abi.toml`, read here by itself and not by the generator.

use abi::{
    Call, Field, Status, Structure, channel, config, flash, http, memory, mqtt, network, notifications,
};
use abi::{power, strings, wifi};
use toml::{Table, Value};

fn facts() -> Table {
    include_str!("../../../docs/spec/abi.toml").parse().expect("abi.toml is TOML")
}

fn entry(facts: &Table, kind: &str, name: &str) -> Table {
    let list = facts[kind].as_array().expect("an array of tables");
    let found = list.iter().find(|item| item["name"].as_str() == Some(name));
    found.and_then(Value::as_table).unwrap_or_else(|| panic!("{name} is not in abi.toml")).clone()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_integer().expect("an integer")).expect("a small one")
}

fn documented(item: &Table) -> Vec<(String, usize, usize)> {
    let fields = item["fields"].as_array().expect("fields");
    let triple = |field: &Value| {
        let name = field["name"].as_str().expect("a name").to_owned();
        (name, number(&field["offset"]), number(&field["size"]))
    };
    fields.iter().map(triple).collect()
}

/// Every byte of the structure a different one: what is read and written again is the same, less the padding.
fn check<T: Structure<N>, const N: usize>(name: &str, align: usize, fields: &[Field]) {
    let item = entry(&facts(), "struct", name);
    assert_eq!(number(&item["size"]), N, "size of {name}");
    assert_eq!(number(&item["align"]), align, "alignment of {name}");
    let expected = documented(&item);
    let built: Vec<_> = fields.iter().map(|f| (f.name.to_owned(), f.offset, f.size)).collect();
    assert_eq!(built, expected, "fields of {name}");

    let bytes: [u8; N] = core::array::from_fn(|index| u8::try_from(index + 1).expect("small structures"));
    let again = T::from_bytes(&bytes).to_bytes();
    let nested = matches!(name, "MvMqttConnectRequest");
    for (index, byte) in again.iter().enumerate() {
        let in_field = expected.iter().any(|(_, offset, size)| (*offset..offset + size).contains(&index));
        // The authentication inside a connect request has padding of its own after its one-byte method.
        let inner_padding = nested && (25..28).contains(&index);
        let expected = if in_field && !inner_padding { bytes[index] } else { 0 };
        assert_eq!(*byte, expected, "byte {index} of {name}");
    }
}

macro_rules! check_structures {
    ($($public:literal => $kind:ty),* $(,)?) => {
        /// Shows D08.
        #[test]
        fn every_structure_has_the_documented_layout() {
            let names = [$($public),*];
            let known = facts()["struct"].as_array().expect("structs").len();
            assert_eq!(names.len(), known, "a structure of abi.toml is not checked here");
            $(check::<$kind, { <$kind>::SIZE }>($public, <$kind>::ALIGN, &<$kind>::FIELDS);)*
        }
    };
}

check_structures! {
    "MvNotification" => notifications::Notification,
    "MvNotificationSetup" => notifications::NotificationSetup,
    "MvOpenSystemNotificationParams" => notifications::OpenSystemNotificationParams,
    "MvRequestNetworkParams" => network::RequestNetworkParams,
    "MvSizedString" => strings::SizedString,
    "MvSizedStringBuffer" => strings::SizedStringBuffer,
    "MvOpenChannelParams" => channel::OpenChannelParams,
    "MvHttpHeader" => http::HttpHeader,
    "MvHttpRequest" => http::HttpRequest,
    "MvHttpResponseData" => http::HttpResponseData,
    "MvConfigKeyToFetch" => config::ConfigKeyToFetch,
    "MvConfigKeyFetchParams" => config::ConfigKeyFetchParams,
    "MvConfigResponseData" => config::ConfigResponseData,
    "MvConfigResponseReadItemParams" => config::ConfigResponseReadItemParams,
    "MvUsernamePassword" => mqtt::UsernamePassword,
    "MvMqttAuthentication" => mqtt::MqttAuthentication,
    "MvTlsCertificateChain" => mqtt::TlsCertificateChain,
    "MvOwnTlsCertificateChain" => mqtt::OwnTlsCertificateChain,
    "MvTlsCredentials" => mqtt::TlsCredentials,
    "MvMqttWill" => mqtt::MqttWill,
    "MvMqttConnectRequest" => mqtt::MqttConnectRequest,
    "MvMqttConnectResponse" => mqtt::MqttConnectResponse,
    "MvMqttSubscription" => mqtt::MqttSubscription,
    "MvMqttSubscribeRequest" => mqtt::MqttSubscribeRequest,
    "MvMqttSubscribeResponse" => mqtt::MqttSubscribeResponse,
    "MvMqttUnsubscribeRequest" => mqtt::MqttUnsubscribeRequest,
    "MvMqttUnsubscribeResponse" => mqtt::MqttUnsubscribeResponse,
    "MvMqttPublishRequest" => mqtt::MqttPublishRequest,
    "MvMqttPublishResponse" => mqtt::MqttPublishResponse,
    "MvMqttMessage" => mqtt::MqttMessage,
    "MvMqttLostMessageInfo" => mqtt::MqttLostMessageInfo,
    "MvMqttDisconnectResponse" => mqtt::MqttDisconnectResponse,
    "MvExternalFlashInfo" => flash::ExternalFlashInfo,
    "MvWifiConfig" => wifi::WifiConfig,
    "MvWifiConfigOut" => wifi::WifiConfigOut,
}

macro_rules! check_enums {
    ($($public:literal => $kind:ty),* $(,)?) => {
        /// Shows D08.
        #[test]
        fn every_enum_has_the_documented_values_and_width() {
            let checked = [$($public),*].len() + 1; // and MvNetworkReason, a set of bits
            assert_eq!(checked, facts()["enum"].as_array().expect("enums").len());
            $({
                let item = entry(&facts(), "enum", $public);
                assert_eq!(number(&item["size"]), <$kind>::SIZE, "width of {}", $public);
                assert_eq!(size_of_val(&<$kind>::ALL[0].raw()), <$kind>::SIZE);
                let values = item["values"].as_table().expect("values");
                assert_eq!(values.len(), <$kind>::ALL.len(), "values of {}", $public);
                for value in <$kind>::ALL {
                    let raw = u32::from(value.raw());
                    assert_eq!(number(&values[value.name()]), raw as usize, "{}", value.name());
                    assert_eq!(<$kind>::from_raw(raw), Some(value));
                }
                assert_eq!(<$kind>::from_raw(<$kind>::ALL.len() as u32), None);
                assert_eq!(<$kind>::from_raw(u32::MAX), None);
            })*
        }
    };
}

check_enums! {
    "MvStatus" => Status,
    "MvEventType" => notifications::EventType,
    "MvSystemNotificationSource" => notifications::SystemNotificationSource,
    "MvNetworkStatus" => network::NetworkStatus,
    "MvChannelType" => channel::ChannelType,
    "MvClosureReason" => channel::ClosureReason,
    "MvHttpResult" => http::HttpResult,
    "MvConfigKeyFetchScope" => config::ConfigKeyFetchScope,
    "MvConfigKeyFetchStore" => config::ConfigKeyFetchStore,
    "MvConfigFetchResult" => config::ConfigFetchResult,
    "MvConfigKeyFetchResult" => config::ConfigKeyFetchResult,
    "MvMqttReadableDataType" => mqtt::MqttReadableDataType,
    "MvMqttProtocolVersion" => mqtt::MqttProtocolVersion,
    "MvMqttAuthenticationMethod" => mqtt::MqttAuthenticationMethod,
    "MvMqttRequestState" => mqtt::MqttRequestState,
    "MvMqttLostMessageReason" => mqtt::MqttLostMessageReason,
    "MvPowerSavingMode" => power::PowerSavingMode,
    "MvDeepSleepMode" => power::DeepSleepMode,
    "MvWakeReason" => power::WakeReason,
    "MvRestartMode" => power::RestartMode,
    "MvWifiConfigMode" => wifi::WifiConfigMode,
}

#[test]
fn the_reasons_are_the_documented_bits() {
    let item = entry(&facts(), "enum", "MvNetworkReason");
    let values = item["values"].as_table().expect("values");
    assert_eq!(values.len(), network::NetworkReason::ALL.len());
    for (reason, name) in network::NetworkReason::ALL {
        assert_eq!(number(&values[name]), reason.raw() as usize, "{name}");
    }
}

#[test]
fn every_call_has_the_documented_slot_parameters_and_errors() {
    let facts = facts();
    assert_eq!(facts["call"].as_array().expect("calls").len(), Call::ALL.len());
    for call in Call::ALL {
        let item = entry(&facts, "call", call.name());
        assert_eq!(number(&item["slot"]), call.slot() as usize, "{}", call.name());
        assert_eq!(Call::from_slot(call.slot()), Some(call));
        let list = |key: &str| item[key].as_array().expect("an array").clone();
        let expected: Vec<_> = list("params").iter().map(|p| (text(&p["name"]), text(&p["type"]))).collect();
        let built: Vec<_> =
            call.parameters().iter().map(|p| (p.name.to_owned(), p.type_name.to_owned())).collect();
        assert_eq!(built, expected, "parameters of {}", call.name());
        let expected: Vec<_> =
            list("documented_errors").iter().map(|e| format!("MV_STATUS_{}", text(e))).collect();
        let built: Vec<_> = call.documented_errors().iter().map(|status| status.name().to_owned()).collect();
        assert_eq!(built, expected, "errors of {}", call.name());
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// Shows D07.
#[test]
fn retired_unassigned_and_misaligned_slots_are_no_calls() {
    for slot in memory::RETIRED_SLOTS.into_iter().chain(memory::UNASSIGNED_SLOTS) {
        assert_eq!(Call::from_slot(slot), None, "{slot:#x}");
    }
    let slots = (0..0x2000).filter(|slot| Call::from_slot(*slot).is_some());
    let slots: Vec<u32> = slots.collect();
    assert_eq!(slots.len(), Call::ALL.len());
    assert!(slots.iter().all(|slot| slot.is_multiple_of(memory::SLOT_SIZE)));
}

#[test]
fn the_memory_map_is_the_documented_one() {
    let facts = facts();
    let map = facts["memory"].as_table().expect("memory");
    let region = |name: &str| (number(&map[name]["start"]), number(&map[name]["length"]));
    let flash = (memory::APPLICATION_FLASH_START as usize, memory::APPLICATION_FLASH_LENGTH as usize);
    let ram = (memory::APPLICATION_RAM_START as usize, memory::APPLICATION_RAM_LENGTH as usize);
    assert_eq!(region("application_flash"), flash);
    assert_eq!(region("application_ram"), ram);
    assert_eq!(number(&map["entry_page"]), memory::ENTRY_PAGE as usize);
}
