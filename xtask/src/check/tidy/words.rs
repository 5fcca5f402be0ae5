//! Words that have a standard term in this field, or say nothing: rejected in identifiers, strings, comments and pages.

use std::collections::HashMap;

use serde::Deserialize;

use super::Violation;
use super::source::Source;

/// A word or phrase, and what to write instead.
#[derive(Deserialize)]
pub(super) struct Word {
    /// Lower case; all forms that are rejected.
    find: Vec<String>,
    instead: String,
}

impl Word {
    /// The first form names the rule.
    fn rule(&self) -> String {
        format!("word: {}", self.find.first().map_or("", String::as_str))
    }
}

pub(super) fn check(rejected: &[Word], sources: &[Source]) -> Vec<(String, Violation)> {
    let phrases = by_first_word(rejected);
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_derived) {
        for (number, line) in source.lines() {
            let words = split(line);
            let hits = (0..words.len()).filter_map(|at| rejected_at(&phrases, &words[at..]));
            found.extend(hits.map(|word| {
                let message = format!("`{}`: write {}", word.find.join("`/`"), word.instead);
                (word.rule(), Violation::new(&source.path, Some(number), message))
            }));
        }
    }
    found
}

/// A form as its words, and the entry it belongs to.
type Phrase<'a> = (Vec<&'a str>, &'a Word);

fn by_first_word(rejected: &[Word]) -> HashMap<&str, Vec<Phrase<'_>>> {
    let mut phrases: HashMap<&str, Vec<Phrase<'_>>> = HashMap::new();
    for word in rejected {
        for form in &word.find {
            let parts: Vec<&str> = form.split(' ').collect();
            phrases.entry(parts[0]).or_default().push((parts, word));
        }
    }
    phrases
}

fn rejected_at<'a>(phrases: &HashMap<&str, Vec<Phrase<'a>>>, words: &[String]) -> Option<&'a Word> {
    let candidates = phrases.get(words[0].as_str())?;
    let matching = candidates.iter().find(|(parts, _)| {
        parts.len() <= words.len() && parts.iter().zip(words).all(|(part, word)| part == word)
    });
    matching.map(|(_, word)| *word)
}

/// The words of a line in lower case; identifiers fall into theirs, `old_phrase` and `OldPhrase` alike.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in line.chars() {
        let is_new = !character.is_ascii_alphabetic() || (was_lower && character.is_ascii_uppercase());
        if is_new && !words.last().is_some_and(String::is_empty) {
            words.push(String::new());
        }
        if character.is_ascii_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.push(character.to_ascii_lowercase());
        }
        was_lower = character.is_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let word = |find: &[&str], instead: &str| Word {
            find: find.iter().map(|&form| form.into()).collect(),
            instead: instead.into(),
        };
        let rejected = [word(&["zounds"], "again"), word(&["old phrase", "old phrases"], "BYE")];
        let source = Source::new("a/b.rs", text);
        check(&rejected, &[source]).iter().map(|(_, violation)| violation.shown()).collect()
    }

    #[test]
    fn a_word_is_found_in_text_and_identifiers_and_the_message_says_what_to_write() {
        assert_eq!(found("fine\nstarts zounds"), ["a/b.rs:2: `zounds`: write again"]);
        for text in ["let old_phrase = 1;", "struct OldPhrase;", "// an old phrase", "OLD_PHRASES"] {
            assert_eq!(found(text).len(), 1, "{text}");
        }
        assert_eq!(found("zounds, zounds").len(), 2, "each occurrence counts");
    }

    #[test]
    fn parts_of_other_words_are_no_hits() {
        for text in ["a zoundsier one", "azounds", "old paraphrases", "the old. A phrase"] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
