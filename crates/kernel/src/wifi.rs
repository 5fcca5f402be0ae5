//! Wi-Fi settings: checked here, kept by the port.

use abi::Status;
use abi::strings::SizedString;
use abi::wifi::{WifiConfig, WifiConfigMode, WifiConfigOut};

use crate::limits::{MAX_SSID, MAX_WIFI_PASSWORD};
use crate::memory::{Memory, Output, Phase as _, Span, structure};
use crate::port::{Port, Wifi};
use crate::strings::StringOutput;

/// `mvSetWifiConfig`. Clearing looks at neither text.
pub(crate) fn store_config(port: &mut Port<'_>, params: u32) -> Result<(), Status> {
    let params: WifiConfig = structure(port.memory, params).early()?;
    let mode = WifiConfigMode::from_raw(params.config_mode.into());
    let stored = match (params.version, mode) {
        (1, Some(WifiConfigMode::ApplyNow)) => store(port, &params)?,
        (1, Some(WifiConfigMode::ClearNow)) => wifi(port)?.clear(),
        (1, None) => return Err(Status::ParameterFault),
        _ => return Err(Status::UnsupportedStructureVersion),
    };
    if stored { Ok(()) } else { Err(Status::InternalError) }
}

/// `mvGetWifiConfig`. No settings are a name of no bytes.
pub(crate) fn stored_config(port: &mut Port<'_>, params: u32) -> Result<(), Status> {
    let params: WifiConfigOut = structure(port.memory, params).early()?;
    if params.version != 1 {
        return Err(Status::UnsupportedStructureVersion);
    }
    let ssid_to = StringOutput::mapped(params.ssid).late()?;
    let encryption_to = Output::<1>::mapped(params.has_encryption).late()?;
    let stored = wifi(port)?.stored();
    let ssid = stored.map_or(&[][..], |network| network.ssid);
    let has_password = stored.is_some_and(|network| network.has_password);
    let mut name = [0; MAX_SSID];
    let name = name.get_mut(..ssid.len()).ok_or(Status::InternalError)?;
    name.copy_from_slice(ssid);

    ssid_to.fits(name.len() as u32)?;
    ssid_to.put_bytes(port.memory, name).late()?;
    encryption_to.put(port.memory, [has_password.into()]).late()
}

fn store(port: &mut Port<'_>, params: &WifiConfig) -> Result<bool, Status> {
    let (mut ssid, mut password) = ([0; MAX_SSID], [0; MAX_WIFI_PASSWORD]);
    let ssid = text(port.memory, params.wifi_ssid, &mut ssid)?;
    let password = text(port.memory, params.wifi_password, &mut password)?;
    if ssid.is_empty() {
        return Err(Status::RequiredElementMissing);
    }
    Ok(wifi(port)?.store(ssid, password))
}

/// A text of at most as many bytes as there is room.
fn text<'a>(memory: &dyn Memory, string: SizedString, room: &'a mut [u8]) -> Result<&'a [u8], Status> {
    let span = Span::readable(string.data, string.length).late()?;
    let text = room.get_mut(..span.length() as usize).ok_or(Status::InputTooLong)?;
    if !text.is_empty() {
        memory.read(span.address(), text).late()?;
    }
    Ok(text)
}

fn wifi<'a>(port: &'a mut Port<'_>) -> Result<&'a mut dyn Wifi, Status> {
    port.hardware.wifi().ok_or(Status::Unavailable)
}
