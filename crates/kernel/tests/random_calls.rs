//! Random system calls, link losses and clouds: the kernel never panics, and writes nothing but out-parameters and
//! buffers.
//!
//! RAM is used in two halves. The lower one contains what the current call may write; the upper one contains the
//! buffers that the kernel was given. Some pointers are invalid. Every write of the kernel is compared with both.

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
use kernel::{Boot, Kernel, LinkInput, LinkLoss, Outcome as CallOutcome, Policy};
use kernel_testport::board::SECTORS;
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{REGISTER, TICK, TestDevice, boot};
use link::config::{ConfigHead, FetchResult, KeyResult};
use link::http::{HttpResult, ResponseHead};
use link::kind::to_device;
use link::mqtt::{FilterCodes, LostHead, LostReason, MessageHead, Outcome, Published, RequestState};
use sansio::Duration;
use test_rng::Rng;

const SEEDS: u64 = 60;
const STEPS: u32 = 2500;
/// Where the buffers are: the upper half of RAM.
const BUFFERS: u32 = APPLICATION_RAM_START + 0x4_0000;

/// An application that makes random calls.
struct RandomApplication {
    device: TestDevice,
    rng: Rng,
    /// What the current call may write: address and length.
    out_params: Vec<(u32, u32)>,
    /// Buffers that the kernel has: owner, address, length.
    buffers: Vec<(u32, u32, u32)>,
    /// Buffers in the parameters of the current call.
    offered: Vec<(u32, u32)>,
    /// Handles that were allocated, stale ones included, by kind.
    handles: [Vec<u32>; KINDS as usize],
    free: u32,
}

/// Shows D01, D03, D06, D33, D81.
#[test]
fn random_calls_never_make_the_kernel_panic_or_write_where_it_may_not() {
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
        let mut application = RandomApplication {
            device,
            rng: Rng::new(seed),
            out_params: Vec::new(),
            buffers: Vec::new(),
            offered: Vec::new(),
            handles: Default::default(),
            free: APPLICATION_RAM_START,
        };
        application.device.memory.written = Some(Vec::new());
        for step in 0..STEPS {
            accepted.extend(application.step());
            application.check_writes(seed, step);
        }
    }
    let missing: Vec<_> = Call::ALL.iter().filter(|call| !accepted.contains(call)).collect();
    assert_eq!(missing, [] as [&Call; 0], "every call was accepted at least once");
}

impl RandomApplication {
    /// Does something; returns the call that was accepted, if it was one.
    fn step(&mut self) -> Option<Call> {
        self.out_params.clear();
        self.offered.clear();
        self.free = APPLICATION_RAM_START;
        match self.below(24) {
            0 => self.overwrite_memory(),
            1 => self.interrupts(),
            2 => self.advance(),
            3..=7 => self.cloud(),
            8 => self.connection(),
            _ => return self.call(),
        }
        None
    }

    /// Every write since the last check must be inside an out-parameter of this call, or a buffer.
    fn check_writes(&mut self, seed: u64, step: u32) {
        let written = self.device.memory.written.replace(Vec::new()).expect("writes are recorded");
        for (at, length) in written {
            let inside = |start: u32, size: u32| at >= start && at + length <= start + size;
            let passed = self.out_params.iter().any(|&(start, size)| inside(start, size));
            let allowed = passed || self.buffers.iter().any(|&(_, start, size)| inside(start, size));
            assert!(allowed, "seed {seed} step {step}: {length} bytes at {at:#x}");
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.rng.below(bound.into()) as u32
    }

    fn call(&mut self) -> Option<Call> {
        let call = if self.rng.one_in(2) { self.rng.pick(&LIKELY) } else { self.rng.pick(&Call::ALL) };
        // Rarely, or no state would ever be reached.
        let is_last = matches!(call, Call::Restart | Call::DeepSleep | Call::TestingComplete);
        let call = if is_last && !self.rng.one_in(4) { Call::NoOp } else { call };
        let args = self.arguments(call);
        let named = if closes(call) { self.device.memory.bytes_or_zero(args[0]) } else { 0 };
        let outcome = self.device.call_slot(call.slot(), args);
        let accepted = outcome == CallOutcome::Status(abi::Status::Okay);
        if matches!(
            outcome,
            CallOutcome::Restart | CallOutcome::DeepSleep { .. } | CallOutcome::TestingComplete { .. }
        ) {
            self.restart();
        }
        if accepted {
            self.update_buffers(call, args, named);
        }
        if self.rng.one_in(4) {
            self.device.pump();
        }
        let is_refused = matches!(outcome, CallOutcome::Status(status) if status != abi::Status::Okay);
        if !is_refused {
            self.check_handle(call, args[0]);
        }
        (!is_refused).then_some(call)
    }

    /// The handle of an accepted call must have been allocated, for the kind of thing that the call takes.
    fn check_handle(&self, call: Call, handle: u32) {
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

    /// The application restarts, and its buffers are its own again.
    fn restart(&mut self) {
        let reason = self.rng.pick(&WakeReason::ALL);
        self.device.enter(|kernel, port| kernel.application_restarted(port, reason));
        self.buffers.clear();
        assert!(self.device.nvic.fast.iter().all(|fast| !fast), "no line is fast after a restart");
    }

    /// An accepted call gave the kernel a buffer, or took one back.
    fn update_buffers(&mut self, call: Call, args: [u32; 4], closed: u32) {
        let owner = match call {
            Call::SetupNotifications => self.record_handle(CENTRE, args[1]),
            Call::RequestNetwork => self.record_handle(NETWORK, args[1]),
            Call::OpenChannel => {
                let channel_type = self.device.memory.bytes_or_zero(args[0] + 32);
                self.record_handle(CHANNEL + channel_type as usize, args[1])
            }
            Call::OpenSystemNotification => self.record_handle(SYSTEM, args[1]),
            Call::ExternalFlashOpen => self.record_handle(FLASH, args[0]),
            Call::ServerLoggingInit => LOG,
            Call::TestLoggingInit => TEST_LOG,
            _ => 0,
        };
        if closes(call) || owner == LOG || owner == TEST_LOG {
            self.buffers.retain(|buffer| buffer.0 != closed && buffer.0 != owner);
        }
        self.buffers.extend(self.offered.iter().map(|&(at, size)| (owner, at, size)));
    }

    fn record_handle(&mut self, kind: usize, at: u32) -> u32 {
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
                let (buffer, buffer_size) = self.buffer(16);
                let irq = self.below(130);
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
                    notification_source: self.below(3),
                };
                [self.input(&params.to_bytes()), self.output(4), 0, 0]
            }
            _ if closes(call) => {
                // Rarely, or no state would ever be reached.
                let often = if call == Call::CloseChannel { 2 } else { 12 };
                let handle = if self.rng.one_in(often) { handle } else { 0 };
                let at = self.input(&handle.to_le_bytes());
                self.out_params.push((at, 4));
                [at, 0, 0, 0]
            }
            Call::OpenChannel => [self.open_params(), self.output(4), 0, 0],
            Call::TempTriggerNotification => [handle, self.rng.next_u32(), self.rng.next_u32(), 0],
            Call::GetNetworkReasons => [self.output(4), self.output(4), 0, 0],
            Call::ServerLoggingInit | Call::TestLoggingInit => {
                let (buffer, size) = self.buffer(512);
                [buffer, size, 0, 0]
            }
            Call::ServerLog | Call::TestLog => [self.string().data, self.below(1200), 0, 0],
            Call::GetDeviceId => [self.output(34), self.rng.pick(&[34, 34, 33, u32::MAX]), 0, 0],
            Call::GetMicroseconds | Call::GetWallTime => [self.output(8), 0, 0, 0],
            Call::PeriphPeek32 => [self.register(), self.output(4), 0, 0],
            Call::PeriphPoke32 => [self.register(), self.rng.next_u32(), self.rng.next_u32(), 0],
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
            | Call::DisableFastInterrupt => [self.rng.pick(&[0, 1, 2, 45, 46, 47, 126, u32::MAX]), 0, 0, 0],
            Call::Restart | Call::DeepSleep | Call::PowerSave | Call::SystemLedEnable => {
                [self.below(3), 0, 0, 0]
            }
            Call::ExternalFlashGetInfo => {
                let at = self.input(&ExternalFlashInfo { version: 1, ..Default::default() }.to_bytes());
                self.out_params.push((at, 16));
                [handle, at, 0, 0]
            }
            Call::ExternalFlashReadBlocking => {
                let size = self.rng.pick(&[0, 1, 50, 700, 5000]);
                [handle, self.flash_address(), size, self.output(size)]
            }
            Call::ExternalFlashWriteBlocking => {
                let data = self.string();
                [handle, self.flash_address(), data.length, data.data]
            }
            Call::ExternalFlashEraseBlocking => [
                handle,
                self.flash_address(),
                self.rng.pick(&[0, 1, FLASH_SECTOR, 2 * FLASH_SECTOR, u32::MAX]),
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
            Call::MqttAcknowledgeMessage => [handle, self.below(5), 0, 0],
            Call::MqttRequestDisconnect => [if self.rng.one_in(4) { handle } else { 0 }, 0, 0, 0],
            Call::WriteChannel | Call::WriteChannelStream => {
                let data = self.string();
                [handle, data.data, data.length, self.output(4)]
            }
            Call::ReadChannel => [handle, self.output(4), self.output(4), 0],
            Call::ReadChannelComplete => [handle, self.rng.pick(&[0, 1, 20, 512, u32::MAX]), 0, 0],
            Call::SendHttpRequest => [handle, self.http_request(), 0, 0],
            Call::ReadHttpResponseHeader | Call::ReadHttpResponseBody => {
                let size = self.rng.pick(&[0, 1, 50, 700]);
                [handle, self.rng.pick(&[0, 0, 1, 5, u32::MAX]), self.output(size), size]
            }
            Call::ReadHttpResponseData => [handle, self.output(16), 0, 0],
            Call::SendConfigFetchRequest => [handle, self.config_request(), 0, 0],
            Call::ReadConfigResponseItem => [handle, self.config_item(), 0, 0],
            _ if call.name().starts_with("mvMqttRequest") => [handle, self.mqtt_request(call), 0, 0],
            _ if call.name().starts_with("mvMqttRe") => [handle, self.mqtt_output(call), 0, 0],
            _ if call.parameters().first().is_some_and(|parameter| parameter.name == "handle") => {
                [handle, self.output(8), self.rng.next_u32(), self.rng.next_u32()]
            }
            _ => [self.output(4), self.rng.next_u32(), self.rng.next_u32(), self.rng.next_u32()],
        }
    }

    /// The kind of handle that the call takes.
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
                self.rng.pick(&[OPAQUE, MQTT, HTTP, CONFIG])
            }
            Call::ReleaseNetwork | Call::GetNetworkStatus => NETWORK,
            _ => OPAQUE,
        }
    }

    /// A handle of this kind, mostly one of the latest; sometimes stale, of another kind, or none.
    fn handle(&mut self, kind: usize) -> u32 {
        let kind = if self.rng.one_in(30) { self.below(KINDS) as usize } else { kind };
        let all = self.handles[kind].clone();
        let latest = &all[all.len().saturating_sub(3)..];
        match latest {
            [] => self.rng.pick(&[0, 1, u32::MAX]),
            _ if self.rng.one_in(20) => self.rng.pick(&all),
            _ => self.rng.pick(latest),
        }
    }

    /// An invalid pointer.
    fn invalid_pointer(&mut self) -> u32 {
        let word = self.rng.next_u32();
        self.rng.pick(&[
            0,
            APPLICATION_FLASH_START,
            0x0810_0000,
            0x2007_fffe,
            0x2008_0000,
            u32::MAX - 1,
            word,
        ])
    }

    /// Bytes in RAM, at any alignment.
    fn input(&mut self, bytes: &[u8]) -> u32 {
        if self.rng.one_in(40) {
            return self.invalid_pointer();
        }
        let at = self.free + self.below(4);
        self.free = at + bytes.len() as u32;
        self.device.memory.set(at, bytes);
        at
    }

    /// Memory that the call may write.
    fn output(&mut self, length: u32) -> u32 {
        if self.rng.one_in(40) {
            return self.invalid_output(length);
        }
        let at = self.free + self.below(4);
        self.free = at + length;
        self.out_params.push((at, length));
        at
    }

    /// An invalid pointer may happen to be in RAM, and then the call may write there.
    fn invalid_output(&mut self, length: u32) -> u32 {
        let at = self.invalid_pointer();
        if at.checked_add(length).is_some() {
            self.out_params.push((at, length));
        }
        at
    }

    /// A buffer in the upper half, sometimes misaligned, overlapping or too long.
    fn buffer(&mut self, unit: u32) -> (u32, u32) {
        let skew = if self.rng.one_in(40) { self.below(20) } else { 0 };
        let at = BUFFERS + self.below(0x200) * 512 + skew;
        let size = unit
            * if self.rng.one_in(40) {
                self.rng.pick(&[0, 1, 0x1_0000])
            } else {
                self.rng.pick(&[2, 2, 3, 4])
            };
        self.offered.push((at, size));
        (at, size)
    }

    fn string(&mut self) -> SizedString {
        let length = self.rng.pick(&[0, 1, 3, 20, 64, 65, 300, 1024, 1500]);
        let bytes: Vec<u8> = (0..length).map(|_| b'a' + self.below(26) as u8).collect();
        let length = if self.rng.one_in(60) { self.rng.next_u32() } else { length };
        SizedString { data: self.input(&bytes), length }
    }

    fn string_output(&mut self) -> SizedStringBuffer {
        let size = self.rng.pick(&[0, 1, 10, 100, 2000]);
        SizedStringBuffer { data: self.output(size), size, length: self.output(4) }
    }

    fn strings(&mut self) -> (u32, u32) {
        let count = self.rng.pick(&[0, 1, 1, 2, 8, 9]);
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
        let channel_type = if self.rng.one_in(20) { self.below(6) } else { self.rng.pick(&types).raw() };
        let (receive_buffer, receive_buffer_len) = self.buffer(512);
        let (send_buffer, send_buffer_len) = self.buffer(512);
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
        let word = self.rng.next_u32();
        self.rng.pick(&[REGISTER, REGISTER + 1, word])
    }

    fn flash_address(&mut self) -> u32 {
        let end = SECTORS * FLASH_SECTOR;
        self.rng.pick(&[
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
            config_mode: self.below(3) as u8,
            wifi_ssid: self.string(),
            wifi_password: self.string(),
        };
        self.input(&config.to_bytes())
    }

    fn config_request(&mut self) -> u32 {
        let num_items = self.rng.pick(&[0, 1, 2, 32, 33]);
        let mut array = Vec::new();
        for _ in 0..num_items {
            let key = ConfigKeyToFetch {
                scope: self.below(2),
                store: self.below(2),
                key: SizedString { data: self.input(b"key"), length: 3 },
            };
            array.extend(key.to_bytes());
        }
        let keys_to_fetch = self.input(&array);
        self.input(&ConfigKeyFetchParams { num_items, keys_to_fetch }.to_bytes())
    }

    fn config_item(&mut self) -> u32 {
        let params = ConfigResponseReadItemParams {
            item_index: self.below(4),
            result: self.output(4),
            buf: self.string_output(),
        };
        self.input(&params.to_bytes())
    }

    fn http_request(&mut self) -> u32 {
        let num_headers = self.rng.pick(&[0, 1, 32, 33]);
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
            timeout_ms: self.rng.next_u32(),
        };
        self.input(&request.to_bytes())
    }

    fn mqtt_request(&mut self, call: Call) -> u32 {
        match call {
            Call::MqttRequestConnect => self.connect_request(),
            Call::MqttRequestPublish => {
                let request = MqttPublishRequest {
                    correlation_id: self.rng.next_u32(),
                    topic: self.string(),
                    payload: self.string(),
                    desired_qos: self.below(3),
                    retain: self.below(2),
                };
                self.input(&request.to_bytes())
            }
            Call::MqttRequestSubscribe => {
                let num_subscriptions = self.rng.pick(&[0, 1, 2, 8, 9]);
                let mut array = Vec::new();
                for _ in 0..num_subscriptions {
                    let topic = self.string();
                    let (nl, rap, rh) = (self.below(2), self.below(2), self.below(5));
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
            protocol_version: self.below(3),
            host: self.string(),
            port: self.rng.next_u32() as u16,
            clientid: self.string(),
            keepalive: self.rng.next_u32(),
            clean_start: self.rng.next_u32() as u8,
            ..MqttConnectRequest::default()
        };
        request.authentication.method = self.below(3) as u8;
        request.authentication.username_password.username = self.string();
        if self.rng.one_in(2) {
            let will = MqttWill { topic: self.string(), payload: self.string(), qos: 1, retain: 0 };
            request.will = self.input(&will.to_bytes());
        }
        if self.rng.one_in(2) {
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
                let size = self.rng.pick(&[0, 1, 8]);
                let response = MqttSubscribeResponse {
                    request_state: self.output(4),
                    correlation_id: self.output(4),
                    reason_codes: self.output(4 * size),
                    reason_codes_size: if self.rng.one_in(30) { 0x4000_0001 } else { size },
                    reason_codes_len: self.output(4),
                };
                self.input(&response.to_bytes())
            }
            _ => self.output(12),
        }
    }

    // ---- everything around the application ----

    /// The application changes its own memory, buffers included.
    fn overwrite_memory(&mut self) {
        let at = self.below(0x8_0000 - 64);
        let bytes: Vec<u8> = (0..64).map(|_| self.rng.next_u32() as u8).collect();
        self.device.memory.set(APPLICATION_RAM_START + at, &bytes);
    }

    fn interrupts(&mut self) {
        let irq = self.below(126) as u16;
        let nvic = &mut self.device.nvic;
        nvic.enabled[usize::from(irq)] ^= true;
        nvic.pending = [false; 126];
        nvic.in_handler = self.rng.one_in(8);
        if self.rng.one_in(4) {
            let (fetching, attached) = (self.rng.one_in(4), self.rng.one_in(4));
            self.device.enter(|kernel, port| kernel.fetching_update(port, fetching));
            self.device.enter(|kernel, port| kernel.debugger_attached(port, attached));
            self.device.enter(Kernel::update_downloaded);
            self.device.enter(|kernel, port| kernel.take_test_log(port, &mut [0; 1024]));
        }
        if self.rng.one_in(2) {
            self.device.input(LinkInput::Timeout);
        } else {
            self.device.enter(|kernel, port| kernel.interrupt_taken(port, irq));
        }
    }

    fn advance(&mut self) {
        let span = self.rng.pick(&[
            TICK,
            Duration::from_millis(1),
            Duration::from_millis(250),
            Duration::from_secs(1),
            Duration::from_secs(40),
        ]);
        self.device.advance(span);
    }

    fn connection(&mut self) {
        if !self.device.connected {
            if self.rng.one_in(2) {
                return;
            }
            self.device.advance(Duration::from_secs(61));
            if self.device.kernel.wants_link() {
                self.device.connect();
            }
        } else if self.rng.one_in(12) {
            let cause = self.rng.pick(&[LinkLoss::NoCarrier, LinkLoss::Unreachable, LinkLoss::Requested]);
            self.device.report_loss(cause);
        }
    }

    /// The cloud sends something that the link allows, or, rarely, something that it does not.
    fn cloud(&mut self) {
        if !self.device.connected {
            return self.connection();
        }
        self.device.chunk = self.rng.pick(&[1, 5, 64, usize::MAX]);
        self.device.pump();
        self.device.cloud().lenient = true;
        let messages = self.device.cloud().take_messages();
        for message in messages {
            if let DeviceMessage::Item { channel, kind, body } = message {
                self.answer(channel, kind, &body);
            }
        }
        let channel = 1 + self.below(4) as u8;
        match self.below(40) {
            0 => self.device.cloud().send_closed(channel, link::channel::ClosureReason::ResetByServer),
            1 if self.rng.one_in(3) => {
                let garbage: Vec<u8> = (0..8).map(|_| self.rng.next_u32() as u8).collect();
                self.device.cloud().send_raw(&garbage);
            }
            2..=26 => self.message(channel),
            27..=30 => self.lost(channel),
            31..=36 => self.data(channel),
            _ => {}
        }
        self.device.pump();
    }

    /// A message, if the channel has space and carries messages; sometimes the link is lost in the middle of it.
    fn message(&mut self, channel: u8) {
        let topic = self.below(20);
        let payload = self.rng.pick(&[0, 1, 100, 400, 1000]);
        let mut head = [0; MessageHead::MAX];
        let delivery = self.rng.one_in(2).then_some(9);
        let length = MessageHead { delivery, retain: false, topic }.encode(&mut head);
        let content = vec![b'm'; (topic + payload) as usize];
        let frames = if self.rng.one_in(50) { 1 } else { usize::MAX };
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

    /// Opaque bytes, if the channel has space and carries them.
    fn data(&mut self, channel: u8) {
        let bytes = vec![b'd'; self.rng.pick(&[0, 1, 100, 512])];
        let frames = if self.rng.one_in(10) { 1 } else { usize::MAX };
        self.device.cloud().try_send_fragments(channel, to_device::DATA, &[], &bytes, 60, frames);
    }

    fn answer(&mut self, channel: u8, kind: u8, body: &[u8]) {
        if !self.device.cloud().link.is_channel_open(channel) || self.rng.one_in(10) {
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
/// The log, as the owner of a buffer.
const LOG: u32 = 1;
/// The log of a factory test.
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

/// Calls that reach interesting states.
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
