//! A device: a machine, the application on it, and its end of the cable.

use abi::power::WakeReason;
use kernel::{Boot, LinkInput, LinkLoss, Policy};

use crate::application::{Application, Context};
use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::trace::Trace;

/// Bytes the port has room for on their way to the cloud.
const BACKLOG: usize = 8192;

/// A device, from one start to the next.
pub struct Device {
    number: usize,
    /// The processor's half.
    pub machine: Machine,
    /// What runs on it.
    pub application: Application,
    /// The cable it believes to be there.
    pub cable: Option<u32>,
    /// When the application acts next.
    pub next_act: u64,
}

/// What an application's doings need of the world.
pub struct World<'a> {
    /// Chance.
    pub chance: &'a mut Chance,
    /// What was promised.
    pub ledger: &'a mut Ledger,
    /// What happened.
    pub trace: &'a Trace,
    /// Whether things have gone quiet.
    pub quiet: bool,
}

impl World<'_> {
    fn with<'b>(&'b mut self, machine: &'b mut Machine) -> Context<'b> {
        let (chance, ledger) = (&mut *self.chance, &mut *self.ledger);
        Context { machine, chance, ledger, trace: self.trace, quiet: self.quiet }
    }
}

impl Device {
    /// A device that starts now.
    pub fn start(number: usize, now: u64, world: &mut World<'_>) -> Self {
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&world.chance.word().to_le_bytes());
        let boot = Boot {
            device_id: *b"UV00000000000000000000000000000000",
            seed,
            wake_reason: WakeReason::ColdBoot,
            image: [number as u8; 32],
            policy: Policy::default(),
            application_test: false,
        };
        let mut machine = Machine::new(&boot, now);
        let application = Application::start(number, &mut world.with(&mut machine));
        Self { number, machine, application, cable: None, next_act: now }
    }

    /// The kernel starts the application anew.
    pub fn restart_application(&mut self, world: &mut World<'_>) {
        self.machine.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
        self.application.restarted(&mut world.with(&mut self.machine));
    }

    /// Does what is due; whether anything was.
    pub fn step(&mut self, now: u64, world: &mut World<'_>) -> bool {
        self.machine.set_now(now);
        let mut worked = false;
        if self.machine.next_timeout().is_some_and(|at| at <= now) {
            self.machine.link(LinkInput::Timeout);
            assert!(self.machine.next_timeout().is_none_or(|at| at > now), "a wake-up must be served");
            worked = true;
        }
        if self.next_act <= now {
            self.application.act(&mut world.with(&mut self.machine));
            let pause = if world.quiet { 100_000 } else { 400_000 };
            self.next_act = now + 1 + world.chance.below(pause);
            worked = true;
        }
        worked
    }

    /// When it next has something to do by itself.
    pub fn due(&self) -> u64 {
        self.machine.next_timeout().map_or(self.next_act, |at| at.min(self.next_act))
    }

    /// What it has for the cloud now, given what is under way already.
    pub fn transmit(&mut self, under_way: usize, room: usize) -> Option<Vec<u8>> {
        if under_way > BACKLOG {
            return None;
        }
        let mut out = vec![0; room];
        let count = self.machine.enter(|kernel, port| kernel.transmit(port, &mut out));
        out.truncate(count);
        (count > 0).then_some(out)
    }

    /// Bytes from the cloud. The simulation's cloud keeps the rules.
    pub fn receive(&mut self, bytes: &[u8]) {
        let taken = self.machine.enter(|kernel, port| kernel.handle(port, LinkInput::Received(bytes)));
        assert!(taken.is_ok(), "device {}: the kernel found fault with the relay: {taken:?}", self.number);
    }

    /// The cable is gone.
    pub fn lost(&mut self, cause: LinkLoss) {
        self.cable = None;
        self.machine.link(LinkInput::Lost(cause));
    }
}
