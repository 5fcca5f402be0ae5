//! The arguments of `openvisor run`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{
    AccountSettingsOptions, AllowOption, DebuggingOptions, FactoryTestOption, ImageOptions, OutboundOptions,
    PaceOptions, RecordingOptions, SettingsOptions, ShowOptions, TestImageOptions, VerdictOptions,
    WiringOptions,
};

#[derive(Args)]
#[command(after_help = "\
The application's log lines go to standard output exactly as it logged them, or escaped if that is a \
terminal; everything else goes to standard error. The application may reach public addresses and, unlike \
with `openvisor cloud`, this machine's loopback addresses. Others, such as those of a home or office \
network and this machine's address in it, need --allow.

Examples:
  openvisor run app.elf --config broker-host=127.0.0.1 --config broker-port=1883
  openvisor run app.bin --data ./dev --secret password=@password.txt --seconds 60 > app.log
  openvisor run app.elf --config broker-ca=@ca.hex   (a certificate: xxd -p -c0 ca.der > ca.hex)

  Stopped at its first instruction, for gdb-multiarch app.elf -ex 'target extended-remote :8001':
  openvisor run app.elf --gdb-wait

  With a thermometer on its first I2C bus, and its second serial port on this terminal:
  openvisor run app.elf --i2c 1:mcp9808,temperature=20..30/60s --serial 2=- --serial-in 2=-

  With a button that is pressed after five seconds, and an accelerometer that is tapped after eight:
  openvisor run app.elf --pin PC13=1@5s,0@5.2s --i2c 1:lis3dh@0x19,int1=PB11 \\
      --input i2c:1@0x19:tap=z@8s

  A factory test, whose result is the exit code:
  openvisor run test.elf --factory-test --seconds 60

  In CI: success when this line appears, failure after 30 s, and when the application crashes (exit code 5):
  openvisor run app.elf --until 'self-test passed' --timeout 30 --junit result.xml

  An image of tests, each in a start of its own, as `cargo test` does with this as its runner:
  openvisor run target/thumbv8m.main-none-eabi/debug/deps/device-0123456789abcdef --list

  A failure recorded; then replayed with a trace of every system call, without broker and cloud:
  openvisor run app.elf --config broker-host=127.0.0.1 --record fail.ovrec
  openvisor run app.elf --replay fail.ovrec --trace trace.txt

  An application that talks to a public host, tested offline against a server of yours:
  openvisor run app.elf --resolve api.example.com:443=127.0.0.1:8443 --cacert my-ca.pem")]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) application: ImageOptions,
    /// Keep the cloud's data and the device's identity in this folder, so that the next run is the same device with the
    /// same settings; without it, a temporary folder is used and removed
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingsOptions,
    #[command(flatten)]
    pub(crate) account_settings: AccountSettingsOptions,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    #[command(flatten)]
    pub(crate) outbound: OutboundOptions,
    #[command(flatten)]
    pub(crate) allow: AllowOption,
    #[command(flatten)]
    pub(crate) wiring: WiringOptions,
    #[command(flatten)]
    pub(crate) show: ShowOptions,
    #[command(flatten)]
    pub(crate) factory_test: FactoryTestOption,
    /// Write the events on standard error as one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Write only errors on standard error, such as crashes, and no events
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) verdict: VerdictOptions,
    #[command(flatten)]
    pub(crate) debugging: DebuggingOptions,
    #[command(flatten)]
    pub(crate) recording: RecordingOptions,
    #[command(flatten)]
    pub(crate) tests: TestImageOptions,
}
