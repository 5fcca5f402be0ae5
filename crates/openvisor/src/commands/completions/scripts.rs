//! The scripts: what clap generates from the definition of the command line, and before it a call of this program for
//! values. Bash, zsh and fish have that call; other shells complete commands, options and files.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::commands::Arguments;

/// The command that is completed and that completes, found in `PATH`.
const PROGRAM: &str = "openvisor";

/// A line more for each candidate; the generated function where there is none.
const BASH: &str = r#"
_openvisor_values() {
    local line candidates=()
    while IFS= read -r line; do
        candidates+=("$line")
    done < <(OPENVISOR_COMPLETE=bash OPENVISOR_COMPLETE_WORD=$COMP_CWORD openvisor -- "${COMP_WORDS[@]}" 2>/dev/null)
    if [[ ${#candidates[@]} -eq 0 ]]; then
        _openvisor "$@"
        return
    fi
    COMPREPLY=("${candidates[@]}")
    if [[ ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o default -F _openvisor_values openvisor
"#;

/// The end of the generated script for zsh, which registers its function, and what replaces it.
const ZSH_END: &str = r#"    _openvisor "$@"
else
    compdef _openvisor openvisor
fi"#;
const ZSH_VALUES_END: &str = r#"    _openvisor_values "$@"
else
    compdef _openvisor_values openvisor
fi"#;
const ZSH: &str = r#"
_openvisor_values() {
    local -a candidates
    candidates=(${(f)"$(
        OPENVISOR_COMPLETE=zsh OPENVISOR_COMPLETE_WORD=$((CURRENT - 1)) openvisor -- "${words[@]}" 2>/dev/null
    )"})
    if (( ${#candidates} == 0 )); then
        _openvisor "$@"
    elif [[ ${candidates[1]} == *=:* ]]; then
        _describe -V value candidates -S ''
    else
        _describe -V value candidates
    fi
}
"#;

const FISH: &str = r#"
function __openvisor_values
    OPENVISOR_COMPLETE=fish openvisor -- (commandline -opc) (commandline -ct) 2>/dev/null
end
complete -c openvisor -a "(__openvisor_values)"
for option in device account limit require-tls-of
    complete -c openvisor -n "count (__openvisor_values) >/dev/null" -l $option -x -a "(__openvisor_values)"
end
"#;

/// The script for a shell.
pub(super) fn generate(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    let script = String::from_utf8(script).expect("help texts are text");
    match shell {
        Shell::Bash => script + BASH,
        Shell::Zsh => match script.rsplit_once("\nif [") {
            Some((functions, end)) => {
                format!("{functions}\n{ZSH}\nif [{}", end.replace(ZSH_END, ZSH_VALUES_END))
            }
            None => script,
        },
        Shell::Fish => script + FISH,
        _ => script,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_for_zsh_registers_the_function_with_values() {
        let script = generate(Shell::Zsh);
        assert!(script.starts_with("#compdef openvisor"));
        assert!(script.trim_end().ends_with(ZSH_VALUES_END), "{script}");
        assert!(!script.contains(ZSH_END));
    }
}
