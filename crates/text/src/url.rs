//! Addresses without what is often a credential.

use std::fmt::Write as _;

use url::Url;

/// What stands for a part that is not shown.
const MASK: char = '…';

/// `url` as far as it may be shown: scheme, host, port and path. User, password, query and fragment are `…`, as are
/// parts of the path with an `@`, which may be a password that was not written as the format asks. Of what is no URL
/// only the length is shown: nobody knows which part of it would be a credential.
pub fn masked_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if parsed.has_host() => shown(&parsed),
        _ => format!("an invalid URL of {} bytes", url.len()),
    }
}

fn shown(url: &Url) -> String {
    let mut text = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        let _ = write!(text, "{MASK}@");
    }
    text.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        let _ = write!(text, ":{port}");
    }
    let path: Vec<String> = url.path().split('/').map(masked_segment).collect();
    text.push_str(&path.join("/"));
    match (url.query(), url.fragment()) {
        (Some(_), _) => text.extend(['?', MASK]),
        (None, Some(_)) => text.extend(['#', MASK]),
        (None, None) => {}
    }
    text
}

fn masked_segment(segment: &str) -> String {
    if segment.contains('@') || segment.contains("%40") { MASK.to_string() } else { segment.to_owned() }
}

/// The name of a host that an application gave, as far as it may be shown: a name or an address is; what some take for
/// a host, a URL or a user before an `@`, is shown as [`masked_url`] does.
pub fn masked_host(host: &str) -> String {
    if !host.contains(['@', '/', '?', '#', '\\']) {
        return host.to_owned();
    }
    if host.contains("://") {
        return masked_url(host);
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
    fn credentials_of_a_url_are_masked() {
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
            // The password is not written as the format asks: no host can be told from it.
            ("https://u:pa/ss@a.example", "an invalid URL of 25 bytes"),
            ("https://u:pa#ss@a.example", "an invalid URL of 25 bytes"),
            ("u:pass@a.example/x", "an invalid URL of 18 bytes"),
            ("mailto:u:pass@a.example", "an invalid URL of 23 bytes"),
            ("", "an invalid URL of 0 bytes"),
        ] {
            assert_eq!(masked_url(url), expected, "{url:?}");
        }
    }

    /// Shows D206.
    #[test]
    fn credentials_before_a_host_are_masked() {
        for (host, expected) in [
            ("broker.example", "broker.example"),
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "::1"),
            ("u:pw@broker.example", "…@broker.example"),
            ("mqtts://u:pw@broker.example:8883", "mqtts://…@broker.example:8883"),
            ("broker.example/?token=x", "broker.example/?…"),
            ("@@/:", "an invalid host of 4 bytes"),
        ] {
            assert_eq!(masked_host(host), expected, "{host:?}");
        }
    }
}
