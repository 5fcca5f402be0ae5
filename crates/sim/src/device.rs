//! A device: a kernel, the application on it, and its end of the link.

use abi::power::WakeReason;
use kernel::{Boot, Policy};
use sansio::{Duration, Instant, StateMachine};
use test_rng::Rng;

use crate::application::{Application, Context};
use crate::kernel_host::KernelHost;
use crate::ledger::Ledger;
use crate::trace::Trace;

/// A device, from one start to the next.
pub struct Device {
    /// The kernel and its port.
    pub host: KernelHost,
    /// What runs on it.
    pub application: Application,
    /// The link it has or is establishing.
    pub link: Option<u32>,
    /// When the application acts next.
    pub next_action: Instant,
}

/// What an application uses of the world.
pub struct Environment<'a> {
    /// Random numbers.
    pub rng: &'a mut Rng,
    /// What was promised.
    pub ledger: &'a mut Ledger,
    /// What happened.
    pub trace: &'a Trace,
    /// Whether faults have stopped.
    pub is_recovering: bool,
}

impl Environment<'_> {
    fn context<'b>(&'b mut self, host: &'b mut KernelHost) -> Context<'b> {
        let (rng, ledger) = (&mut *self.rng, &mut *self.ledger);
        Context { host, rng, ledger, trace: self.trace, is_recovering: self.is_recovering }
    }
}

impl Device {
    /// A device that starts now.
    pub fn start(number: usize, now: Instant, environment: &mut Environment<'_>) -> Self {
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&environment.rng.next_u64().to_le_bytes());
        let boot = Boot {
            device_id: *b"UV00000000000000000000000000000000",
            seed,
            wake_reason: WakeReason::ColdBoot,
            image: [number as u8; 32],
            policy: Policy::default(),
            application_test: false,
        };
        let mut host = KernelHost::new(&boot, now);
        let application = Application::start(number, &mut environment.context(&mut host));
        Self { host, application, link: None, next_action: now }
    }

    /// The kernel restarts the application.
    pub fn restart_application(&mut self, now: Instant, environment: &mut Environment<'_>) {
        self.host.set_now(now);
        self.host
            .with_kernel(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
        self.application.restarted(&mut environment.context(&mut self.host));
    }

    /// Lets the application act if that is due. Returns whether it was.
    pub fn act_if_due(&mut self, now: Instant, environment: &mut Environment<'_>) -> bool {
        if now < self.next_action {
            return false;
        }
        self.host.set_now(now);
        self.application.act(&mut environment.context(&mut self.host));
        let pause = if environment.is_recovering { 100_000 } else { 400_000 };
        self.next_action = now + Duration::from_micros(1 + environment.rng.below(pause));
        true
    }

    /// When the kernel or the application next has something to do.
    pub fn next_timeout(&self) -> Instant {
        self.host.next_timeout().map_or(self.next_action, |at| at.min(self.next_action))
    }
}
