//! Wi-Fi settings: checked here, stored by the port.

use abi::Status;
use abi::strings::SizedString;
use abi::wifi::{WifiConfig, WifiConfigMode, WifiConfigOut};

use crate::limits::{MAX_SSID, MAX_WIFI_PASSWORD};
use crate::memory::{Memory, OutParam, Phase as _, Span, read_struct};
use crate::port::{Port, Wifi};
use crate::strings::StringOutParam;

/// `mvSetWifiConfig`. Clearing does not read the strings, which need not be valid then (D109).
pub(crate) fn set_config(port: &mut Port<'_>, params: u32) -> Result<(), Status> {
    let params: WifiConfig = read_struct(port.memory, params).early()?;
    let mode = WifiConfigMode::from_raw(params.config_mode.into());
    let stored = match (params.version, mode) {
        (1, Some(WifiConfigMode::ApplyNow)) => store(port, &params)?,
        (1, Some(WifiConfigMode::ClearNow)) => wifi(port)?.clear(),
        (1, None) => return Err(Status::ParameterFault),
        _ => return Err(Status::UnsupportedStructureVersion),
    };
    if stored { Ok(()) } else { Err(Status::InternalError) }
}

/// `mvGetWifiConfig`. Without settings the SSID is empty, since the structure cannot say otherwise (D109).
pub(crate) fn config(port: &mut Port<'_>, params: u32) -> Result<(), Status> {
    let params: WifiConfigOut = read_struct(port.memory, params).early()?;
    if params.version != 1 {
        return Err(Status::UnsupportedStructureVersion);
    }
    let ssid_out = StringOutParam::check_map(params.ssid).late()?;
    let encryption_out = OutParam::<1>::check_map(params.has_encryption).late()?;
    let stored = wifi(port)?.stored();
    let ssid = stored.map_or(&[][..], |network| network.ssid);
    let has_password = stored.is_some_and(|network| network.has_password);
    let mut name = [0; MAX_SSID];
    let name = name.get_mut(..ssid.len()).ok_or(Status::InternalError)?;
    name.copy_from_slice(ssid);

    ssid_out.check_fits(name.len() as u32)?;
    ssid_out.write(port.memory, name).late()?;
    encryption_out.write(port.memory, [has_password.into()]).late()
}

fn store(port: &mut Port<'_>, params: &WifiConfig) -> Result<bool, Status> {
    let (mut ssid, mut password) = ([0; MAX_SSID], [0; MAX_WIFI_PASSWORD]);
    let ssid = read_string(port.memory, params.wifi_ssid, &mut ssid)?;
    let password = read_string(port.memory, params.wifi_password, &mut password)?;
    if ssid.is_empty() {
        return Err(Status::RequiredElementMissing);
    }
    Ok(wifi(port)?.store(ssid, password))
}

/// Reads a string of at most `buffer` bytes.
fn read_string<'a>(
    memory: &dyn Memory,
    string: SizedString,
    buffer: &'a mut [u8],
) -> Result<&'a [u8], Status> {
    let span = Span::readable(string.data, string.length).late()?;
    let text = buffer.get_mut(..span.length() as usize).ok_or(Status::InputTooLong)?;
    if !text.is_empty() {
        memory.read(span.address(), text).late()?;
    }
    Ok(text)
}

fn wifi<'a>(port: &'a mut Port<'_>) -> Result<&'a mut dyn Wifi, Status> {
    port.hardware.wifi().ok_or(Status::Unavailable)
}
