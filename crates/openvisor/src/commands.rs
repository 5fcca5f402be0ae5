//! The commands, one file each.

mod accounts;
mod bundle;
mod cloud;
mod completions;
mod demo;
mod device;
mod devices;
mod fleet;
mod items;
mod logs;
mod provision;
mod replay;
mod run;

use std::time::Duration;

use crate::arguments::{Arguments, Command};
use crate::host::file_limit;
use crate::output::exit::Failure;

/// How long the end waits for blocking work that nobody is interested in any more, such as a name look-up under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Does what was asked for.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    file_limit::raise_limit();
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Demo(demo) => demo::demo(demo).await,
            Command::Run(run) => run::run(run).await,
            Command::Cloud(cloud) => cloud::cloud(cloud).await,
            Command::Provision(provision) => provision::provision(provision).await,
            Command::Device(device) => device::device(device).await,
            Command::Fleet(fleet) => fleet::fleet(fleet).await,
            Command::Configs(configs) => items::configs(configs).await,
            Command::Secrets(secrets) => items::secrets(secrets).await,
            Command::Accounts(accounts) => accounts::accounts(accounts).await,
            Command::Devices(devices) => devices::devices(devices).await,
            Command::Logs(logs) => logs::logs(logs).await,
            Command::Bundle(command) => bundle::bundle(command),
            Command::Completions(completions) => completions::completions(&completions),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
