//! Applications against a scripted environment: cloud, broker, web server, link, pins and sensors, all in the device's
//! own time. Nothing here has a socket or reads a clock, so that the same script has the same result, at the same
//! device times, on every machine (docs/testing.md).
//!
//! - `format.rs`: what a script says. `values.rs`: the texts in it that have a form of their own.
//! - `world.rs`: device, relay and broker joined. `deliveries.rs`: what is on its way between them.
//! - `observation.rs`: what can be seen of it. `expectation.rs`: whether that is what a script expects.
//! - `steps.rs`: runs the steps of a script in order.

mod deliveries;
mod expectation;
mod format;
mod observation;
mod steps;
mod values;
mod world;

pub(crate) use format::Script;
pub(crate) use observation::Observation;
pub(crate) use steps::{Ending, Progress, StepOutcome, StepResult, run};
