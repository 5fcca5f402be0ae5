//! The images of the `sdk` folder on a machine, against a scripted cloud: each sample and each test application runs to
//! its expected output.

#[path = "../support/mod.rs"]
mod support;

mod apps;
mod rust;
mod samples;
mod wakeups;
