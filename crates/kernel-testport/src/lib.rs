//! A platform for the kernel in tests: memory, interrupt controller, clock, hardware, and a cloud at the other end of
//! the link. [`TestDevice`] is all of it together, with what applications do.
#![forbid(unsafe_code)]

pub mod board;
pub mod cloud;
pub mod memory;
pub mod mqtt;

use abi::channel::{ChannelType, OpenChannelParams};
use abi::network::{NetworkStatus, RequestNetworkParams};
use abi::notifications::{Notification, NotificationSetup};
use abi::power::WakeReason;
use abi::strings::{SizedString, SizedStringBuffer};
use abi::{Call, Status};
use board::TestBoard;
use cloud::TestCloud;
use kernel::{Boot, FastLines, Interrupts, Kernel, LinkInput, LinkLoss, Outcome, Policy, Port};
use memory::AppMemory;
use sansio::{Duration, Instant};

/// The smallest step of time.
pub const TICK: Duration = Duration::from_micros(1);
/// The device's identifier.
pub const DEVICE_ID: &[u8; 34] = b"UV00112233445566778899aabbccddeeff";
/// An interrupt that vendor applications use for notifications: TIM1_BRK.
pub const LINE: u16 = 41;
/// A register that the hardware has.
pub const REGISTER: u32 = board::REGISTER;

/// The interrupt controller.
pub struct Nvic {
    /// Lines that the application has enabled.
    pub enabled: [bool; 126],
    /// Lines that are pending.
    pub pending: [bool; 126],
    /// How often each line was pended.
    pub pends: [u32; 126],
    /// Whether the application is in a handler.
    pub in_handler: bool,
    /// Lines that are fast.
    pub fast: [bool; 126],
    /// Where the application's vector table is; `None` if there are no fast lines, or the application is being stopped.
    pub vectors: Option<u32>,
}

impl Nvic {
    fn new() -> Self {
        Self {
            enabled: [false; 126],
            pending: [false; 126],
            pends: [0; 126],
            in_handler: false,
            fast: [false; 126],
            vectors: None,
        }
    }
}

impl FastLines for Nvic {
    fn vector_table(&self) -> u32 {
        self.vectors.expect("a controller with fast lines")
    }
    fn set_fast(&mut self, irq: u16, fast: bool) {
        self.fast[usize::from(irq)] = fast;
    }
    fn set_enabled(&mut self, irq: u16, enabled: bool) {
        assert!(self.fast[usize::from(irq)] || !enabled, "an ordinary line is the application's to enable");
        self.enabled[usize::from(irq)] = enabled;
    }
}

impl Interrupts for Nvic {
    fn pend(&mut self, irq: u16) {
        self.pending[usize::from(irq)] = true;
        self.pends[usize::from(irq)] += 1;
    }
    fn is_enabled(&self, irq: u16) -> bool {
        self.enabled[usize::from(irq)]
    }
    fn is_pending(&self, irq: u16) -> bool {
        self.pending[usize::from(irq)]
    }
    fn in_handler(&self) -> bool {
        self.in_handler
    }
    fn fast_lines(&mut self) -> Option<&mut dyn FastLines> {
        if self.vectors.is_some() { Some(self) } else { None }
    }
}

/// Boot parameters of an ordinary device.
pub fn boot() -> Boot {
    Boot {
        device_id: *DEVICE_ID,
        seed: [3; 16],
        wake_reason: WakeReason::ColdBoot,
        image: [9; 32],
        policy: Policy::default(),
        application_test: false,
    }
}

/// A connection to a cloud outside this crate: the test carries its bytes.
#[derive(Default)]
pub struct Wire {
    /// Bytes for the cloud.
    pub up: Vec<u8>,
    /// Bytes from the cloud.
    pub down: Vec<u8>,
}

/// A device: the kernel and its platform.
pub struct TestDevice {
    /// The kernel.
    pub kernel: Kernel,
    /// Time since the device started.
    pub now: Instant,
    /// The application's memory.
    pub memory: AppMemory,
    /// The interrupt controller.
    pub nvic: Nvic,
    /// The hardware.
    pub board: TestBoard,
    /// The cloud's end of the connection.
    pub cloud: Option<TestCloud>,
    /// The connection to another cloud, instead of [`Self::cloud`].
    pub wire: Option<Wire>,
    /// Whether there is a connection.
    pub connected: bool,
    /// How many bytes the device receives at a time.
    pub chunk: usize,
    /// Length of the buffer for [`Kernel::transmit`].
    pub outgoing: usize,
}

impl Default for TestDevice {
    fn default() -> Self {
        Self::new()
    }
}

impl TestDevice {
    /// A device after a cold boot.
    pub fn new() -> Self {
        Self::woken_by(WakeReason::ColdBoot)
    }

    /// A device that was started for this reason.
    pub fn woken_by(wake_reason: WakeReason) -> Self {
        Self::booted(&Boot { wake_reason, ..boot() })
    }

    /// A device with these boot parameters.
    pub fn booted(boot: &Boot) -> Self {
        Self {
            kernel: Kernel::new(boot),
            now: Instant::from_millis(1),
            memory: AppMemory::new(),
            nvic: Nvic::new(),
            board: TestBoard::new(),
            cloud: None,
            wire: None,
            connected: false,
            chunk: usize::MAX,
            outgoing: 4096,
        }
    }

    /// A device whose application has a vector table in flash, so that lines can be made fast.
    pub fn with_vectors() -> Self {
        let mut device = Self::new();
        let handlers = [0x0800_1001_u32; 16 + 126].map(u32::to_le_bytes).concat();
        device.nvic.vectors = Some(device.memory.flash(&handlers));
        device
    }

    /// A device whose link is up.
    pub fn online() -> Self {
        let mut device = Self::new();
        device.connect();
        device
    }

    /// Runs `f` with the kernel and a port.
    pub fn enter<R>(&mut self, f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
        let mut port = Port {
            now: self.now,
            memory: &mut self.memory,
            interrupts: &mut self.nvic,
            hardware: &mut self.board,
        };
        f(&mut self.kernel, &mut port)
    }

    /// An input that cannot fail.
    #[track_caller]
    pub fn input(&mut self, input: LinkInput<'_>) {
        self.enter(|kernel, port| kernel.handle(port, input))
            .expect("only received bytes can be a violation");
    }

    /// When the kernel needs a timeout.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.kernel.next_timeout()
    }

    /// The outcome of a branch into the call page.
    pub fn call_slot(&mut self, slot: u32, args: [u32; 4]) -> Outcome {
        self.enter(|kernel, port| kernel.call(port, slot, args))
    }

    /// The status of a call.
    pub fn call(&mut self, call: Call, args: &[u32]) -> Status {
        let mut all = [0; 4];
        all[..args.len()].copy_from_slice(args);
        match self.call_slot(call.slot(), all) {
            Outcome::Status(status) => status,
            outcome => panic!("{} does not return: {outcome:?}", call.name()),
        }
    }

    /// A call that must answer `OKAY`.
    #[track_caller]
    pub fn call_ok(&mut self, call: Call, args: &[u32]) {
        assert_eq!(self.call(call, args), Status::Okay, "{}", call.name());
    }

    // ---- time ----

    /// Lets time pass, with every timeout the kernel needs.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(LinkInput::Timeout);
            self.pump();
            assert!(
                self.next_timeout().is_none_or(|next| next > at),
                "a timeout that was handled is no longer due"
            );
        }
        self.now = end;
        self.pump();
    }

    // ---- the link ----

    /// Makes a connection that the cloud welcomes.
    #[track_caller]
    pub fn connect(&mut self) {
        self.connect_transport();
        self.cloud().send_welcome();
        self.pump();
    }

    /// Makes a connection that the cloud has not welcomed yet.
    #[track_caller]
    pub fn connect_transport(&mut self) {
        assert!(self.kernel.wants_link(), "the kernel wants no link");
        self.input(LinkInput::Connecting);
        self.input(LinkInput::Connected);
        self.cloud = Some(TestCloud::new(self.now));
        self.connected = true;
        self.pump();
    }

    /// Loses the connection.
    pub fn lose_link(&mut self) {
        self.report_loss(LinkLoss::Unreachable);
    }

    /// Reports the end of the connection to the kernel.
    pub fn report_loss(&mut self, cause: LinkLoss) {
        self.connected = false;
        self.input(LinkInput::Lost(cause));
    }

    /// The cloud's end of the connection that was made last.
    pub fn cloud(&mut self) -> &mut TestCloud {
        self.cloud.as_mut().expect("a connection was made")
    }

    /// Transfers bytes in both directions until there are none, and closes the connection when the kernel wants no
    /// link.
    pub fn pump(&mut self) {
        loop {
            let sent = self.pump_up();
            let received = self.pump_down();
            if self.connected && !self.kernel.wants_link() {
                while self.pump_up() {}
                self.report_loss(LinkLoss::Requested);
            }
            if !sent && !received {
                return;
            }
        }
    }

    fn pump_up(&mut self) -> bool {
        let mut out = vec![0; self.outgoing];
        let count = self.enter(|kernel, port| kernel.transmit(port, &mut out));
        if let Some(wire) = self.wire.as_mut().filter(|_| self.connected) {
            wire.up.extend(&out[..count]);
        }
        if let Some(cloud) = self.cloud.as_mut().filter(|_| self.connected) {
            cloud.receive(self.now, &out[..count]);
        }
        count > 0
    }

    fn pump_down(&mut self) -> bool {
        let bytes = match (&mut self.wire, &mut self.cloud) {
            _ if !self.connected => return false,
            (Some(wire), _) => std::mem::take(&mut wire.down),
            (None, Some(cloud)) => cloud.transmit(),
            (None, None) => return false,
        };
        for chunk in bytes.chunks(self.chunk) {
            if self.enter(|kernel, port| kernel.handle(port, LinkInput::Received(chunk))).is_err() {
                break;
            }
        }
        !bytes.is_empty()
    }

    // ---- memory ----

    /// Allocates RAM with these bytes, aligned to 8.
    pub fn alloc_bytes(&mut self, bytes: &[u8]) -> u32 {
        let at = self.memory.allocate(bytes.len(), 8);
        self.memory.set(at, bytes);
        at
    }

    /// Allocates `count` bytes of RAM, filled with 0xEE.
    pub fn alloc(&mut self, count: usize) -> u32 {
        self.alloc_bytes(&vec![0xee; count])
    }

    /// Allocates a variable with this value.
    pub fn alloc_u32(&mut self, value: u32) -> u32 {
        self.alloc_bytes(&value.to_le_bytes())
    }

    /// Allocates a buffer for a channel or a log.
    pub fn alloc_buffer(&mut self, size: u32) -> u32 {
        self.memory.allocate(size as usize, 512)
    }

    /// Puts a string into the application's flash.
    pub fn flash_string(&mut self, bytes: &[u8]) -> SizedString {
        SizedString { data: self.memory.flash(bytes), length: bytes.len() as u32 }
    }

    /// Allocates a buffer for a string, and a variable for its length.
    pub fn alloc_string(&mut self, size: u32) -> SizedStringBuffer {
        SizedStringBuffer { data: self.alloc(size as usize), size, length: self.alloc_u32(0xeeee_eeee) }
    }

    /// The string that was written to such a buffer.
    pub fn read_string(&self, buffer: SizedStringBuffer) -> Vec<u8> {
        self.memory.bytes(buffer.data, self.u32(buffer.length) as usize)
    }

    /// A number in memory.
    pub fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.memory.bytes(at, 4).try_into().expect("four bytes"))
    }

    /// A number in memory.
    pub fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.memory.bytes(at, 8).try_into().expect("eight bytes"))
    }

    // ---- what applications do ----

    /// Opens a notification centre of `records` records, and enables its interrupt as applications do.
    pub fn open_centre(&mut self, line: u16, records: u32) -> TestCentre {
        let buffer = self.alloc(records as usize * Notification::SIZE);
        let setup = NotificationSetup { irq: u32::from(line), buffer, buffer_size: records * 16 };
        let setup = self.alloc_bytes(&setup.to_bytes());
        let handle = self.alloc_u32(0);
        self.call_ok(Call::SetupNotifications, &[setup, handle]);
        self.nvic.enabled[usize::from(line)] = true;
        TestCentre { handle: self.u32(handle), line, buffer, records, next: 0 }
    }

    /// The events that the application's handler reads, one record an interrupt, until none is pending.
    pub fn events(&mut self, centre: &mut TestCentre) -> Vec<(u32, u32)> {
        let mut seen = Vec::new();
        while std::mem::take(&mut self.nvic.pending[usize::from(centre.line)]) {
            let record = self.record(centre, centre.next);
            centre.next = (centre.next + 1) % centre.records;
            seen.push((record.event_type, record.tag));
            let line = centre.line;
            self.enter(|kernel, port| kernel.interrupt_taken(port, line));
        }
        seen
    }

    /// The record at this index of the centre's buffer.
    pub fn record(&self, centre: &TestCentre, index: u32) -> Notification {
        let bytes = self.memory.bytes(centre.buffer + index * 16, 16);
        Notification::from_bytes(&bytes.try_into().expect("a record"))
    }

    /// Requests the network with this tag; returns the handle.
    #[track_caller]
    pub fn request_network(&mut self, centre: &TestCentre, tag: u32) -> u32 {
        let params =
            RequestNetworkParams { version: 1, notification_handle: centre.handle, notification_tag: tag };
        let params = self.alloc_bytes(&params.to_bytes());
        let handle = self.alloc_u32(0);
        self.call_ok(Call::RequestNetwork, &[params, handle]);
        self.u32(handle)
    }

    /// The status of the network.
    pub fn network_status(&mut self, network: u32) -> Option<NetworkStatus> {
        let to = self.alloc_u32(u32::MAX);
        self.call_ok(Call::GetNetworkStatus, &[network, to]);
        NetworkStatus::from_raw(self.u32(to))
    }

    /// Why the link is up, and how many handles there are.
    pub fn network_reasons(&mut self) -> (u32, u32) {
        let (reasons, count) = (self.alloc_u32(u32::MAX), self.alloc_u32(u32::MAX));
        self.call_ok(Call::GetNetworkReasons, &[reasons, count]);
        (self.u32(reasons), self.u32(count))
    }

    /// Parameters to open a channel of this type with buffers of these sizes.
    pub fn channel_params(
        &mut self,
        setup: &AppSetup,
        channel_type: ChannelType,
        receive: u32,
        send: u32,
    ) -> OpenChannelParams {
        OpenChannelParams {
            version: 1,
            notification_handle: setup.centre.handle,
            notification_tag: TAG,
            network_handle: setup.network,
            receive_buffer: self.alloc_buffer(receive),
            receive_buffer_len: receive,
            send_buffer: self.alloc_buffer(send),
            send_buffer_len: send,
            channel_type: channel_type.raw(),
            endpoint: self.flash_string(b""),
        }
    }

    /// Opens a channel; returns the handle.
    #[track_caller]
    pub fn open_channel(&mut self, params: &OpenChannelParams) -> u32 {
        let params = self.alloc_bytes(&params.to_bytes());
        let handle = self.alloc_u32(0);
        self.call_ok(Call::OpenChannel, &[params, handle]);
        self.pump();
        self.u32(handle)
    }

    /// The status of an attempt to open a channel.
    pub fn try_open_channel(&mut self, params: &OpenChannelParams) -> Status {
        let params = self.alloc_bytes(&params.to_bytes());
        let handle = self.alloc_u32(0);
        self.call(Call::OpenChannel, &[params, handle])
    }

    /// A device online with a notification centre and a network handle, its first event read.
    pub fn with_network() -> (Self, AppSetup) {
        let mut device = Self::online();
        let mut centre = device.open_centre(LINE, 16);
        let network = device.request_network(&centre, 1);
        device.events(&mut centre);
        (device, AppSetup { centre, network })
    }

    /// The same with a channel of this type and buffers of 1536 bytes.
    pub fn with_channel(channel_type: ChannelType) -> (Self, AppSetup, u32) {
        let (mut device, setup) = Self::with_network();
        let params = device.channel_params(&setup, channel_type, 1536, 1536);
        let channel = device.open_channel(&params);
        (device, setup, channel)
    }
}

/// The tag of every channel.
pub const TAG: u32 = 77;

/// A notification centre as its application sees it.
pub struct TestCentre {
    /// Its handle.
    pub handle: u32,
    /// Its interrupt.
    pub line: u16,
    /// Address of its buffer.
    pub buffer: u32,
    /// Number of records in the buffer.
    pub records: u32,
    /// The record that its handler reads next.
    pub next: u32,
}

/// What an application needs to open a channel.
pub struct AppSetup {
    /// A notification centre.
    pub centre: TestCentre,
    /// A network handle.
    pub network: u32,
}
