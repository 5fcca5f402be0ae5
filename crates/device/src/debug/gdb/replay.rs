//! What a debugger cannot do in a replay, because the run would then be another than the recorded one (D340).

/// Why a packet is refused in a replay, if it is: in words, as the packet's error reply has them.
pub(super) fn refusal(packet: &[u8]) -> Option<&'static str> {
    match packet {
        // GDB asks by an empty write whether it may write binary data.
        [b'X', rest @ ..] if rest.ends_with(b",0:") => None,
        [b'M' | b'X', ..] => Some("this is a replay: memory cannot be changed"),
        [b'G' | b'P', ..] => Some("this is a replay: registers cannot be changed"),
        // To continue somewhere else.
        [b'c' | b's', _, ..] => Some("this is a replay: registers cannot be changed"),
        [b'C' | b'S', rest @ ..] if rest.contains(&b';') => {
            Some("this is a replay: registers cannot be changed")
        }
        _ if packet.starts_with(b"vFlash") => Some("this is a replay: no other image can be loaded"),
        [b'R', ..] => Some(NO_RESET),
        _ if packet.starts_with(b"vRun") => Some(NO_RESET),
        _ => None,
    }
}

/// For `run` and `monitor reset`.
pub(super) const NO_RESET: &str =
    "this is a replay: it cannot be restarted by the debugger; start openvisor again for that";

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D340.
    #[test]
    fn packets_that_look_or_continue_are_not_refused() {
        for packet in [
            "m20000000,4",
            "g",
            "p3",
            "c",
            "s",
            "C05",
            "vCont;c",
            "vCont;r0,4",
            "Z1,8000000,2",
            "X20000000,0:",
        ] {
            assert_eq!(refusal(packet.as_bytes()), None, "{packet}");
        }
        for packet in [
            "M20000000,1:00",
            "X20000000,1:a",
            "P3=0",
            "G00",
            "c8000000",
            "S05;8000000",
            "R00",
            "vFlashErase:0,8",
        ] {
            assert!(refusal(packet.as_bytes()).is_some(), "{packet}");
        }
    }
}
