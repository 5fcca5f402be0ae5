//! Which entries a trace has (D331).

use std::ops::BitOr;

use abi::Call;

use super::entry::Lane;

/// Bytes of a call's slot in the entry page.
const SLOT: u32 = 8;

/// What a trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceFilter {
    /// A bit for each call, by its slot.
    calls: u128,
    /// A bit for each lane but the application's, by its number.
    lanes: u8,
}

impl TraceFilter {
    /// Nothing.
    pub const NONE: Self = Self { calls: 0, lanes: 0 };

    /// Everything.
    pub const ALL: Self = Self { calls: u128::MAX, lanes: u8::MAX };

    /// What `name` stands for: a call of the public header, calls by a pattern with `*`, or a lane (`application` is
    /// all calls). Upper and lower case are the same. `None` if it stands for nothing.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name == Lane::Application.name() {
            return Some(Self { calls: u128::MAX, lanes: 0 });
        }
        if let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.name() == name) {
            return Some(Self { calls: 0, lanes: 1 << lane.number() });
        }
        let matching = Call::ALL
            .into_iter()
            .filter(|call| matches(name.as_bytes(), call.name().to_ascii_lowercase().as_bytes()));
        let calls = matching.fold(0, |calls, call| calls | bit(call));
        (calls != 0).then_some(Self { calls, lanes: 0 })
    }

    /// Every name that [`Self::parse`] accepts, without patterns.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Lane::ALL.into_iter().map(Lane::name).chain(Call::ALL.into_iter().map(Call::name))
    }

    /// Whether the trace shows the call.
    pub(crate) fn shows_call(self, call: Call) -> bool {
        self.calls & bit(call) != 0
    }

    /// Whether the trace shows what is neither a call nor the application's.
    pub(crate) fn shows(self, lane: Lane) -> bool {
        self.lanes >> lane.number() & 1 == 1
    }
}

impl BitOr for TraceFilter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self { calls: self.calls | other.calls, lanes: self.lanes | other.lanes }
    }
}

/// There are fewer slots than bits: see the test.
fn bit(call: Call) -> u128 {
    1u128.checked_shl(call.slot() / SLOT).unwrap_or(0)
}

/// Whether `pattern`, in which `*` is any number of characters, matches the whole of `text`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        (Some((own, rest)), Some((other, others))) => own == other && matches(rest, others),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D331.
    #[test]
    fn names_patterns_and_lanes_select() {
        let selected = |name| TraceFilter::parse(name).expect("known");
        let named = |filter: TraceFilter| Call::ALL.into_iter().filter(move |call| filter.shows_call(*call));
        assert_eq!(named(selected("mvGetMicroseconds")).collect::<Vec<_>>(), [Call::GetMicroseconds]);
        assert!(named(selected("mvMqtt*")).all(|call| call.name().starts_with("mvMqtt")));
        assert_eq!(named(selected("MVMQTT*PUBLISH")).collect::<Vec<_>>(), [Call::MqttRequestPublish]);
        assert_eq!(named(selected("application")).count(), Call::ALL.len());
        let both = selected("link") | selected("mvNoOp");
        assert!(both.shows(Lane::Link) && !both.shows(Lane::Kernel) && both.shows_call(Call::NoOp));
        for unknown in ["", "mvNo", "NoOp", "x*", "calls"] {
            assert_eq!(TraceFilter::parse(unknown), None, "{unknown}");
        }
        assert!(TraceFilter::names().all(|name| TraceFilter::parse(name).is_some()));
    }

    #[test]
    fn every_call_has_a_bit_of_its_own() {
        let all = Call::ALL.into_iter().fold(0u128, |all, call| all | bit(call));
        assert_eq!(all.count_ones() as usize, Call::ALL.len());
    }
}
