//! The commands, one file each.

mod cloud;
mod demo;
mod device;
mod provision;
mod run;

use crate::arguments::{Arguments, Command};
use crate::exit::Failure;

/// Does what was asked for.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        match arguments.command {
            Command::Demo(demo) => demo::demo(demo).await,
            Command::Run(run) => run::run(run).await,
            Command::Cloud(cloud) => cloud::cloud(cloud).await,
            Command::Provision(provision) => provision::provision(provision).await,
            Command::Device(device) => device::device(device).await,
        }
    })
}
