//! The whole product without its sockets, in one thread, from one seed.
//!
//! Real kernels with model applications, the real link, real relays and a model broker share one virtual clock. Links
//! are cut at any byte, ends are noticed late and in any order, everything restarts, rings and brokers are slow; then
//! faults stop. All the time, what happens is checked against what was promised ([`ledger`]):
//!
//! * every accepted request gets exactly one answer, before its channel ends (M12, D53);
//! * a publish of QoS 1 that was answered as completed had reached the broker (D47);
//! * a message of QoS 1 is acknowledged to the broker only by its application, and repeated until it is (D48);
//! * no device ever sees anything of another, and no byte of a payload changes;
//! * each interrupt has its record and each record its item, since applications read one item an event (D10, D11);
//! * neither end ever reports a violation of the other, no relay takes more memory than its share, nothing panics;
//! * after the faults nothing remains pending, and every accepted log line is in the cloud.
//!
//! Kernels and relays are driven by `sansio::drive`, with [`kernel_host::KernelHost`] as the port of a kernel.
//!
//! Terms are defined in `docs/glossary.md`.

pub mod application;
pub mod broker;
pub mod device;
pub mod kernel_host;
pub mod ledger;
pub mod link;
pub mod packet;
pub mod pipe;
pub mod socket;
pub mod trace;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use trace::Trace;
use world::{Report, World};

/// A failed run.
#[derive(Debug)]
pub struct FailedRun {
    /// The seed that fails each time.
    pub seed: u64,
    /// The failed check.
    pub message: String,
    /// What happened before it.
    pub trace: Vec<String>,
}

/// Runs one seed; a failing one a second time, to record its trace.
pub fn run(seed: u64) -> Result<Report, FailedRun> {
    attempt(seed, Trace::default()).map_err(|_| {
        let trace = Trace::recording();
        let message =
            attempt(seed, trace.clone()).err().unwrap_or_else(|| "it did not fail again".to_owned());
        FailedRun { seed, message, trace: trace.lines() }
    })
}

fn attempt(seed: u64, trace: Trace) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, trace).run())).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}
