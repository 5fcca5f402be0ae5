//! The command line: what can be asked for, and the help that teaches it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use cloud::Resolve;
use device::clock::TimeScale;

use crate::operate::stores::StoreText;
use crate::output::logging;

mod accounts;
mod bundle;
mod debugging;
mod devices;
mod fleet;
mod items;
mod limits;
mod logs;
mod repeating;
mod showing;

pub use accounts::{Accounts, AccountsAction, AddAccount, ListAccounts, RemoveAccount, RenameAccount};
pub use bundle::{Bundle, BundleAction, Create, ShowBundle};
pub use debugging::{Debugging, TraceFormat};
pub use devices::{Devices, DevicesAction, List, Logging, OnOff, Revoke, Show};
pub use fleet::Fleet;
pub use items::{Configs, ConfigsAction, ItemKey, Items, Secrets, SecretsAction, SetItem};
pub use logs::{Logs, LogsAction, Stream};
pub use repeating::Repeating;
pub use showing::Showing;

const EXAMPLES: &str = "\
Examples:
  openvisor demo --seconds 15
      The whole platform in one process: watch a sample application publish and obey.
  openvisor run app.elf --config broker-host=127.0.0.1 --config broker-port=1883
      Your image on a virtual device, with its cloud, talking to your broker.

  The same in two processes, as it is with real devices:
  openvisor cloud --data ./cloud --listen 127.0.0.1:7883 --allow-loopback
  openvisor provision --data ./cloud --out ./device-1 --config broker-host=127.0.0.1
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1

  An application as a bundle, which also says how the device is to behave:
  openvisor bundle create app.elf app.zip --restart-min 500 --minimum-check-in-time 3600
  openvisor run app.zip

  And what its operator does, beside the running cloud or without one:
  openvisor devices list --data ./cloud
  openvisor logs stream kitchen --data ./cloud
  openvisor configs set broker-host 192.0.2.7 --device kitchen --data ./cloud

Exit codes:
  0  what was asked for happened
  1  it did not happen, though nothing was wrong to begin with
  2  bad usage or bad input, such as a file that is no application image
  3  the surroundings are in the way: a busy port, a data folder in use or of another version
  4  a replay went another way than its recording

Colour is used on a terminal only, and never when NO_COLOR is set.";

/// Microvisor applications on a virtual device, with a cloud of your own.
#[derive(Debug, Parser)]
#[command(name = "openvisor", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The things one can ask for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole platform at work: cloud, broker, device and a sample application
    Demo(Demo),
    /// Run an application image on a virtual device, cloud included
    Run(Run),
    /// Run the cloud that devices connect to
    Cloud(Cloud),
    /// Make a new device's identity, for `openvisor device`
    Provision(Provision),
    /// Run an application image on a virtual device that connects to a cloud elsewhere
    Device(Device),
    /// Run many devices with the same application, each with its own identity
    Fleet(Fleet),
    /// See and change the configuration that applications fetch
    Configs(Configs),
    /// Set and remove the secrets that applications fetch
    Secrets(Secrets),
    /// See the devices of a cloud, and revoke them
    Devices(Devices),
    /// Keep the devices of several owners apart
    Accounts(Accounts),
    /// Watch what applications log
    Logs(Logs),
    /// Make and look at bundles, in which applications travel with what is said of them
    Bundle(Bundle),
    /// Write the completions for a shell
    Completions(Completions),
}

/// `openvisor demo`
#[derive(Args, Debug)]
#[command(after_help = "\
The sample publishes a reading each second and obeys commands. Openvisor starts a cloud and an MQTT
broker on loopback ports, which are open to the application, and plays both the person who sends the commands and the witness at the
broker. Exit code 0 means that a message went from the application to the broker, and another from
the broker to the application, which answered it.

While it runs, try:  mosquitto_sub -p PORT -t '#' -v      (the first lines show PORT)

Examples:
  openvisor demo
  openvisor demo --seconds 10 --json | jq -r .text
  openvisor demo --data ./demo        (and beside it: openvisor devices list --data ./demo/cloud)")]
pub struct Demo {
    /// A build of the sample of your own instead of the one built in: .elf, .hex, .srec, .bin or .zip
    pub image: Option<PathBuf>,
    /// Run nothing but a bundle signed with this key; FILE has its public half in PEM
    #[arg(long, value_name = "FILE", requires = "image")]
    pub signer: Option<PathBuf>,
    /// Let the device's time go N times as fast as the clock on the wall, 1 to 1000: its timers, its microseconds, and its
    /// time of day, which it is told by the cloud only once. Networks do not get faster by it
    #[arg(long, value_name = "N", default_value_t = TimeScale::ONE)]
    pub time_scale: TimeScale,
    /// End after this many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Write one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
    /// Keep the cloud's data in this folder; without it, a temporary one is used and removed
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub settings: Settings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub account_settings: AccountSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub relayed: Relayed,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub debugging: Debugging,
}

/// `openvisor run`
#[derive(Args, Debug)]
#[command(after_help = "\
The application's log lines go to standard output exactly as it posted them, or escaped if that is a
terminal; everything else goes to standard error. The application may reach public addresses and,
unlike with `openvisor cloud`, this machine's loopback addresses; others, such as those of a home or
office network and this machine's address in it, only as --allow says.

Examples:
  openvisor run app.elf --config broker-host=127.0.0.1 --config broker-port=1883
  openvisor run app.bin --data ./dev --secret password=@password.txt --seconds 60 > app.log
  openvisor run app.elf --config broker-ca=@ca.hex   (a certificate: xxd -p -c0 ca.der > ca.hex)

  Stopped at its first instruction, for gdb-multiarch app.elf -ex 'target extended-remote :8001':
  openvisor run app.elf --gdb-wait

  With a thermometer on its first I2C bus, and its second serial port on this terminal:
  openvisor run app.elf --i2c 1:mcp9808,temperature=20..30/60s --serial 2=- --serial-in 2=-

  With a button that is pressed after five seconds, and an accelerometer that is tapped after eight:
  openvisor run app.elf --pin PC13=1@5s,0@5.2s --i2c 1:lis3dh@0x19,int1=PB11 --input i2c:1@0x19:tap=z@8s

  A factory test, whose result is the exit code:
  openvisor run test.elf --factory-test --seconds 60

  An application that talks to a public host, tested offline against a server of yours:
  openvisor run app.elf --resolve api.example.com:443=127.0.0.1:8443 --cacert my-ca.pem")]
pub struct Run {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub application: Application,
    /// Keep the cloud's data and the device's identity in this folder, so that the next run is the same
    /// device with the same settings; without it, a temporary folder is used and removed
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub settings: Settings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub account_settings: AccountSettings,
    /// Let the device's time go N times as fast as the clock on the wall, 1 to 1000: its timers, its microseconds, and its
    /// time of day, which it is told by the cloud only once. Networks do not get faster by it
    #[arg(long, value_name = "N", default_value_t = TimeScale::ONE)]
    pub time_scale: TimeScale,
    /// End after this many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub relayed: Relayed,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub wiring: Wiring,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub showing: Showing,
    /// Start the application as a factory test: mvTestingComplete ends the run, with success if its status is 0, and
    /// what the test logs is shown here and does not go to the cloud
    #[arg(long)]
    pub factory_test: bool,
    /// Let the application reach these addresses too, such as 192.168.0.0/16 (repeatable)
    #[arg(long, value_name = "RANGE")]
    pub allow: Vec<String>,
    /// Write the events on standard error as one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Write no events on standard error, only errors
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub debugging: Debugging,
}

/// What `openvisor cloud --help` ends with.
const CLOUD_EXAMPLES: &str = "\
The first start makes the cloud's own certificate authority in DIR; keep that folder private. The
first line on standard output names the address, which matters with port 0.

Applications may reach public addresses, but none of this machine's own; other addresses only as
--allow and --allow-loopback say. The second line says what is open.

With --metrics it answers over HTTP, without password, on a port of its own: /metrics (Prometheus),
/healthz (the process lives) and /readyz (devices are let in and the database can be asked).

Standard output tells what applications do, their log lines included; --quiet leaves that out. The
cloud's own log is on standard error. Neither ever holds a password, a key, a secret, a header, or
the query of a URL.

Devices, settings, secrets and log lines are kept in the file cloud.db in DIR, or in a PostgreSQL
database. DIR remembers which (store.url, readable by you only), so that the other commands find it;
name it again when its password has changed. A database on another machine is connected to over TLS
and its certificate is verified (sslmode=verify-full), unless the URL has another sslmode. The keys stay in DIR in any case. A URL on the command
line can be seen by others on this machine: put it into OPENVISOR_STORE instead, or leave the
password out of it and in ~/.pgpass or PGPASSWORD.

Examples:
  openvisor cloud --data ./cloud
  openvisor cloud --data ./cloud --allow-loopback      (with a broker on this machine)
  OPENVISOR_STORE=postgres://openvisor:PASSWORD@db.example.net/openvisor?sslrootcert=ca.pem \
      openvisor cloud --data ./cloud --require-tls
  openvisor cloud --data ./cloud --listen 0.0.0.0:7883 --name cloud.example.net --metrics
  openvisor cloud --data ./cloud --quiet --log-format json 2>> cloud.log
  openvisor cloud --data ./cloud --limit connections=500 --limit log_lines_a_second=0";

/// `openvisor cloud`
#[derive(Args, Debug)]
#[command(after_help = limits::help(CLOUD_EXAMPLES))]
pub struct Cloud {
    /// The cloud's data folder; made at the first start
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Keep what there is to keep in this PostgreSQL database: postgres://USER:PASSWORD@HOST/DATABASE, also
    /// from the variable OPENVISOR_STORE; without it, where DIR remembers, else in a file in DIR
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreText>,
    /// Where devices connect; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN)]
    pub listen: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub reach: Reach,
    /// A host name or address devices dial to reach this cloud, for its certificate (repeatable)
    #[arg(long = "name", value_name = "HOST")]
    pub names: Vec<String>,
    /// Set a limit; what there is to set stands below (repeatable)
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub limits: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub relayed: Relayed,
    /// Answer for health and metrics there; without ADDR, on 127.0.0.1:7884. Port 0 takes a free one
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = DEFAULT_METRICS)]
    pub metrics: Option<String>,
    /// Write one JSON object a line on standard output instead of text
    #[arg(long)]
    pub json: bool,
    /// Write nothing on standard output of what applications do, only the address and the end
    #[arg(long, short)]
    pub quiet: bool,
    /// How much of the cloud's own log to write on standard error; warn if not given, with --quiet info
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<logging::Level>,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: logging::Format,
}

/// What applications may reach, and how.
#[derive(Args, Debug)]
pub struct Reach {
    /// Let applications reach these addresses too, such as 192.168.0.0/16; this machine's own addresses in it are reached as
    /// well (repeatable)
    #[arg(long, value_name = "RANGE")]
    pub allow: Vec<String>,
    /// Let applications reach this machine's loopback addresses, 127.0.0.0/8 and ::1, and whatever listens there
    #[arg(long)]
    pub allow_loopback: bool,
    /// Refuse connects to brokers without TLS
    #[arg(long)]
    pub require_tls: bool,
    /// Refuse connects to brokers without TLS to the devices of this account (repeatable)
    #[arg(long, value_name = "ID|NAME")]
    pub require_tls_of: Vec<String>,
    /// Look up host names at this DNS server, IP:PORT, rather than at those of /etc/resolv.conf (repeatable)
    #[arg(long = "name-server", value_name = "ADDR")]
    pub name_servers: Vec<SocketAddr>,
}

/// `openvisor provision`
#[derive(Args, Debug)]
#[command(after_help = "\
The device's folder holds its private key; keep it to yourself.

Examples:
  openvisor provision --data ./cloud --out ./device-1
  openvisor provision --data ./cloud --out ./device-2 --name kitchen --config broker-host=192.0.2.7")]
pub struct Provision {
    /// The cloud's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The cloud's PostgreSQL database, where the data folder does not remember it yet; as for `openvisor cloud`
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreText>,
    /// The device's folder; made here, and handed to `openvisor device --data`
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A name for people
    #[arg(long)]
    pub name: Option<String>,
    /// The account the device is to belong to; without it, the first
    #[arg(long, value_name = "ID|NAME")]
    pub account: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub settings: Settings,
}

/// `openvisor device`
#[derive(Args, Debug)]
#[command(after_help = "\
The application's log lines go to the cloud, not to this process; its events are written here.

Examples:
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1

  The same, recorded; then that run once more, without a cloud:
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1 --record run.ovrec
  openvisor device app.elf --replay run.ovrec")]
pub struct Device {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub application: Application,
    /// The cloud's address, HOST:PORT
    #[arg(long, value_name = "ADDR", required_unless_present = "replay")]
    pub cloud: Option<String>,
    /// The device's folder, made by `openvisor provision`
    #[arg(long, value_name = "DIR", required_unless_present = "replay")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub wiring: Wiring,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub showing: Showing,
    /// Start the application as a factory test: mvTestingComplete ends the run, with success if its status is 0, and
    /// what the test logs is shown here and does not go to the cloud
    #[arg(long)]
    pub factory_test: bool,
    /// Let the device's time go N times as fast as the clock on the wall, 1 to 1000: its timers, its microseconds, and its
    /// time of day, which it is told by the cloud only once. Networks do not get faster by it
    #[arg(long, value_name = "N", default_value_t = TimeScale::ONE)]
    pub time_scale: TimeScale,
    /// End after this many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Write one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub debugging: Debugging,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub repeating: Repeating,
}

/// What runs on the device.
#[derive(Args, Debug)]
pub struct Application {
    /// The application: an ELF file (.elf), hexadecimal records (.hex, .srec), the bytes of its flash (.bin), or a bundle of it (.zip)
    pub image: PathBuf,
    /// Run nothing but a bundle signed with this key; FILE has its public half in PEM
    #[arg(long, value_name = "FILE")]
    pub signer: Option<PathBuf>,
}

/// What goes into the device's stores, from which applications fetch their settings.
#[derive(Args, Debug)]
pub struct Settings {
    /// Put an entry into the device's configuration store; @FILE takes the file's text, less a last line
    /// end; a value that begins with @ is written with two (repeatable)
    #[arg(long = "config", value_name = "KEY=VALUE|KEY=@FILE")]
    pub configs: Vec<String>,
    /// The same for its secret store; prefer @FILE, since others on this machine may see the command line
    #[arg(long = "secret", value_name = "KEY=VALUE|KEY=@FILE", hide_default_value = true)]
    pub secrets: Vec<String>,
}

/// What goes into the stores of the whole account.
#[derive(Args, Debug)]
pub struct AccountSettings {
    /// Put an entry into the account's configuration store, which applications ask separately (repeatable)
    #[arg(long = "account-config", value_name = "KEY=VALUE|KEY=@FILE")]
    pub account_configs: Vec<String>,
    /// The same for the account's secret store (repeatable)
    #[arg(long = "account-secret", value_name = "KEY=VALUE|KEY=@FILE")]
    pub account_secrets: Vec<String>,
}

/// What is wired to the device, and what reaches it at times of its own.
#[derive(Args, Debug, Default)]
pub struct Wiring {
    /// Wire a sensor or display to an I2C bus: mcp9808, th02, lis3dh or ht16k33 on bus 1 or 2, such as
    /// 1:mcp9808@0x18,temperature=20..30/60s (repeatable). A value is a number, a ramp there and back FROM..TO/SECONDSs,
    /// @FILE with lines VALUE or SECOND,VALUE, or @- for lines on standard input
    #[arg(long, value_name = "BUS:MODEL[@ADDRESS][,NAME=VALUE]...")]
    pub i2c: Vec<String>,
    /// Wire a memory (23lc512) or a wire from out to in (loopback) to SPI bus 1, 2 or 3 (repeatable)
    #[arg(long, value_name = "BUS:MODEL[,cs=PIN]")]
    pub spi: Vec<String>,
    /// Write what a serial port sends to a file, - for standard output, rather than tell it as an event; PORT is 1 to 5
    /// or lp1 (repeatable)
    #[arg(long, value_name = "PORT=FILE")]
    pub serial: Vec<String>,
    /// Send a file to a serial port, - for standard input, at its baud rate from when its receiver is on; nothing is lost
    /// while the receiver is full (repeatable)
    #[arg(long = "serial-in", value_name = "PORT=FILE")]
    pub serial_in: Vec<String>,
    /// Let a serial port lose what arrives while its receiver is full, as the chip does, and tell the application of the overrun
    /// (repeatable)
    #[arg(long, value_name = "PORT")]
    pub serial_overrun: Vec<String>,
    /// Drive a pin from outside, at times of the device such as 5s, 250ms or 10us since power-on; without a time, from the
    /// start: PB11=0@5s,1@5.2s (repeatable)
    #[arg(long, value_name = "PIN=LEVEL[@TIME][,...]")]
    pub pin: Vec<String>,
    /// Do something to the device at a time of its own: PB11=0@5s, serial:2=hello\n@3s, i2c:1@0x18:temperature=30@1m, or a tap
    /// of an accelerometer, i2c:1@0x19:tap=-z@2s (repeatable)
    #[arg(long, value_name = "TARGET=VALUE[@TIME]")]
    pub input: Vec<String>,
    /// The same from a script with lines TIME TARGET=VALUE (repeatable)
    #[arg(long, value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
}

/// Where an application's connections lead.
#[derive(Args, Debug)]
pub struct Relayed {
    /// Lead the application's connections for HOST:PORT to ADDR:PORT, as curl's --resolve does; certificates are still
    /// checked for HOST (repeatable)
    #[arg(long, value_name = "HOST:PORT=ADDR:PORT")]
    pub resolve: Vec<Resolve>,
    /// Believe the certificate authorities in this PEM file too, where the application names none (repeatable)
    #[arg(long = "cacert", value_name = "FILE")]
    pub authorities: Vec<PathBuf>,
    /// Connect to brokers on this port over TLS, verified with the public authorities, where the application gives no TLS
    /// credentials; 8883 and 443 always are, unless --plain-port says otherwise (repeatable)
    #[arg(long = "tls-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub tls_ports: Vec<u16>,
    /// Connect to brokers on this port over plain TCP where the application gives no TLS credentials, also when it is 8883 or
    /// 443 (repeatable)
    #[arg(long = "plain-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub plain_ports: Vec<u16>,
}

/// `openvisor completions`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  openvisor completions bash > ~/.local/share/bash-completion/completions/openvisor
  openvisor completions fish > ~/.config/fish/completions/openvisor.fish")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Where `openvisor cloud` listens unless told otherwise: this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7883";

/// Where `openvisor cloud --metrics` answers unless told otherwise: this machine only.
pub const DEFAULT_METRICS: &str = "127.0.0.1:7884";

/// Longest time `--seconds` takes: a year.
const MAX_SECONDS: f64 = 31_536_000.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let asked: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if asked > 0.0 && asked <= MAX_SECONDS {
        return Ok(Duration::from_secs_f64(asked));
    }
    Err(format!("must be more than 0 and at most {MAX_SECONDS}"))
}

#[cfg(test)]
mod tests;
