use super::*;
use crate::memory_map::CLOCK_HZ;

const SECOND: u64 = CLOCK_HZ as u64;

fn pin(text: &str, level: bool) -> Input<'static> {
    Input::Pin { pin: text.parse().expect("a pin"), level }
}

/// Shows D216.
#[test]
fn a_pin_is_driven_at_its_times() {
    let parsed = parse_pin("PB11=0@5s,1@5.2s,0").expect("stimuli");
    let expected = [(5 * SECOND, false), (5 * SECOND + SECOND / 5, true), (0, false)];
    assert_eq!(parsed, expected.map(|(at, level)| Stimulus { at, input: pin("PB11", level) }));
    let mut schedule = Schedule::new(parsed);
    let driven = |level| format!("{:?}", pin("PB11", level));
    let mut delivered = |now| {
        let mut inputs = Vec::new();
        schedule.deliver_due(now, |input| {
            inputs.push(format!("{input:?}"));
            Ok(())
        });
        (inputs, schedule.next_timeout())
    };
    assert_eq!(delivered(0), (vec![driven(false)], Some(5 * SECOND)));
    assert_eq!(delivered(5 * SECOND - 1), (vec![], Some(5 * SECOND)));
    assert_eq!(delivered(5 * SECOND), (vec![driven(false)], Some(5 * SECOND + SECOND / 5)));
}

/// Shows D216.
#[test]
fn times_have_units() {
    for (text, cycles) in [
        ("PA0=1@0", 0),
        ("PA0=1@1", SECOND),
        ("PA0=1@1.5s", SECOND * 3 / 2),
        ("PA0=1@250ms", SECOND / 4),
        ("PA0=1@0.5ms", SECOND / 2000),
        ("PA0=1@10us", 1600),
        ("PA0=1@2m", 120 * SECOND),
    ] {
        assert_eq!(parse(text).expect("a stimulus").at, cycles, "{text}");
    }
}

#[test]
fn a_script_has_a_line_for_each() {
    let script = "# button\n\n0.5s PB11=0\n  600ms   PB11=1\n1s serial:2=say \\\"@5s\\x21\\n\n";
    assert!(parse_script(script).expect_err("refused").0.starts_with("line 5:"));
    let script = script.replace("\\\"", "");
    let parsed = parse_script(&script).expect("stimuli");
    assert_eq!(
        parsed[..2],
        [
            Stimulus { at: SECOND / 2, input: pin("PB11", false) },
            Stimulus { at: SECOND * 3 / 5, input: pin("PB11", true) },
        ]
    );
    let said = Input::Serial { port: 2, bytes: b"say @5s!\n".into() };
    assert_eq!(parsed[2], Stimulus { at: SECOND, input: said });
}

#[test]
fn text_for_a_serial_port_may_contain_any_character() {
    let bytes = |text: &str| match parse(text).expect("a stimulus") {
        Stimulus { at, input: Input::Serial { bytes, .. } } => (at, bytes.to_vec()),
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes("serial:2=a=b,c@host"), (0, b"a=b,c@host".to_vec()));
    assert_eq!(bytes("serial:lp1=a@b@2s"), (2 * SECOND, b"a@b".to_vec()));
    assert_eq!(bytes("serial:1=\\\\\\t\\0\\xff\u{e9}"), (0, b"\\\t\0\xFF\xC3\xA9".to_vec()));
}

#[test]
fn what_is_wrong_is_said() {
    for (text, expected) in [
        ("PZ1=0", "PZ1 is not a pin, such as PF3"),
        ("PB16=0", "PB16 is not a pin, such as PF3"),
        ("PB11", "PB11 is not TARGET=VALUE"),
        ("PB11=2", "2 is not a level of a pin; expected 0 or 1"),
        ("PB11=0@5h", "5h is not a time"),
        ("PB11=0@1e3", "1e3 is not a time"),
        ("PB11=0@99999999", "99999999 is not a time"),
        ("PB11=0@1.0000000000000000000000s", "is not a time"),
        ("serial:6=x", "6 is not a serial port; expected 1 to 5 or lp1"),
        ("serial:2=\\q", "after \\ come"),
        ("serial:2=\\x4", "after \\ come"),
        ("i2c:1:temperature=3", "is not i2c:BUS@ADDRESS:NAME"),
        ("i2c:1@0x18:temperature=warm", "warm is not a number"),
        ("i2c:1@0x18:tap=w", "w is not an axis to tap"),
    ] {
        let error = parse(text).expect_err(text).0;
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(parse_pin("PB11@5s").is_err() && parse_pin("PB11=0@5s,").is_err());
}

#[test]
fn what_is_not_wired_is_said() {
    let wired = ["1:mcp9808", "1:lis3dh@0x19"].map(|text| Attachment::i2c(text).expect("a wiring"));
    let checked = |text: &str| check(&[parse(text).expect("a stimulus")], &wired).map_err(|error| error.0);
    for text in ["PA0=1", "i2c:1@0x18:temperature=30", "i2c:1@25:tap=-z", "i2c:1@0x19:x=0.5"] {
        assert_eq!(checked(text), Ok(()), "{text}");
    }
    for (text, expected) in [
        ("i2c:2@0x18:temperature=3", "nothing is wired to address 0x18 of I2C2"),
        ("i2c:1@0x18:humidity=3", "a mcp9808 has no humidity; it has: temperature"),
        ("i2c:1@0x18:tap=x", "a mcp9808 has no tap"),
        ("i2c:1@0x19:w=3", "it has: x y z tap"),
        ("i2c:1@0x18:temperature=300", "a mcp9808 goes from -40 to 125"),
    ] {
        let error = checked(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}
