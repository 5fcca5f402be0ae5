//! Wi-Fi settings.

use abi::strings::{SizedString, SizedStringBuffer};
use abi::wifi::{WifiConfig, WifiConfigMode, WifiConfigOut};
use abi::{Call, Status};
use kernel_testport::TestDevice;
use kernel_testport::board::TestBoard;

const NOWHERE: u32 = 0x4000_0000;
const FLASH: u32 = 0x0800_0000;

fn config(device: &mut TestDevice, ssid: &[u8], password: &[u8]) -> WifiConfig {
    WifiConfig {
        version: 1,
        config_mode: WifiConfigMode::ApplyNow.raw(),
        wifi_ssid: device.flash_string(ssid),
        wifi_password: device.flash_string(password),
    }
}

fn set(device: &mut TestDevice, config: &WifiConfig) -> Status {
    let mut bytes = config.to_bytes();
    // What is beside the mode's one byte is not looked at.
    bytes[5..8].fill(0xa5);
    let params = device.alloc_bytes(&bytes);
    device.call(Call::SetWifiConfig, &[params])
}

fn outputs(device: &mut TestDevice, size: u32) -> WifiConfigOut {
    WifiConfigOut { version: 1, ssid: device.alloc_string(size), has_encryption: device.alloc(2) }
}

fn get(device: &mut TestDevice, out: &WifiConfigOut) -> Result<(Vec<u8>, [u8; 2]), Status> {
    let params = device.alloc_bytes(&out.to_bytes());
    match device.call(Call::GetWifiConfig, &[params]) {
        Status::Okay => {
            let flag = device.memory.bytes(out.has_encryption, 2);
            Ok((device.read_string(out.ssid), [flag[0], flag[1]]))
        }
        status => Err(status),
    }
}

fn stored(device: &TestDevice) -> Option<(Vec<u8>, Vec<u8>)> {
    device.board.wifi.as_ref().expect("a board with Wi-Fi").stored.clone()
}

/// Shows D08, D109.
#[test]
fn settings_are_stored_read_without_the_password_and_cleared() {
    let mut device = TestDevice::new();
    let out = outputs(&mut device, 32);
    assert_eq!(get(&mut device, &out), Ok((vec![], [0, 0xee])), "none: one byte is written");
    let mut home = config(&mut device, b"home", b"secret");
    assert_eq!(set(&mut device, &home), Status::Okay);
    assert_eq!(stored(&device), Some((b"home".to_vec(), b"secret".to_vec())));
    assert_eq!(get(&mut device, &out), Ok((b"home".to_vec(), [1, 0xee])));
    let open = config(&mut device, b"cafe", b"");
    assert_eq!(set(&mut device, &open), Status::Okay);
    assert_eq!(get(&mut device, &out), Ok((b"cafe".to_vec(), [0, 0xee])));
    home.config_mode = WifiConfigMode::ClearNow.raw();
    (home.wifi_ssid.data, home.wifi_password.length) = (NOWHERE, 1000);
    assert_eq!(set(&mut device, &home), Status::Okay, "clearing looks at no text");
    assert_eq!(stored(&device), None);
}

/// Shows D109.
#[test]
fn names_have_up_to_32_bytes_and_passwords_up_to_63() {
    let mut device = TestDevice::new();
    let longest = config(&mut device, &[b's'; 32], &[b'p'; 63]);
    assert_eq!(set(&mut device, &longest), Status::Okay);
    let out = outputs(&mut device, 32);
    assert_eq!(get(&mut device, &out), Ok((vec![b's'; 32], [1, 0xee])));
    let long_name = config(&mut device, &[b's'; 33], b"");
    let long_password = config(&mut device, b"s", &[b'p'; 64]);
    let nameless = config(&mut device, b"", b"secret");
    assert_eq!(set(&mut device, &long_name), Status::InputTooLong);
    assert_eq!(set(&mut device, &long_password), Status::InputTooLong);
    assert_eq!(set(&mut device, &nameless), Status::RequiredElementMissing);
    assert_eq!(stored(&device), Some((vec![b's'; 32], vec![b'p'; 63])), "the old ones stay");
}

/// Shows D02, D109.
#[test]
fn bad_settings_are_refused() {
    let mut device = TestDevice::new();
    let good = config(&mut device, b"home", b"secret");
    let wild = SizedString { data: NOWHERE, length: 1 };
    for (config, status) in [
        (WifiConfig { version: 2, ..good }, Status::UnsupportedStructureVersion),
        (WifiConfig { version: 0, config_mode: 9, ..good }, Status::UnsupportedStructureVersion),
        (WifiConfig { config_mode: 2, ..good }, Status::ParameterFault),
        (WifiConfig { wifi_ssid: wild, ..good }, Status::LateFault),
        (WifiConfig { wifi_password: wild, ..good }, Status::LateFault),
    ] {
        assert_eq!(set(&mut device, &config), status);
    }
    assert_eq!(stored(&device), None);
    assert_eq!(device.call(Call::SetWifiConfig, &[NOWHERE]), Status::ParameterFault);
}

/// Shows D02, D109.
#[test]
fn bad_outputs_are_refused_and_nothing_is_written() {
    let mut device = TestDevice::new();
    let home = config(&mut device, b"home", b"");
    set(&mut device, &home);
    let good = outputs(&mut device, 4);
    let small = SizedStringBuffer { size: 3, ..good.ssid };
    let wild = SizedStringBuffer { data: FLASH, ..good.ssid };
    for (out, status) in [
        (WifiConfigOut { version: 2, ..good }, Status::UnsupportedStructureVersion),
        (WifiConfigOut { ssid: wild, ..good }, Status::LateFault),
        (WifiConfigOut { has_encryption: FLASH, ..good }, Status::LateFault),
        (WifiConfigOut { ssid: small, ..good }, Status::InvalidBufferSize),
    ] {
        assert_eq!(get(&mut device, &out), Err(status));
    }
    assert_eq!(device.memory.bytes(good.ssid.data, 4), [0xee; 4]);
    assert_eq!(device.call(Call::GetWifiConfig, &[NOWHERE]), Status::ParameterFault);
    assert_eq!(get(&mut device, &good), Ok((b"home".to_vec(), [0, 0xee])));
}

/// Shows D109.
#[test]
fn without_wifi_calls_are_unavailable_and_a_failed_store_is_an_internal_error() {
    let mut device = TestDevice::new();
    let home = config(&mut device, b"home", b"");
    let out = outputs(&mut device, 32);
    device.board.wifi.as_mut().expect("a board with Wi-Fi").broken = true;
    assert_eq!(set(&mut device, &home), Status::InternalError);
    device.board = TestBoard::bare();
    assert_eq!(set(&mut device, &home), Status::Unavailable);
    assert_eq!(get(&mut device, &out), Err(Status::Unavailable));
}
