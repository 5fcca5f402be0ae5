//! The URL of a store, and how a connection to it is secured.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// Parameters of a PostgreSQL URL that the driver knows; it would ignore any other silently.
const OPTIONS: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Values of `sslmode`, as in the driver and libpq.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The database of a store: the file in the data folder, or a database of a PostgreSQL server. `Display` and `Debug`
/// omit the password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite`: the file in the data folder.
    Folder,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(Url),
}

/// Why a text is not the URL of a store. The messages do not repeat the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// Neither of the two forms.
    #[error("a store is `sqlite`, or postgres://USER@HOST/DATABASE")]
    Form,
    /// The name of the database is missing.
    #[error("the database is missing; write postgres://USER@HOST/DATABASE")]
    Database,
    /// An unknown parameter, which would be ignored.
    #[error(
        "the parameters of a store are sslmode, sslrootcert, sslcert, sslkey, host, port, user, password, dbname, options"
    )]
    Option,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if text == "sqlite" {
            return Ok(Self::Folder);
        }
        let url = Url::parse(text).map_err(|_| StoreUrlError::Form)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.cannot_be_a_base() {
            return Err(StoreUrlError::Form);
        }
        if url.query_pairs().any(|(name, _)| !OPTIONS.contains(&&*name)) {
            return Err(StoreUrlError::Option);
        }
        let is_named = url.path().len() > 1 || url.query_pairs().any(|(name, _)| name == "dbname");
        if is_named { Ok(Self::Postgres(url)) } else { Err(StoreUrlError::Database) }
    }
}

impl StoreUrl {
    /// The complete URL for the driver. Unless something else is configured, a server on another machine is reached by
    /// TLS only, and its certificate must be valid for the host (D187): the driver's own default is to continue in
    /// plain text, password included, when the server offers no TLS.
    pub(crate) fn for_driver(&self) -> String {
        self.secured(|name| std::env::var(name).ok())
    }

    fn secured(&self, variable: impl Fn(&str) -> Option<String>) -> String {
        let Self::Postgres(url) = self else { return self.with_password().to_owned() };
        // The driver ignores an invalid value of the variable.
        let of_variable = variable("PGSSLMODE").is_some_and(|mode| SSL_MODES.contains(&mode.as_str()));
        let is_configured = of_variable || url.query_pairs().any(|(name, _)| name == "sslmode");
        let mut secured = url.clone();
        if !is_configured && !is_local(url, variable) {
            secured.query_pairs_mut().append_pair("sslmode", "verify-full");
        }
        secured.into()
    }

    /// The complete URL, password included, for the data folder's record.
    pub(crate) fn with_password(&self) -> &str {
        match self {
            Self::Folder => "sqlite",
            Self::Postgres(url) => url.as_str(),
        }
    }
}

/// Whether the server is on this machine: a Unix socket or a loopback address. Without a host the driver tries a
/// socket, then `localhost`.
fn is_local(url: &Url, variable: impl Fn(&str) -> Option<String>) -> bool {
    let of_query = url.query_pairs().filter(|(name, _)| name == "host" || name == "hostaddr");
    let of_query = of_query.last().map(|(_, value)| value.into_owned());
    let of_url = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let host = of_query.or(of_url).or_else(|| variable("PGHOSTADDR")).or_else(|| variable("PGHOST"));
    host.is_none_or(|host| is_local_host(&host))
}

fn is_local_host(host: &str) -> bool {
    // In a URL the slashes of a socket's path are written as %2F.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_socket =
        host.starts_with('/') || host.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2F"));
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
    is_socket || is_loopback || host.eq_ignore_ascii_case("localhost")
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Postgres(url) = self else { return f.write_str("cloud.db") };
        let mut shown = url.clone();
        // This fails for a URL without a host, which cannot contain a password.
        let _ = shown.set_password(None);
        shown.set_query(None);
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_shows_itself_without_its_password() {
        for text in [
            "postgres://ann:hush@db.example:5433/fleet?sslmode=require",
            "postgresql://ann@db.example/fleet?password=hush&user=ann",
            "postgres:///fleet?host=/run/postgresql&password=hush",
        ] {
            let url: StoreUrl = text.parse().expect("a store");
            assert!(!format!("{url} {url:?}").contains("hush"), "{url}");
            assert!(format!("{url}").contains("fleet"), "{url}");
            assert_eq!(url.with_password(), text);
        }
        assert_eq!("sqlite".parse(), Ok(StoreUrl::Folder));
    }

    /// Shows D187.
    #[test]
    fn another_machine_is_reached_by_verified_tls_unless_configured_otherwise() {
        let secured = |text: &str, variables: &[(&str, &str)]| {
            let variable = |wanted: &str| {
                variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            };
            text.parse::<StoreUrl>().expect("a store").secured(variable)
        };
        for (text, with) in [
            ("postgres://u:p@db.example/d", "?sslmode=verify-full"),
            ("postgres://u@192.0.2.1:5433/d", "?sslmode=verify-full"),
            ("postgres://u@[2001:db8::1]/d", "?sslmode=verify-full"),
            ("postgres:///d?host=db.example", "&sslmode=verify-full"),
            ("postgres://localhost/d?hostaddr=192.0.2.1", "&sslmode=verify-full"),
            ("postgres://localhost.example/d", "?sslmode=verify-full"),
        ] {
            assert_eq!(secured(text, &[]), format!("{text}{with}"));
            assert_eq!(secured(text, &[("PGSSLMODE", "disable")]), text, "the variable decides");
        }
        for text in [
            "sqlite",
            "postgres://u@db.example/d?sslmode=disable",
            "postgres://u@db.example/d?sslmode=prefer",
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.2:5433/d",
            "postgres://u@[::1]/d",
            "postgres:///d",
            "postgres:///d?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/d",
        ] {
            assert_eq!(secured(text, &[]), text);
        }
        assert!(secured("postgres:///d", &[("PGHOST", "db.example")]).ends_with("sslmode=verify-full"));
        assert_eq!(secured("postgres:///d", &[("PGHOST", "/run/postgresql")]), "postgres:///d");
        assert!(secured("postgres://h/d", &[("PGSSLMODE", "off")]).ends_with("sslmode=verify-full"));
    }

    #[test]
    fn an_invalid_url_is_refused_without_being_repeated() {
        let refused = |text: &str| text.parse::<StoreUrl>().expect_err("refused");
        for text in ["", "mysql://u:hush@h/d", "postgres:hush", "/var/lib/hush.db", "sqlite:hush"] {
            assert_eq!(refused(text), StoreUrlError::Form, "{text}");
        }
        assert_eq!(refused("postgres://u:hush@h"), StoreUrlError::Database);
        assert_eq!(refused("postgres://u:hush@h/"), StoreUrlError::Database);
        assert_eq!(refused("postgres://h/d?passwd=hush"), StoreUrlError::Option);
    }
}
