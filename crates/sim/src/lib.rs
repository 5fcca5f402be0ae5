//! The whole product but for its sockets, in one thread, from one seed.
//!
//! Real kernels with model applications, the real link, real relays and a model broker stand on one virtual clock. Cables
//! are cut at any byte, ends are noticed late and in any order, everything restarts, rings and brokers are slow; then
//! things go quiet. All along, what happens is held against what was promised ([`ledger`]):
//!
//! * every accepted request gets exactly one answer, before its channel ends (M12, D53);
//! * a publish of QoS 1 that was answered as completed had reached the broker (D47);
//! * a message of QoS 1 is acknowledged to the broker only by its application, and comes again until it is (D48);
//! * nothing of one device is ever seen by another, and no byte of a payload changes;
//! * each interrupt has its record and each record its item (D10, D11);
//! * neither end ever finds fault with the other, no relay holds more than its share, nothing panics;
//! * after quiet nobody waits for anything, and every accepted log line is in the cloud.
//!
//! Terms are defined in `docs/glossary.md`.

pub mod application;
pub mod broker;
pub mod chance;
pub mod cloud;
pub mod device;
pub mod ledger;
pub mod machine;
pub mod packet;
pub mod pipe;
pub mod trace;
pub mod wire;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use trace::Trace;
use world::{Report, World};

/// How a run failed.
#[derive(Debug)]
pub struct Failure {
    /// The seed that fails each time.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
    /// What had happened until then.
    pub trace: Vec<String>,
}

/// Runs one seed; a failing one a second time, to tell its story.
pub fn run(seed: u64) -> Result<Report, Failure> {
    attempt(seed, Trace::default()).map_err(|_| {
        let trace = Trace::kept();
        let what = attempt(seed, trace.clone()).err().unwrap_or_else(|| "it did not fail again".to_owned());
        Failure { seed, what, trace: trace.lines() }
    })
}

fn attempt(seed: u64, trace: Trace) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, trace).run())).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}
