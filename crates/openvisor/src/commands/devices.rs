//! `openvisor devices`: lists, shows, renames and revokes devices, and turns their logging on and off.

mod arguments;
mod list;

use ::cloud::clock::wall_millis;
use ::cloud::limits::PRESENCE_INTERVAL;
use ::cloud::store::{Device, Scope};
use serde_json::{Value, json};

use crate::operate::cloud_data::{CloudData, device_title};
use crate::operate::confirmation::confirm;
use crate::output::exit::Failure;
use crate::output::print::print_result;
use crate::output::table::pairs;
use crate::output::timeline::printable;
use crate::output::timestamp;
pub(super) use arguments::DevicesArguments;
use arguments::{DevicesAction, LoggingArguments, RenameArguments, RevokeArguments, ShowArguments, Switch};

/// Runs the subcommand.
pub(super) async fn run(arguments: DevicesArguments) -> Result<(), Failure> {
    match arguments.action {
        DevicesAction::List(list) => list::run(&list).await,
        DevicesAction::Show(show) => show_one(&show).await,
        DevicesAction::Rename(rename) => rename_one(&rename).await,
        DevicesAction::Logging(logging) => switch_logging(&logging).await,
        DevicesAction::Revoke(revoke) => revoke_one(&revoke).await,
    }
}

/// A device with its present state. After a cloud was killed, the store still has its devices as connected: without a
/// running cloud none is.
struct DeviceStatus {
    device: Device,
    connected: bool,
}

impl DeviceStatus {
    fn new(device: Device, cloud_runs: bool) -> Self {
        Self { connected: device.connected && cloud_runs, device }
    }

    fn state(&self) -> &'static str {
        match self {
            Self { device: Device { revoked: Some(_), .. }, .. } => "revoked",
            Self { connected: true, .. } => "connected",
            Self { device: Device { seen: Some(_), .. }, .. } => "away",
            _ => "never",
        }
    }

    fn name(&self) -> String {
        self.device.name.as_deref().map_or_else(|| "-".into(), printable)
    }

    fn seen(&self) -> String {
        if self.connected {
            return "now".into();
        }
        self.device.seen.map_or_else(|| "-".into(), timestamp::short)
    }

    fn image(&self) -> Option<String> {
        let hexadecimal =
            |digest: [u8; 32]| digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        self.device.image.map(hexadecimal)
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.device.id.as_str(),
            "name": self.device.name,
            "state": self.state(),
            "connected": self.connected,
            "seen": self.device.seen.map(timestamp::rfc3339),
            "image": self.image(),
            "logging": self.device.logging,
            "logging_expires": self.device.logging_expires.map(timestamp::rfc3339),
            "created": timestamp::rfc3339(self.device.created),
            "updated": timestamp::rfc3339(self.device.updated),
            "revoked": self.device.revoked.map(timestamp::rfc3339),
        })
    }
}

async fn show_one(show: &ShowArguments) -> Result<(), Failure> {
    let cloud = CloudData::open(&show.cloud.folder, show.cloud.account.as_deref()).await?;
    let device = cloud.find_device(&show.device).await?;
    let scope = Scope::Device(device.id);
    let configs = cloud.store().configs(scope).await?.len();
    let secrets = cloud.store().secrets(scope).await?.len();
    let account = cloud.store().account().to_owned();
    let status = DeviceStatus::new(device, cloud.is_cloud_running()?);
    cloud.close().await;
    let text = || {
        let mut rows = vec![
            ("id", status.device.id.to_string()),
            ("name", status.name()),
            ("account", account.clone()),
            ("state", status.state().to_owned()),
            ("last seen", status.seen()),
            ("image", status.image().unwrap_or_else(|| "-".into())),
            ("logging", logging_text(status.device.logging, status.device.logging_expires)),
            ("configs", configs.to_string()),
            ("secrets", secrets.to_string()),
            ("created", timestamp::short(status.device.created)),
            ("changed", timestamp::short(status.device.updated)),
        ];
        rows.extend(status.device.revoked.map(|when| ("revoked", timestamp::short(when))));
        pairs(&rows)
    };
    let value = || {
        let mut value = status.to_json();
        value["account"] = account.clone().into();
        value["configs"] = configs.into();
        value["secrets"] = secrets.into();
        value
    };
    print_result(show.cloud.json, text, value);
    Ok(())
}

/// `on`, `on until …` or `off`.
fn logging_text(is_on: bool, expires: Option<i64>) -> String {
    match (is_on, expires) {
        (false, _) => "off".into(),
        (true, None) => "on".into(),
        (true, Some(expires)) => format!("on until {}", timestamp::short(expires)),
    }
}

async fn rename_one(rename: &RenameArguments) -> Result<(), Failure> {
    let cloud = CloudData::open(&rename.cloud.folder, rename.cloud.account.as_deref()).await?;
    let device = cloud.find_device(&rename.device).await?;
    cloud.store().rename_device(device.id, Some(&rename.name)).await?;
    cloud.close().await;
    let (id, name) = (device.id, &rename.name);
    print_result(
        rename.cloud.json,
        || format!("renamed {id} to {}", printable(name)),
        || json!({ "id": id.as_str(), "name": name }),
    );
    Ok(())
}

async fn switch_logging(arguments: &LoggingArguments) -> Result<(), Failure> {
    let is_on = arguments.switch == Switch::On;
    let expires = expiry(&arguments.duration)?.filter(|_| is_on);
    let cloud = CloudData::open(&arguments.cloud.folder, arguments.cloud.account.as_deref()).await?;
    let device = cloud.find_device(&arguments.device).await?;
    cloud.store().set_logging(device.id, is_on, expires).await?;
    cloud.close().await;
    print_result(
        arguments.cloud.json,
        || format!("logging of {} is {}", device_title(&device), logging_text(is_on, expires)),
        || json!({ "id": device.id.as_str(), "name": device.name, "logging": is_on, "logging_expires": expires.map(timestamp::rfc3339) }),
    );
    Ok(())
}

/// When a duration that starts now ends; `None` for `ever`.
fn expiry(duration: &str) -> Result<Option<i64>, Failure> {
    if duration == "ever" {
        return Ok(None);
    }
    // A duration of zero would switch logging off while the command says on.
    let millis = timestamp::parse_duration(duration).filter(|millis| *millis > 0);
    let expires = millis.and_then(|millis| wall_millis().checked_add(millis));
    expires.map(Some).ok_or_else(|| {
        Failure::bad_input(format!("--for {}: not a duration", printable(duration)))
            .hint("for example 90s, 10m, 24h or 7d; or `ever`")
    })
}

async fn revoke_one(revoke: &RevokeArguments) -> Result<(), Failure> {
    let cloud = CloudData::open(&revoke.cloud.folder, revoke.cloud.account.as_deref()).await?;
    let device = cloud.find_device(&revoke.device).await?;
    // Asked before anything is changed; the device is found first, so that the question names it.
    if !revoke.yes {
        let (title, also) = (
            device_title(&device),
            if revoke.forget { " Its settings and log lines are deleted." } else { "" },
        );
        confirm(
            &format!("revoking {title}"),
            &format!("Revoke {title}?\nIt can never connect again.{also}"),
            &format!("{title} was not revoked"),
        )?;
    }
    let is_new = cloud.store().revoke_device(device.id).await?;
    if revoke.forget {
        cloud.store().remove_device(device.id).await?;
    }
    let cloud_runs = cloud.is_cloud_running()?;
    cloud.close().await;
    let id = device.id.as_str();
    print_result(
        revoke.cloud.json,
        || revoked_text(&device, is_new, revoke.forget, cloud_runs),
        || json!({ "id": id, "name": device.name, "revoked": true, "new": is_new, "forgotten": revoke.forget }),
    );
    Ok(())
}

fn revoked_text(device: &Device, is_new: bool, forgotten: bool, cloud_runs: bool) -> String {
    let done = match (is_new, forgotten) {
        (true, true) => "revoked and deleted",
        (false, true) => "deleted",
        (true, false) => "revoked",
        (false, false) => return format!("{} was already revoked", device_title(device)),
    };
    // The cloud looks once in this interval, and then closes the connection.
    let seconds = PRESENCE_INTERVAL.as_secs() + 1;
    let then = if cloud_runs {
        format!("\n  the running cloud ends its connection within {seconds} seconds")
    } else {
        String::new()
    };
    format!("{done} {}{then}", device_title(device))
}
