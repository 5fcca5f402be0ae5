//! What the options for looking into the device ask for, and how a crash is shown.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use device::debug::Debugging;
use device::debug::backtrace::Frame;
use device::debug::crash::Crash;
use device::debug::gdb::Server;
use device::debug::symbols::{Site, Symbols};
use device::debug::trace::{Format, Output, Tracer};
use serde_json::{Value, json};

use crate::options::{DebuggingOptions, TraceFormat};
use crate::output::exit::Failure;
use crate::output::timeline::{Source, Timeline};

/// Opens what `arguments` ask for; names come from `image`, if it has any and the arguments do not name another file.
pub(crate) fn open(options: &DebuggingOptions, image: Option<&Path>) -> Result<Debugging, Failure> {
    let gdb = options.gdb().map(|address| serve(address, options.gdb_exposed)).transpose()?;
    let symbols = match &options.symbols {
        Some(file) => Some(named(file)?),
        None => image.and_then(Symbols::load),
    };
    let tracer = trace(&options.trace, options.trace_format)?;
    Ok(Debugging { gdb, wait: options.gdb_wait, symbols, tracer })
}

fn trace(files: &[PathBuf], format: Option<TraceFormat>) -> Result<Option<Tracer>, Failure> {
    if files.is_empty() {
        return Ok(None);
    }
    let outputs = files.iter().map(|file| output(file, format)).collect::<Result<_, _>>()?;
    let tracer = Tracer::start(outputs)
        .map_err(|error| Failure::environment(format!("cannot start to write the trace: {error}")))?;
    Ok(Some(tracer))
}

fn output(file: &Path, format: Option<TraceFormat>) -> Result<Output, Failure> {
    let by_name =
        if file.extension().is_some_and(|end| end == "json") { Format::Perfetto } else { Format::Text };
    let format = match format {
        Some(TraceFormat::Text) => Format::Text,
        Some(TraceFormat::Perfetto) => Format::Perfetto,
        None => by_name,
    };
    if file == Path::new("-") {
        return Ok(Output { format, to: Box::new(std::io::stdout()) });
    }
    let to = private_file(file).map_err(|error| {
        Failure::bad_input(format!("--trace {}: cannot be written: {error}", file.display()))
    })?;
    Ok(Output { format, to: Box::new(to) })
}

/// A new file that only this user may read: what an application does is in traces and on serial ports. One that is there keeps
/// the mode its owner gave it.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn named(file: &Path) -> Result<Symbols, Failure> {
    Symbols::load(file).ok_or_else(|| {
        Failure::bad_input(format!("--symbols {}: not an ELF file with names", file.display()))
            .hint("name the file the linker wrote, not stripped, which the image was made from")
    })
}

/// Says where a debugger may connect, in the words development environments wait for, and what of the debug information cannot be
/// read, which a backtrace will lack.
pub(crate) fn announce(debugging: &Debugging, timeline: &Timeline) {
    let notes = debugging.symbols.iter().flat_map(Symbols::notes);
    notes.for_each(|note| timeline.say(Source::Device, note));
    if let Some(server) = &debugging.gdb {
        timeline.announce(&format!("GDB server listening on {}", server.address()));
    }
}

/// Shows a crash: lines for people, or one object for programs.
pub(crate) fn show_crash(crash: &Crash, timeline: &Timeline) {
    timeline.report(Source::Device, &crash.lines(), "crash", &crash_fields(crash));
}

fn crash_fields(crash: &Crash) -> Value {
    let frames: Vec<Value> = crash.frames.iter().flat_map(frame_fields).collect();
    json!({
        "cause": crash.fault.to_string(),
        "cfsr": { "value": crash.fault.cfsr, "bits": crash.cfsr() },
        "hfsr": { "value": crash.fault.hfsr, "bits": crash.hfsr() },
        "mmfar": crash.mmfar(),
        "bfar": crash.bfar(),
        "registers": crash.registers,
        "xpsr": crash.xpsr,
        "msp": crash.msp,
        "psp": crash.psp,
        "backtrace": frames,
    })
}

fn frame_fields(frame: &Frame) -> Vec<Value> {
    let fields = |site: &Site| {
        let (file, line) = site.line.clone().unzip();
        json!({
            "address": frame.address,
            "function": site.function,
            "file": file,
            "line": line,
            "certain": !frame.uncertain,
        })
    };
    frame.sites.iter().map(fields).collect()
}

fn serve(address: &str, exposed: bool) -> Result<Server, Failure> {
    let address = parse(address)?;
    if !address.ip().is_loopback() && !exposed {
        return Err(Failure::bad_input(format!(
            "--gdb {address}: other machines could connect, and read and change all of the application's memory"
        ))
        .hint("name an address of this machine only, such as 127.0.0.1:8001, or add --gdb-exposed"));
    }
    Server::bind(address).map_err(|error| {
        Failure::environment(format!("cannot listen for a debugger on {address}: {error}"))
            .hint("another device may be running; --gdb 0 takes a free port")
    })
}

/// A port, or a host and a port.
fn parse(text: &str) -> Result<SocketAddr, Failure> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        Failure::bad_input(format!("--gdb {text}: not a port, nor an address of this machine with a port"))
            .hint("for example --gdb 8001, or --gdb 127.0.0.1:8001; an image comes before --gdb")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_one_of_this_machine() {
        assert_eq!(parse("8001").unwrap().to_string(), "127.0.0.1:8001");
        assert_eq!(parse("[::1]:9").unwrap().to_string(), "[::1]:9");
        assert!(parse("app.elf").is_err());
        assert!(parse("70000").is_err());
    }

    /// Shows D135.
    #[test]
    fn a_port_that_others_reach_is_only_opened_when_asked_for() {
        let refused = serve("0.0.0.0:0", false).unwrap_err();
        assert!(refused.to_string().contains("--gdb-exposed"), "{refused}");
        assert!(serve("0.0.0.0:0", true).is_ok());
        assert!(serve("0", false).is_ok());
    }

    /// Shows D207.
    #[test]
    fn what_shows_an_applications_doings_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.txt");
        private_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Over one that is there, as before.
        std::fs::write(&path, "old").unwrap();
        private_file(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_port_in_use_is_told() {
        let first = serve("0", false).unwrap();
        let refused = serve(&first.address().to_string(), false).unwrap_err();
        assert_eq!(refused.exit(), crate::output::exit::Exit::Environment);
        assert!(refused.to_string().contains("cannot listen for a debugger"), "{refused}");
    }
}
