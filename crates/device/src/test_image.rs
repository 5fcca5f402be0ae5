//! An image of tests, as `openvisor_app::tests!` makes it: which tests it has, and the image that executes one (D350).
//!
//! The section `.openvisor.tests` has a header of 16 bytes (magic, size of a description, number of the selected test)
//! and a description of each test: name, reason to ignore it and expected panic message, each as address and length in
//! bytes, then flags and the function. All words are little-endian.

use std::fmt;

use elf::ElfBytes;
use elf::endian::LittleEndian;

use crate::image::Image;
use crate::memory_map::FLASH;

const SECTION: &str = ".openvisor.tests";
/// What the section begins with, and the version of what follows.
const MAGIC: &[u8; 7] = b"OVTESTS";
const VERSION: u8 = b'1';
const HEADER_SIZE: usize = 16;
/// Offset in the header of the selected test's number.
const SELECTED: usize = 12;
const CASE_SIZE: usize = 32;
const IGNORED: u32 = 1;
const PANICS: u32 = 2;

/// Most tests of an image.
pub const MAX_TESTS: usize = 4096;
/// Most bytes of a name, a reason or an expected message.
pub const MAX_TEXT: usize = 1024;

/// A test of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Its path in its crate, such as `settings::a_key_is_read`.
    pub name: String,
    /// It is only executed on demand, and why; the reason may be empty.
    pub ignored: Option<String>,
    /// It passes by a panic.
    pub is_to_panic: bool,
    /// Its number in the image.
    number: u32,
}

/// The tests of an image, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestImage {
    image: Image,
    /// Offset of the section in flash.
    offset: usize,
    cases: Vec<TestCase>,
}

/// Why the description of an image's tests cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestImageError {
    /// The section is shorter than it says, or a text lies outside flash or is too long.
    Malformed,
    /// It is of another version, whose digit this is.
    Version(u8),
    /// There are more tests than [`MAX_TESTS`]; this many.
    TooMany(usize),
}

impl fmt::Display for TestImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "its section {SECTION} is damaged: build it again"),
            Self::Version(found) => write!(
                f,
                "its section {SECTION} is of version {}, and this program reads version {}: use an SDK of the same \
                 version as this program",
                char::from(*found).escape_default(),
                char::from(VERSION)
            ),
            Self::TooMany(count) => {
                write!(f, "it has {count} tests, and at most {MAX_TESTS} are supported: divide it")
            }
        }
    }
}

impl std::error::Error for TestImageError {}

impl TestImage {
    /// The tests in an ELF file whose image is `image`, or `None` if it has none.
    ///
    /// # Errors
    /// The file has a description of tests that cannot be used.
    pub fn read(file: &[u8], image: &Image) -> Result<Option<Self>, TestImageError> {
        let Some((address, size)) = section(file) else { return Ok(None) };
        let flash = image.bytes();
        let offset = flash_offset(address).ok_or(TestImageError::Malformed)?;
        let bytes = slice(flash, offset, size).ok_or(TestImageError::Malformed)?;
        let (header, cases) = bytes.split_at_checked(HEADER_SIZE).ok_or(TestImageError::Malformed)?;
        match header.strip_prefix(MAGIC.as_slice()) {
            Some([VERSION, ..]) => {}
            Some([other, ..]) => return Err(TestImageError::Version(*other)),
            _ => return Err(TestImageError::Malformed),
        }
        if word(header, 8) != Some(CASE_SIZE as u32) || !cases.len().is_multiple_of(CASE_SIZE) {
            return Err(TestImageError::Malformed);
        }
        let count = cases.len() / CASE_SIZE;
        if count > MAX_TESTS {
            return Err(TestImageError::TooMany(count));
        }
        let read = cases.chunks(CASE_SIZE).zip(0..).map(|(bytes, number)| case(flash, bytes, number));
        let mut cases: Vec<_> = read.collect::<Option<_>>().ok_or(TestImageError::Malformed)?;
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Some(Self { image: image.clone(), offset, cases }))
    }

    /// The tests, by name.
    pub fn cases(&self) -> &[TestCase] {
        &self.cases
    }

    /// The image with this test selected.
    pub fn select(&self, case: &TestCase) -> Image {
        self.image.with_word(self.offset + SELECTED, case.number)
    }
}

/// Address and size of the section, if it is there and has content.
fn section(file: &[u8]) -> Option<(u64, u64)> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).ok()?;
    let header = elf.section_header_by_name(SECTION).ok()??;
    (header.sh_size > 0).then_some((header.sh_addr, header.sh_size))
}

fn case(flash: &[u8], bytes: &[u8], number: u32) -> Option<TestCase> {
    let text = |at| text(flash, word(bytes, at)?, word(bytes, at + 4)?);
    let flags = word(bytes, 24)?;
    let path = text(0)?;
    // The crate's name is the same for all.
    let name = path.split_once("::").map_or(path, |(_, name)| name).to_owned();
    let ignored = if flags & IGNORED == 0 { None } else { Some(text(8)?.to_owned()) };
    Some(TestCase { name, ignored, is_to_panic: flags & PANICS != 0, number })
}

fn text(flash: &[u8], address: u32, length: u32) -> Option<&str> {
    match length as usize {
        // Of an empty text not even the address means anything.
        0 => Some(""),
        1..=MAX_TEXT => str::from_utf8(slice(flash, flash_offset(address.into())?, length.into())?).ok(),
        _ => None,
    }
}

fn flash_offset(address: u64) -> Option<usize> {
    Some(address.checked_sub(FLASH.start.into())? as usize)
}

fn slice(flash: &[u8], offset: usize, length: u64) -> Option<&[u8]> {
    flash.get(offset..)?.get(..length as usize)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: usize = 0x400;

    /// Flash with a section at [`BASE`] that describes tests by these words, and texts at its start.
    fn image(magic: [u8; 8], cases: &[[u32; 8]]) -> Image {
        let mut bytes = vec![0; BASE];
        bytes[..8].copy_from_slice(&[0, 0, 8, 0x20, 1, 2, 0, 8]);
        bytes[0x100..0x10A].copy_from_slice(b"app::b::wh");
        bytes[0x110..0x116].copy_from_slice(b"app::a");
        bytes.extend(magic);
        bytes.extend([CASE_SIZE as u32, u32::MAX].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(cases.iter().flatten().flat_map(|word| word.to_le_bytes()));
        Image::raw(&bytes).expect("an image")
    }

    /// An ELF file that is nothing but the header of the section.
    fn elf(size: u32) -> Vec<u8> {
        let names = b"\0.openvisor.tests\0.shstrtab\0";
        let mut file = b"\x7FELF\x01\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 40, 0, 1, 0, 0, 0]);
        let words = |file: &mut Vec<u8>, words: &[u32]| {
            file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        };
        // Entry, program headers, section headers, flags.
        words(&mut file, &[0, 0, 52, 0]);
        file.extend([52, 0, 0, 0, 0, 0, 40, 0, 3, 0, 2, 0]);
        let (names_at, names_size) = (52 + 3 * 40, names.len() as u32);
        words(&mut file, &[0; 10]);
        words(&mut file, &[1, 1, 2, FLASH.start + BASE as u32, 0, size, 0, 0, 4, 0]);
        words(&mut file, &[18, 3, 0, 0, names_at, names_size, 0, 0, 1, 0]);
        file.extend(names);
        file
    }

    const FIRST: [u32; 8] = [FLASH.start + 0x100, 10, 0, 0, 0, 0, 2, 0];
    const SECOND: [u32; 8] = [FLASH.start + 0x110, 6, FLASH.start + 0x100, 3, 0, 0, 1, 0];

    fn read(magic: [u8; 8], cases: &[[u32; 8]]) -> Result<Option<TestImage>, TestImageError> {
        TestImage::read(&elf((HEADER_SIZE + CASE_SIZE * cases.len()) as u32), &image(magic, cases))
    }

    /// Shows D350.
    #[test]
    fn tests_are_sorted_by_name_and_one_is_selected_by_its_number() {
        let tests = read(*b"OVTESTS1", &[FIRST, SECOND]).expect("readable").expect("tests");
        let found: Vec<_> = tests.cases().iter().map(|case| (case.name.as_str(), case.number)).collect();
        assert_eq!(found, [("a", 1), ("b::wh", 0)]);
        assert_eq!(tests.cases()[0].ignored.as_deref(), Some("app"));
        assert!(tests.cases()[1].is_to_panic && !tests.cases()[0].is_to_panic);
        let selected = tests.select(&tests.cases()[0]);
        assert_eq!(word(selected.bytes(), BASE + SELECTED), Some(1));
        assert_ne!(selected.digest(), tests.image.digest());
    }

    #[test]
    fn an_image_without_the_section_has_no_tests() {
        let image = image(*b"OVTESTS1", &[]);
        assert_eq!(TestImage::read(image.bytes(), &image), Ok(None));
        assert_eq!(TestImage::read(&elf(0), &image), Ok(None));
    }

    #[test]
    fn a_damaged_description_is_refused() {
        assert_eq!(read(*b"NOTESTS1", &[FIRST]), Err(TestImageError::Malformed));
        assert_eq!(read(*b"OVTESTS2", &[FIRST]), Err(TestImageError::Version(b'2')));
        for case in [[1, 10, 0, 0, 0, 0, 0, 0], [FLASH.start, 2000, 0, 0, 0, 0, 0, 0], [u32::MAX; 8]] {
            assert_eq!(read(*b"OVTESTS1", &[FIRST, case]), Err(TestImageError::Malformed), "{case:?}");
        }
        let short = image(*b"OVTESTS1", &[FIRST]);
        for size in [8, 40, 2000, u32::MAX] {
            assert_eq!(TestImage::read(&elf(size), &short), Err(TestImageError::Malformed), "{size}");
        }
        let many = vec![SECOND; MAX_TESTS + 1];
        assert_eq!(read(*b"OVTESTS1", &many), Err(TestImageError::TooMany(MAX_TESTS + 1)));
    }
}
