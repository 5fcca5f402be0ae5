//! A model of everything around the kernel: memory, interrupt controller, clock, and a cloud that speaks frames.

#![allow(dead_code, reason = "every test file is a crate of its own and uses its part")]

pub(crate) mod board;
pub(crate) mod cloud;
pub(crate) mod memory;
pub(crate) mod mqtt;

use abi::channel::{ChannelType, OpenChannelParams};
use abi::network::{NetworkStatus, RequestNetworkParams};
use abi::notifications::{Notification, NotificationSetup};
use abi::power::WakeReason;
use abi::strings::{SizedString, SizedStringBuffer};
use abi::{Call, Status};
use board::Board;
use cloud::Cloud;
use kernel::{Boot, FastLines, Interrupts, Kernel, LinkInput, LinkLoss, Outcome, Policy, Port};
use memory::AppMemory;
use sansio::{Duration, Instant};

/// The smallest step of time.
pub(crate) const TICK: Duration = Duration::from_micros(1);
pub(crate) const DEVICE_ID: &[u8; 34] = b"UV00112233445566778899aabbccddeeff";
/// A line vendor applications use for notifications: TIM1_BRK.
pub(crate) const LINE: u16 = 41;
/// One register the model has.
pub(crate) const REGISTER: u32 = board::REGISTER;

/// The interrupt controller.
pub(crate) struct Nvic {
    pub enabled: [bool; 126],
    pub pending: [bool; 126],
    pub pends: [u32; 126],
    pub in_handler: bool,
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

/// What the model device is told at its start.
pub(crate) fn boot() -> Boot {
    Boot {
        device_id: *DEVICE_ID,
        seed: [3; 16],
        wake_reason: WakeReason::ColdBoot,
        image: [9; 32],
        policy: Policy::default(),
        application_test: false,
    }
}

/// A connection whose other end is elsewhere: the test carries its bytes.
#[derive(Default)]
pub(crate) struct Wire {
    /// On their way to the cloud.
    pub up: Vec<u8>,
    /// Come from the cloud.
    pub down: Vec<u8>,
}

/// A device: the kernel and a model port around it.
pub(crate) struct Machine {
    pub kernel: Kernel,
    pub now: Instant,
    pub memory: AppMemory,
    pub nvic: Nvic,
    pub board: Board,
    /// The cloud's end of the connection, while there is one.
    pub cloud: Option<Cloud>,
    /// The connection to a cloud that is not the model's.
    pub wire: Option<Wire>,
    /// The port's side of it: whether a connection stands.
    pub connected: bool,
    /// How many bytes travel to the device at a time.
    pub chunk: usize,
    /// How many bytes the port has room for on their way to the cloud.
    pub outgoing: usize,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::woken(WakeReason::ColdBoot)
    }

    pub(crate) fn woken(wake_reason: WakeReason) -> Self {
        Self::booted(&Boot { wake_reason, ..boot() })
    }

    pub(crate) fn booted(boot: &Boot) -> Self {
        Self {
            kernel: Kernel::new(boot),
            now: Instant::from_millis(1),
            memory: AppMemory::new(),
            nvic: Nvic::new(),
            board: Board::new(),
            cloud: None,
            wire: None,
            connected: false,
            chunk: usize::MAX,
            outgoing: 4096,
        }
    }

    /// A device whose application has a vector table in flash, so that lines can be made fast.
    pub(crate) fn with_vectors() -> Self {
        let mut machine = Self::new();
        let handlers = [0x0800_1001_u32; 16 + 126].map(u32::to_le_bytes).concat();
        machine.nvic.vectors = Some(machine.memory.flash(&handlers));
        machine
    }

    /// A device whose link is up.
    pub(crate) fn online() -> Self {
        let mut machine = Self::new();
        machine.connect();
        machine
    }

    /// Runs `f` with the kernel and a port.
    pub(crate) fn enter<R>(&mut self, f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
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
    pub(crate) fn link(&mut self, input: LinkInput<'_>) {
        self.enter(|kernel, port| kernel.handle(port, input))
            .expect("only received bytes can be a violation");
    }

    /// When the kernel needs a timeout.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.kernel.next_timeout()
    }

    /// One call's outcome, whatever it is.
    pub(crate) fn branch(&mut self, slot: u32, args: [u32; 4]) -> Outcome {
        self.enter(|kernel, port| kernel.call(port, slot, args))
    }

    /// One call's status.
    pub(crate) fn call(&mut self, call: Call, args: &[u32]) -> Status {
        let mut all = [0; 4];
        all[..args.len()].copy_from_slice(args);
        match self.branch(call.slot(), all) {
            Outcome::Status(status) => status,
            outcome => panic!("{} does not return: {outcome:?}", call.name()),
        }
    }

    /// One call that must be accepted.
    #[track_caller]
    pub(crate) fn ok(&mut self, call: Call, args: &[u32]) {
        assert_eq!(self.call(call, args), Status::Okay, "{}", call.name());
    }

    // ---- time ----

    /// Lets time pass, with every timeout the kernel needs.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.link(LinkInput::Timeout);
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

    /// Makes the connection: transport up, greeting, welcome.
    #[track_caller]
    pub(crate) fn connect(&mut self) {
        self.greet();
        self.cloud().welcome();
        self.pump();
    }

    /// Makes the transport, without a welcome.
    #[track_caller]
    pub(crate) fn greet(&mut self) {
        assert!(self.kernel.wants_link(), "nobody wants the link");
        self.link(LinkInput::Connecting);
        self.link(LinkInput::Connected);
        self.cloud = Some(Cloud::new(self.now.as_micros()));
        self.connected = true;
        self.pump();
    }

    /// Cuts the cable.
    pub(crate) fn cut(&mut self) {
        self.lose(LinkLoss::Unreachable);
    }

    pub(crate) fn lose(&mut self, cause: LinkLoss) {
        self.connected = false;
        self.link(LinkInput::Lost(cause));
    }

    pub(crate) fn cloud(&mut self) -> &mut Cloud {
        self.cloud.as_mut().expect("a connection was made")
    }

    /// Moves bytes both ways until nothing moves, and closes the connection when the kernel is done with it.
    pub(crate) fn pump(&mut self) {
        loop {
            let sent = self.pump_up();
            let received = self.pump_down();
            if self.connected && !self.kernel.wants_link() {
                while self.pump_up() {}
                self.lose(LinkLoss::Requested);
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
            cloud.receive(self.now.as_micros(), &out[..count]);
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

    /// Puts bytes somewhere in RAM, aligned to 8.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.memory.allocate(bytes.len(), 8);
        self.memory.set(at, bytes);
        at
    }

    /// Room for `count` bytes, filled with 0xEE.
    pub(crate) fn room(&mut self, count: usize) -> u32 {
        self.put(&vec![0xee; count])
    }

    /// A variable that holds a number.
    pub(crate) fn variable(&mut self, value: u32) -> u32 {
        self.put(&value.to_le_bytes())
    }

    /// A buffer as channels and logs want it.
    pub(crate) fn buffer(&mut self, size: u32) -> u32 {
        self.memory.allocate(size as usize, 512)
    }

    /// A string in the application's flash.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> SizedString {
        SizedString { data: self.memory.flash(bytes), length: bytes.len() as u32 }
    }

    /// Room for a string, and its length.
    pub(crate) fn string_room(&mut self, size: u32) -> SizedStringBuffer {
        SizedStringBuffer { data: self.room(size as usize), size, length: self.variable(0xeeee_eeee) }
    }

    pub(crate) fn string_in(&self, buffer: SizedStringBuffer) -> Vec<u8> {
        self.memory.bytes(buffer.data, self.u32(buffer.length) as usize)
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.memory.bytes(at, 4).try_into().expect("four bytes"))
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.memory.bytes(at, 8).try_into().expect("eight bytes"))
    }

    // ---- what applications do ----

    /// A notification centre of `records` records on `line`, enabled as applications do after set-up.
    pub(crate) fn centre(&mut self, line: u16, records: u32) -> Centre {
        let buffer = self.room(records as usize * Notification::SIZE);
        let setup = NotificationSetup { irq: u32::from(line), buffer, buffer_size: records * 16 };
        let setup = self.put(&setup.to_bytes());
        let handle = self.variable(0);
        self.ok(Call::SetupNotifications, &[setup, handle]);
        self.nvic.enabled[usize::from(line)] = true;
        Centre { handle: self.u32(handle), line, buffer, records, next: 0 }
    }

    /// The events an application's handler sees: one record an interrupt, until none is pending.
    pub(crate) fn events(&mut self, centre: &mut Centre) -> Vec<(u32, u32)> {
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

    pub(crate) fn record(&self, centre: &Centre, index: u32) -> Notification {
        let bytes = self.memory.bytes(centre.buffer + index * 16, 16);
        Notification::from_bytes(&bytes.try_into().expect("a record"))
    }

    /// A request for the network with this tag.
    #[track_caller]
    pub(crate) fn network(&mut self, centre: &Centre, tag: u32) -> u32 {
        let params =
            RequestNetworkParams { version: 1, notification_handle: centre.handle, notification_tag: tag };
        let params = self.put(&params.to_bytes());
        let handle = self.variable(0);
        self.ok(Call::RequestNetwork, &[params, handle]);
        self.u32(handle)
    }

    pub(crate) fn network_status(&mut self, network: u32) -> Option<NetworkStatus> {
        let to = self.variable(u32::MAX);
        self.ok(Call::GetNetworkStatus, &[network, to]);
        NetworkStatus::from_raw(self.u32(to))
    }

    pub(crate) fn reasons(&mut self) -> (u32, u32) {
        let (reasons, count) = (self.variable(u32::MAX), self.variable(u32::MAX));
        self.ok(Call::GetNetworkReasons, &[reasons, count]);
        (self.u32(reasons), self.u32(count))
    }

    /// Parameters that open a channel of this type, with rings of these sizes.
    pub(crate) fn params(
        &mut self,
        setup: &Setup,
        channel_type: ChannelType,
        receive: u32,
        send: u32,
    ) -> OpenChannelParams {
        OpenChannelParams {
            version: 1,
            notification_handle: setup.centre.handle,
            notification_tag: TAG,
            network_handle: setup.network,
            receive_buffer: self.buffer(receive),
            receive_buffer_len: receive,
            send_buffer: self.buffer(send),
            send_buffer_len: send,
            channel_type: channel_type.raw(),
            endpoint: self.string(b""),
        }
    }

    /// Opens a channel; its handle.
    #[track_caller]
    pub(crate) fn open(&mut self, params: &OpenChannelParams) -> u32 {
        let params = self.put(&params.to_bytes());
        let handle = self.variable(0);
        self.ok(Call::OpenChannel, &[params, handle]);
        self.pump();
        self.u32(handle)
    }

    /// The status of an opening.
    pub(crate) fn try_open(&mut self, params: &OpenChannelParams) -> Status {
        let params = self.put(&params.to_bytes());
        let handle = self.variable(0);
        self.call(Call::OpenChannel, &[params, handle])
    }

    /// A device online, with a centre and a network handle, its first event taken.
    pub(crate) fn ready() -> (Self, Setup) {
        let mut machine = Self::online();
        let mut centre = machine.centre(LINE, 16);
        let network = machine.network(&centre, 1);
        machine.events(&mut centre);
        (machine, Setup { centre, network })
    }

    /// The same with a channel of this type, rings of 1536 bytes.
    pub(crate) fn with_channel(channel_type: ChannelType) -> (Self, Setup, u32) {
        let (mut machine, setup) = Self::ready();
        let params = machine.params(&setup, channel_type, 1536, 1536);
        let channel = machine.open(&params);
        (machine, setup, channel)
    }
}

/// The tag of every channel in the tests.
pub(crate) const TAG: u32 = 77;

/// A notification centre as its application sees it.
pub(crate) struct Centre {
    pub handle: u32,
    pub line: u16,
    pub buffer: u32,
    pub records: u32,
    pub next: u32,
}

/// What an application has before it opens a channel.
pub(crate) struct Setup {
    pub centre: Centre,
    pub network: u32,
}
