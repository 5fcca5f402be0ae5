//! `openvisor man`: manual pages, from the same definition as the help.

mod arguments;

use clap::CommandFactory;

use super::Arguments;
use crate::output::exit::Failure;
use crate::output::print::print_line;
pub(super) use arguments::ManArguments;

/// Writes a page for each command and subcommand.
pub(super) fn run(arguments: &ManArguments) -> Result<(), Failure> {
    let out = &arguments.out;
    let written =
        std::fs::create_dir_all(out).and_then(|()| clap_mangen::generate_to(Arguments::command(), out));
    written.map_err(|error| Failure::environment(format!("cannot write to {}: {error}", out.display())))?;
    let _ = print_line(&format!("manual pages are in {}", out.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page_with_its_options_and_examples() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("man1");
        run(&ManArguments { out: out.clone() }).unwrap();
        for (page, text) in [
            ("openvisor.1", "openvisor\\-cloud(1)"),
            ("openvisor-cloud.1", "OPENVISOR_DATA"),
            ("openvisor-devices-rename.1", "openvisor devices rename kitchen pantry"),
        ] {
            let content = std::fs::read_to_string(out.join(page)).expect(page);
            assert!(content.contains(text), "{page}: {content}");
        }
        assert!(!out.join("openvisor-secrets-get.1").exists(), "a hidden command has no page");
    }
}
