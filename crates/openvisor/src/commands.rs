//! The commands, one file each.

mod accounts;
mod arguments;
mod audit;
mod bundle;
mod cloud;
mod completions;
mod demo;
mod device;
mod devices;
mod fleet;
mod items;
mod keys;
mod login;
mod logs;
mod man;
mod new;
mod provision;
mod replay;
mod run;
mod store;
mod test;

use std::time::Duration;

pub use arguments::Arguments;
use arguments::Command;
pub use completions::complete_for_shell;

use crate::host::file_limit;
use crate::output::exit::Failure;

/// How long the shutdown waits for blocking work whose result is no longer needed, such as a name look-up.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    file_limit::raise_limit();
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Demo(demo) => demo::run(demo).await,
            Command::Run(run) => run::run(run).await,
            Command::Test(test) => test::run(test).await,
            Command::Cloud(cloud) => cloud::run(cloud).await,
            Command::Provision(provision) => provision::run(provision).await,
            Command::Device(device) => device::run(device).await,
            Command::Fleet(fleet) => fleet::run(fleet).await,
            Command::Configs(configs) => items::configs(configs).await,
            Command::Secrets(secrets) => items::secrets(secrets).await,
            Command::Accounts(accounts) => accounts::run(accounts).await,
            Command::Devices(devices) => devices::run(devices).await,
            Command::Keys(keys) => keys::run(keys).await,
            Command::Audit(audit) => audit::run(audit).await,
            Command::Logs(logs) => logs::run(logs).await,
            Command::Store(store) => store::run(store).await,
            Command::Login(login) => login::login(login).await,
            Command::Logout(logout) => login::logout(&logout),
            Command::Profiles(profiles) => login::profiles(&profiles),
            Command::New(new) => new::run(&new),
            Command::Bundle(bundle) => bundle::run(&bundle),
            Command::Man(man) => man::run(&man),
            Command::Completions(completions) => completions::run(&completions),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
