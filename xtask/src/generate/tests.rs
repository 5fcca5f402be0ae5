use super::model::Model;
use super::{files, is_current, names};

fn model() -> Model {
    Model::read().expect("both pages are complete and agree")
}

#[test]
fn what_is_committed_is_what_the_generator_makes() {
    let files = files(&model()).expect("the generator accepts the pages");
    let stale: Vec<&str> = files.iter().filter(|o| !is_current(o)).map(|o| o.path.as_str()).collect();
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

#[test]
fn the_entry_object_names_every_call_as_an_absolute_thumb_function() {
    use object::{Object as _, ObjectSymbol as _};
    let model = model();
    let output = super::entries::file(&model).expect("the object is written");
    let object = object::File::parse(output.bytes.as_slice()).expect("an ELF object");
    let symbols: Vec<_> = object.symbols().filter(object::ObjectSymbol::is_global).collect();
    assert_eq!(symbols.len(), 71);
    for symbol in symbols {
        let name = symbol.name().expect("a name");
        let call = model.call(name).expect("a call of that name");
        assert_eq!(symbol.address(), u64::from(0x0C1F_E000 + call.slot) + 1, "{name}");
        assert_eq!(symbol.size(), 8, "{name}");
        assert_eq!(symbol.kind(), object::SymbolKind::Text, "{name}");
        assert_eq!(symbol.section(), object::SymbolSection::Absolute, "{name}");
    }
    let open: Vec<u64> = object
        .symbols()
        .filter(|symbol| symbol.name() == Ok("mvOpenChannel"))
        .map(|symbol| symbol.address())
        .collect();
    assert_eq!(open, [0xC1, 0x0C1F_E0C1]);
    // For debuggers: the same names once more, in the section that app.ld places on the page.
    let named: Vec<_> = object.symbols().filter(|symbol| symbol.section_index().is_some()).collect();
    assert_eq!(named.len(), 71);
    for symbol in named {
        let call = model.call(symbol.name().expect("a name")).expect("a call of that name");
        assert!(symbol.is_local());
        assert_eq!(symbol.address(), u64::from(call.slot) + 1);
    }
}

#[test]
fn the_header_declares_every_call_and_structure() {
    let model = model();
    let output = super::header::file(&model);
    let text = String::from_utf8(output.bytes).expect("the header is text");
    for call in &model.facts.calls {
        assert!(text.contains(&format!("enum MvStatus {}(", call.name)), "{}", call.name);
    }
    for structure in &model.facts.structs {
        assert!(text.contains(&format!("struct {} {{", structure.name)), "{}", structure.name);
    }
    assert!(text.contains("enum MvStatus mvReadChannel(MvChannelHandle handle, uint8_t **read_pointer_out"));
}

/// The generator's error when one line of the texts is changed.
fn refusal(line: &str, instead: &str) -> String {
    let read = |path| crate::workspace::read(path).expect("the page is there");
    let texts = read("docs/spec/abi-docs.toml");
    assert!(texts.contains(line), "{line}");
    let changed = texts.replacen(line, instead, 1);
    Model::parse(&read("docs/spec/abi.toml"), &changed).err().expect("a refusal")
}

#[test]
fn a_name_without_a_text_is_refused() {
    let refusal = refusal("OKAY = \"Accepted.\"\n", "");
    assert!(refusal.contains("enum MvStatus: no text for OKAY"), "{refusal}");
}

#[test]
fn a_text_without_a_name_is_refused() {
    let refusal = refusal("OKAY = \"Accepted.\"\n", "OKAY = \"Accepted.\"\nFINE = \"Fine.\"\n");
    assert!(refusal.contains("enum MvStatus: has no FINE"), "{refusal}");
}

#[test]
fn a_call_in_no_topic_is_refused() {
    let refusal = refusal("\"mvSystemLedEnable\", ", "");
    assert!(refusal.contains("lacking [\"mvSystemLedEnable\"]"), "{refusal}");
}

#[test]
fn the_interrupt_lines_of_c_and_rust_applications_are_the_same() {
    let startup = crate::workspace::read("sdk/lib/startup.c").expect("the C start-up");
    let (_, table) = startup.split_once("#define EACH_IRQ(X)").expect("the table");
    let (table, _) = table.split_once("HANDLER(NMI_Handler)").expect("its end");
    let names = table.split("X(").skip(1).filter_map(|rest| rest.split(')').next());
    assert!(names.eq(super::rust_linker::LINES.split_whitespace()));
}

#[test]
fn the_rust_interface_has_every_call_at_its_address_and_asserts_every_structure() {
    let model = model();
    let files = super::rust_sdk::files(&model).expect("the generator accepts the pages");
    let text: String = files.iter().map(|file| String::from_utf8_lossy(&file.bytes)).collect();
    for call in &model.facts.calls {
        let address = 0x0C1F_E000 + call.slot + 1;
        let (_, body) = text.split_once(&format!("pub unsafe fn {}(", call.name)).expect("the call");
        let (body, _) = body.split_once("\n}").expect("its end");
        assert!(body.contains(&format!("{address:#010x}")), "{}", call.name);
    }
    for structure in &model.facts.structs {
        let assertion = format!("assert!(size_of::<{}>() == {});", structure.name, structure.size);
        assert!(text.contains(&assertion), "{}", structure.name);
    }
}
