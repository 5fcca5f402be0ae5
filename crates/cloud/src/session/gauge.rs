//! One contribution to a gauge that many sessions share.

use prometheus::IntGauge;

/// A value that is part of a gauge until it is dropped, also when the session panics or the cloud drops it while
/// stopping.
pub(super) struct GaugeShare {
    gauge: IntGauge,
    value: usize,
}

impl GaugeShare {
    pub(super) fn new(gauge: IntGauge) -> Self {
        Self { gauge, value: 0 }
    }

    pub(super) fn set(&mut self, value: usize) {
        let before = std::mem::replace(&mut self.value, value);
        if value != before {
            self.gauge.add(value.cast_signed() as i64 - before.cast_signed() as i64);
        }
    }
}

impl Drop for GaugeShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_go_with_their_owners() {
        let gauge = IntGauge::new("bytes", "Bytes.").expect("a gauge");
        let (mut first, mut second) = (GaugeShare::new(gauge.clone()), GaugeShare::new(gauge.clone()));
        first.set(10);
        second.set(5);
        first.set(3);
        assert_eq!(gauge.get(), 8);
        drop(first);
        assert_eq!(gauge.get(), 5);
        drop(second);
        assert_eq!(gauge.get(), 0);
    }
}
