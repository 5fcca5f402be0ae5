//! Warnings at the start of a cloud: what they name would otherwise be noticed only when a device or an intruder
//! connects (D324).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ::cloud::Config;
use ::cloud::destinations::Range;

/// Logs a warning for everything that is exposed, and for a cloud that no device elsewhere accepts.
pub(super) fn warn(config: &Config, has_names: bool) {
    for warning in warnings(config.listen, config.metrics, has_names) {
        tracing::warn!(name: "start_warning", "{warning}");
    }
    if let Some(range) = everyone(&config.proxies) {
        tracing::warn!(
            name: "start_warning",
            "--proxy-protocol {range}: anyone who can reach the port chooses the address that limits and log have; \
             name the load balancer's address only"
        );
    }
}

fn warnings(listen: SocketAddr, metrics: Option<SocketAddr>, has_names: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if listen.ip().is_unspecified() && !has_names {
        warnings.push(format!(
            "--listen {listen} without --name: the certificate names localhost, 127.0.0.1 and ::1 only, so that no \
             device on another machine can connect; add --name HOST with the name or address that devices use"
        ));
    }
    if let Some(metrics) = metrics.filter(|metrics| !metrics.ip().is_loopback()) {
        warnings.push(format!(
            "--metrics {metrics}: anyone who can reach this address can read health and metrics, without a password; \
             use 127.0.0.1, or let a firewall admit the collector only"
        ));
    }
    warnings
}

/// A range of load balancers that contains every address of a family.
fn everyone(proxies: &[Range]) -> Option<&Range> {
    let far = [IpAddr::from([198, 51, 100, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
    let near = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1])];
    let contains_all =
        |range: &&Range| far.iter().zip(near).any(|(far, near)| range.contains(*far) && range.contains(near));
    proxies.iter().find(contains_all)
}

/// Whether the data folder is complete.
pub(super) fn is_complete(data: &Path) -> bool {
    data.join("VERSION").exists()
}

/// Says that a first start that failed has left a data folder.
pub(super) fn warn_of_new_folder(data: &Path) {
    if is_complete(data) {
        let data = data.display();
        tracing::warn!(name: "folder_created", "the data folder {data} was created with new keys; the next start uses it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D356.
    #[test]
    fn believing_everyone_is_warned_of() {
        let is_warned = |range: &str| everyone(&[range.parse().unwrap()]).is_some();
        assert!(is_warned("0.0.0.0/0") && is_warned("::/0"));
        assert!(!is_warned("10.0.0.0/8") && !is_warned("fd00::/8") && !is_warned("192.0.2.1"));
    }

    /// Shows D324.
    #[test]
    fn what_is_exposed_or_unreachable_is_warned_of() {
        let count = |listen: &str, metrics: Option<&str>, has_names| {
            let metrics = metrics.map(|metrics| metrics.parse().unwrap());
            warnings(listen.parse().unwrap(), metrics, has_names).len()
        };
        assert_eq!(count("127.0.0.1:7883", Some("127.0.0.1:7884"), false), 0);
        assert_eq!(
            count("192.0.2.7:7883", Some("[::1]:7884"), false),
            0,
            "its certificate names the address"
        );
        assert_eq!(count("0.0.0.0:7883", None, true), 0);
        assert_eq!(count("0.0.0.0:7883", None, false), 1);
        assert_eq!(count("[::]:7883", Some("0.0.0.0:7884"), false), 2);
    }
}
