//! Wi-Fi settings.

mod common;

use abi::strings::{SizedString, SizedStringBuffer};
use abi::wifi::{WifiConfig, WifiConfigMode, WifiConfigOut};
use abi::{Call, Status};
use common::Machine;
use common::board::Board;

const NOWHERE: u32 = 0x4000_0000;
const FLASH: u32 = 0x0800_0000;

fn config(machine: &mut Machine, ssid: &[u8], password: &[u8]) -> WifiConfig {
    WifiConfig {
        version: 1,
        config_mode: WifiConfigMode::ApplyNow.raw(),
        wifi_ssid: machine.string(ssid),
        wifi_password: machine.string(password),
    }
}

fn set(machine: &mut Machine, config: &WifiConfig) -> Status {
    let mut bytes = config.to_bytes();
    // What is beside the mode's one byte is not looked at.
    bytes[5..8].fill(0xa5);
    let params = machine.put(&bytes);
    machine.call(Call::SetWifiConfig, &[params])
}

fn outputs(machine: &mut Machine, size: u32) -> WifiConfigOut {
    WifiConfigOut { version: 1, ssid: machine.string_room(size), has_encryption: machine.room(2) }
}

fn get(machine: &mut Machine, out: &WifiConfigOut) -> Result<(Vec<u8>, [u8; 2]), Status> {
    let params = machine.put(&out.to_bytes());
    match machine.call(Call::GetWifiConfig, &[params]) {
        Status::Okay => {
            let flag = machine.memory.bytes(out.has_encryption, 2);
            Ok((machine.string_in(out.ssid), [flag[0], flag[1]]))
        }
        status => Err(status),
    }
}

fn stored(machine: &Machine) -> Option<(Vec<u8>, Vec<u8>)> {
    machine.board.wifi.as_ref().expect("a board with Wi-Fi").stored.clone()
}

/// Shows D08, D109.
#[test]
fn settings_are_stored_told_without_the_password_and_cleared() {
    let mut machine = Machine::new();
    let out = outputs(&mut machine, 32);
    assert_eq!(get(&mut machine, &out), Ok((vec![], [0, 0xee])), "none: one byte is written");
    let mut home = config(&mut machine, b"home", b"secret");
    assert_eq!(set(&mut machine, &home), Status::Okay);
    assert_eq!(stored(&machine), Some((b"home".to_vec(), b"secret".to_vec())));
    assert_eq!(get(&mut machine, &out), Ok((b"home".to_vec(), [1, 0xee])));
    let open = config(&mut machine, b"cafe", b"");
    assert_eq!(set(&mut machine, &open), Status::Okay);
    assert_eq!(get(&mut machine, &out), Ok((b"cafe".to_vec(), [0, 0xee])));
    home.config_mode = WifiConfigMode::ClearNow.raw();
    (home.wifi_ssid.data, home.wifi_password.length) = (NOWHERE, 1000);
    assert_eq!(set(&mut machine, &home), Status::Okay, "clearing looks at no text");
    assert_eq!(stored(&machine), None);
}

/// Shows D109.
#[test]
fn names_have_up_to_32_bytes_and_passwords_up_to_63() {
    let mut machine = Machine::new();
    let longest = config(&mut machine, &[b's'; 32], &[b'p'; 63]);
    assert_eq!(set(&mut machine, &longest), Status::Okay);
    let out = outputs(&mut machine, 32);
    assert_eq!(get(&mut machine, &out), Ok((vec![b's'; 32], [1, 0xee])));
    let long_name = config(&mut machine, &[b's'; 33], b"");
    let long_password = config(&mut machine, b"s", &[b'p'; 64]);
    let nameless = config(&mut machine, b"", b"secret");
    assert_eq!(set(&mut machine, &long_name), Status::InputTooLong);
    assert_eq!(set(&mut machine, &long_password), Status::InputTooLong);
    assert_eq!(set(&mut machine, &nameless), Status::RequiredElementMissing);
    assert_eq!(stored(&machine), Some((vec![b's'; 32], vec![b'p'; 63])), "the old ones stay");
}

/// Shows D02, D109.
#[test]
fn bad_settings_are_refused() {
    let mut machine = Machine::new();
    let good = config(&mut machine, b"home", b"secret");
    let wild = SizedString { data: NOWHERE, length: 1 };
    for (config, status) in [
        (WifiConfig { version: 2, ..good }, Status::UnsupportedStructureVersion),
        (WifiConfig { version: 0, config_mode: 9, ..good }, Status::UnsupportedStructureVersion),
        (WifiConfig { config_mode: 2, ..good }, Status::ParameterFault),
        (WifiConfig { wifi_ssid: wild, ..good }, Status::LateFault),
        (WifiConfig { wifi_password: wild, ..good }, Status::LateFault),
    ] {
        assert_eq!(set(&mut machine, &config), status);
    }
    assert_eq!(stored(&machine), None);
    assert_eq!(machine.call(Call::SetWifiConfig, &[NOWHERE]), Status::ParameterFault);
}

/// Shows D02, D109.
#[test]
fn bad_outputs_are_refused_and_nothing_is_written() {
    let mut machine = Machine::new();
    let home = config(&mut machine, b"home", b"");
    set(&mut machine, &home);
    let good = outputs(&mut machine, 4);
    let small = SizedStringBuffer { size: 3, ..good.ssid };
    let wild = SizedStringBuffer { data: FLASH, ..good.ssid };
    for (out, status) in [
        (WifiConfigOut { version: 2, ..good }, Status::UnsupportedStructureVersion),
        (WifiConfigOut { ssid: wild, ..good }, Status::LateFault),
        (WifiConfigOut { has_encryption: FLASH, ..good }, Status::LateFault),
        (WifiConfigOut { ssid: small, ..good }, Status::InvalidBufferSize),
    ] {
        assert_eq!(get(&mut machine, &out), Err(status));
    }
    assert_eq!(machine.memory.bytes(good.ssid.data, 4), [0xee; 4]);
    assert_eq!(machine.call(Call::GetWifiConfig, &[NOWHERE]), Status::ParameterFault);
    assert_eq!(get(&mut machine, &good), Ok((b"home".to_vec(), [0, 0xee])));
}

/// Shows D109.
#[test]
fn without_wifi_there_are_no_settings_and_a_store_that_fails_says_so() {
    let mut machine = Machine::new();
    let home = config(&mut machine, b"home", b"");
    let out = outputs(&mut machine, 32);
    machine.board.wifi.as_mut().expect("a board with Wi-Fi").broken = true;
    assert_eq!(set(&mut machine, &home), Status::InternalError);
    machine.board = Board::bare();
    assert_eq!(set(&mut machine, &home), Status::Unavailable);
    assert_eq!(get(&mut machine, &out), Err(Status::Unavailable));
}
