//! What a setting may look like, and what is said about one that may not.

use std::io::Write;

use super::*;
use crate::output::exit::Exit;

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn from_file(bytes: &[u8]) -> Result<Setting, Failure> {
    let file = file_of(bytes);
    parse(SettingStore::Secret, &format!("key=@{}", file.path().display()))
}

#[test]
fn a_value_may_hold_equals_signs_and_be_empty() {
    assert_eq!(parse(SettingStore::Config, "a=b=c").unwrap().value, "b=c");
    assert_eq!(parse(SettingStore::Config, "a=").unwrap().value, "");
}

#[test]
fn two_at_signs_stand_for_one() {
    assert_eq!(parse(SettingStore::Config, "a=@@b").unwrap().value, "@b");
}

#[test]
fn a_file_gives_its_text_without_the_last_line_end() {
    assert_eq!(from_file(b"pass word\n").unwrap().value, "pass word");
    assert_eq!(from_file(b"one\r\ntwo\r\n").unwrap().value, "one\r\ntwo");
    assert_eq!(from_file(b"kept\n\n").unwrap().value, "kept\n");
}

/// Shows M51.
#[test]
fn a_binary_file_is_refused_with_the_way_out() {
    for bytes in [&b"\x30\x82\x01\xff"[..], b"zero\0inside"] {
        let failure = from_file(bytes).unwrap_err();
        assert_eq!(failure.exit(), Exit::BadInput);
        assert!(failure.to_string().contains("hexadecimal"), "{failure}");
    }
}

#[test]
fn a_value_may_be_4096_bytes_and_no_more() {
    assert_eq!(from_file(&[b'x'; MAX_VALUE]).unwrap().value.len(), MAX_VALUE);
    assert!(from_file(&[b'x'; MAX_VALUE + 1]).unwrap_err().to_string().contains("maximum is 4096"));
    let wide = "é".repeat(MAX_VALUE);
    assert!(from_file(wide.as_bytes()).unwrap_err().to_string().contains("maximum is 4096"));
}

/// Shows D63.
#[test]
fn a_key_is_1_to_100_printable_characters() {
    assert!(parse(SettingStore::Config, &format!("{}=v", "k".repeat(100))).is_ok());
    for key in [String::new(), "k".repeat(101), "tab\t".into(), "é".into()] {
        let failure = parse(SettingStore::Config, &format!("{key}=v")).unwrap_err();
        assert!(failure.to_string().contains("1 to 100 printable ASCII"), "{failure}");
    }
}

#[test]
fn a_missing_file_and_a_missing_equals_sign_are_named() {
    let missing = parse(SettingStore::Config, "cert=@/no/such/file").unwrap_err().to_string();
    assert!(missing.contains("cert") && missing.contains("/no/such/file"), "{missing}");
    assert!(parse(SettingStore::Secret, "hunter2").unwrap_err().to_string().contains("KEY=VALUE"));
}

#[test]
fn a_secret_never_shows_in_an_error_or_in_a_debug_print() {
    let failure = parse(SettingStore::Secret, "hunter2").unwrap_err();
    assert!(!failure.to_string().contains("hunter2"));
    let setting = parse(SettingStore::Secret, "password=hunter2").unwrap();
    assert!(!format!("{setting:?}").contains("hunter2"));
}
