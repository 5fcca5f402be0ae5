//! The command line as users type it.

use std::time::Duration;

use clap::CommandFactory;

use super::*;

fn parse(words: &str) -> Result<Command, clap::Error> {
    let words = std::iter::once("openvisor").chain(words.split_whitespace());
    Arguments::try_parse_from(words).map(|arguments| arguments.command)
}

#[test]
fn the_definition_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn run_takes_many_settings() {
    let Command::Run(run) =
        parse("run app.elf --config a=1 --config b=@f --secret c=2 --seconds 2.5").unwrap()
    else {
        panic!("another command")
    };
    assert_eq!(run.settings.configs, ["a=1", "b=@f"]);
    assert_eq!(run.settings.secrets, ["c=2"]);
    assert_eq!(run.pace.seconds, Some(Duration::from_millis(2500)));
    assert_eq!(run.data, None);
}

#[test]
fn a_missing_required_argument_is_refused() {
    for words in
        ["run", "cloud", "provision --data a", "device app.elf --data d", "device app.elf --cloud c:1"]
    {
        let error = parse(words).err().unwrap();
        assert_eq!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument, "{words}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn seconds_are_a_sensible_length_of_time() {
    for words in [
        "demo --seconds 0",
        "demo --seconds -1",
        "demo --seconds NaN",
        "demo --seconds inf",
        "demo --seconds soon",
    ] {
        assert!(parse(words).is_err(), "{words}");
    }
    assert!(parse("demo --seconds 0.5").is_ok());
}

#[test]
fn the_cloud_listens_on_this_machine_only_by_default() {
    let Command::Cloud(cloud) = parse("cloud --data d").unwrap() else { panic!("another command") };
    let address: std::net::SocketAddr = cloud.listen.parse().unwrap();
    assert!(address.ip().is_loopback());
    assert!(cloud.allow.allow.is_empty() && !cloud.allow_loopback && !cloud.require_tls);
}

#[test]
fn every_commands_help_has_an_example_and_the_exit_codes_are_in_the_first_one() {
    let mut command = Arguments::command();
    assert!(command.render_long_help().to_string().contains("Exit codes:"));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let help = sub.render_long_help().to_string();
        assert!(help.contains("  openvisor "), "{help}");
    }
}

#[test]
fn the_unit_for_systemd_starts_the_cloud_with_options_that_exist() {
    let unit = include_str!("../../../../../packaging/openvisor.service");
    let environment = include_str!("../../../../../packaging/openvisor.env");
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim_matches('"').to_owned()
    };
    let (data, more) = (value(environment, "OPENVISOR_DATA="), value(environment, "OPENVISOR_ARGUMENTS="));
    let command = value(unit, "ExecStart=").replace("$OPENVISOR_ARGUMENTS", &more) + " --data " + &data;
    let parsed = Arguments::try_parse_from(command.split_whitespace());
    assert!(parsed.is_ok_and(|parsed| matches!(parsed.command, Command::Cloud(_))), "{command}");
    assert!(unit.lines().any(|line| line == "WantedBy=multi-user.target"));
}

/// Every command and subcommand, and how it is called.
fn every_command(command: &clap::Command, names: &str, check: &mut impl FnMut(&str, &clap::Command)) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        every_command(sub, &format!("{names} {}", sub.get_name()), check);
    }
    check(names, command);
}

/// Indentation of the help text of an option.
const OPTION_HELP: usize = 10;

/// A line of a paragraph after which there is room for the first word of the next line. Examples and lists, which have
/// another indentation, are not paragraphs.
fn broken_early(help: &str, width: usize) -> Option<&str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<_> = help.lines().collect();
    lines.windows(2).find_map(|pair| {
        let (line, next) = (pair[0], pair[1]);
        let word = next.split_whitespace().next()?;
        let text = line.trim_start();
        let is_text = !text.is_empty()
            && [0, OPTION_HELP].contains(&indent(line))
            && !text.starts_with(['-', '<', '[']);
        let is_end = text.ends_with(':') || text.contains(['{', '}']);
        let has_room = line.chars().count() + 1 + word.chars().count() <= width;
        (indent(line) == indent(next) && is_text && !is_end && has_room).then_some(line)
    })
}

/// A terminal of 160 columns is used up to 100 (`max_term_width`).
#[test]
fn no_paragraph_of_a_help_text_is_wrapped_by_hand() {
    let mut broken = Vec::new();
    for width in [80, 100] {
        every_command(&Arguments::command(), "openvisor", &mut |names, command| {
            let help = command.clone().term_width(width).render_long_help().to_string();
            if let Some(line) = broken_early(&help, width) {
                broken.push(format!("{names} at {width}: {line}"));
            }
        });
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(broken_early("a line\nof one word\n", 80).is_some(), "the search finds what it looks for");
}
