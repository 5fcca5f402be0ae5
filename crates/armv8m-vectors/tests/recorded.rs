//! The committed files against the forms they were generated from, without the reference machine.

use armv8m_vectors::case::Recorded;
use armv8m_vectors::encode;
use armv8m_vectors::form::Family;
use armv8m_vectors::forms::FAMILIES;
use armv8m_vectors::text;

fn file(family: &Family) -> String {
    let path = format!("{}/recorded/{}.txt", env!("CARGO_MANIFEST_DIR"), family.name);
    std::fs::read_to_string(&path).expect(&path)
}

fn recorded(family: &Family) -> Vec<Recorded> {
    text::read(&file(family)).expect(family.name)
}

#[test]
fn files_are_written_as_they_were_read() {
    for family in FAMILIES {
        assert!(text::write(&recorded(family)) == file(family), "{}", family.name);
    }
}

#[test]
fn the_committed_cases_are_those_the_forms_generate() {
    for family in FAMILIES {
        let forms = family.forms.iter().copied().flatten();
        let generated = forms.flat_map(|form| (0..form.count(family)).map(|index| form.case(index)));
        let committed = recorded(family).into_iter().map(|one| one.case);
        assert!(generated.eq(committed), "{}: run `cargo xtask vectors`", family.name);
    }
}

#[test]
fn no_two_forms_have_the_same_name() {
    let forms = FAMILIES.iter().flat_map(|family| family.forms.iter().copied().flatten());
    let mut names: Vec<&str> = forms.map(|form| form.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_line_in_another_format_is_refused_with_its_number() {
    assert_eq!(text::read("= form\n0 bf00 > r0=1\n1 bf00 > r0\n").unwrap_err(), "line 3: 1 bf00 > r0");
    assert!(text::read("= form\n0 bf00 > rf=1\n").is_err(), "R15 is not part of a state");
    assert!(text::read("= form\n0 bf00 > s20=1\n").is_err(), "there is no S32");
    assert!(text::read("= form\n0 bfzz >\n").is_err());
}

#[test]
fn the_branch_to_the_exit_is_encoded_as_in_the_manual() {
    assert_eq!(encode::branch(0x8000_2000, 0x8000_2004), [0xF000, 0xB800]);
    assert_eq!(encode::branch(0x8000_2000, 0x8000_2000), [0xF7FF, 0xBFFE]);
    assert_eq!(encode::move_wide(12, 0xED88), [0xF64E, 0x5C88]);
}
