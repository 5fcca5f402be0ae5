//! The parts of a Markdown page that the test executes.

/// Something to do, and the line of the page where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commands, each with what it prints.
    Console { commands: Vec<Command>, exit: i32, terminal: Option<Terminal> },
    /// A script; what it prints is not shown.
    Script { text: String, exit: i32, terminal: Option<Terminal> },
    /// The content of a file.
    File { name: String, text: String },
    /// What changes in a file.
    Patch { text: String },
    /// Ctrl-C in another terminal, or in all of them.
    Interrupt { name: Option<String>, exit: i32 },
    /// Commands that cannot be executed here.
    NotRun { reason: String, text: String },
}

/// A terminal for a command that keeps running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terminal {
    pub name: String,
    /// The page continues when the command has printed this.
    pub ready: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub text: String,
    /// `None`: the page does not show it.
    pub output: Option<String>,
}

/// The comment before a fence.
#[derive(Default)]
struct Note {
    exit: i32,
    terminal: Option<Terminal>,
    file: Option<String>,
    patch: bool,
    not_run: Option<String>,
}

/// A fence: its language, content, and the line of its first mark.
struct Fence {
    line: usize,
    language: String,
    text: String,
}

/// Reads a page.
///
/// # Errors
/// A comment or a fence that the test would not understand, with its page and line.
pub(crate) fn parts(page: &str, text: &str) -> Result<Vec<Part>, String> {
    let mut lines = text.lines().zip(1..);
    let mut parts = Vec::new();
    let mut note = None;
    while let Some((line, number)) = lines.next() {
        let at = |error: String| format!("{page}:{number}: {error}");
        if let Some(comment) = line.strip_prefix("<!-- test: ") {
            if comment == "setup" {
                let script = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "-->");
                let text = script.collect::<Vec<_>>().join("\n");
                parts.push(Part { line: number, kind: Kind::Script { text, exit: 0, terminal: None } });
            } else if let Some(words) = comment.strip_prefix("interrupt") {
                parts.push(Part { line: number, kind: interrupt(words).map_err(at)? });
            } else {
                note = Some(self::note(comment).map_err(at)?);
            }
        } else if let Some(mark) = fence_mark(line) {
            let inside = lines.by_ref().map(|(line, _)| line).take_while(|line| line.trim() != mark);
            let text = inside.flat_map(|line| [line, "\n"]).collect();
            let language = line.trim()[mark.len()..].to_owned();
            let fence = Fence { line: number, language, text };
            parts.extend(part(fence, note.take()).map_err(at)?);
        } else if !line.is_empty() && note.is_some() {
            return Err(at("a comment `test:` stands directly before its fence".to_owned()));
        }
    }
    Ok(parts)
}

fn fence_mark(line: &str) -> Option<&str> {
    let line = line.trim();
    let length = line.len() - line.trim_start_matches('`').len();
    (length >= 3).then(|| &line[..length])
}

/// Behind the word: ` -->`, ` NAME -->`, `, exit 5 -->`, ` NAME, exit 5 -->`.
fn interrupt(words: &str) -> Result<Kind, String> {
    let words = words.strip_suffix("-->").ok_or("a comment `test:` ends on its line")?.trim();
    let (name, exit) = words
        .split_once(", exit ")
        .or(words.strip_prefix(", exit ").map(|exit| ("", exit)))
        .unwrap_or((words, "0"));
    let exit = exit.parse().map_err(|_| format!("{exit} is no exit code"))?;
    Ok(Kind::Interrupt { name: (!name.is_empty()).then(|| name.to_owned()), exit })
}

fn note(comment: &str) -> Result<Note, String> {
    let words = comment.strip_suffix(" -->").ok_or("a comment `test:` ends on its line")?;
    let mut note = Note::default();
    if let Some(reason) = words.strip_prefix("not run: ") {
        note.not_run = Some(reason.to_owned());
    } else if let Some(code) = words.strip_prefix("exit ") {
        note.exit = code.parse().map_err(|_| format!("{code} is no exit code"))?;
    } else if let Some(words) = words.strip_prefix("background ") {
        let (name, ready) = words.split_once(": ").ok_or("`background` has a name, a colon and a text")?;
        note.terminal = Some(Terminal { name: name.to_owned(), ready: ready.to_owned() });
    } else if let Some(name) = words.strip_prefix("file ") {
        note.file = Some(name.to_owned());
    } else if words == "patch" {
        note.patch = true;
    } else {
        return Err(format!("`{words}` is not known after `test:`"));
    }
    Ok(note)
}

fn part(fence: Fence, note: Option<Note>) -> Result<Option<Part>, String> {
    let Fence { line, language, text } = fence;
    let has_note = note.is_some();
    let note = note.unwrap_or_default();
    let is_shell = ["sh", "console", "bash", "shell"].contains(&language.as_str());
    let kind = if let Some(reason) = note.not_run {
        Kind::NotRun { reason, text }
    } else if let Some(name) = note.file {
        Kind::File { name, text }
    } else if note.patch {
        Kind::Patch { text }
    } else if language == "sh" {
        Kind::Script { text, exit: note.exit, terminal: note.terminal }
    } else if language == "console" {
        Kind::Console { commands: commands(&text)?, exit: note.exit, terminal: note.terminal }
    } else if is_shell || (language.is_empty() && text.starts_with("$ ")) {
        return Err("commands are in a fence `sh` or `console`".to_owned());
    } else if has_note {
        return Err(format!("a fence of {language} is not executed"));
    } else {
        return Ok(None);
    };
    Ok(Some(Part { line, kind }))
}

/// Cuts a session at its prompts. A command continues after a backslash.
fn commands(text: &str) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(Command { text: command.to_owned(), output: None }),
            (None, Some(last)) if continues => last.text = format!("{}\n{line}", last.text),
            (None, Some(last)) => {
                let output = last.output.get_or_insert_default();
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => return Err("a session begins with a command after `$ `".to_owned()),
        }
        continues = line.ends_with('\\') && (line.starts_with("$ ") || continues);
    }
    Ok(commands)
}

#[test]
fn a_session_is_cut_into_commands_with_their_output() {
    let page = "```console\n$ one \\\n    two\nout\nput\n$ three\n```\n";
    let output = Some("out\nput\n".to_owned());
    let first = Command { text: "one \\\n    two".to_owned(), output };
    let second = Command { text: "three".to_owned(), output: None };
    let kind = Kind::Console { commands: vec![first, second], exit: 0, terminal: None };
    assert_eq!(parts("page.md", page), Ok(vec![Part { line: 1, kind }]));
}

#[test]
fn comments_say_what_a_block_does_not() {
    let page = "<!-- test: exit 5 -->\n\n```sh\na\n```\n<!-- test: not run: needs root -->\n```sh\nb\n```\n\
                <!-- test: setup\nc\nd\n-->\n```toml\ne\n```\n";
    let script = |text: &str, exit| Kind::Script { text: text.to_owned(), exit, terminal: None };
    let not_run = Kind::NotRun { reason: "needs root".to_owned(), text: "b\n".to_owned() };
    let kinds = [script("a\n", 5), not_run, script("c\nd", 0)];
    let found: Vec<Kind> = parts("page.md", page).unwrap().into_iter().map(|part| part.kind).collect();
    assert_eq!(found, kinds);
}

#[test]
fn what_would_be_left_out_silently_is_an_error() {
    let errors = [
        ("```\n$ openvisor\n```\n", "in a fence `sh` or `console`"),
        ("```bash\nopenvisor\n```\n", "in a fence `sh` or `console`"),
        ("```console\nopenvisor\n```\n", "begins with a command"),
        ("<!-- test: exit 5 -->\ntext\n", "directly before its fence"),
        ("<!-- test: ignored -->\n", "not known"),
    ];
    for (page, message) in errors {
        let error = parts("page.md", page).unwrap_err();
        assert!(error.starts_with("page.md:") && error.contains(message), "{error}");
    }
}
