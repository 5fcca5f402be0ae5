//! How the machine calls its kernel, and how the kernel's clock follows the machine's.

use armv8m::Cycles;
use kernel::{Kernel, LinkInput, Port};
use sansio::Instant;

use super::Machine;
use crate::memory_map::CYCLES_PER_MICRO;
use crate::port::{PortNotes, with_port};

impl Machine {
    pub(super) fn enter_kernel<T>(&mut self, what: impl FnOnce(&mut Kernel, &mut Port<'_>) -> T) -> T {
        let now = self.kernel_now();
        self.enter_kernel_at(now, what)
    }

    /// An input of the link that cannot fail.
    pub(super) fn link_input(&mut self, input: LinkInput<'_>) {
        self.enter_kernel(|kernel, port| kernel.handle(port, input))
            .expect("only received bytes can be a violation");
    }

    /// The kernel's clock.
    pub(super) fn kernel_now(&self) -> Instant {
        Instant::from_micros((self.now() - self.epoch).saturating_add(self.skipped) / CYCLES_PER_MICRO)
    }

    pub(super) fn enter_kernel_at<T>(
        &mut self,
        now: Instant,
        what: impl FnOnce(&mut Kernel, &mut Port<'_>) -> T,
    ) -> T {
        let kernel = self.kernel.as_mut();
        let notes = PortNotes { posts: &mut self.posts, unserved: &mut self.unserved };
        let result = with_port(&mut self.cpu, &mut self.board, notes, now, |port| what(kernel, port));
        self.sync_lines();
        result
    }

    /// The cycle of the kernel's next timeout.
    pub(super) fn kernel_event(&self) -> Option<Cycles> {
        let at = self.kernel.next_timeout()?;
        Some(self.cycle_of(at))
    }

    /// The cycle at which the kernel's clock is at `instant`.
    pub(super) fn cycle_of(&self, instant: Instant) -> Cycles {
        let since_start = instant.as_micros().saturating_mul(CYCLES_PER_MICRO);
        self.epoch.saturating_add(since_start).saturating_sub(self.skipped)
    }
}
