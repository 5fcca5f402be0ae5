//! Debugger, trace and symbols as given by the options, and the report of a crash.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use device::debug::Debugging;
use device::debug::gdb::Server;
use device::debug::symbols::Symbols;
use device::debug::trace::{Format, TraceSink, Tracer};
use device::image::Image;

use crate::options::{DebuggingOptions, TraceFormat};
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::Timeline;

/// Opens what `options` name. Symbols come from `image` unless the options name another file.
pub(crate) fn open(options: &DebuggingOptions, image: Option<&Path>) -> Result<Debugging, Failure> {
    let gdb = options.gdb().map(|address| listen(address, options.gdb_exposed)).transpose()?;
    let symbols = match &options.symbols {
        Some(file) => Some(load_symbols(file, image)?),
        None => image.and_then(Symbols::load),
    };
    let tracer = start_tracer(options)?;
    Ok(Debugging { gdb, wait: options.gdb_wait, symbols, tracer })
}

fn start_tracer(options: &DebuggingOptions) -> Result<Option<Tracer>, Failure> {
    if options.trace.is_empty() {
        return Ok(None);
    }
    let output = |file: &PathBuf| trace_output(file, options.trace_format);
    let outputs = options.trace.iter().map(output).collect::<Result<_, _>>()?;
    let tracer = Tracer::start(outputs)
        .map_err(|error| Failure::environment(format!("cannot start the trace: {error}")))?
        .only(options.trace_filter());
    Ok(Some(if options.trace_all { tracer.unfolded() } else { tracer }))
}

fn trace_output(file: &Path, format: Option<TraceFormat>) -> Result<TraceSink, Failure> {
    let by_name =
        if file.extension().is_some_and(|end| end == "json") { Format::Perfetto } else { Format::Text };
    let format = match format {
        Some(TraceFormat::Text) => Format::Text,
        Some(TraceFormat::Perfetto) => Format::Perfetto,
        None => by_name,
    };
    if file == Path::new("-") {
        return Ok(TraceSink { format, to: Box::new(std::io::stdout()) });
    }
    let to = private_file(file)
        .map_err(|error| Failure::bad_input(format!("--trace: cannot write {}: {error}", file.display())))?;
    Ok(TraceSink { format, to: Box::new(to) })
}

/// Creates a file that only this user may read, because traces and the output of serial ports show what an application
/// does (D207). An existing file keeps its mode.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A note says if the file belongs to another program than `image`. It is no error, because an image may have been
/// changed after it was linked, for example by a checksum.
fn load_symbols(file: &Path, image: Option<&Path>) -> Result<Symbols, Failure> {
    let image = image.and_then(|path| Image::load(path).ok());
    Symbols::load_for(file, image.as_ref()).ok_or_else(|| {
        Failure::bad_input(format!("--symbols {}: not an ELF file with symbols", file.display()))
            .hint("use the unstripped file from the linker that the image was made from")
    })
}

/// Reports the address for debuggers, with the text that development environments wait for, and the parts of the debug
/// information that cannot be read, which backtraces will lack.
pub(crate) fn announce(debugging: &Debugging, timeline: &Timeline) {
    let notes = debugging.symbols.iter().flat_map(Symbols::notes);
    notes.for_each(|note| timeline.add(&Event::DebugInfoUnreadable { detail: note.clone() }));
    if let Some(server) = &debugging.gdb {
        timeline.add(&Event::GdbListening { address: server.address().to_string() });
    }
}

fn listen(address: &str, exposed: bool) -> Result<Server, Failure> {
    let address = parse_address(address)?;
    if !address.ip().is_loopback() && !exposed {
        return Err(Failure::bad_input(format!(
            "--gdb {address}: other machines could connect, and read and change all of the application's memory"
        ))
        .hint("use a loopback address, such as 127.0.0.1:8001, or add --gdb-exposed"));
    }
    Server::bind(address).map_err(|error| {
        Failure::environment(format!("cannot listen for a debugger on {address}: {error}"))
            .hint("another device may be running; --gdb 0 picks a free port")
    })
}

/// Parses a port of the loopback address, or a host and a port.
fn parse_address(text: &str) -> Result<SocketAddr, Failure> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        Failure::bad_input(format!("--gdb {text}: neither a port nor an address of this machine with a port"))
            .hint("for example --gdb 8001, or --gdb 127.0.0.1:8001; write the image before --gdb")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_on_loopback() {
        assert_eq!(parse_address("8001").unwrap().to_string(), "127.0.0.1:8001");
        assert_eq!(parse_address("[::1]:9").unwrap().to_string(), "[::1]:9");
        assert!(parse_address("app.elf").is_err());
        assert!(parse_address("70000").is_err());
    }

    /// Shows D135.
    #[test]
    fn an_address_that_others_reach_needs_gdb_exposed() {
        let refused = listen("0.0.0.0:0", false).unwrap_err();
        assert!(refused.to_string().contains("--gdb-exposed"), "{refused}");
        assert!(listen("0.0.0.0:0", true).is_ok());
        assert!(listen("0", false).is_ok());
    }

    /// Shows D207.
    #[test]
    fn a_file_that_shows_what_an_application_does_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.txt");
        private_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // An existing file is replaced.
        std::fs::write(&path, "old").unwrap();
        private_file(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_port_in_use_is_an_environment_error() {
        let first = listen("0", false).unwrap();
        let refused = listen(&first.address().to_string(), false).unwrap_err();
        assert_eq!(refused.exit(), crate::output::exit::Exit::Environment);
        assert!(refused.to_string().contains("cannot listen for a debugger"), "{refused}");
    }
}
