//! Which brokers use TLS although the application gave no TLS credentials.

/// Most ports there can be.
const MAX_PORTS: usize = 16;

/// Ports on which a broker is reached over TLS, verified with the public authorities, where the application gives no
/// TLS credentials: on these ports plain MQTT would reach no broker and expose the password to everyone on the way
/// (D196). On any other port that means plain TCP (M46).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsPorts {
    /// 0 is no port.
    ports: [u16; MAX_PORTS],
}

impl TlsPorts {
    /// No port: every connect without TLS credentials is plain TCP.
    pub const NONE: Self = Self { ports: [0; MAX_PORTS] };

    /// Whether the port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        port != 0 && self.ports.contains(&port)
    }

    /// With this port; `None` when there are 16 already.
    #[must_use]
    pub fn with(mut self, port: u16) -> Option<Self> {
        if !self.contains(port) {
            let slot = self.ports.iter_mut().find(|slot| **slot == 0)?;
            *slot = port;
        }
        Some(self)
    }

    /// Without this port.
    #[must_use]
    pub fn without(mut self, port: u16) -> Self {
        self.ports.iter_mut().filter(|slot| **slot == port).for_each(|slot| *slot = 0);
        self
    }
}

impl Default for TlsPorts {
    /// The ports IANA gives to MQTT over TLS and to HTTPS.
    fn default() -> Self {
        let mut ports = [0; MAX_PORTS];
        ports[..2].copy_from_slice(&[8883, 443]);
        Self { ports }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_added_and_taken_away() {
        let ports = TlsPorts::default();
        assert!(ports.contains(8883) && ports.contains(443) && !ports.contains(1883) && !ports.contains(0));
        let ports = ports.with(1884).expect("room").with(1884).expect("room").without(8883);
        assert!(ports.contains(1884) && !ports.contains(8883));
        assert!(!ports.without(1884).contains(1884));
    }

    #[test]
    fn there_are_sixteen_at_most() {
        let full = (1..=16).try_fold(TlsPorts::NONE, TlsPorts::with);
        assert!(full.is_some_and(|full| full.with(16).is_some() && full.with(17).is_none()));
    }
}
