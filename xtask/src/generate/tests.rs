use super::model::Model;
use super::{is_current, names, outputs};

fn model() -> Model {
    Model::read().expect("both pages are complete and agree")
}

#[test]
fn what_is_committed_is_what_the_generator_makes() {
    let outputs = outputs(&model()).expect("the generator accepts the pages");
    let stale: Vec<&str> = outputs.iter().filter(|o| !is_current(o)).map(|o| o.path.as_str()).collect();
    assert!(stale.is_empty(), "run `cargo xtask generate`: {stale:?}");
}

#[test]
fn run_together_capitals_split_into_words() {
    let camel = |run| names::camel(run).expect("every word is in the table");
    assert_eq!(camel("PARAMETERFAULT"), "ParameterFault");
    assert_eq!(camel("INVALIDBUFFERSIZE"), "InvalidBufferSize");
    assert_eq!(camel("NXDOMAIN"), "NxDomain");
    assert_eq!(camel("UNKNOWNCA"), "UnknownCa");
    assert_eq!(camel("STOP3"), "Stop3");
    assert_eq!(camel("V3_1_1"), "V3_1_1");
    assert_eq!(camel("TOOMANYNOTIFICATIONBUFFERS"), "TooManyNotificationBuffers");
    assert_eq!(names::constant("MINIMUMCHECKINEXPIRED").as_deref(), Ok("MINIMUM_CHECK_IN_EXPIRED"));
}

#[test]
fn a_word_that_is_not_in_the_table_is_refused_by_name() {
    let refusal = names::camel("PARAMETERXYZZY").expect_err("no such word");
    assert!(refusal.starts_with("PARAMETERXYZZY"), "{refusal}");
}

#[test]
fn a_long_text_wraps_at_the_width_and_loses_nothing() {
    let lines = super::header::wrapped("one two three four five", 9);
    assert_eq!(lines, ["one two", "three", "four five"]);
}
