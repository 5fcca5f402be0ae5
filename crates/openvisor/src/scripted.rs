//! Applications against a scripted environment: cloud, broker, web server, link, pins and sensors, all in the device's
//! own time. Nothing here has a socket or reads a clock, so that the same script has the same result, at the same
//! device times, on every machine (docs/testing.md).
//!
//! - `format.rs`: what a script says. `environment.rs`: what surrounds the device in it. `values.rs`, `content.rs`: the
//!   texts and bytes in it that have a form of their own.
//! - `plan.rs`: its steps in the order in which they are executed. `mistakes.rs`: what is wrong in it, and what was
//!   meant.
//! - `world.rs`: device, relay and broker joined. `deliveries.rs`: what is on its way between them.
//! - `action.rs`: what happens to it. `observation.rs`: what can be seen of it. `expectation.rs`: whether that is what
//!   a step expects.
//! - `steps.rs`: runs the steps of a script in order.

mod action;
mod content;
mod deliveries;
mod environment;
mod expectation;
mod format;
mod mistakes;
mod observation;
mod plan;
mod steps;
mod values;
mod world;

pub(crate) use format::Script;
pub(crate) use observation::Observation;
pub(crate) use steps::{Ending, Progress, StepOutcome, StepResult, run};
