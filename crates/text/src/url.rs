//! URLs and hosts without what may be a credential.

use std::fmt::Write as _;

use url::Url;

/// Replaces a part that is not shown.
const REDACTED: char = '…';

/// Scheme, host, port and path of `url`. User, password, query and fragment are replaced by `…`, and so is a segment of
/// the path with an `@`: it may be part of a password that was not percent-encoded. Of text that is not a URL only the
/// length is shown, because any part of it could be a credential.
pub fn redacted_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if parsed.has_host() => shown(&parsed),
        _ => format!("an invalid URL of {} bytes", url.len()),
    }
}

fn shown(url: &Url) -> String {
    let mut text = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        let _ = write!(text, "{REDACTED}@");
    }
    text.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        let _ = write!(text, ":{port}");
    }
    let path: Vec<String> = url.path().split('/').map(redacted_segment).collect();
    text.push_str(&path.join("/"));
    match (url.query(), url.fragment()) {
        (Some(_), _) => text.extend(['?', REDACTED]),
        (None, Some(_)) => text.extend(['#', REDACTED]),
        (None, None) => {}
    }
    text
}

fn redacted_segment(segment: &str) -> String {
    if segment.contains('@') || segment.contains("%40") { REDACTED.to_string() } else { segment.to_owned() }
}

/// A host that an application gave. Names and addresses are shown. Some applications give a URL instead, or a user
/// before an `@`; those are shown as by [`redacted_url`].
pub fn redacted_host(host: &str) -> String {
    if !host.contains(['@', '/', '?', '#', '\\']) {
        return host.to_owned();
    }
    if host.contains("://") {
        return redacted_url(host);
    }
    match Url::parse(&format!("mqtt://{host}")) {
        Ok(parsed) if parsed.has_host() => shown(&parsed).replacen("mqtt://", "", 1),
        _ => format!("an invalid host of {} bytes", host.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D206.
    #[test]
    fn credentials_of_a_url_are_redacted() {
        for (url, expected) in [
            ("https://bob:Pa55word@127.0.0.1:9/x?token=Qu3ry", "https://…@127.0.0.1:9/x?…"),
            ("https://token@a.example", "https://…@a.example/"),
            ("https://:pw@a.example/", "https://…@a.example/"),
            ("http://a.example/b#frag", "http://a.example/b#…"),
            ("https://u:p%40ss@a.example/b", "https://…@a.example/b"),
            ("https://u:p@ss@a.example/b", "https://…@a.example/b"),
            ("https:\\\\u:pw@a.example\\b", "https://…@a.example/b"),
            ("https:u:pw@a.example", "https://…@a.example/"),
            ("HTTPS://U:PW@A.EXAMPLE/B", "https://…@a.example/B"),
            ("  https://u:\np\tw@[::1]:8443/x ", "https://…@[::1]:8443/x"),
            ("https://bob:12/pass@a.example/x", "https://bob:12/…/x"),
            ("https://a.example/plain/path;v=1", "https://a.example/plain/path;v=1"),
            // The password is not percent-encoded, so it is unknown where the host begins.
            ("https://u:pa/ss@a.example", "an invalid URL of 25 bytes"),
            ("https://u:pa#ss@a.example", "an invalid URL of 25 bytes"),
            ("u:pass@a.example/x", "an invalid URL of 18 bytes"),
            ("mailto:u:pass@a.example", "an invalid URL of 23 bytes"),
            ("", "an invalid URL of 0 bytes"),
        ] {
            assert_eq!(redacted_url(url), expected, "{url:?}");
        }
    }

    /// Shows D206.
    #[test]
    fn credentials_before_a_host_are_redacted() {
        for (host, expected) in [
            ("broker.example", "broker.example"),
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "::1"),
            ("u:pw@broker.example", "…@broker.example"),
            ("mqtts://u:pw@broker.example:8883", "mqtts://…@broker.example:8883"),
            ("broker.example/?token=x", "broker.example/?…"),
            ("@@/:", "an invalid host of 4 bytes"),
        ] {
            assert_eq!(redacted_host(host), expected, "{host:?}");
        }
    }
}
