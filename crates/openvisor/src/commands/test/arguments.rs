//! The arguments of `openvisor test`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
#[command(after_help = "\
A script says what surrounds an application, what happens to it, and what it is expected to do. Everything \
happens in the device's own time and in this process: no sockets, no wall clock, no randomness. The same \
script and image have the same result at the same device times, on every machine, as fast as it can.

A complete script, thermostat.toml, for an image thermostat.elf beside it:

  [application]
  image = 'thermostat.elf'              # an image or a bundle; relative to the script
  fail-on = 'ERROR|assertion'           # a log line with this fails the test

  [config]                              # what the application fetches; [secrets],
  broker-host = 'broker.test'           # [account-config], [account-secrets] likewise
  broker-port = '1883'

  [broker]                              # the only host and port with a broker
  host = 'broker.test'
  port = 1883

  [[http]]                              # what the web server answers
  url = 'https://api.test/target'
  body = '21.5'

  [wiring]                              # as --i2c and --spi of openvisor run
  i2c = ['1:mcp9808,temperature=18']

  [[step]]                              # steps run in order; each is a test case
  name = 'it listens for commands'
  expect = { subscribe = 'home/set' }

  [[step]]
  name = 'a command turns the heating on'
  do = { publish = { topic = 'home/set', payload = 'on' } }
  expect = { pin = 'PA5=1' }
  within = '500ms'                      # of device time; 10s if it is not said

  [[step]]
  name = 'it survives a loss of the link'
  at = '30s'                            # device time since power-on; or wait = '5s'
  do = 'cut-link'
  expect = { link = 'down' }

  [[step]]
  wait = '20s'
  do = 'restore-link'
  expect = { publish = { topic = 'home/#', payload = 'online' } }
  within = '1m'

do:      'cut-link' 'restore-link' 'stop-broker' 'start-broker' 'power-off' 'power-on',
         { link = {delay, bytes-per-second} }, { broker = {refuse, username, password, tls} },
         { publish = {topic, payload, qos, retain} }, { config = {KEY = 'VALUE'} }, { secrets = ... },
         { input = 'PC13=0' } (or serial:2=text\\n, i2c:1@0x18:temperature=30),
         { http = {url, method, status, headers, body, delay, fail} }
expect:  { log = REGEX }, { publish = {topic, payload = REGEX, qos, retain} }, { subscribe = FILTER },
         { http = {method, url = REGEX, body = REGEX} }, { pin = 'PA5=1' }, { link = 'up' },
         { serial = {port, line = REGEX} }, { display = {at, digits, rows} }, { crash = REGEX },
         { start = REGEX }, { event = REGEX } (any line of --verbose);
         expect-all = [ ... ], expect-not = [ ... ]
bytes:   text, hex = '01 ff', or json = { ... }, of which a part is expected
when:    at = TIME, wait = TIME, after = REGEX (when a log line has it); repeat = N

A crash that no step expects fails the test, unless [application] has allow-crashes = true.

Examples:
  openvisor test thermostat.toml
  openvisor test tests/*.toml --junit results.xml --coverage coverage.info --quiet

Exit codes: 0 if all steps passed, 1 if one failed, 2 if a script or its image is not valid.")]
pub(crate) struct TestArguments {
    /// Scripts, run one after the other, each on a new device
    #[arg(required = true, value_name = "SCRIPT")]
    pub(crate) scripts: Vec<PathBuf>,
    /// Write the results in the JUnit format to this file: a suite for each script, a test case for each step
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write which lines of the applications' sources were executed to this file, in the format of lcov; the images
    /// need line tables (-g)
    #[arg(long, value_name = "FILE")]
    pub(crate) coverage: Option<PathBuf>,
    /// Print everything that happens, with its device time
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but failures
    #[arg(long, short, conflicts_with_all = ["json", "verbose"])]
    pub(crate) quiet: bool,
}
