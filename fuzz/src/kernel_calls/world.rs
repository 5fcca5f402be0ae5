//! The hostile application, the link and a cloud around the kernel.

use std::collections::BTreeSet;

use abi::memory::APPLICATION_RAM_START;
use abi::power::WakeReason;
use abi::{Call, Status};
use kernel::{LinkInput, LinkLoss, Memory as _, Outcome};
use link::channel::ClosureReason;
use link::cloud::{ANSWER_FRAME, Input};
use link::kind::to_device;
use sansio::{Duration, Instant, StateMachine as _, drive};

use super::host::Host;
use super::kit::{self, HANDLES, Part, RAM};
use crate::link_ends::{CloudEnd, drive_any_timeout};
use crate::source::Source;

/// Rounds after which bytes that still move would move for ever.
const MAX_ROUNDS: u32 = 10_000;

pub(super) struct World {
    host: Host,
    cloud: Option<CloudEnd>,
    /// What the kernel has sent and the cloud has not received, and the other way.
    to_cloud: Vec<Vec<u8>>,
    to_device: Vec<Vec<u8>>,
    /// Every handle the kernel ever gave.
    given: BTreeSet<u32>,
}

impl World {
    pub(super) fn new(seed: u8) -> Self {
        let mut world = Self {
            host: Host::new(seed),
            cloud: None,
            to_cloud: Vec::new(),
            to_device: Vec::new(),
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
            7 => self.overwrite(source),
            8 => self.host.ram.disturb_every.set(u32::from(source.u8() % 8)),
            9 => self.interrupt(source),
            10 => self.advance(source),
            11 => self.lose(source),
            12 | 13 => self.cloud_sends(source),
            14 => {
                // A cloud that keeps no rule at all.
                let _ = self.drive_kernel(LinkInput::Received(source.run()));
                self.exchange();
            }
            _ => {
                if source.u8() > 200 {
                    self.given.clear();
                    self.host.with_kernel(|kernel, port| {
                        kernel.application_restarted(port, WakeReason::ApplicationCrash);
                    });
                }
            }
        }
        assert!(self.host.next_timeout().is_none_or(|at| at > Instant::ZERO));
    }

    /// Hands an input to the kernel. What it sends waits for [`Self::exchange`].
    fn drive_kernel(&mut self, input: LinkInput<'_>) -> Result<(), kernel::Violation> {
        let now = self.host.now;
        drive(&mut self.host, now, input, &mut |bytes| self.to_cloud.push(bytes))
    }

    fn put(&mut self, Part(at, bytes): &Part) {
        let start = (at - APPLICATION_RAM_START) as usize;
        self.host.ram.bytes.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn word(&self, at: u32) -> u32 {
        let start = (at - APPLICATION_RAM_START) as usize;
        let bytes = &self.host.ram.bytes.borrow()[start..start + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    // ---- the application ----

    fn call(&mut self, source: &mut Source<'_>) {
        let (which, how, variant) = (source.u8(), source.u16(), source.u8());
        let Some(call) = Call::ALL.get(usize::from(which)).copied() else {
            // A branch to anywhere in the page.
            let slot = u32::from(source.u16());
            let args = [source.u32(), source.u32(), source.u32(), source.u32()];
            self.host.with_kernel(|kernel, port| kernel.call(port, slot, args));
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
        let outcome = self.host.with_kernel(|kernel, port| kernel.call(port, call.slot(), args));
        if outcome == Outcome::Status(Status::Okay) {
            self.accepted(call, args);
        }
        if how & 0x200 != 0 {
            self.exchange();
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
            if self.host.ram.read(at, &mut bytes).is_ok() {
                self.given.insert(u32::from_le_bytes(bytes));
            }
        } else if is_value && self.host.ram.disturb_every.get() == 0 {
            assert!(self.given.contains(&args[0]), "{} took handle {:#x}", call.name(), args[0]);
        }
    }

    fn overwrite(&mut self, source: &mut Source<'_>) {
        let at = usize::from(source.u16()) % RAM;
        let bytes = source.run();
        let mut ram = self.host.ram.bytes.borrow_mut();
        let end = (at + bytes.len()).min(RAM);
        ram[at..end].copy_from_slice(&bytes[..end - at]);
    }

    fn interrupt(&mut self, source: &mut Source<'_>) {
        let irq = u16::from(source.u8() % 126);
        let how = source.u8();
        self.host.lines.pending &= !(1 << irq);
        self.host.lines.in_handler = how & 1 != 0;
        self.host.lines.enabled ^= u128::from(how >> 1 & 1) << irq;
        self.host.with_kernel(|kernel, port| kernel.interrupt_taken(port, irq));
    }

    // ---- the link ----

    fn advance(&mut self, source: &mut Source<'_>) {
        let span = u64::from(source.u16()) << (source.u8() % 16);
        let now = self.host.now + Duration::from_micros(span);
        self.host.now = now;
        drive_any_timeout(&mut self.host, now, &mut |bytes| self.to_cloud.push(bytes))
            .expect("only received bytes can be a violation");
        self.exchange();
        if self.cloud.is_none() {
            self.connect();
        }
    }

    fn connect(&mut self) {
        if self.host.kernel.wants_link() {
            for input in [LinkInput::Connecting, LinkInput::Connected] {
                self.drive_kernel(input).expect("only received bytes can be a violation");
            }
            self.cloud = Some(CloudEnd::connected(self.host.now));
            self.exchange();
        }
    }

    fn lose(&mut self, source: &mut Source<'_>) {
        let causes = [LinkLoss::NoCarrier, LinkLoss::Unreachable, LinkLoss::Requested];
        let cause = causes[usize::from(source.u8() % 3)];
        self.end_link(cause);
        if source.u8().is_multiple_of(2) {
            self.connect();
        }
    }

    fn end_link(&mut self, cause: LinkLoss) {
        self.cloud = None;
        self.drive_kernel(LinkInput::Lost(cause)).expect("only received bytes can be a violation");
        self.to_cloud.clear();
        self.to_device.clear();
    }

    /// Something that the link's rules allow, whether or not the device waits for it.
    fn cloud_sends(&mut self, source: &mut Source<'_>) {
        let Some(CloudEnd { link: cloud, .. }) = &mut self.cloud else { return };
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
                let max = 1 + usize::from(source.u8());
                let kind = kinds[usize::from(kind % 4)];
                if cloud.begin_item(channel, kind, head.len() as u32, content.len() as u32).is_ok() {
                    let body = [head, content].concat();
                    let mut left = &body[..];
                    while let Some((header, length)) = cloud.next_fragment(channel, max) {
                        let (part, rest) = left.split_at(length);
                        bytes.extend([header.as_slice(), part].concat());
                        left = rest;
                    }
                }
            }
        }
        let _ = self.drive_kernel(LinkInput::Received(&bytes));
        self.exchange();
    }

    /// Exchanges bytes until neither end sends any.
    fn exchange(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let now = self.host.now;
            self.to_cloud.extend(std::iter::from_fn(|| self.host.poll(now)));
            let Some(cloud) = &mut self.cloud else {
                assert!(self.to_cloud.is_empty(), "bytes without a connection");
                return;
            };
            self.to_device.extend(std::iter::from_fn(|| cloud.poll(now)));
            for bytes in std::mem::take(&mut self.to_cloud) {
                let sink = &mut |bytes| self.to_device.push(bytes);
                let outcome = drive(cloud, now, Input::Received(&bytes), sink);
                // The kernel keeps the rules whatever the application does; after a violation of the cloud's none
                // count.
                assert!(outcome.is_ok() || cloud.link.is_closing(), "{outcome:?}");
            }
            if self.to_device.is_empty() && self.to_cloud.is_empty() {
                if !self.host.kernel.wants_link() {
                    self.end_link(LinkLoss::Requested);
                }
                return;
            }
            for bytes in std::mem::take(&mut self.to_device) {
                let _ = self.drive_kernel(LinkInput::Received(&bytes));
            }
        }
        panic!("bytes move without end");
    }
}

/// Calls that take their handle from a variable.
const CLOSES: [Call; 5] = [
    Call::CloseNotifications,
    Call::ReleaseNetwork,
    Call::CloseChannel,
    Call::CloseSystemNotification,
    Call::ExternalFlashClose,
];
