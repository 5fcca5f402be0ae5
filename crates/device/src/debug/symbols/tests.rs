//! The same names and lines, however the debug information is kept. How the files were made: `testdata/make.sh`.

use std::fs;

use super::*;

/// In `outer`, where `twice` was put into it, and in `Reset_Handler`.
const OUTER: u32 = 0x0800_0008;
const RESET: u32 = 0x0800_0018;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/debug/symbols/testdata").join(name)
}

/// Everything known of every instruction.
fn all(symbols: &Symbols) -> Vec<Vec<Site>> {
    (OUTER..RESET + 16).step_by(2).map(|address| symbols.sites(address)).collect()
}

fn plain() -> Vec<Vec<Site>> {
    let symbols = Symbols::load(&data("plain.elf")).expect("names");
    assert_eq!(symbols.notes(), [""; 0]);
    let sites = all(&symbols);
    let functions: Vec<_> = sites.iter().flatten().filter_map(|site| site.function.as_deref()).collect();
    for name in ["twice", "outer", "Reset_Handler"] {
        assert!(functions.contains(&name), "{functions:?}");
    }
    assert!(sites.iter().all(|sites| sites.iter().all(|site| site.line.is_some())));
    sites
}

/// Shows D212.
#[test]
fn compressed_debug_information_is_read() {
    for name in ["zlib.elf", "zlib-gnu.elf", "zstd.elf"] {
        let symbols = Symbols::load(&data(name)).expect("names");
        assert_eq!((symbols.notes(), all(&symbols)), (&[][..], plain()), "{name}");
        assert!(!symbols.section(SectionId::DebugFrame).is_empty(), "{name}");
    }
}

/// Shows D212.
#[test]
fn debug_information_in_other_files_is_read_where_they_are() {
    for name in ["split.elf", "linked.elf"] {
        let symbols = Symbols::load(&data(name)).expect("names");
        assert_eq!((symbols.notes(), all(&symbols)), (&[][..], plain()), "{name}");
    }
}

/// Shows D212.
#[test]
fn debug_information_that_is_missing_is_reported_once() {
    let folder = std::env::temp_dir().join(format!("openvisor-symbols-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let copy = |from: &str, to: &str| {
        fs::copy(data(from), folder.join(to)).map(|_| folder.join(to)).expect("copied")
    };
    let symbols = Symbols::load(&copy("split.elf", "a.elf")).expect("names");
    assert_eq!(symbols.notes(), ["debug information: /src/split.dwo, where lines are, cannot be read"]);
    assert_eq!(symbols.sites(OUTER).last().and_then(|site| site.function.clone()).as_deref(), Some("outer"));
    // What is there by that name is no file of debug information, or one of another image.
    fs::create_dir(folder.join("split.dwo")).expect("a folder");
    assert_eq!(Symbols::load(&folder.join("a.elf")).expect("names").notes().len(), 1);
    copy("plain.elf", "linked.debug");
    let other = Symbols::load(&copy("linked.elf", "b.elf")).expect("a note");
    assert_eq!(other.notes(), ["debug information: linked.debug is not the one of this image"]);
    fs::remove_file(folder.join("linked.debug")).expect("removed");
    let missing = Symbols::load(&folder.join("b.elf")).expect("a note");
    assert_eq!(missing.notes(), ["debug information: linked.debug, where names and lines are, is not there"]);
    let _ = fs::remove_dir_all(&folder);
}

/// Shows D212.
#[test]
fn a_section_that_would_be_too_large_unpacked_is_reported_and_not_unpacked() {
    let mut file = fs::read(data("zlib.elf")).expect("read");
    // Elf32_Chdr of .debug_info: type 1, then the size.
    let at = header_of(&file, ".debug_info");
    file[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let symbols = Symbols::of(file.clone()).expect("names");
    assert_eq!(
        symbols.notes(),
        ["debug information: section .debug_info cannot be read: it would have 4294967295 bytes unpacked"]
    );
    assert_eq!(
        symbols.sites(RESET)[0].function.as_deref(),
        Some("Reset_Handler"),
        "from the table of symbols"
    );
    // An unknown compression.
    file[at..at + 4].copy_from_slice(&9u32.to_le_bytes());
    assert_eq!(Symbols::of(file).expect("names").notes().len(), 1);
}

/// Shows D212.
#[test]
fn debug_information_of_an_unknown_version_is_reported() {
    let mut file = fs::read(data("plain.elf")).expect("read");
    let at = header_of(&file, ".debug_info");
    // After the length, the version.
    file[at + 4] = 99;
    let symbols = Symbols::of(file).expect("names");
    assert_eq!(symbols.notes().len(), 1, "{:?}", symbols.notes());
    assert_eq!(symbols.sites(RESET)[0].function.as_deref(), Some("Reset_Handler"));
}

/// Shows that names and lines are not silently those of another program.
#[test]
fn a_file_with_the_code_of_another_program_is_reported() {
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/tests/apps");
    let own = apps.join("debugged/debugged.elf");
    let image = Image::load(&own).expect("an image");
    assert_eq!(Symbols::load_for(&own, Some(&image)).expect("names").notes(), [""; 0]);
    let wrong = Symbols::load_for(&data("plain.elf"), Some(&image)).expect("names");
    assert!(wrong.notes()[0].contains("is not that of the image"), "{:?}", wrong.notes());
}

fn header_of(file: &[u8], name: &str) -> usize {
    use object::{Object, ObjectSection};
    let elf = object::File::parse(file).expect("an ELF file");
    elf.section_by_name(name).and_then(|section| section.file_range()).expect("there").0 as usize
}

/// Shows D212.
#[test]
fn no_damage_to_any_file_brings_the_reader_down() {
    for name in ["zlib.elf", "zstd.elf", "zlib-gnu.elf", "split.elf"] {
        let whole = fs::read(data(name)).expect("read");
        for at in (0..whole.len()).step_by(13) {
            let mut file = whole.clone();
            file[at] ^= 0x81;
            if let Some(symbols) = Symbols::of(file) {
                symbols.sites(OUTER);
            }
        }
    }
}
