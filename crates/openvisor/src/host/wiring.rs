//! What is attached to a device on the command line: sensors and memories, the other ends of its serial ports, and
//! inputs at given times.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use device::serial::{self, Route};
use device::stimulus::{self, MAX_SCRIPT, MAX_STIMULI, Schedule, Stimulus};
use device::wiring::{self, Attachment};
use device::{Options, Remote};

use crate::host::debugging::private_file;
use crate::options::WiringOptions;
use crate::output::exit::Failure;
use crate::output::{self, OutputQueue};

/// Most bytes read for a serial port at once.
const CHUNK: usize = 1024;
/// Pause before another attempt when a port accepts nothing.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Stands for standard input or output.
const STANDARD_STREAM: &str = "-";

/// Everything attached to a device.
#[derive(Default)]
pub(crate) struct Wiring {
    attachments: Vec<Attachment>,
    /// Where the output of serial ports goes.
    routes: Vec<Route>,
    sources: Vec<Source>,
    schedule: Schedule,
}

/// Input that is read while the device runs.
enum Source {
    /// Bytes for a serial port.
    Serial { port: u8, from: Box<dyn Read + Send> },
    /// Lines of standard input with one value for each quantity.
    Quantities(Vec<Quantity>),
}

/// A quantity that a sensor measures: bus, address, name.
type Quantity = (u8, u8, &'static str);

impl Wiring {
    /// Reads the options and opens the files they name.
    pub(crate) fn read(options: &WiringOptions) -> Result<Self, Failure> {
        let mut attachments = Vec::new();
        for text in &options.i2c {
            attachments.push(Attachment::i2c(text).map_err(|error| bad("--i2c", &error))?);
        }
        for text in &options.spi {
            attachments.push(Attachment::spi(text).map_err(|error| bad("--spi", &error))?);
        }
        for text in &options.serial_overrun {
            attachments.push(Attachment::overrunning(text).map_err(|error| bad("--serial-overrun", &error))?);
        }
        wiring::check(&attachments).map_err(|error| bad("--i2c, --spi, --serial-overrun", &error))?;
        let schedule = schedule(options, &attachments)?;
        let quantities = live_quantities(&attachments);
        let mut sources = Vec::new();
        for text in &options.serial_in {
            sources.push(serial_input(text)?);
        }
        let on_stdin = options.serial_in.iter().filter(|text| text.ends_with("=-")).count();
        if on_stdin + usize::from(!quantities.is_empty()) > 1 {
            let failure = Failure::bad_input(
                "standard input can be read by one serial port or by sensors, not by several",
            );
            return Err(failure.hint("use a file instead of - for the others"));
        }
        if !quantities.is_empty() {
            sources.push(Source::Quantities(quantities));
        }
        let routes = options.serial.iter().map(|text| serial_output(text)).collect::<Result<_, _>>()?;
        Ok(Self { attachments, routes, sources, schedule })
    }

    /// What is on the buses. A replay needs only that: its recording contains all input.
    pub(crate) fn into_attachments(self) -> Vec<Attachment> {
        self.attachments
    }

    /// Adds it to the options of a device, but for the input that is read while the device runs.
    pub(crate) fn apply(self, options: Options) -> (Options, InputReaders) {
        let Self { attachments, routes, sources, schedule } = self;
        (Options { attachments, routes, schedule, ..options }, InputReaders(sources))
    }
}

/// Reads input for a device while it runs.
pub(crate) struct InputReaders(Vec<Source>);

impl InputReaders {
    /// Starts a thread for each source, which ends with its file or with the process.
    pub(crate) fn start(self, remote: &Remote) {
        for source in self.0 {
            let remote = remote.clone();
            // Without its thread a source gives nothing; the device runs nevertheless.
            let _ = std::thread::Builder::new().name("input".into()).spawn(move || match source {
                Source::Serial { port, from } => send_to_serial(&remote, port, from),
                Source::Quantities(quantities) => set_quantities(&remote, &quantities, io::stdin().lock()),
            });
        }
    }
}

fn bad(option: &str, error: &impl std::fmt::Display) -> Failure {
    Failure::bad_input(format!("{option}: {error}"))
}

/// The inputs of `--pin`, `--input` and `--inputs`, in this order where their times are equal.
fn schedule(options: &WiringOptions, attachments: &[Attachment]) -> Result<Schedule, Failure> {
    let mut stimuli = Vec::new();
    let mut add = |option: &str, read: Result<Vec<Stimulus>, wiring::WiringError>| {
        let read = read.and_then(|read| stimulus::check(&read, attachments).map(|()| read));
        stimuli.extend(read.map_err(|error| bad(option, &error))?);
        if stimuli.len() > MAX_STIMULI {
            return Err(bad(option, &format!("more than {MAX_STIMULI} entries")));
        }
        Ok(())
    };
    for text in &options.pin {
        add("--pin", stimulus::parse_pin(text))?;
    }
    for text in &options.input {
        add("--input", stimulus::parse(text).map(|stimulus| vec![stimulus]))?;
    }
    for path in &options.inputs {
        let option = format!("--inputs {}", path.display());
        let script = read_script(path).map_err(|error| bad(&option, &error))?;
        add(&option, stimulus::parse_script(&script))?;
    }
    Ok(Schedule::new(stimuli))
}

fn read_script(path: &Path) -> io::Result<String> {
    let mut script = String::new();
    File::open(path)?.take(MAX_SCRIPT as u64 + 1).read_to_string(&mut script)?;
    if script.len() > MAX_SCRIPT {
        return Err(io::Error::other(format!("longer than {MAX_SCRIPT} bytes")));
    }
    Ok(script)
}

fn live_quantities(attachments: &[Attachment]) -> Vec<Quantity> {
    let live_of = |target: &Attachment| match target {
        Attachment::I2c { bus, target, live, .. } => {
            live.iter().map(|name| (*bus, target.address(), *name)).collect()
        }
        Attachment::Spi { .. } | Attachment::Overrunning { .. } => Vec::new(),
    };
    attachments.iter().flat_map(live_of).collect()
}

fn port_and_file<'a>(option: &str, text: &'a str) -> Result<(u8, &'a str), Failure> {
    let parsed = text.split_once('=').and_then(|(port, file)| Some((serial::port_named(port)?, file)));
    parsed.ok_or_else(|| {
        bad(option, &format!("{text} is not PORT=FILE"))
            .hint("PORT is 1 to 5 or lp1, and FILE a path or -; for example 2=serial.txt")
    })
}

fn serial_output(text: &str) -> Result<Route, Failure> {
    let (port, file) = port_and_file("--serial", text)?;
    // Queued, because the device's thread must not wait for a slow reader (D170).
    let to = if file == STANDARD_STREAM {
        output::raw_stdout().clone()
    } else {
        let file =
            private_file(Path::new(file)).map_err(|error| bad("--serial", &format!("{file}: {error}")))?;
        OutputQueue::new(Box::new(file))
    };
    Ok(Route { port, to: Box::new(to) })
}

fn serial_input(text: &str) -> Result<Source, Failure> {
    let (port, file) = port_and_file("--serial-in", text)?;
    let from: Box<dyn Read + Send> = match file {
        STANDARD_STREAM => Box::new(io::stdin()),
        _ => Box::new(File::open(file).map_err(|error| bad("--serial-in", &format!("{file}: {error}")))?),
    };
    Ok(Source::Serial { port, from })
}

fn send_to_serial(remote: &Remote, port: u8, mut from: impl Read) {
    let mut chunk = [0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        while !remote.send_serial(port, chunk[..length].to_vec()) {
            std::thread::sleep(RETRY_PAUSE);
        }
    }
}

/// The values of a line are for the quantities in order; one that is not a number leaves its quantity unchanged.
fn set_quantities(remote: &Remote, quantities: &[Quantity], lines: impl Read) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let values = line.split([',', ';', ' ', '\t']).filter(|value| !value.is_empty());
        for ((bus, address, name), value) in quantities.iter().zip(values) {
            if let Some(value) = value.parse().ok().filter(|value: &f64| value.is_finite()) {
                remote.set_quantity(*bus, *address, (*name).to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(i2c: &[&str], serial_in: &[&str]) -> WiringOptions {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        WiringOptions { i2c: owned(i2c), serial_in: owned(serial_in), ..WiringOptions::default() }
    }

    fn refused(i2c: &[&str], serial_in: &[&str]) -> String {
        Wiring::read(&options(i2c, serial_in)).err().expect("refused").to_string()
    }

    #[test]
    fn live_quantities_are_read_in_order() {
        let wiring = Wiring::read(&options(&["1:th02,humidity=@-,temperature=@-", "2:mcp9808"], &[]));
        let [Source::Quantities(quantities)] = &wiring.expect("a wiring").sources[..] else {
            panic!("one feed")
        };
        assert_eq!(quantities[..], [(1, 0x40, "humidity"), (1, 0x40, "temperature")]);
    }

    #[test]
    fn standard_input_has_one_reader() {
        assert!(refused(&["1:th02,humidity=@-"], &["2=-"]).contains("one serial port or by sensors"));
        assert!(refused(&[], &["2=-", "1=-"]).contains("one serial port or by sensors"));
    }

    #[test]
    fn an_invalid_port_is_refused_with_an_example() {
        assert!(refused(&[], &["6=x"]).contains("6=x is not PORT=FILE"));
        assert!(refused(&[], &["2"]).contains("2 is not PORT=FILE"));
        assert!(
            refused(&["1:mcp9808", "1:mcp9808"], &[]).contains("two attachments at address 0x18 of I2C1")
        );
    }

    fn refused_input(option: &str, text: &str) -> String {
        let mut options = options(&["1:lis3dh"], &[]);
        match option {
            "--pin" => options.pin.push(text.to_owned()),
            "--input" => options.input.push(text.to_owned()),
            "--serial-overrun" => options.serial_overrun.push(text.to_owned()),
            _ => options.inputs.push(text.into()),
        }
        Wiring::read(&options).err().expect("refused").to_string()
    }

    /// Shows D216.
    #[test]
    fn inputs_come_from_all_their_options_in_the_order_of_their_times() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("script");
        std::fs::write(&script, "# two taps\n2s i2c:1@0x18:tap=z\n2.15s i2c:1@0x18:tap=z\n")
            .expect("written");
        let mut options = options(&["1:lis3dh,int1=PB11"], &[]);
        options.pin.push("PC13=1@3s,0@1s".to_owned());
        options.input.push("serial:2=go\\n".to_owned());
        options.inputs.push(script);
        let mut schedule = Wiring::read(&options).expect("a wiring").schedule;
        let mut targets = Vec::new();
        schedule.deliver_due(u64::MAX, |input| {
            targets.push(stimulus::target(input));
            Ok(())
        });
        assert_eq!(targets, ["serial:2", "PC13", "i2c:1@0x18:tap", "i2c:1@0x18:tap", "PC13"]);
    }

    /// Shows D216.
    #[test]
    fn inputs_that_reach_nothing_are_refused_with_the_option_that_named_them() {
        assert!(refused_input("--pin", "PQ1=0@5s").contains("--pin: PQ1 is not a pin"));
        assert!(refused_input("--pin", "PB1").contains("PB1 is not PIN=LEVEL@TIME"));
        assert!(
            refused_input("--input", "i2c:2@0x18:tap=z@1s")
                .contains("--input: i2c:2@0x18:tap: nothing is wired")
        );
        assert!(refused_input("--inputs", "/nowhere").contains("--inputs /nowhere: "));
        assert!(refused_input("--serial-overrun", "7").contains("7 is not a serial port"));
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("script");
        std::fs::write(&script, "# a button\n1s PB11=0\n2s PB11=low\n").expect("written");
        let refused = refused_input("--inputs", script.to_str().expect("text"));
        assert!(refused.contains("line 3: low is not a level of a pin"), "{refused}");
    }
}
