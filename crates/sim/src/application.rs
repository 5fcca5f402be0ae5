//! A model application: it keeps the rules, makes many requests at the worst times, and counts the answers.

mod channel;
mod reading;
mod requests;

use abi::memory::APPLICATION_RAM_START;
use abi::network::{NetworkStatus, RequestNetworkParams};
use abi::notifications::{EventType, Notification, NotificationSetup};
use abi::{Call, Status};
use channel::Channel;
use sansio::{Duration, Instant};

use crate::kernel_host::KernelHost;
use crate::ledger::Ledger;
use crate::trace::Trace;
use test_rng::Rng;

/// Bytes of each receive ring.
pub const RING: u32 = 0x1000;
/// Channels an application uses: a persistent MQTT session, one that starts clean, a configuration fetch.
const SLOTS: usize = 3;
/// How long an application may read nothing.
const MAX_SLEEP: Duration = Duration::from_secs(20);
const LINE: u32 = 41;
const RECORDS: u32 = 128;
const RECORD_BUFFER: u32 = APPLICATION_RAM_START + 0x6000;
const LOG_BUFFER: u32 = APPLICATION_RAM_START + 0x7000;
const LOG_BUFFER_SIZE: u32 = 0x800;
const RINGS: u32 = APPLICATION_RAM_START + 0x8000;

/// What an application may use for one action.
pub struct Context<'a> {
    /// The device it runs on.
    pub host: &'a mut KernelHost,
    /// Random numbers.
    pub rng: &'a mut Rng,
    /// What was promised.
    pub ledger: &'a mut Ledger,
    /// What happened.
    pub trace: &'a Trace,
    /// Faults have stopped: nothing new is begun, what is pending is finished.
    pub is_recovering: bool,
}

/// One start of an application.
pub struct Application {
    /// The device's number.
    device: usize,
    centre: u32,
    network: u32,
    next_record: u32,
    channels: [Option<Channel>; SLOTS],
    next_tag: u32,
    next_correlation: u32,
    /// Log messages accepted: the first has number 1.
    pub logged: Vec<String>,
    /// How many of these belong to an earlier start of the application and may be lost.
    pub log_floor: usize,
    /// It reads nothing until this instant.
    asleep_until: Instant,
    /// Driven by interrupts; otherwise it polls.
    by_interrupt: bool,
    /// The persistent session has been opened again since faults stopped.
    renewed: bool,
}

impl Application {
    /// An application that has set itself up.
    pub fn start(device: usize, cx: &mut Context<'_>) -> Self {
        let mut application = Self {
            device,
            centre: 0,
            network: 0,
            next_record: 0,
            channels: Default::default(),
            next_tag: 1,
            next_correlation: 1,
            logged: Vec::new(),
            log_floor: 0,
            asleep_until: Instant::ZERO,
            by_interrupt: cx.rng.one_in(2),
            renewed: false,
        };
        application.set_up(cx);
        application
    }

    fn set_up(&mut self, cx: &mut Context<'_>) {
        let host = &mut *cx.host;
        host.reset_scratch();
        host.set(RECORD_BUFFER, &[0; RECORDS as usize * Notification::SIZE]);
        let setup = NotificationSetup { irq: LINE, buffer: RECORD_BUFFER, buffer_size: RECORDS * 16 };
        let (setup, handle) = (host.put(&setup.to_bytes()), host.allocate(4));
        assert_eq!(host.call(Call::SetupNotifications, &[setup, handle]), Status::Okay);
        self.centre = host.u32(handle);
        host.line.enabled = self.by_interrupt;
        host.line.pending = false;
        let params =
            RequestNetworkParams { version: 1, notification_handle: self.centre, notification_tag: 0 };
        let (params, handle) = (host.put(&params.to_bytes()), host.allocate(4));
        assert_eq!(host.call(Call::RequestNetwork, &[params, handle]), Status::Okay);
        self.network = host.u32(handle);
        assert_eq!(host.call(Call::ServerLoggingInit, &[LOG_BUFFER, LOG_BUFFER_SIZE]), Status::Okay);
    }

    /// The kernel has restarted the application. Its log numbers continue.
    pub fn restarted(&mut self, cx: &mut Context<'_>) {
        self.channels = Default::default();
        self.next_record = 0;
        self.log_floor = self.logged.len();
        self.set_up(cx);
    }

    /// Reads what there is, and makes requests, unless it is asleep.
    pub fn act(&mut self, cx: &mut Context<'_>) {
        cx.host.reset_scratch();
        if self.is_asleep(cx) {
            return;
        }
        if self.by_interrupt {
            self.take_interrupts(cx);
        } else {
            self.poll(cx);
        }
        if cx.is_recovering { self.finish(cx) } else { self.begin(cx) }
    }

    fn is_asleep(&mut self, cx: &mut Context<'_>) -> bool {
        if cx.is_recovering {
            return false;
        }
        let now = cx.host.now();
        if cx.rng.one_in(150) {
            self.asleep_until = now + Duration::from_micros(cx.rng.below(MAX_SLEEP.as_micros()));
            cx.trace.record(now, self.device, || format!("sleeps until {}", self.asleep_until.as_millis()));
        }
        now < self.asleep_until
    }

    // ---- reading ----

    /// Takes one record for each interrupt and reads one item for each record: an item without a record would never be
    /// read.
    fn take_interrupts(&mut self, cx: &mut Context<'_>) {
        while std::mem::take(&mut cx.host.line.pending) {
            let at = RECORD_BUFFER + self.next_record * Notification::SIZE as u32;
            let record = Notification::from_bytes(&cx.host.array(at));
            assert_ne!(record.event_type, 0, "an interrupt without a record (D11)");
            cx.host.set(at, &[0; Notification::SIZE]);
            self.next_record = (self.next_record + 1) % RECORDS;
            cx.host.with_kernel(|kernel, port| kernel.interrupt_taken(port, LINE as u16));
            self.event(&record, cx);
        }
    }

    fn event(&mut self, record: &Notification, cx: &mut Context<'_>) {
        let Some(slot) = self.slot_of(record.tag) else { return };
        if record.event_type == EventType::ChannelDataReadable.raw() {
            let has_read = self.read_one(slot, cx);
            assert!(
                has_read,
                "device {}: a record for an item on channel {slot} that does not exist",
                self.device
            );
        } else if record.event_type == EventType::ChannelNotConnected.raw() {
            self.read_all(slot, cx);
            self.ended(slot, cx);
        }
    }

    fn slot_of(&self, tag: u32) -> Option<usize> {
        self.channels.iter().position(|channel| channel.as_ref().is_some_and(|channel| channel.tag == tag))
    }

    /// Reads every channel, as an application without interrupts does.
    fn poll(&mut self, cx: &mut Context<'_>) {
        for slot in 0..SLOTS {
            if self.channels[slot].is_none() {
                continue;
            }
            self.read_all(slot, cx);
            if self.is_over(slot, cx) {
                self.ended(slot, cx);
            }
        }
    }

    // ---- requests ----

    fn begin(&mut self, cx: &mut Context<'_>) {
        for _ in 0..cx.rng.below(4) {
            cx.host.reset_scratch();
            match cx.rng.below(12) {
                0 => self.log(cx),
                1 => self.open_one(cx),
                _ => self.request(cx),
            }
        }
    }

    /// Opens the persistent session again once, so that the broker repeats everything, and acknowledges it all.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if !self.is_online(cx) {
            return;
        }
        if !self.renewed {
            // Closing would lose answers that are still pending.
            if !self.pending().is_empty() {
                return;
            }
            for slot in 0..SLOTS {
                if self.channels[slot].is_some() {
                    self.close(slot, cx);
                }
            }
            self.renewed = true;
        }
        cx.host.reset_scratch();
        match &self.channels[0] {
            None => self.open(0, cx),
            Some(_) => self.restore_session(0, cx),
        }
    }

    fn is_online(&mut self, cx: &mut Context<'_>) -> bool {
        let to = cx.host.allocate(4);
        let status = cx.host.call(Call::GetNetworkStatus, &[self.network, to]);
        assert_eq!(status, Status::Okay);
        cx.host.u32(to) == NetworkStatus::Connected.raw()
    }

    fn log(&mut self, cx: &mut Context<'_>) {
        let number = self.logged.len() + 1;
        let text = format!("d{} line {number} {}", self.device, "l".repeat(cx.rng.below(200) as usize));
        let at = cx.host.put(text.as_bytes());
        match cx.host.call(Call::ServerLog, &[at, text.len() as u32]) {
            Status::Okay => self.logged.push(text),
            Status::InvalidBufferSize | Status::LoggingDisabledByServer => {}
            other => panic!("mvServerLog: {other:?}"),
        }
    }

    fn open_one(&mut self, cx: &mut Context<'_>) {
        let slot = cx.rng.below(SLOTS as u64) as usize;
        if self.channels[slot].is_none() {
            self.open(slot, cx);
        }
    }

    fn request(&mut self, cx: &mut Context<'_>) {
        let slot = cx.rng.below(SLOTS as u64) as usize;
        if self.channels[slot].is_some() {
            self.make_request(slot, cx);
        } else {
            self.open(slot, cx);
        }
    }

    // ---- after the last fault ----

    /// The requests without an answer, in words.
    pub fn pending(&self) -> Vec<String> {
        let channels = self.channels.iter().flatten();
        channels.filter(|channel| !channel.pending.is_empty()).map(|channel| format!("{channel:?}")).collect()
    }

    /// Whether its persistent session is open, subscribed and has nothing unacknowledged.
    pub fn is_settled(&self) -> bool {
        self.renewed && self.channels[0].as_ref().is_some_and(Channel::is_settled)
    }
}
