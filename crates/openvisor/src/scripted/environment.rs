//! What surrounds the device in a script: broker, web server, link, wiring.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use cloud::connector::RehearsalServer;
use demo_broker::{Login, REFUSALS, Requirements};
use device::wiring::{self, Attachment};
use relay::{ConnectError, HttpError};
use serde::Deserialize;
use serde_json::Value;

use super::content::{self, Hex};
use super::values::Span;
use crate::operate::settings;
use crate::output::exit::Failure;

/// The slowest link, in bytes per second: at this rate a certificate takes about a minute.
const MIN_RATE: u64 = 30;

/// The broker.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Broker {
    /// Its name; without it, every name is the broker's.
    pub(crate) host: Option<String>,
    /// Its port; without it, every port is the broker's.
    pub(crate) port: Option<u16>,
    /// It is not running at first.
    #[serde(default)]
    pub(crate) stopped: bool,
    refuse: Option<String>,
    username: Option<String>,
    password: Option<String>,
    tls: Option<BrokerTls>,
}

/// What the broker requires of clients; what is left out is not required.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BrokerRequirements {
    /// Every CONNECT is refused, for this reason.
    refuse: Option<String>,
    username: Option<String>,
    password: Option<String>,
    /// The broker speaks TLS, and nothing else, with these files.
    pub(crate) tls: Option<BrokerTls>,
}

/// The broker's TLS: PEM files, relative to the script.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BrokerTls {
    /// Its certificate, and those above it.
    certificate: PathBuf,
    key: PathBuf,
    /// The authorities of clients' certificates, which are then required.
    client_ca: Option<PathBuf>,
    /// Made of the files when the script is read.
    #[serde(skip)]
    pub(crate) server: Option<RehearsalServer>,
}

impl Broker {
    /// What it requires at first.
    pub(crate) fn requirements(&self) -> BrokerRequirements {
        let Self { refuse, username, password, tls, .. } = self;
        BrokerRequirements {
            refuse: refuse.clone(),
            username: username.clone(),
            password: password.clone(),
            tls: tls.clone(),
        }
    }

    /// Reads the files of TLS.
    pub(crate) fn read_files(&mut self, folder: &Path) -> Result<(), String> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.read_files(folder))
    }
}

impl BrokerRequirements {
    pub(super) fn check(&self) -> Result<(), String> {
        self.requirements()?;
        match (&self.username, &self.password) {
            (None, Some(_)) => Err("broker: a password needs a username".into()),
            _ => Ok(()),
        }
    }

    /// What the broker checks.
    pub(crate) fn requirements(&self) -> Result<Requirements, String> {
        let refusal = self.refuse.as_ref().map(|wanted| {
            let found = REFUSALS.iter().find(|refusal| refusal.name == wanted).copied();
            found.ok_or_else(|| {
                let names = REFUSALS.map(|refusal| format!("`{}`", refusal.name));
                format!("broker: unknown reason `{wanted}` to refuse, expected one of {}", names.join(", "))
            })
        });
        let login = self.username.as_ref().map(|user_name| Login {
            user_name: user_name.clone(),
            password: self.password.clone().unwrap_or_default().into_bytes(),
        });
        Ok(Requirements { refusal: refusal.transpose()?, login })
    }

    /// Reads the files of TLS.
    pub(crate) fn read_files(&mut self, folder: &Path) -> Result<(), String> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.read_files(folder))
    }
}

impl BrokerTls {
    fn read_files(&mut self, folder: &Path) -> Result<(), String> {
        let client_ca = self.client_ca.as_ref().map(|path| folder.join(path));
        let (certificate, key) = (folder.join(&self.certificate), folder.join(&self.key));
        let server = RehearsalServer::from_files(&certificate, &key, client_ca.as_deref());
        self.server = Some(server.map_err(|error| format!("broker: tls: {error}"))?);
        Ok(())
    }
}

impl fmt::Display for BrokerRequirements {
    /// Names neither user nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refuse {
            Some(reason) => write!(f, "the broker refuses clients: {reason}")?,
            None => f.write_str("the broker accepts clients")?,
        }
        if self.username.is_some() {
            f.write_str(" with a user name and a password")?;
        }
        match &self.tls {
            Some(BrokerTls { client_ca: Some(_), .. }) => f.write_str(", over TLS with a client certificate"),
            Some(_) => f.write_str(", over TLS"),
            None => Ok(()),
        }
    }
}

/// An answer of the web server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HttpAnswer {
    /// The URL, exactly as the application requests it.
    pub(crate) url: String,
    /// The method; without it, every method.
    pub(crate) method: Option<String>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    body: Option<String>,
    hex: Option<Hex>,
    json: Option<Value>,
    /// How long the server takes to answer.
    #[serde(default)]
    pub(crate) delay: Span,
    /// There is no answer, for this reason.
    fail: Option<HttpFailure>,
}

const fn ok() -> u16 {
    200
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HttpFailure {
    /// The host name has no address.
    NameNotResolved,
    /// Nothing listens on the port.
    Refused,
    /// There is no connection in time.
    TimedOut,
    /// The server's certificate is from an unknown authority.
    UnknownCa,
    /// The server's certificate has expired.
    CertificateExpired,
    /// The server closes the connection before its answer is complete.
    Cut,
    /// What the server sends is not HTTP.
    NotHttp,
}

impl HttpAnswer {
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.url.starts_with("https:") {
            return Err(format!("http: {:?} is not an https URL, and applications use no other", self.url));
        }
        if !(200..=999).contains(&self.status) {
            return Err(format!("http: status {} is not from 200 to 999", self.status));
        }
        let has_answer = self.body.is_some() || self.hex.is_some() || self.json.is_some();
        if self.fail.is_some() && (has_answer || self.status != ok() || !self.headers.is_empty()) {
            return Err("http: with fail there is no answer, and so no status, headers or body".into());
        }
        self.bytes().map(|_| ())
    }

    /// The body.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        content::bytes("body", self.body.as_deref(), self.hex.as_ref(), self.json.as_ref())
    }

    /// Why there is no answer, if there is none.
    pub(super) fn failure(&self) -> Option<HttpError> {
        use ConnectError as C;
        use HttpFailure as F;
        Some(match self.fail? {
            F::NameNotResolved => HttpError::Connection(C::NameNotResolved),
            F::Refused => HttpError::Connection(C::Refused),
            F::TimedOut => HttpError::Connection(C::TimedOut),
            F::UnknownCa => HttpError::Connection(C::UnknownCa),
            F::CertificateExpired => HttpError::Connection(C::CertificateExpired),
            F::Cut => HttpError::Broken,
            F::NotHttp => HttpError::NotHttp("it is not a status line".into()),
        })
    }
}

impl fmt::Display for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = text::redacted_url(&self.url);
        match self.failure() {
            None => write!(f, "answer of {url}: {}", self.status),
            Some(error) => write!(f, "no answer of {url}: {error}"),
        }
    }
}

/// How fast the link between device and cloud is.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LinkQuality {
    /// How long bytes are on their way, in each direction.
    pub(crate) delay: Option<Span>,
    /// How many bytes pass in a second, in each direction; without it there is no limit.
    pub(crate) bytes_per_second: Option<u64>,
}

impl LinkQuality {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.bytes_per_second {
            Some(rate) if rate < MIN_RATE => {
                Err(format!("link: bytes-per-second is {rate}; it has to be at least {MIN_RATE}"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for LinkQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the link has ")?;
        match self.delay {
            Some(delay) => write!(f, "a delay of {} s", delay.0.as_secs_f64())?,
            None => f.write_str("the usual delay")?,
        }
        match self.bytes_per_second {
            Some(rate) => write!(f, " and passes {rate} bytes per second"),
            None => Ok(()),
        }
    }
}

/// What is attached to the board, as the options of `openvisor run` say it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Wiring {
    #[serde(default)]
    i2c: Vec<String>,
    #[serde(default)]
    spi: Vec<String>,
}

impl Wiring {
    pub(crate) fn attachments(&self) -> Result<Vec<Attachment>, String> {
        let i2c = self.i2c.iter().map(|text| Attachment::i2c(text));
        let spi = self.spi.iter().map(|text| Attachment::spi(text));
        let all = i2c.chain(spi).collect::<Result<Vec<_>, _>>().map_err(|error| error.0)?;
        wiring::check(&all).map_err(|error| error.0)?;
        Ok(all)
    }
}

/// Replaces values that are written as `@FILE` by the text of the file, relative to `folder`, as `--config` does.
pub(super) fn read_settings(values: &mut BTreeMap<String, String>, folder: &Path) -> Result<(), String> {
    for (key, value) in values {
        let Some(rest) = value.strip_prefix('@') else { continue };
        let given =
            if rest.starts_with('@') { value.clone() } else { format!("@{}", folder.join(rest).display()) };
        *value = settings::read_value("setting", key, &given).map_err(|failure| one_line(&failure))?;
    }
    Ok(())
}

fn one_line(failure: &Failure) -> String {
    failure.to_string().replace("\n ", ";")
}

pub(super) fn check_settings(values: &BTreeMap<String, String>) -> Result<(), String> {
    values.iter().try_for_each(|(key, value)| {
        settings::check_key("setting", key)
            .and_then(|()| settings::check_value("setting", key, value))
            .map_err(|failure| one_line(&failure))
    })
}
