//! `openvisor devices`: who there is, and who may no longer be.

mod arguments;

use std::io::{self, IsTerminal, Write};

use ::cloud::clock::wall_millis;
use ::cloud::limits::PRESENCE_INTERVAL;
use ::cloud::store::{Device, Scope};
use serde_json::{Value, json};

use crate::operate::operator::{Operator, answer, called, say, say_json};
use crate::options::CloudDataOptions;
use crate::output::exit::Failure;
use crate::output::table::{pairs, table};
use crate::output::timeline::printable;
use crate::output::{error_text, timestamp};
pub(super) use arguments::DevicesArguments;
use arguments::{DevicesAction, LoggingArguments, RevokeArguments, ShowArguments, Switch};

/// Does what was asked for.
pub(super) async fn run(arguments: DevicesArguments) -> Result<(), Failure> {
    match arguments.action {
        DevicesAction::List(list) => list_all(&list).await,
        DevicesAction::Show(show) => show_one(&show).await,
        DevicesAction::Logging(logging) => switch_logging(&logging).await,
        DevicesAction::Revoke(revoke) => revoke_one(&revoke).await,
    }
}

/// A device as it is now. Whoever a killed cloud has noted as connected is not, unless a cloud runs.
struct Now {
    device: Device,
    connected: bool,
}

impl Now {
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
        self.device.seen.map_or_else(|| "-".into(), timestamp::plain)
    }

    fn image(&self) -> Option<String> {
        let hexadecimal =
            |digest: [u8; 32]| digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        self.device.image.map(hexadecimal)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.device.id.as_str(),
            "name": self.device.name,
            "state": self.state(),
            "connected": self.connected,
            "seen": self.device.seen.map(timestamp::exact),
            "image": self.image(),
            "logging": self.device.logging,
            "logging_expires": self.device.logging_expires.map(timestamp::exact),
            "created": timestamp::exact(self.device.created),
            "updated": timestamp::exact(self.device.updated),
            "revoked": self.device.revoked.map(timestamp::exact),
        })
    }
}

async fn list_all(list: &CloudDataOptions) -> Result<(), Failure> {
    let operator = Operator::open(&list.data, list.account.as_deref()).await?;
    let cloud_runs = operator.is_cloud_running()?;
    let devices = operator.store().devices().await.map_err(error_text::of_store)?;
    operator.close().await;
    let devices: Vec<_> = devices.into_iter().map(|device| Now::new(device, cloud_runs)).collect();
    if list.json {
        let _ = devices.iter().try_for_each(|device| say_json(&device.json()));
        return Ok(());
    }
    if devices.is_empty() {
        let _ = writeln!(
            anstream::stderr(),
            "there are no devices yet; make one with: openvisor provision --data {} --out DIR",
            list.data.display()
        );
        return Ok(());
    }
    let row = |now: &Now| vec![now.device.id.to_string(), now.name(), now.state().into(), now.seen()];
    let rows: Vec<_> = devices.iter().map(row).collect();
    let _ = say(&table(&["ID", "NAME", "STATE", "LAST SEEN"], &rows));
    Ok(())
}

async fn show_one(show: &ShowArguments) -> Result<(), Failure> {
    let operator = Operator::open(&show.cloud.data, show.cloud.account.as_deref()).await?;
    let device = operator.device(&show.device).await?;
    let scope = Scope::Device(device.id);
    let configs = operator.store().configs(scope).await.map_err(error_text::of_store)?.len();
    let secrets = operator.store().secrets(scope).await.map_err(error_text::of_store)?.len();
    let now = Now::new(device, operator.is_cloud_running()?);
    operator.close().await;
    let text = || {
        let mut rows = vec![
            ("id", now.device.id.to_string()),
            ("name", now.name()),
            ("state", now.state().to_owned()),
            ("last seen", now.seen()),
            ("image", now.image().unwrap_or_else(|| "-".into())),
            ("logging", logging(now.device.logging, now.device.logging_expires)),
            ("configs", configs.to_string()),
            ("secrets", secrets.to_string()),
            ("created", timestamp::plain(now.device.created)),
            ("changed", timestamp::plain(now.device.updated)),
        ];
        rows.extend(now.device.revoked.map(|when| ("revoked", timestamp::plain(when))));
        pairs(&rows)
    };
    let value = || {
        let mut value = now.json();
        value["configs"] = configs.into();
        value["secrets"] = secrets.into();
        value
    };
    answer(show.cloud.json, text, value);
    Ok(())
}

/// `on`, `on until …` or `off`.
fn logging(wanted: bool, expires: Option<i64>) -> String {
    match (wanted, expires) {
        (false, _) => "off".into(),
        (true, None) => "on".into(),
        (true, Some(expires)) => format!("on until {}", timestamp::plain(expires)),
    }
}

async fn switch_logging(asked: &LoggingArguments) -> Result<(), Failure> {
    let wanted = asked.switch == Switch::On;
    let expires = expiry(&asked.duration)?.filter(|_| wanted);
    let operator = Operator::open(&asked.cloud.data, asked.cloud.account.as_deref()).await?;
    let device = operator.device(&asked.device).await?;
    operator.store().set_logging(device.id, wanted, expires).await.map_err(error_text::of_store)?;
    operator.close().await;
    answer(
        asked.cloud.json,
        || format!("logging of {} is {}", called(&device), logging(wanted, expires)),
        || json!({ "id": device.id.as_str(), "name": device.name, "logging": wanted, "logging_expires": expires.map(timestamp::exact) }),
    );
    Ok(())
}

/// When a time that begins now is over; none for `ever`.
fn expiry(span: &str) -> Result<Option<i64>, Failure> {
    if span == "ever" {
        return Ok(None);
    }
    let millis = timestamp::duration(span).filter(|millis| *millis > 0);
    let expires = millis.and_then(|millis| wall_millis().checked_add(millis));
    expires.map(Some).ok_or_else(|| {
        Failure::bad_input(format!("--for {}: this is no time", printable(span)))
            .hint("say how long (90s, 10m, 24h, 7d), or ever")
    })
}

async fn revoke_one(revoke: &RevokeArguments) -> Result<(), Failure> {
    let operator = Operator::open(&revoke.cloud.data, revoke.cloud.account.as_deref()).await?;
    let device = operator.device(&revoke.device).await?;
    if !revoke.yes {
        confirm(&device, revoke.forget)?;
    }
    let new = operator.store().revoke_device(device.id).await.map_err(error_text::of_store)?;
    if revoke.forget {
        operator.store().remove_device(device.id).await.map_err(error_text::of_store)?;
    }
    let cloud_runs = operator.is_cloud_running()?;
    operator.close().await;
    let id = device.id.as_str();
    answer(
        revoke.cloud.json,
        || revoked(&device, new, revoke.forget, cloud_runs),
        || json!({ "id": id, "name": device.name, "revoked": true, "new": new, "forgotten": revoke.forget }),
    );
    Ok(())
}

fn revoked(device: &Device, new: bool, forgotten: bool, cloud_runs: bool) -> String {
    let done = match (new, forgotten) {
        (true, true) => "revoked and forgot",
        (false, true) => "forgot",
        (true, false) => "revoked",
        (false, false) => return format!("{} had been revoked before", called(device)),
    };
    let seconds = PRESENCE_INTERVAL.as_secs() + 1;
    let then = if cloud_runs {
        format!("\n  the running cloud ends its connection, if it has one, within {seconds} seconds")
    } else {
        String::new()
    };
    format!("{done} {}{then}", called(device))
}

/// Asks on a terminal; elsewhere nobody could answer.
fn confirm(device: &Device, forget: bool) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::bad_input(format!("revoking {} has to be confirmed", called(device)))
            .hint("say --yes where nobody can be asked"));
    }
    let also = if forget { " Its settings and log lines are removed." } else { "" };
    let question = format!("Revoke {}?\nIt cannot connect any more, for good.{also} [y/N] ", called(device));
    let mut answer = String::new();
    let asked = write!(anstream::stderr(), "{question}").and_then(|()| io::stdin().read_line(&mut answer));
    match asked {
        Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
        _ => Err(Failure::not_happened(format!("{} is not revoked", called(device)))),
    }
}
