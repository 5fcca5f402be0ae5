use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use kernel::limits::FLASH_SECTOR;
use kernel::{ExternalFlash, FlashFault, Wifi};

use super::*;

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openvisor-storage-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read<const N: usize>(flash: &mut Flash, address: u32) -> [u8; N] {
    let mut bytes = [0; N];
    flash.read(address, &mut bytes).expect("read");
    bytes
}

/// Does `test` with a chip in memory and with one in a file.
fn with_both(name: &str, test: impl Fn(&mut Flash)) {
    test(&mut Storage::default().flash);
    let folder = Folder::new(name);
    test(&mut Storage::in_folder(&folder.0).flash);
}

#[test]
fn a_new_chip_is_erased_all_over() {
    with_both("new", |flash| {
        for address in [0, 5, SIZE - 4] {
            assert_eq!(read(flash, address), [0xFF; 4]);
        }
    });
}

#[test]
fn programming_turns_ones_to_zeros_only() {
    with_both("program", |flash| {
        flash.program(1000, &[0b1100_1100, 0x00]).expect("programmed");
        flash.program(1000, &[0b1010_1010, 0xFF]).expect("programmed");
        assert_eq!(read(flash, 999), [0xFF, 0b1000_1000, 0x00, 0xFF]);
    });
}

#[test]
fn erasing_turns_one_sector_to_ones() {
    with_both("erase", |flash| {
        for address in [FLASH_SECTOR - 1, FLASH_SECTOR, 2 * FLASH_SECTOR - 1, 2 * FLASH_SECTOR] {
            flash.program(address, &[0]).expect("programmed");
        }
        flash.erase_sector(FLASH_SECTOR).expect("erased");
        assert_eq!(read(flash, FLASH_SECTOR - 1), [0x00, 0xFF]);
        assert_eq!(read(flash, 2 * FLASH_SECTOR - 1), [0xFF, 0x00]);
        flash.erase_sector(SIZE - FLASH_SECTOR).expect("nothing is there");
        flash.erase_sector(2 * FLASH_SECTOR).expect("erased");
        assert_eq!(read(flash, 2 * FLASH_SECTOR), [0xFF]);
    });
}

#[test]
fn the_last_byte_can_be_programmed() {
    with_both("last", |flash| {
        flash.program(SIZE - 1, &[7]).expect("programmed");
        assert_eq!(read(flash, SIZE - 2), [0xFF, 7]);
    });
}

#[test]
fn what_a_file_holds_survives_the_device() {
    let folder = Folder::new("outlives");
    assert!(!folder.0.join("external-flash").exists());
    let mut before = Storage::in_folder(&folder.0);
    before.flash.program(300, b"kept").expect("programmed");
    assert!(before.wifi.store(b"name", b"secret"));
    let mut after = Storage::in_folder(&folder.0);
    assert_eq!(read(&mut after.flash, 299), *b"\xFFkept");
    let network = after.wifi.stored().expect("settings");
    assert_eq!((network.ssid, network.has_password), (&b"name"[..], true));
}

#[test]
fn a_chip_that_cannot_be_reached_fails_and_says_so() {
    let mut flash = Flash::in_file(std::env::temp_dir());
    assert_eq!(flash.program(0, &[0]), Err(FlashFault));
    assert_eq!(flash.read(0, &mut [0]), Err(FlashFault));
    assert_eq!(flash.erase_sector(0), Err(FlashFault));
}

#[test]
fn cleared_settings_are_gone_for_good() {
    let folder = Folder::new("cleared");
    let mut wifi = Storage::in_folder(&folder.0).wifi;
    assert!(wifi.clear(), "nothing to clear is no failure");
    assert!(wifi.store(b"open", b""));
    assert_eq!(wifi.stored().map(|network| network.has_password), Some(false));
    assert!(wifi.clear());
    assert_eq!(wifi.stored(), None);
    assert_eq!(Storage::in_folder(&folder.0).wifi.stored(), None);
}

#[test]
fn the_password_is_its_owners_alone() {
    let folder = Folder::new("mode");
    assert!(Storage::in_folder(&folder.0).wifi.store(b"name", b"secret"));
    let mode = fs::metadata(folder.0.join("wifi")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_holds_no_settings_is_none() {
    let folder = Folder::new("foreign");
    let long = format!("{}\n\n", "41".repeat(33));
    for text in ["", "\n", "\n\n", "41\n", "4\n\n", "zz\n\n", "41\n41", "41\n4\u{e4}\n", &long] {
        fs::write(folder.0.join("wifi"), text).expect("written");
        assert_eq!(Storage::in_folder(&folder.0).wifi.stored(), None, "{text:?}");
    }
}

#[test]
fn settings_that_cannot_be_stored_do_not_change() {
    let folder = Folder::new("refused");
    let mut wifi = Storage::in_folder(&folder.0.join("missing")).wifi;
    assert!(!wifi.store(b"name", b"secret"));
    assert_eq!(wifi.stored(), None);
}

/// Shows D207.
#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("private");
    Storage::in_folder(&folder.0).flash.program(0, &[0]).expect("programmed");
    let files: Vec<_> =
        fs::read_dir(&folder.0).expect("a folder").map(|entry| entry.expect("there")).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().expect("there").permissions().mode() & 0o777, 0o600);
}
