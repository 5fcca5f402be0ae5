//! Which argument the word at the cursor is the value of.

use clap::{Arg, Command};

/// The place of the word that is completed.
pub(super) struct Place<'a> {
    /// Its argument.
    pub(super) arg: &'a Arg,
    /// What the word begins with before the value: `--name=`, or nothing.
    pub(super) prefix: &'a str,
    /// The value so far.
    pub(super) value: &'a str,
}

impl<'a> Place<'a> {
    /// The place of the word at the end; `None` for a command or the name of an option. The first word is the program.
    pub(super) fn find(root: &'a Command, words: &'a [String]) -> Option<Self> {
        let (current, before) = words.split_last()?;
        let mut command = root;
        let mut option: Option<&Arg> = None;
        let mut positionals = 0;
        for word in before.iter().skip(1) {
            match option {
                // Bash makes three words of `--name=value`.
                Some(_) if word == "=" => {}
                Some(_) => option = None,
                None if word.starts_with('-') => option = option_before_value(command, word),
                None => match command.find_subcommand(word).filter(|_| positionals == 0) {
                    Some(sub) => command = sub,
                    None => positionals += 1,
                },
            }
        }
        let current = if option.is_some() { current.trim_start_matches('=') } else { current };
        if let Some(arg) = option {
            return Some(Self { arg, prefix: "", value: current });
        }
        if let Some((name, value)) = current.strip_prefix("--").and_then(|option| option.split_once('=')) {
            let arg = long_option(command, name)?;
            return Some(Self { arg, prefix: &current[..current.len() - value.len()], value });
        }
        let is_value = !current.starts_with('-');
        let arg = command.get_positionals().find(|arg| arg.get_index() == Some(positionals + 1));
        arg.filter(|_| is_value).map(|arg| Self { arg, prefix: "", value: current })
    }
}

/// The option whose value the next word is.
fn option_before_value<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let arg = if let Some(long) = word.strip_prefix("--") {
        long_option(command, long)?
    } else {
        let short = word.chars().last();
        command.get_arguments().find(|arg| arg.get_short() == short)?
    };
    // An option whose value may be left out has it after `=`.
    arg.get_num_args().is_some_and(|count| count.min_values() > 0).then_some(arg)
}

fn long_option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Arguments;

    fn place(line: &str) -> Option<(String, String, String)> {
        let mut command = Arguments::command();
        command.build();
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let found = Place::find(&command, &words)?;
        Some((found.arg.get_id().to_string(), found.prefix.to_owned(), found.value.to_owned()))
    }

    #[test]
    fn the_argument_is_found_behind_options_and_commands() {
        for (line, id, prefix, value) in [
            ("openvisor devices show ", "device", "", ""),
            ("openvisor devices show ki", "device", "", "ki"),
            ("openvisor devices show --data ./cloud --json ki", "device", "", "ki"),
            ("openvisor devices --data=./cloud revoke -y ki", "device", "", "ki"),
            ("openvisor devices rename kitchen ", "name", "", ""),
            ("openvisor configs get host --device ki", "device", "", "ki"),
            ("openvisor configs get --device=ki", "device", "--device=", "ki"),
            ("openvisor configs get --device = ki", "device", "", "ki"),
            ("openvisor configs get --device =", "device", "", ""),
            ("openvisor cloud --metrics --limit conn", "limits", "", "conn"),
        ] {
            let expected = (id.to_owned(), prefix.to_owned(), value.to_owned());
            assert_eq!(place(line), Some(expected), "{line}");
        }
        for line in
            ["openvisor", "openvisor dev", "openvisor devices show --da", "openvisor devices show a b"]
        {
            assert_eq!(place(line), None, "{line}");
        }
    }
}
