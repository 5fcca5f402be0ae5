//! The root of the command line: the commands, and the help that introduces them.
//!
//! No type of the command line implements `Debug`: settings, secrets and database URLs are among the values.

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::accounts::AccountsArguments;
use super::audit::AuditArguments;
use super::bundle::BundleArguments;
use super::cloud::CloudArguments;
use super::completions::CompletionsArguments;
use super::demo::DemoArguments;
use super::device::DeviceArguments;
use super::devices::DevicesArguments;
use super::fleet::FleetArguments;
use super::items::{ConfigsArguments, SecretsArguments};
use super::keys::KeysArguments;
use super::login::{LoginArguments, LogoutArguments, ProfilesArguments};
use super::logs::LogsArguments;
use super::man::ManArguments;
use super::new::NewArguments;
use super::provision::ProvisionArguments;
use super::run::RunArguments;
use super::store::StoreArguments;
use super::test::TestArguments;

const EXAMPLES: &str = "\
Examples:
  openvisor demo --seconds 15
      The whole platform in one process: a sample application publishes and obeys commands.
  openvisor run app.elf --config broker-host=127.0.0.1 --config broker-port=1883
      Your application on a virtual device, with its cloud, connected to your broker.
  openvisor test app.toml --junit results.xml
      Your application against a script, with the same result on every machine.

  The same in two processes, as with real devices:
  openvisor cloud --data ./cloud --listen 127.0.0.1:7883 --allow-loopback
  openvisor provision --data ./cloud --out ./device-1 \\
      --config broker-host=127.0.0.1 --config broker-port=1883
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1

  An application in a bundle, with its policies:
  openvisor bundle create app.elf app.zip --restart-min 500 --minimum-check-in-time 3600
  openvisor run app.zip

  Operating a cloud, whether or not it is running:
  openvisor devices list --data ./cloud
  openvisor logs stream kitchen --data ./cloud
  openvisor configs set broker-host 192.0.2.7 --device kitchen --data ./cloud

Exit codes:
  0  success
  1  failure, although usage, input and environment were valid
  2  invalid usage or input, such as a file that is not an application image
  3  environment error: a port in use, a data folder in use or of another version
  4  a replay diverged from its recording
  5  the application of `run` or `device` crashed (not with --allow-crashes)
  6  a condition was not met in time: --until, --device-seconds or --timeout

Colour is used on a terminal only, and never if NO_COLOR is set.";

/// Run Microvisor applications on a virtual device, with a cloud of your own.
#[derive(Parser)]
#[command(name = "openvisor", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// The command line of this process, and whether it has `--json`. Usage errors and `--help` end the process.
    pub fn from_command_line() -> (Self, bool) {
        let matches = Self::command().get_matches();
        let json = has_json(&matches);
        (Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), json)
    }
}

/// Whether the innermost command has `--json`.
fn has_json(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, inner)) => has_json(inner),
        None => matches!(matches.try_get_one::<bool>("json"), Ok(Some(true))),
    }
}

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, for the life of the process")]
pub(super) enum Command {
    /// Show the whole platform at work: cloud, broker, device and a sample application
    Demo(DemoArguments),
    /// Run an application on a virtual device, with its cloud in the same process
    Run(RunArguments),
    /// Test an application against a scripted broker, web server, link and sensors, in the device's own time
    Test(TestArguments),
    /// Run the cloud that devices connect to
    Cloud(CloudArguments),
    /// Create a device and its identity, for `openvisor device`
    Provision(ProvisionArguments),
    /// Run an application on a virtual device that connects to a cloud elsewhere
    Device(DeviceArguments),
    /// Run many devices with the same application, each with its own identity
    Fleet(FleetArguments),
    /// Show and change the configuration that applications fetch
    Configs(ConfigsArguments),
    /// Set and remove the secrets that applications fetch
    Secrets(SecretsArguments),
    /// Show and revoke the devices of a cloud
    Devices(DevicesArguments),
    /// Manage accounts, which keep the devices of several owners apart
    Accounts(AccountsArguments),
    /// Create and revoke the keys of the management API
    Keys(KeysArguments),
    /// Show who changed what: devices, settings, keys, applications
    Audit(AuditArguments),
    /// Show what applications log
    Logs(LogsArguments),
    /// Move a cloud's data between SQLite and PostgreSQL
    Store(StoreArguments),
    /// Log in to a cloud elsewhere, for the commands that operate one
    Login(LoginArguments),
    /// Forget a cloud elsewhere and the key for it
    Logout(LogoutArguments),
    /// Show and select the clouds that are logged in to
    Profiles(ProfilesArguments),
    /// Create a folder with an application that builds and runs
    New(NewArguments),
    /// Create and inspect bundles, archives of an application and its policies
    Bundle(BundleArguments),
    /// Generate manual pages
    Man(ManArguments),
    /// Generate a completion script for a shell
    Completions(CompletionsArguments),
}

#[cfg(test)]
mod tests;
