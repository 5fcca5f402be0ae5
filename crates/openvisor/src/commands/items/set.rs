//! `openvisor configs set` and `openvisor secrets set`.

use ::cloud::store::{NewItem, Scope};
use serde_json::json;

use super::Kind;
use super::arguments::SetArguments;
use crate::operate::cloud_data::CloudData;
use crate::operate::settings;
use crate::output::exit::Failure;
use crate::output::print::print_result;

/// Checks the values before it opens the folder, and sets all of them or none.
pub(super) async fn run(kind: Kind, set: &SetArguments) -> Result<(), Failure> {
    let words: Vec<_> = [&set.first].into_iter().chain(&set.second).chain(&set.more).cloned().collect();
    let entries = read_words(&format!("{} set", kind.command()), &words)?;
    let cloud = CloudData::open(&set.scope.cloud.folder, set.scope.cloud.account.as_deref()).await?;
    let (scope, owner) = cloud.scope(set.scope.device.as_deref()).await?;
    let item = |(key, value): &(String, String)| {
        let (secret, device_scope) = (kind == Kind::Secret, scope != Scope::Account);
        (scope, NewItem { device_scope, secret, key: key.clone(), value: value.clone() })
    };
    let is_new = cloud.store().set_items(&entries.iter().map(item).collect::<Vec<_>>()).await?;
    cloud.close().await;
    for ((key, _), is_new) in entries.iter().zip(is_new) {
        let done = if is_new { "set" } else { "changed" };
        print_result(
            set.scope.cloud.json,
            || format!("{done} {key} of {}", owner.name()),
            || json!({ "key": key, "device": owner.id(), "new": is_new }),
        );
    }
    Ok(())
}

/// The entries of `KEY VALUE`, or of one or more `KEY=VALUE`. No error repeats a value, which may be a secret.
fn read_words(what: &str, words: &[String]) -> Result<Vec<(String, String)>, Failure> {
    if let [key, value] = words
        && !key.contains('=')
    {
        return Ok(vec![read(what, key, value)?]);
    }
    let entry = |(index, word): (usize, &String)| {
        let (key, value) = word.split_once('=').ok_or_else(|| {
            let number = index + 1;
            Failure::bad_input(format!("{what}: argument {number} is not KEY=VALUE")).hint(format!(
                "give one entry as `{what} KEY VALUE`, or several as `{what} KEY=VALUE KEY=VALUE`"
            ))
        })?;
        read(what, key, value)
    };
    words.iter().enumerate().map(entry).collect()
}

fn read(what: &str, key: &str, value: &str) -> Result<(String, String), Failure> {
    settings::check_key(what, key)?;
    Ok((key.to_owned(), settings::read_value(what, key, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Result<Vec<(String, String)>, Failure> {
        read_words("configs set", &words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    fn entries(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Shows D320.
    #[test]
    fn one_entry_is_two_words_and_several_have_equals_signs() {
        assert_eq!(words(&["url", "a=b"]).ok(), Some(entries(&[("url", "a=b")])));
        assert_eq!(words(&["url=a=b"]).ok(), Some(entries(&[("url", "a=b")])));
        assert_eq!(words(&["a=1", "b=", "c=@@x"]).ok(), Some(entries(&[("a", "1"), ("b", ""), ("c", "@x")])));
        for wrong in [&["a"] as &[_], &["a", "b", "c"], &["a=1", "hush"], &["=1"]] {
            let error = words(wrong).expect_err("refused").to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
