//! The kernel, its hostile application, and a cloud.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use abi::memory::{
    APPLICATION_FLASH_LENGTH, APPLICATION_FLASH_START, APPLICATION_RAM_LENGTH, APPLICATION_RAM_START,
};
use abi::power::WakeReason;
use abi::{Call, Status};
use kernel::limits::{FLASH_PAGE, FLASH_SECTOR};
use kernel::{
    Boot, Clock, ExternalFlash, FastLines, FlashFault, Hardware, Interrupts, Kernel, LinkInput, LinkLoss,
    Memory, MemoryFault, Outcome, Policy, Port, Wifi, WifiNetwork,
};
use link::channel::ClosureReason;
use link::cloud::{ANSWER_FRAME, CloudLink, Event, Input};
use link::kind::to_device;
use sansio::{Duration, Instant, WallTime};

use super::kit::{self, HANDLES, Part, RAM};
use crate::source::Source;

/// Rounds after which bytes that still move would move for ever.
const ROUNDS: u32 = 10_000;

/// RAM that may change whenever the kernel has looked at it.
struct Ram {
    bytes: RefCell<Vec<u8>>,
    /// Every so manieth read is followed by a change; 0 for never.
    unrest: Cell<u32>,
    reads: Cell<u32>,
}

impl Ram {
    fn place(address: u32, length: usize) -> Result<std::ops::Range<usize>, MemoryFault> {
        let inside = |start: u32, size: u32| {
            address >= start && u64::from(address) + length as u64 <= u64::from(start) + u64::from(size)
        };
        let in_ram = inside(APPLICATION_RAM_START, APPLICATION_RAM_LENGTH);
        let in_flash = inside(APPLICATION_FLASH_START, APPLICATION_FLASH_LENGTH);
        assert!(in_ram || in_flash || length == 0, "the kernel asks for {length} bytes at {address:#x}");
        let start = address.checked_sub(APPLICATION_RAM_START).ok_or(MemoryFault)? as usize;
        let end = start.checked_add(length).filter(|end| *end <= RAM).ok_or(MemoryFault)?;
        Ok(start..end)
    }

    fn stir(&self, place: std::ops::Range<usize>) {
        let reads = self.reads.get().wrapping_add(1);
        self.reads.set(reads);
        if self.unrest.get() != 0 && reads.is_multiple_of(self.unrest.get()) && !place.is_empty() {
            let at = place.start + reads as usize % place.len();
            let value = [0, 0xff, reads as u8, 0x20][reads as usize / 7 % 4];
            self.bytes.borrow_mut()[at] = value;
        }
    }
}

impl Memory for Ram {
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        let place = Self::place(address, into.len())?;
        into.copy_from_slice(&self.bytes.borrow()[place.clone()]);
        self.stir(place);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        let place = Self::place(address, bytes.len())?;
        self.bytes.borrow_mut()[place].copy_from_slice(bytes);
        Ok(())
    }
}

struct Lines {
    pending: u128,
    enabled: u128,
    in_handler: bool,
}

impl Interrupts for Lines {
    fn pend(&mut self, irq: u16) {
        self.pending |= 1 << irq;
    }
    fn is_enabled(&self, irq: u16) -> bool {
        self.enabled >> irq & 1 != 0
    }
    fn is_pending(&self, irq: u16) -> bool {
        self.pending >> irq & 1 != 0
    }
    fn in_handler(&self) -> bool {
        self.in_handler
    }
    fn fast_lines(&mut self) -> Option<&mut dyn FastLines> {
        Some(self)
    }
}

/// A flash and Wi-Fi settings, each there or not.
struct Board {
    flash: Option<Flash>,
    wifi: Option<Settings>,
}

/// Two sectors.
struct Flash(Vec<u8>);

impl Flash {
    fn place(&self, address: u32, length: usize) -> std::ops::Range<usize> {
        let start = address as usize;
        assert!(start + length <= self.0.len(), "{length} bytes at {address:#x} of the flash");
        start..start + length
    }
}

impl ExternalFlash for Flash {
    fn chip_id(&self) -> u32 {
        0xc2_2539
    }
    fn size(&self) -> u32 {
        self.0.len() as u32
    }
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), FlashFault> {
        let place = self.place(address, into.len());
        into.copy_from_slice(&self.0[place]);
        Ok(())
    }
    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        let within = address % FLASH_PAGE + bytes.len() as u32;
        assert!(within <= FLASH_PAGE, "programmed across a page");
        let place = self.place(address, bytes.len());
        for (old, new) in self.0[place].iter_mut().zip(bytes) {
            *old &= new;
        }
        if address.is_multiple_of(1024) && bytes.first() == Some(&0) { Err(FlashFault) } else { Ok(()) }
    }
    fn erase_sector(&mut self, address: u32) -> Result<(), FlashFault> {
        assert!(address.is_multiple_of(FLASH_SECTOR), "erased at {address:#x}");
        let place = self.place(address, FLASH_SECTOR as usize);
        self.0[place].fill(0xff);
        Ok(())
    }
}

/// The network's name; empty for no settings.
struct Settings(Vec<u8>);

impl Wifi for Settings {
    fn store(&mut self, ssid: &[u8], password: &[u8]) -> bool {
        assert!((1..=32).contains(&ssid.len()) && password.len() <= 63, "settings too long");
        self.0 = ssid.to_vec();
        true
    }
    fn clear(&mut self) -> bool {
        self.0.clear();
        true
    }
    fn stored(&self) -> Option<WifiNetwork<'_>> {
        (!self.0.is_empty()).then_some(WifiNetwork { ssid: &self.0, has_password: true })
    }
}

impl FastLines for Lines {
    fn vector_table(&self) -> u32 {
        APPLICATION_FLASH_START
    }
    fn set_fast(&mut self, irq: u16, _fast: bool) {
        assert!(irq < 126);
    }
    fn set_enabled(&mut self, irq: u16, enabled: bool) {
        self.enabled = self.enabled & !(1 << irq) | u128::from(enabled) << irq;
    }
}

impl Hardware for Board {
    fn external_flash(&mut self) -> Option<&mut dyn ExternalFlash> {
        self.flash.as_mut().map(|flash| flash as &mut dyn ExternalFlash)
    }
    fn wifi(&mut self) -> Option<&mut dyn Wifi> {
        self.wifi.as_mut().map(|wifi| wifi as &mut dyn Wifi)
    }
    fn set_system_led(&mut self, _enabled: bool) -> bool {
        true
    }
    fn clock_hz(&self, _clock: Clock) -> u32 {
        160_000_000
    }
    fn peek(&mut self, register: u32) -> Option<u32> {
        assert!(register.is_multiple_of(4));
        (register < 0x100).then_some(register)
    }
    fn poke(&mut self, register: u32, _mask: u32, _xor: u32) -> bool {
        assert!(register.is_multiple_of(4));
        register < 0x100
    }
}

pub(super) struct World {
    kernel: Kernel,
    ram: Ram,
    lines: Lines,
    board: Board,
    now: u64,
    cloud: Option<CloudLink>,
    /// Every handle the kernel ever gave.
    given: BTreeSet<u32>,
}

impl World {
    pub(super) fn new(seed: u8) -> Self {
        let boot = Boot {
            device_id: [b'U'; 34],
            seed: [seed; 16],
            wake_reason: WakeReason::ColdBoot,
            image: [0; 32],
            policy: Policy::default(),
            application_test: seed & 1 != 0,
        };
        let ram = Ram { bytes: RefCell::new(vec![0; RAM]), unrest: Cell::new(0), reads: Cell::new(0) };
        let lines = Lines { pending: 0, enabled: u128::MAX, in_handler: false };
        let board = Board {
            flash: (seed & 2 == 0).then(|| Flash(vec![0xff; 2 * FLASH_SECTOR as usize])),
            wifi: (seed & 4 != 0).then(|| Settings(Vec::new())),
        };
        let mut world = Self {
            kernel: Kernel::new(&boot),
            ram,
            lines,
            board,
            now: 1000,
            cloud: None,
            given: BTreeSet::new(),
        };
        for part in kit::texts() {
            world.put(&part);
        }
        world.connect();
        world
    }

    pub(super) fn step(&mut self, source: &mut Source<'_>) {
        match source.u8() % 16 {
            0..=6 => self.call(source),
            7 => self.scribble(source),
            8 => self.ram.unrest.set(u32::from(source.u8() % 8)),
            9 => self.interrupt(source),
            10 => self.pass(source),
            11 => self.lose(source),
            12 | 13 => self.cloud_says(source),
            14 => {
                // A cloud that keeps to no rule at all.
                let bytes = source.run();
                let _ = self.enter(|kernel, port| kernel.handle(port, LinkInput::Received(bytes)));
                self.pump();
            }
            _ => {
                if source.u8() > 200 {
                    self.given.clear();
                    self.enter(|kernel, port| {
                        kernel.application_restarted(port, WakeReason::ApplicationCrash);
                    });
                }
            }
        }
        assert!(self.kernel.next_timeout().is_none_or(|at| at > Instant::ZERO));
    }

    fn enter<R>(&mut self, f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
        let mut port = Port {
            now: Instant::from_micros(self.now),
            memory: &mut self.ram,
            interrupts: &mut self.lines,
            hardware: &mut self.board,
        };
        f(&mut self.kernel, &mut port)
    }

    /// An input that cannot fail.
    fn link(&mut self, input: LinkInput<'_>) {
        self.enter(|kernel, port| kernel.handle(port, input))
            .expect("only received bytes can be a violation");
    }

    fn put(&mut self, Part(at, bytes): &Part) {
        let start = (at - APPLICATION_RAM_START) as usize;
        self.ram.bytes.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn word(&self, at: u32) -> u32 {
        let start = (at - APPLICATION_RAM_START) as usize;
        let bytes = &self.ram.bytes.borrow()[start..start + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    // ---- the application ----

    fn call(&mut self, source: &mut Source<'_>) {
        let (which, how, variant) = (source.u8(), source.u16(), source.u8());
        let Some(call) = Call::ALL.get(usize::from(which)).copied() else {
            // A branch to anywhere in the page.
            let slot = u32::from(source.u16());
            let args = [source.u32(), source.u32(), source.u32(), source.u32()];
            self.enter(|kernel, port| kernel.call(port, slot, args));
            return;
        };
        let handles = [0, 4, 8, 12].map(|offset| self.word(HANDLES + offset));
        let (mut args, part) = kit::arguments(call, handles, variant);
        if how & 0x100 == 0
            && let Some(part) = part
        {
            self.put(&part);
        }
        for (index, arg) in args.iter_mut().enumerate() {
            match how >> index & 0x11 {
                0x10 => *arg = source.u32(),
                0x01 => *arg = arg.wrapping_add(u32::from(source.u8())).wrapping_sub(8),
                _ => {}
            }
        }
        let outcome = self.enter(|kernel, port| kernel.call(port, call.slot(), args));
        if outcome == Outcome::Status(Status::Okay) {
            self.accepted(call, args);
        }
        if how & 0x200 != 0 {
            self.pump();
        }
    }

    /// An accepted call gave a handle, or took one that was given.
    fn accepted(&mut self, call: Call, args: [u32; 4]) {
        let gives = match call {
            Call::SetupNotifications
            | Call::RequestNetwork
            | Call::OpenChannel
            | Call::OpenSystemNotification => Some(args[1]),
            Call::ExternalFlashOpen => Some(args[0]),
            _ => None,
        };
        let first = call.parameters().first().map(|parameter| parameter.name);
        let is_value = first == Some("handle") && !CLOSES.contains(&call);
        if let Some(at) = gives {
            let mut bytes = [0; 4];
            if self.ram.read(at, &mut bytes).is_ok() {
                self.given.insert(u32::from_le_bytes(bytes));
            }
        } else if is_value && self.ram.unrest.get() == 0 {
            assert!(self.given.contains(&args[0]), "{} took handle {:#x}", call.name(), args[0]);
        }
    }

    fn scribble(&mut self, source: &mut Source<'_>) {
        let at = usize::from(source.u16()) % RAM;
        let bytes = source.run();
        let mut ram = self.ram.bytes.borrow_mut();
        let end = (at + bytes.len()).min(RAM);
        ram[at..end].copy_from_slice(&bytes[..end - at]);
    }

    fn interrupt(&mut self, source: &mut Source<'_>) {
        let irq = u16::from(source.u8() % 126);
        let how = source.u8();
        self.lines.pending &= !(1 << irq);
        self.lines.in_handler = how & 1 != 0;
        self.lines.enabled ^= u128::from(how >> 1 & 1) << irq;
        self.enter(|kernel, port| kernel.interrupt_taken(port, irq));
    }

    // ---- the link ----

    fn pass(&mut self, source: &mut Source<'_>) {
        self.now += u64::from(source.u16()) << (source.u8() % 16);
        self.link(LinkInput::Timeout);
        self.pump();
        if self.cloud.is_none() {
            self.connect();
        }
    }

    fn connect(&mut self) {
        if self.kernel.wants_link() {
            self.link(LinkInput::Connecting);
            self.link(LinkInput::Connected);
            self.cloud = Some(CloudLink::new(Instant::from_micros(self.now)));
            self.pump();
        }
    }

    fn lose(&mut self, source: &mut Source<'_>) {
        let causes = [LinkLoss::NoCarrier, LinkLoss::Unreachable, LinkLoss::Requested];
        let cause = causes[usize::from(source.u8() % 3)];
        self.cloud = None;
        self.link(LinkInput::Lost(cause));
        if source.u8().is_multiple_of(2) {
            self.connect();
        }
    }

    /// Something the link's rules allow, whether or not the device waits for it.
    fn cloud_says(&mut self, source: &mut Source<'_>) {
        let Some(cloud) = &mut self.cloud else { return };
        let channel = 1 + source.u8() % 5;
        let mut bytes = Vec::new();
        let mut out = [0; ANSWER_FRAME];
        match source.u8() % 8 {
            0 => cloud.close_channel(channel, ClosureReason::ResetByServer),
            1 => cloud.set_logging(source.u8().is_multiple_of(2)),
            2 | 3 => {
                let kind = to_device::PUBLISHED + source.u8() % 5;
                let body = source.run();
                let body = &body[..body.len().min(9)];
                if let Ok(length) = cloud.write_answer(channel, kind, body, &mut out) {
                    bytes.extend_from_slice(&out[..length]);
                }
            }
            kind => {
                let kinds = [
                    to_device::MESSAGE,
                    to_device::LOST,
                    to_device::HTTP_RESPONSE,
                    to_device::CONFIG_RESPONSE,
                ];
                let (head, content) = (source.run(), source.run());
                let most = 1 + usize::from(source.u8());
                let kind = kinds[usize::from(kind % 4)];
                if cloud.begin_item(channel, kind, head.len() as u32, content.len() as u32).is_ok() {
                    let body = [head, content].concat();
                    let mut left = &body[..];
                    while let Some((header, length)) = cloud.next_fragment(channel, most) {
                        let (part, rest) = left.split_at(length);
                        bytes.extend([header.as_slice(), part].concat());
                        left = rest;
                    }
                }
            }
        }
        let _ = self.enter(|kernel, port| kernel.handle(port, LinkInput::Received(&bytes)));
        self.pump();
    }

    /// Moves bytes both ways until nothing moves.
    fn pump(&mut self) {
        for _ in 0..ROUNDS {
            let mut out = vec![0; 1500];
            let count = self.enter(|kernel, port| kernel.transmit(port, &mut out));
            let Some(cloud) = &mut self.cloud else {
                assert_eq!(count, 0, "bytes for nobody");
                return;
            };
            // The kernel keeps to the rules whatever the application does; after a fault of the cloud's nobody counts.
            let heard = hear(cloud, Instant::from_micros(self.now), &out[..count]);
            assert!(heard.is_ok() || cloud.is_closing(), "{heard:?}");
            let length = cloud.transmit(Instant::from_micros(self.now), &mut out);
            if length == 0 && count == 0 {
                if !self.kernel.wants_link() {
                    self.cloud = None;
                    self.link(LinkInput::Lost(LinkLoss::Requested));
                }
                return;
            }
            let _ = self.enter(|kernel, port| kernel.handle(port, LinkInput::Received(&out[..length])));
        }
        panic!("bytes move without end");
    }
}

fn hear(cloud: &mut CloudLink, now: Instant, bytes: &[u8]) -> Result<(), link::Error> {
    let mut input = Input::Received(bytes);
    while let Some(event) = cloud.handle(now, &mut input)? {
        match event {
            Event::Hello(_) => cloud.send_welcome(Duration::from_secs(60), 16_384, WALL, true),
            Event::Log(head) => cloud.acknowledge_logs(head.sequence),
            Event::TimeQuery => cloud.send_time(WALL),
            Event::Item(fragment) => {
                let (channel, length) = (fragment.channel, fragment.bytes.len() as u32);
                if fragment.last {
                    cloud.consume(channel, length);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the cloud says of the time of day.
const WALL: WallTime = WallTime::from_micros(1 << 50);

/// Calls whose handle stands in a variable.
const CLOSES: [Call; 5] = [
    Call::CloseNotifications,
    Call::ReleaseNetwork,
    Call::CloseChannel,
    Call::CloseSystemNotification,
    Call::ExternalFlashClose,
];
