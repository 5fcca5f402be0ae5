//! A model application: a good citizen that wants a lot, at the worst moments, and keeps books of what it is owed.

mod channel;
mod reading;
mod requests;

use abi::memory::APPLICATION_RAM_START;
use abi::network::{NetworkStatus, RequestNetworkParams};
use abi::notifications::{EventType, Notification, NotificationSetup};
use abi::{Call, Status};
use channel::Channel;

use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::trace::Trace;

/// Bytes of each receive ring.
pub const RING: u32 = 0x1000;
/// Channels an application uses: a persistent MQTT session, one that starts clean, a configuration fetch.
const SLOTS: usize = 3;
const LINE: u32 = 41;
const RECORDS: u32 = 128;
const RECORD_BUFFER: u32 = APPLICATION_RAM_START + 0x6000;
const LOG_BUFFER: u32 = APPLICATION_RAM_START + 0x7000;
const LOG_BUFFER_SIZE: u32 = 0x800;
const RINGS: u32 = APPLICATION_RAM_START + 0x8000;

/// What an application may use for one action.
pub struct Context<'a> {
    /// The device it runs on.
    pub machine: &'a mut Machine,
    /// Chance.
    pub chance: &'a mut Chance,
    /// What was promised.
    pub ledger: &'a mut Ledger,
    /// What happened.
    pub trace: &'a Trace,
    /// Nothing new is to be begun; what is owed is to be finished.
    pub quiet: bool,
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
    /// Of these, as many went down with an earlier start of the application.
    pub log_floor: usize,
    /// It reads nothing until this moment.
    lazy_until: u64,
    /// It is driven by interrupts, else it polls.
    by_interrupt: bool,
    /// The persistent session was made anew since things went quiet.
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
            lazy_until: 0,
            by_interrupt: cx.chance.one_in(2),
            renewed: false,
        };
        application.set_up(cx);
        application
    }

    fn set_up(&mut self, cx: &mut Context<'_>) {
        let machine = &mut *cx.machine;
        machine.fresh();
        machine.set(RECORD_BUFFER, &[0; RECORDS as usize * Notification::SIZE]);
        let setup = NotificationSetup { irq: LINE, buffer: RECORD_BUFFER, buffer_size: RECORDS * 16 };
        let (setup, handle) = (machine.put(&setup.to_bytes()), machine.room(4));
        assert_eq!(machine.call(Call::SetupNotifications, &[setup, handle]), Status::Okay);
        self.centre = machine.u32(handle);
        machine.line.enabled = self.by_interrupt;
        machine.line.pending = false;
        let params =
            RequestNetworkParams { version: 1, notification_handle: self.centre, notification_tag: 0 };
        let (params, handle) = (machine.put(&params.to_bytes()), machine.room(4));
        assert_eq!(machine.call(Call::RequestNetwork, &[params, handle]), Status::Okay);
        self.network = machine.u32(handle);
        assert_eq!(machine.call(Call::ServerLoggingInit, &[LOG_BUFFER, LOG_BUFFER_SIZE]), Status::Okay);
    }

    /// The application was started anew by the kernel; its log numbers go on.
    pub fn restarted(&mut self, cx: &mut Context<'_>) {
        self.channels = Default::default();
        self.next_record = 0;
        self.log_floor = self.logged.len();
        self.set_up(cx);
    }

    /// Does something, if it feels like it.
    pub fn act(&mut self, cx: &mut Context<'_>) {
        cx.machine.fresh();
        if self.is_lazy(cx) {
            return;
        }
        if self.by_interrupt {
            self.take_interrupts(cx);
        } else {
            self.poll(cx);
        }
        if cx.quiet { self.finish(cx) } else { self.begin(cx) }
    }

    fn is_lazy(&mut self, cx: &mut Context<'_>) -> bool {
        if cx.quiet {
            return false;
        }
        let now = cx.machine.now();
        if cx.chance.one_in(150) {
            self.lazy_until = now + cx.chance.below(20_000_000);
            cx.trace.say(now, self.device, || format!("sleeps until {}", self.lazy_until / 1000));
        }
        now < self.lazy_until
    }

    // ---- what comes ----

    /// One record an interrupt, one item a record: whoever is not told of an item never reads it.
    fn take_interrupts(&mut self, cx: &mut Context<'_>) {
        while std::mem::take(&mut cx.machine.line.pending) {
            let at = RECORD_BUFFER + self.next_record * Notification::SIZE as u32;
            let record = Notification::from_bytes(&cx.machine.array(at));
            assert_ne!(record.event_type, 0, "an interrupt without a record (D11)");
            cx.machine.set(at, &[0; Notification::SIZE]);
            self.next_record = (self.next_record + 1) % RECORDS;
            cx.machine.enter(|kernel, port| kernel.interrupt_taken(port, LINE as u16));
            self.event(&record, cx);
        }
    }

    fn event(&mut self, record: &Notification, cx: &mut Context<'_>) {
        let Some(slot) = self.slot_of(record.tag) else { return };
        if record.event_type == EventType::ChannelDataReadable.raw() {
            let has_read = self.read_one(slot, cx);
            assert!(has_read, "device {}: told of an item on channel {slot} that is not there", self.device);
        } else if record.event_type == EventType::ChannelNotConnected.raw() {
            self.read_all(slot, cx);
            self.ended(slot, cx);
        }
    }

    fn slot_of(&self, tag: u32) -> Option<usize> {
        self.channels.iter().position(|channel| channel.as_ref().is_some_and(|channel| channel.tag == tag))
    }

    /// Looks at every channel by itself.
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

    // ---- what it does by itself ----

    fn begin(&mut self, cx: &mut Context<'_>) {
        for _ in 0..cx.chance.below(4) {
            cx.machine.fresh();
            match cx.chance.below(12) {
                0 => self.log(cx),
                1 => self.open_one(cx),
                _ => self.request(cx),
            }
        }
    }

    /// Quiet: the persistent session is made anew once, so that everything comes again, and acknowledged to its end.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if !self.is_online(cx) {
            return;
        }
        if !self.renewed {
            // What is owed comes first, so that no answer is missed by closing.
            if !self.owed().is_empty() {
                return;
            }
            for slot in 0..SLOTS {
                if self.channels[slot].is_some() {
                    self.close(slot, cx);
                }
            }
            self.renewed = true;
        }
        cx.machine.fresh();
        match &self.channels[0] {
            None => self.open(0, cx),
            Some(_) => self.pursue(0, cx),
        }
    }

    fn is_online(&mut self, cx: &mut Context<'_>) -> bool {
        let to = cx.machine.room(4);
        let status = cx.machine.call(Call::GetNetworkStatus, &[self.network, to]);
        assert_eq!(status, Status::Okay);
        cx.machine.u32(to) == NetworkStatus::Connected.raw()
    }

    fn log(&mut self, cx: &mut Context<'_>) {
        let number = self.logged.len() + 1;
        let text = format!("d{} line {number} {}", self.device, "l".repeat(cx.chance.below(200) as usize));
        let at = cx.machine.put(text.as_bytes());
        match cx.machine.call(Call::ServerLog, &[at, text.len() as u32]) {
            Status::Okay => self.logged.push(text),
            Status::InvalidBufferSize | Status::LoggingDisabledByServer => {}
            other => panic!("mvServerLog: {other:?}"),
        }
    }

    fn open_one(&mut self, cx: &mut Context<'_>) {
        let slot = cx.chance.below(SLOTS as u64) as usize;
        if self.channels[slot].is_none() {
            self.open(slot, cx);
        }
    }

    fn request(&mut self, cx: &mut Context<'_>) {
        let slot = cx.chance.below(SLOTS as u64) as usize;
        if self.channels[slot].is_some() {
            self.ask(slot, cx);
        } else {
            self.open(slot, cx);
        }
    }

    // ---- at the end ----

    /// What it is still owed, in words.
    pub fn owed(&self) -> Vec<String> {
        let channels = self.channels.iter().flatten();
        channels.filter(|channel| !channel.owed.is_nothing()).map(|channel| format!("{channel:?}")).collect()
    }

    /// Whether its persistent session is as it should be at the end.
    pub fn is_settled(&self) -> bool {
        self.renewed && self.channels[0].as_ref().is_some_and(Channel::is_settled)
    }
}
