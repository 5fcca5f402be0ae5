//! Which database the store is.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Words of a PostgreSQL URL that the driver knows; another would be passed over without a word.
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

/// Which database the store is: the file in the data folder, or one of a PostgreSQL server. Shown to people it has no password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite`: the file in the data folder.
    Folder,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(Url),
}

/// Why a text names no store. The text itself is in no message: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// Neither of the two forms.
    #[error("a store is `sqlite`, or postgres://USER@HOST/DATABASE")]
    Form,
    /// It does not say which database.
    #[error("the database is missing; write postgres://USER@HOST/DATABASE")]
    Database,
    /// Something behind the `?` that nobody would heed.
    #[error(
        "behind the ? may stand sslmode, sslrootcert, sslcert, sslkey, host, port, user, password, dbname, options"
    )]
    Option,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<StoreUrl, StoreUrlError> {
        if text == "sqlite" {
            return Ok(StoreUrl::Folder);
        }
        let url = Url::parse(text).map_err(|_| StoreUrlError::Form)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.cannot_be_a_base() {
            return Err(StoreUrlError::Form);
        }
        if url.query_pairs().any(|(name, _)| !OPTIONS.contains(&&*name)) {
            return Err(StoreUrlError::Option);
        }
        let is_named = url.path().len() > 1 || url.query_pairs().any(|(name, _)| name == "dbname");
        if is_named { Ok(StoreUrl::Postgres(url)) } else { Err(StoreUrlError::Database) }
    }
}

impl StoreUrl {
    /// The whole of it, password included: for the file it is remembered in.
    pub(crate) fn with_password(&self) -> &str {
        match self {
            StoreUrl::Folder => "sqlite",
            StoreUrl::Postgres(url) => url.as_str(),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreUrl::Postgres(url) = self else { return f.write_str("cloud.db") };
        let mut shown = url.clone();
        // It fails where there is no host: there is no password either then.
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

    #[test]
    fn what_is_no_store_is_refused_without_being_repeated() {
        let refused = |text: &str| text.parse::<StoreUrl>().expect_err("refused");
        for text in ["", "mysql://u:hush@h/d", "postgres:hush", "/var/lib/hush.db", "sqlite:hush"] {
            assert_eq!(refused(text), StoreUrlError::Form, "{text}");
        }
        assert_eq!(refused("postgres://u:hush@h"), StoreUrlError::Database);
        assert_eq!(refused("postgres://u:hush@h/"), StoreUrlError::Database);
        assert_eq!(refused("postgres://h/d?passwd=hush"), StoreUrlError::Option);
    }
}
