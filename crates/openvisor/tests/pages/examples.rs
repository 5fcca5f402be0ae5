//! Command lines that are shown and not executed: they have options that exist, and values that are valid.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use openvisor::Arguments;

/// What ends a command in a shell, or an example in a help text: its explanation.
const ENDS: &[&str] = &["|", ">", ">>", "2>>", "2>", "&&", "&", "#", ";"];

/// The examples in the help of all commands.
fn of_the_help() -> Vec<String> {
    let mut texts = Vec::new();
    let mut commands = vec![Arguments::command()];
    while let Some(command) = commands.pop() {
        texts.extend(command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string));
        commands.extend(command.get_subcommands().cloned());
    }
    texts
}

/// The command lines of openvisor in a text: those at the beginning of a line or behind a pipe.
pub(crate) fn command_lines(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in joined.lines() {
        let words = words(line);
        let starts = words.iter().enumerate().filter(|(at, word)| {
            let before = at.checked_sub(1).map(|before| words[before].as_str());
            *word == "openvisor" && before.is_none_or(|before| ENDS.contains(&before) || before.contains('='))
        });
        found.extend(starts.map(|(at, _)| up_to_its_end(&words[at..])));
    }
    found
}

fn up_to_its_end(words: &[String]) -> Vec<String> {
    words
        .iter()
        .take_while(|word| !ENDS.contains(&word.as_str()) && !word.starts_with('('))
        .cloned()
        .collect()
}

/// Words as a shell cuts them: by spaces outside quotation marks.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), character) if open == character => quote = None,
            (None, character) if character.is_whitespace() => words.push(std::mem::take(&mut word)),
            (_, character) => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Answers the number of command lines. Where a text names the data folder by its variable, `--data` is left out.
///
/// # Errors
/// The first command line that the program would refuse.
pub(crate) fn check(text: &str) -> Result<usize, String> {
    let lines = command_lines(text);
    for line in &lines {
        if let Err(error) = Arguments::try_parse_from(line)
            && error.exit_code() != 0
            && !(error.kind() == ErrorKind::MissingRequiredArgument && text.contains("OPENVISOR_DATA="))
        {
            return Err(format!("{}\n{error}", line.join(" ")));
        }
    }
    Ok(lines.len())
}

#[test]
fn every_example_of_the_help_is_a_valid_command_line() {
    let counts = of_the_help().iter().map(|text| check(text)).collect::<Result<Vec<usize>, String>>();
    let counts = counts.unwrap_or_else(|error| panic!("{error}"));
    assert!(counts.len() > 15 && counts.iter().sum::<usize>() > 60, "{counts:?}");
}

#[test]
fn command_lines_are_found_in_shell_text() {
    let text = "  openvisor run a.elf \\\n      --until 'b c'   (note)\nA=1 openvisor demo | jq .x\nuse openvisor here\n\
                xxd f | openvisor man x && ls";
    let lines: Vec<String> = command_lines(text).iter().map(|line| line.join("|")).collect();
    assert_eq!(lines, ["openvisor|run|a.elf|--until|b c", "openvisor|demo", "openvisor|man|x"]);
    assert!(check("openvisor run a.elf --absent").is_err());
}
