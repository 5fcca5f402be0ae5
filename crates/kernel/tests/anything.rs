//! Whatever an application, a cable and a cloud do: no panic, and not a byte written that was not passed or lent.
//!
//! RAM is used in two halves. What a call may write is put into the lower one and is permitted for that call only; what
//! is lent lies in the upper one. A pointer is now and then wild. Every write of the kernel is held against both lists.

use std::collections::HashSet;

use abi::Call;
use abi::channel::{ChannelType, OpenChannelParams};
use abi::config::{ConfigKeyFetchParams, ConfigKeyToFetch, ConfigResponseReadItemParams};
use abi::flash::ExternalFlashInfo;
use abi::http::{HttpHeader, HttpRequest};
use abi::memory::{APPLICATION_FLASH_START, APPLICATION_RAM_START};
use abi::mqtt::{
    MqttConnectRequest, MqttLostMessageInfo, MqttMessage, MqttPublishRequest, MqttSubscribeRequest,
    MqttSubscribeResponse, MqttSubscription, MqttUnsubscribeRequest, MqttWill, TlsCredentials,
};
use abi::network::RequestNetworkParams;
use abi::notifications::{NotificationSetup, OpenSystemNotificationParams};
use abi::power::WakeReason;
use abi::strings::{SizedString, SizedStringBuffer};
use abi::wifi::{WifiConfig, WifiConfigOut};
use kernel::limits::FLASH_SECTOR;
use kernel::{Boot, Kernel, LinkInput, LinkLoss, Outcome as After, Policy};
use kernel_testport::board::SECTORS;
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{REGISTER, TICK, TestDevice, boot};
use link::config::{ConfigHead, FetchResult, KeyResult};
use link::http::{HttpResult, ResponseHead};
use link::kind::to_device;
use link::mqtt::{FilterCodes, LostHead, LostReason, MessageHead, Outcome, Published, RequestState};
use sansio::Duration;

const SEEDS: u64 = 60;
const STEPS: u32 = 2500;
/// Where lent buffers lie: the upper half of RAM.
const LENT: u32 = APPLICATION_RAM_START + 0x4_0000;

/// Numbers from a seed.
struct Chance(u64);

impl Chance {
    fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }
    fn below(&mut self, bound: u32) -> u32 {
        self.word() % bound
    }
    fn one_in(&mut self, count: u32) -> bool {
        self.below(count) == 0
    }
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

/// An application without a plan.
struct Chaos {
    device: TestDevice,
    chance: Chance,
    /// What the call at hand may write.
    permitted: Vec<(u32, u32)>,
    /// What is lent: to whom, where, how much.
    lent: Vec<(u32, u32, u32)>,
    /// What the call at hand offers to lend.
    offered: Vec<(u32, u32)>,
    /// Handles seen, however stale, by kind.
    handles: [Vec<u32>; KINDS as usize],
    free: u32,
}

/// Shows D01, D03, D06, D33, D81.
#[test]
fn nothing_makes_the_kernel_panic_or_write_where_it_may_not() {
    let mut accepted = HashSet::new();
    for seed in 1..=SEEDS {
        let boot = Boot {
            seed: [seed as u8; 16],
            image: [1; 32],
            policy: Policy { minimum_check_in_time_sec: 90, connection_grace_time_sec: seed as u32 % 3 },
            application_test: seed % 6 == 0,
            ..boot()
        };
        let mut device = TestDevice::with_vectors();
        device.kernel = Kernel::new(&boot);
        device.connect();
        let mut chaos = Chaos {
            device,
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            permitted: Vec::new(),
            lent: Vec::new(),
            offered: Vec::new(),
            handles: Default::default(),
            free: APPLICATION_RAM_START,
        };
        chaos.device.memory.written = Some(Vec::new());
        for step in 0..STEPS {
            accepted.extend(chaos.step());
            chaos.hold_to_account(seed, step);
        }
    }
    let missing: Vec<_> = Call::ALL.iter().filter(|call| !accepted.contains(call)).collect();
    assert_eq!(missing, [] as [&Call; 0], "the applications must get somewhere to be worth watching");
}

impl Chaos {
    /// Does something; the call that was accepted, if it was one.
    fn step(&mut self) -> Option<Call> {
        self.permitted.clear();
        self.offered.clear();
        self.free = APPLICATION_RAM_START;
        match self.chance.below(24) {
            0 => self.scribble(),
            1 => self.interrupts(),
            2 => self.time(),
            3..=7 => self.cloud(),
            8 => self.cable(),
            _ => return self.call(),
        }
        None
    }

    /// Every write since the last time must lie in what was passed with this call, or in what is lent.
    fn hold_to_account(&mut self, seed: u64, step: u32) {
        let written = self.device.memory.written.replace(Vec::new()).expect("writes are watched");
        for (at, length) in written {
            let inside = |start: u32, room: u32| at >= start && at + length <= start + room;
            let passed = self.permitted.iter().any(|&(start, room)| inside(start, room));
            let allowed = passed || self.lent.iter().any(|&(_, start, room)| inside(start, room));
            assert!(allowed, "seed {seed} step {step}: {length} bytes at {at:#x}");
        }
    }

    fn call(&mut self) -> Option<Call> {
        let call = if self.chance.one_in(2) { self.chance.of(&LIKELY) } else { self.chance.of(&Call::ALL) };
        // Mostly not, or nothing would ever live for long.
        let is_last = matches!(call, Call::Restart | Call::DeepSleep | Call::TestingComplete);
        let call = if is_last && !self.chance.one_in(4) { Call::NoOp } else { call };
        let args = self.arguments(call);
        let named = if closes(call) { self.device.memory.bytes_or_zero(args[0]) } else { 0 };
        let outcome = self.device.call_slot(call.slot(), args);
        let accepted = outcome == After::Status(abi::Status::Okay);
        if matches!(outcome, After::Restart | After::DeepSleep { .. } | After::TestingComplete { .. }) {
            self.start_anew();
        }
        if accepted {
            self.keep_books(call, args, named);
        }
        if self.chance.one_in(4) {
            self.device.pump();
        }
        let is_refused = matches!(outcome, After::Status(status) if status != abi::Status::Okay);
        if !is_refused {
            self.hold_to_handles(call, args[0]);
        }
        (!is_refused).then_some(call)
    }

    /// An accepted call's handle is one that was given, and of the kind the call is for.
    fn hold_to_handles(&self, call: Call, handle: u32) {
        let takes = call.parameters().first().is_some_and(|first| first.type_name.ends_with("Handle"));
        let kinds = match call {
            Call::GetChannelClosureReason => &[OPAQUE, MQTT, HTTP, CONFIG][..],
            Call::TempTriggerNotification => &[CENTRE],
            Call::GetNetworkStatus => &[NETWORK],
            _ if call.name().starts_with("mvMqtt") => &[MQTT],
            _ if call.name().starts_with("mvExternalFlash") => &[FLASH],
            _ if call.name().contains("Http") => &[HTTP],
            _ if call.name().contains("Config") => &[CONFIG],
            _ => &[OPAQUE],
        };
        let is_given = kinds.iter().any(|kind| self.handles[*kind].contains(&handle));
        assert!(!takes || is_given, "{} took {handle:#x}", call.name());
    }

    /// The application starts anew; what it had lent is its own again.
    fn start_anew(&mut self) {
        let reason = self.chance.of(&WakeReason::ALL);
        self.device.enter(|kernel, port| kernel.application_restarted(port, reason));
        self.lent.clear();
        assert!(self.device.nvic.fast.iter().all(|fast| !fast), "a line is fast for nobody");
    }

    /// What an accepted call lent or gave back.
    fn keep_books(&mut self, call: Call, args: [u32; 4], closed: u32) {
        let owner = match call {
            Call::SetupNotifications => self.keep_handle(CENTRE, args[1]),
            Call::RequestNetwork => self.keep_handle(NETWORK, args[1]),
            Call::OpenChannel => {
                let channel_type = self.device.memory.bytes_or_zero(args[0] + 32);
                self.keep_handle(CHANNEL + channel_type as usize, args[1])
            }
            Call::OpenSystemNotification => self.keep_handle(SYSTEM, args[1]),
            Call::ExternalFlashOpen => self.keep_handle(FLASH, args[0]),
            Call::ServerLoggingInit => LOG,
            Call::TestLoggingInit => TEST_LOG,
            _ => 0,
        };
        if closes(call) || owner == LOG || owner == TEST_LOG {
            self.lent.retain(|lent| lent.0 != closed && lent.0 != owner);
        }
        self.lent.extend(self.offered.iter().map(|&(at, size)| (owner, at, size)));
    }

    fn keep_handle(&mut self, kind: usize, at: u32) -> u32 {
        let handle = self.device.u32(at);
        self.handles[kind].push(handle);
        handle
    }

    // ---- arguments ----

    fn arguments(&mut self, call: Call) -> [u32; 4] {
        let kind = self.kind(call);
        let handle = self.handle(kind);
        match call {
            Call::SetupNotifications => {
                let (buffer, buffer_size) = self.lend(16);
                let irq = self.chance.below(130);
                [self.input(&NotificationSetup { irq, buffer, buffer_size }.to_bytes()), self.output(4), 0, 0]
            }
            Call::RequestNetwork => {
                let params =
                    RequestNetworkParams { version: 1, notification_handle: handle, notification_tag: 5 };
                [self.input(&params.to_bytes()), self.output(4), 0, 0]
            }
            Call::OpenSystemNotification => {
                let params = OpenSystemNotificationParams {
                    notification_handle: handle,
                    notification_tag: 6,
                    notification_source: self.chance.below(3),
                };
                [self.input(&params.to_bytes()), self.output(4), 0, 0]
            }
            _ if closes(call) => {
                // Mostly not, or nothing would ever live for long.
                let often = if call == Call::CloseChannel { 2 } else { 12 };
                let handle = if self.chance.one_in(often) { handle } else { 0 };
                let at = self.input(&handle.to_le_bytes());
                self.permitted.push((at, 4));
                [at, 0, 0, 0]
            }
            Call::OpenChannel => [self.open_params(), self.output(4), 0, 0],
            Call::TempTriggerNotification => [handle, self.chance.word(), self.chance.word(), 0],
            Call::GetNetworkReasons => [self.output(4), self.output(4), 0, 0],
            Call::ServerLoggingInit | Call::TestLoggingInit => {
                let (buffer, size) = self.lend(512);
                [buffer, size, 0, 0]
            }
            Call::ServerLog | Call::TestLog => [self.string().data, self.chance.below(1200), 0, 0],
            Call::GetDeviceId => [self.output(34), self.chance.of(&[34, 34, 33, u32::MAX]), 0, 0],
            Call::GetMicroseconds | Call::GetWallTime => [self.output(8), 0, 0, 0],
            Call::PeriphPeek32 => [self.register(), self.output(4), 0, 0],
            Call::PeriphPoke32 => [self.register(), self.chance.word(), self.chance.word(), 0],
            Call::ExternalFlashOpen => [self.output(4), 0, 0, 0],
            _ => self.device_arguments(call, handle),
        }
    }

    /// For the calls about the device itself.
    fn device_arguments(&mut self, call: Call, handle: u32) -> [u32; 4] {
        match call {
            Call::SetFastInterrupt
            | Call::ClearFastInterrupt
            | Call::EnableFastInterrupt
            | Call::DisableFastInterrupt => [self.chance.of(&[0, 1, 2, 45, 46, 47, 126, u32::MAX]), 0, 0, 0],
            Call::Restart | Call::DeepSleep | Call::PowerSave | Call::SystemLedEnable => {
                [self.chance.below(3), 0, 0, 0]
            }
            Call::ExternalFlashGetInfo => {
                let at = self.input(&ExternalFlashInfo { version: 1, ..Default::default() }.to_bytes());
                self.permitted.push((at, 16));
                [handle, at, 0, 0]
            }
            Call::ExternalFlashReadBlocking => {
                let size = self.chance.of(&[0, 1, 50, 700, 5000]);
                [handle, self.flash_address(), size, self.output(size)]
            }
            Call::ExternalFlashWriteBlocking => {
                let data = self.string();
                [handle, self.flash_address(), data.length, data.data]
            }
            Call::ExternalFlashEraseBlocking => [
                handle,
                self.flash_address(),
                self.chance.of(&[0, 1, FLASH_SECTOR, 2 * FLASH_SECTOR, u32::MAX]),
                0,
            ],
            Call::SetWifiConfig => [self.wifi_config(), 0, 0, 0],
            Call::GetWifiConfig => {
                let out =
                    WifiConfigOut { version: 1, ssid: self.string_output(), has_encryption: self.output(1) };
                [self.input(&out.to_bytes()), 0, 0, 0]
            }
            _ => self.channel_arguments(call, handle),
        }
    }

    /// For the calls about channels, and those that need nothing special.
    fn channel_arguments(&mut self, call: Call, handle: u32) -> [u32; 4] {
        match call {
            Call::MqttAcknowledgeMessage => [handle, self.chance.below(5), 0, 0],
            Call::MqttRequestDisconnect => [if self.chance.one_in(4) { handle } else { 0 }, 0, 0, 0],
            Call::WriteChannel | Call::WriteChannelStream => {
                let data = self.string();
                [handle, data.data, data.length, self.output(4)]
            }
            Call::ReadChannel => [handle, self.output(4), self.output(4), 0],
            Call::ReadChannelComplete => [handle, self.chance.of(&[0, 1, 20, 512, u32::MAX]), 0, 0],
            Call::SendHttpRequest => [handle, self.http_request(), 0, 0],
            Call::ReadHttpResponseHeader | Call::ReadHttpResponseBody => {
                let size = self.chance.of(&[0, 1, 50, 700]);
                [handle, self.chance.of(&[0, 0, 1, 5, u32::MAX]), self.output(size), size]
            }
            Call::ReadHttpResponseData => [handle, self.output(16), 0, 0],
            Call::SendConfigFetchRequest => [handle, self.config_request(), 0, 0],
            Call::ReadConfigResponseItem => [handle, self.config_item(), 0, 0],
            _ if call.name().starts_with("mvMqttRequest") => [handle, self.mqtt_request(call), 0, 0],
            _ if call.name().starts_with("mvMqttRe") => [handle, self.mqtt_output(call), 0, 0],
            _ if call.parameters().first().is_some_and(|parameter| parameter.name == "handle") => {
                [handle, self.output(8), self.chance.word(), self.chance.word()]
            }
            _ => [self.output(4), self.chance.word(), self.chance.word(), self.chance.word()],
        }
    }

    /// The kind of handle the call takes, or names a centre by.
    fn kind(&mut self, call: Call) -> usize {
        match call {
            Call::RequestNetwork
            | Call::CloseNotifications
            | Call::TempTriggerNotification
            | Call::OpenSystemNotification => CENTRE,
            Call::CloseSystemNotification => SYSTEM,
            _ if call.name().starts_with("mvExternalFlash") => FLASH,
            _ if call.name().starts_with("mvMqtt") => MQTT,
            _ if call.name().contains("Http") => HTTP,
            _ if call.name().contains("Config") => CONFIG,
            Call::CloseChannel | Call::GetChannelClosureReason => {
                self.chance.of(&[OPAQUE, MQTT, HTTP, CONFIG])
            }
            Call::ReleaseNetwork | Call::GetNetworkStatus => NETWORK,
            _ => OPAQUE,
        }
    }

    /// A handle of this kind, mostly one of the latest; now and then stale, of another kind, or none.
    fn handle(&mut self, kind: usize) -> u32 {
        let kind = if self.chance.one_in(30) { self.chance.below(KINDS) as usize } else { kind };
        let all = self.handles[kind].clone();
        let latest = &all[all.len().saturating_sub(3)..];
        match latest {
            [] => self.chance.of(&[0, 1, u32::MAX]),
            _ if self.chance.one_in(20) => self.chance.of(&all),
            _ => self.chance.of(latest),
        }
    }

    /// A pointer to nothing good.
    fn wild(&mut self) -> u32 {
        let word = self.chance.word();
        self.chance.of(&[
            0,
            APPLICATION_FLASH_START,
            0x0810_0000,
            0x2007_fffe,
            0x2008_0000,
            u32::MAX - 1,
            word,
        ])
    }

    /// Bytes the application puts somewhere, at any alignment.
    fn input(&mut self, bytes: &[u8]) -> u32 {
        if self.chance.one_in(40) {
            return self.wild();
        }
        let at = self.free + self.chance.below(4);
        self.free = at + bytes.len() as u32;
        self.device.memory.set(at, bytes);
        at
    }

    /// Room the call may write to.
    fn output(&mut self, length: u32) -> u32 {
        if self.chance.one_in(40) {
            return self.wild_output(length);
        }
        let at = self.free + self.chance.below(4);
        self.free = at + length;
        self.permitted.push((at, length));
        at
    }

    /// A wild pointer that happens to lie in RAM was still passed.
    fn wild_output(&mut self, length: u32) -> u32 {
        let at = self.wild();
        if at.checked_add(length).is_some() {
            self.permitted.push((at, length));
        }
        at
    }

    /// A buffer in the upper half, now and then misaligned, overlapping or too long.
    fn lend(&mut self, unit: u32) -> (u32, u32) {
        let skew = if self.chance.one_in(40) { self.chance.below(20) } else { 0 };
        let at = LENT + self.chance.below(0x200) * 512 + skew;
        let size = unit
            * if self.chance.one_in(40) {
                self.chance.of(&[0, 1, 0x1_0000])
            } else {
                self.chance.of(&[2, 2, 3, 4])
            };
        self.offered.push((at, size));
        (at, size)
    }

    fn string(&mut self) -> SizedString {
        let length = self.chance.of(&[0, 1, 3, 20, 64, 65, 300, 1024, 1500]);
        let bytes: Vec<u8> = (0..length).map(|_| b'a' + self.chance.below(26) as u8).collect();
        let length = if self.chance.one_in(60) { self.chance.word() } else { length };
        SizedString { data: self.input(&bytes), length }
    }

    fn string_output(&mut self) -> SizedStringBuffer {
        let size = self.chance.of(&[0, 1, 10, 100, 2000]);
        SizedStringBuffer { data: self.output(size), size, length: self.output(4) }
    }

    fn strings(&mut self) -> (u32, u32) {
        let count = self.chance.of(&[0, 1, 1, 2, 8, 9]);
        let array: Vec<u8> = (0..count).flat_map(|_| self.string().to_bytes()).collect();
        (count, self.input(&array))
    }

    fn open_params(&mut self) -> u32 {
        let types = [
            ChannelType::Mqtt,
            ChannelType::Mqtt,
            ChannelType::ConfigFetch,
            ChannelType::Http,
            ChannelType::OpaqueBytes,
        ];
        let channel_type =
            if self.chance.one_in(20) { self.chance.below(6) } else { self.chance.of(&types).raw() };
        let (receive_buffer, receive_buffer_len) = self.lend(512);
        let (send_buffer, send_buffer_len) = self.lend(512);
        let params = OpenChannelParams {
            version: 1,
            notification_handle: self.handle(CENTRE),
            notification_tag: 3,
            network_handle: self.handle(NETWORK),
            receive_buffer,
            receive_buffer_len,
            send_buffer,
            send_buffer_len,
            channel_type,
            endpoint: SizedString::default(),
        };
        self.input(&params.to_bytes())
    }

    fn register(&mut self) -> u32 {
        let word = self.chance.word();
        self.chance.of(&[REGISTER, REGISTER + 1, word])
    }

    fn flash_address(&mut self) -> u32 {
        let end = SECTORS * FLASH_SECTOR;
        self.chance.of(&[
            0,
            1,
            FLASH_SECTOR,
            FLASH_SECTOR + 255,
            end - 1,
            end,
            u32::MAX,
            end - 2 * FLASH_SECTOR,
        ])
    }

    fn wifi_config(&mut self) -> u32 {
        let config = WifiConfig {
            version: 1,
            config_mode: self.chance.below(3) as u8,
            wifi_ssid: self.string(),
            wifi_password: self.string(),
        };
        self.input(&config.to_bytes())
    }

    fn config_request(&mut self) -> u32 {
        let num_items = self.chance.of(&[0, 1, 2, 32, 33]);
        let mut array = Vec::new();
        for _ in 0..num_items {
            let key = ConfigKeyToFetch {
                scope: self.chance.below(2),
                store: self.chance.below(2),
                key: SizedString { data: self.input(b"key"), length: 3 },
            };
            array.extend(key.to_bytes());
        }
        let keys_to_fetch = self.input(&array);
        self.input(&ConfigKeyFetchParams { num_items, keys_to_fetch }.to_bytes())
    }

    fn config_item(&mut self) -> u32 {
        let params = ConfigResponseReadItemParams {
            item_index: self.chance.below(4),
            result: self.output(4),
            buf: self.string_output(),
        };
        self.input(&params.to_bytes())
    }

    fn http_request(&mut self) -> u32 {
        let num_headers = self.chance.of(&[0, 1, 32, 33]);
        let mut array = Vec::new();
        for _ in 0..num_headers {
            array.extend(HttpHeader { length: 4, data: self.input(b"A: b") }.to_bytes());
        }
        let request = HttpRequest {
            method: self.string(),
            url: self.string(),
            num_headers,
            headers: self.input(&array),
            body: self.string(),
            timeout_ms: self.chance.word(),
        };
        self.input(&request.to_bytes())
    }

    fn mqtt_request(&mut self, call: Call) -> u32 {
        match call {
            Call::MqttRequestConnect => self.connect_request(),
            Call::MqttRequestPublish => {
                let request = MqttPublishRequest {
                    correlation_id: self.chance.word(),
                    topic: self.string(),
                    payload: self.string(),
                    desired_qos: self.chance.below(3),
                    retain: self.chance.below(2),
                };
                self.input(&request.to_bytes())
            }
            Call::MqttRequestSubscribe => {
                let num_subscriptions = self.chance.of(&[0, 1, 2, 8, 9]);
                let mut array = Vec::new();
                for _ in 0..num_subscriptions {
                    let topic = self.string();
                    let (nl, rap, rh) = (self.chance.below(2), self.chance.below(2), self.chance.below(5));
                    array.extend(MqttSubscription { topic, desired_qos: 1, nl, rap, rh }.to_bytes());
                }
                let subscriptions = self.input(&array);
                let request = MqttSubscribeRequest { correlation_id: 1, subscriptions, num_subscriptions };
                self.input(&request.to_bytes())
            }
            _ => {
                let (num_topics, topics) = self.strings();
                let request = MqttUnsubscribeRequest { correlation_id: 2, topics, num_topics };
                self.input(&request.to_bytes())
            }
        }
    }

    fn connect_request(&mut self) -> u32 {
        let mut request = MqttConnectRequest {
            protocol_version: self.chance.below(3),
            host: self.string(),
            port: self.chance.word() as u16,
            clientid: self.string(),
            keepalive: self.chance.word(),
            clean_start: self.chance.word() as u8,
            ..MqttConnectRequest::default()
        };
        request.authentication.method = self.chance.below(3) as u8;
        request.authentication.username_password.username = self.string();
        if self.chance.one_in(2) {
            let will = MqttWill { topic: self.string(), payload: self.string(), qos: 1, retain: 0 };
            request.will = self.input(&will.to_bytes());
        }
        if self.chance.one_in(2) {
            let mut tls = TlsCredentials::default();
            (tls.cacert.num_certs, tls.cacert.certs) = self.strings();
            (tls.clientcert.chain.num_certs, tls.clientcert.chain.certs) = self.strings();
            tls.clientcert.key = self.string();
            request.tls_credentials = self.input(&tls.to_bytes());
        }
        self.input(&request.to_bytes())
    }

    fn mqtt_output(&mut self, call: Call) -> u32 {
        match call {
            Call::MqttReceiveMessage => {
                let message = MqttMessage {
                    correlation_id: self.output(4),
                    topic: self.string_output(),
                    payload: self.string_output(),
                    qos: self.output(4),
                    retain: self.output(1),
                };
                self.input(&message.to_bytes())
            }
            Call::MqttReceiveLostMessageInfo => {
                let info = MqttLostMessageInfo {
                    reason: self.output(4),
                    topic: self.string_output(),
                    message_len: self.output(4),
                };
                self.input(&info.to_bytes())
            }
            Call::MqttReadSubscribeResponse | Call::MqttReadUnsubscribeResponse => {
                let size = self.chance.of(&[0, 1, 8]);
                let response = MqttSubscribeResponse {
                    request_state: self.output(4),
                    correlation_id: self.output(4),
                    reason_codes: self.output(4 * size),
                    reason_codes_size: if self.chance.one_in(30) { 0x4000_0001 } else { size },
                    reason_codes_len: self.output(4),
                };
                self.input(&response.to_bytes())
            }
            _ => self.output(12),
        }
    }

    // ---- the world ----

    /// The application changes its own memory, lent or not.
    fn scribble(&mut self) {
        let at = self.chance.below(0x8_0000 - 64);
        let bytes: Vec<u8> = (0..64).map(|_| self.chance.word() as u8).collect();
        self.device.memory.set(APPLICATION_RAM_START + at, &bytes);
    }

    fn interrupts(&mut self) {
        let irq = self.chance.below(126) as u16;
        let nvic = &mut self.device.nvic;
        nvic.enabled[usize::from(irq)] ^= true;
        nvic.pending = [false; 126];
        nvic.in_handler = self.chance.one_in(8);
        if self.chance.one_in(4) {
            let (fetching, attached) = (self.chance.one_in(4), self.chance.one_in(4));
            self.device.enter(|kernel, port| kernel.fetching_update(port, fetching));
            self.device.enter(|kernel, port| kernel.debugger_attached(port, attached));
            self.device.enter(Kernel::update_downloaded);
            self.device.enter(|kernel, port| kernel.take_test_log(port, &mut [0; 1024]));
        }
        if self.chance.one_in(2) {
            self.device.input(LinkInput::Timeout);
        } else {
            self.device.enter(|kernel, port| kernel.interrupt_taken(port, irq));
        }
    }

    fn time(&mut self) {
        let span = self.chance.of(&[
            TICK,
            Duration::from_millis(1),
            Duration::from_millis(250),
            Duration::from_secs(1),
            Duration::from_secs(40),
        ]);
        self.device.advance(span);
    }

    fn cable(&mut self) {
        if !self.device.connected {
            if self.chance.one_in(2) {
                return;
            }
            self.device.advance(Duration::from_secs(61));
            if self.device.kernel.wants_link() {
                self.device.connect();
            }
        } else if self.chance.one_in(12) {
            let cause = self.chance.of(&[LinkLoss::NoCarrier, LinkLoss::Unreachable, LinkLoss::Requested]);
            self.device.report_loss(cause);
        }
    }

    /// The cloud says something it may say, or, rarely, something it may not.
    fn cloud(&mut self) {
        if !self.device.connected {
            return self.cable();
        }
        self.device.chunk = self.chance.of(&[1, 5, 64, usize::MAX]);
        self.device.pump();
        self.device.cloud().lenient = true;
        let heard = self.device.cloud().take_messages();
        for said in heard {
            if let DeviceMessage::Item { channel, kind, body } = said {
                self.answer(channel, kind, &body);
            }
        }
        let channel = 1 + self.chance.below(4) as u8;
        match self.chance.below(40) {
            0 => self.device.cloud().send_closed(channel, link::channel::ClosureReason::ResetByServer),
            1 if self.chance.one_in(3) => {
                let garbage: Vec<u8> = (0..8).map(|_| self.chance.word() as u8).collect();
                self.device.cloud().send_raw(&garbage);
            }
            2..=26 => self.message(channel),
            27..=30 => self.lost(channel),
            31..=36 => self.data(channel),
            _ => {}
        }
        self.device.pump();
    }

    /// A message, if there is room and the channel carries any; now and then the cable is cut within it.
    fn message(&mut self, channel: u8) {
        let topic = self.chance.below(20);
        let payload = self.chance.of(&[0, 1, 100, 400, 1000]);
        let mut head = [0; MessageHead::MAX];
        let delivery = self.chance.one_in(2).then_some(9);
        let length = MessageHead { delivery, retain: false, topic }.encode(&mut head);
        let content = vec![b'm'; (topic + payload) as usize];
        let frames = if self.chance.one_in(50) { 1 } else { usize::MAX };
        let begun = self.device.cloud().try_send_fragments(
            channel,
            to_device::MESSAGE,
            &head[..length],
            &content,
            300,
            frames,
        );
        if begun && frames == 1 {
            self.device.pump();
            self.device.lose_link();
        }
    }

    /// Notice of a message that was lost.
    fn lost(&mut self, channel: u8) {
        let mut head = [0; LostHead::MAX];
        let lost = LostHead { reason: LostReason::ReceiveBufferTooSmall, message_len: 9000 };
        let length = lost.encode(&mut head);
        self.device.cloud().try_send_fragments(
            channel,
            to_device::LOST,
            &head[..length],
            b"topic",
            60,
            usize::MAX,
        );
    }

    /// Opaque bytes, if there is room and the channel carries them.
    fn data(&mut self, channel: u8) {
        let bytes = vec![b'd'; self.chance.of(&[0, 1, 100, 512])];
        let frames = if self.chance.one_in(10) { 1 } else { usize::MAX };
        self.device.cloud().try_send_fragments(channel, to_device::DATA, &[], &bytes, 60, frames);
    }

    fn answer(&mut self, channel: u8, kind: u8, body: &[u8]) {
        if !self.device.cloud().link.is_channel_open(channel) || self.chance.one_in(10) {
            return;
        }
        let mut out = [0; ConfigHead::MAX];
        let cloud = self.device.cloud.as_mut().expect("a connection");
        let state = RequestState::Completed;
        match kind {
            link::kind::to_cloud::PUBLISH => {
                let mut out = [0; Published::MAX];
                let slot = body.first().copied().unwrap_or(0) & 0x0f;
                let length = Published { slot, state, reason: 0 }.encode(&mut out);
                cloud.send_answer(channel, to_device::PUBLISHED, &out[..length]);
            }
            link::kind::to_cloud::CONNECT => cloud.answer_connect(channel, state, 0),
            link::kind::to_cloud::DISCONNECT => {
                let mut out = [0; Outcome::MAX];
                let length = Outcome { state, reason: 0 }.encode(&mut out);
                cloud.send_answer(channel, to_device::DISCONNECTED, &out[..length]);
            }
            link::kind::to_cloud::SUBSCRIBE | link::kind::to_cloud::UNSUBSCRIBE => {
                let mut out = [0; FilterCodes::MAX];
                let length = FilterCodes::failed(RequestState::InvalidParameters).encode(&mut out);
                let kind = if kind == link::kind::to_cloud::SUBSCRIBE {
                    to_device::SUBSCRIBED
                } else {
                    to_device::UNSUBSCRIBED
                };
                cloud.send_answer(channel, kind, &out[..length]);
            }
            link::kind::to_cloud::HTTP_REQUEST => {
                let mut out = [0; ResponseHead::MAX];
                let head = ResponseHead::new(HttpResult::Ok, 200, &[4, 6]).expect("two headers");
                let length = head.encode(&mut out);
                if 510 <= cloud.link.free_ring_bytes(channel) {
                    cloud.send_item(channel, to_device::HTTP_RESPONSE, &out[..length], &[b'h'; 510], 90);
                }
            }
            link::kind::to_cloud::CONFIG_FETCH => {
                let count = link::config::ConfigFetch::decode(body).map_or(0, |fetch| fetch.iter().count());
                let items = vec![(KeyResult::Ok, 3); count];
                let length = ConfigHead::new(FetchResult::Ok, &items).expect("a few").encode(&mut out);
                if 3 * count as u32 <= cloud.link.free_ring_bytes(channel) {
                    let values = vec![b'v'; 3 * count];
                    cloud.send_item(channel, to_device::CONFIG_RESPONSE, &out[..length], &values, 50);
                }
            }
            _ => {}
        }
    }
}

/// Kinds of handles.
const CENTRE: usize = 0;
const NETWORK: usize = 1;
const SYSTEM: usize = 2;
const FLASH: usize = 3;
/// Channels, by their type.
const CHANNEL: usize = 4;
const OPAQUE: usize = CHANNEL + ChannelType::OpaqueBytes.raw() as usize;
const MQTT: usize = CHANNEL + ChannelType::Mqtt.raw() as usize;
const HTTP: usize = CHANNEL + ChannelType::Http.raw() as usize;
const CONFIG: usize = CHANNEL + ChannelType::ConfigFetch.raw() as usize;
const KINDS: u32 = 8;
/// Stands for the log among the owners of lent memory.
const LOG: u32 = 1;
/// And the log of a factory test.
const TEST_LOG: u32 = 2;

/// Whether the call's argument is a variable with the handle of what it closes.
fn closes(call: Call) -> bool {
    matches!(
        call,
        Call::CloseNotifications
            | Call::ReleaseNetwork
            | Call::CloseChannel
            | Call::CloseSystemNotification
            | Call::ExternalFlashClose
    )
}

/// The calls that bring an application somewhere.
const LIKELY: [Call; 37] = [
    Call::ReadHttpResponseData,
    Call::ReadConfigResponseItem,
    Call::PowerSave,
    Call::DeepSleep,
    Call::MqttRequestUnsubscribe,
    Call::MqttReadUnsubscribeResponse,
    Call::MqttRequestDisconnect,
    Call::MqttReadDisconnectResponse,
    Call::MqttReceiveLostMessageInfo,
    Call::ExternalFlashOpen,
    Call::ExternalFlashGetInfo,
    Call::ExternalFlashReadBlocking,
    Call::ExternalFlashWriteBlocking,
    Call::ExternalFlashEraseBlocking,
    Call::WriteChannel,
    Call::WriteChannelStream,
    Call::ReadChannel,
    Call::ReadChannelComplete,
    Call::ExternalFlashOpen,
    Call::SendHttpRequest,
    Call::ReadHttpResponseBody,
    Call::ReadHttpResponseHeader,
    Call::SetupNotifications,
    Call::RequestNetwork,
    Call::OpenChannel,
    Call::OpenChannel,
    Call::CloseChannel,
    Call::CloseChannel,
    Call::MqttRequestConnect,
    Call::MqttRequestPublish,
    Call::MqttReceiveMessage,
    Call::SendConfigFetchRequest,
    Call::MqttReadPublishResponse,
    Call::MqttReadConnectResponse,
    Call::MqttRequestSubscribe,
    Call::MqttReadSubscribeResponse,
    Call::ServerLog,
];
