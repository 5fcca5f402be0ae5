use super::*;

fn peripheral_map() -> Vec<MappedPeripheral> {
    super::peripheral_map(PeripheralConfig::new(Box::new(|| 0), [0; 12]))
}

#[test]
fn no_two_peripherals_share_an_address() {
    for pair in peripheral_map().windows(2) {
        assert!(pair[0].base + pair[0].size <= pair[1].base, "{} and {}", pair[0].name, pair[1].name);
    }
}

#[test]
fn no_two_timers_or_ports_share_a_line() {
    let mut lines: Vec<u16> = tim::TIMERS.iter().map(|kind| kind.line).collect();
    lines.extend(usart::PORTS.iter().map(|kind| kind.line));
    lines.extend(i2c::BUSES.iter().map(|kind| kind.event_line));
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), count);
}

#[test]
fn no_access_to_any_register_panics() {
    for placed in &mut peripheral_map() {
        let (mut events, mut driven) = (Vec::new(), Vec::new());
        for value in [0, u32::MAX, 0x5555_5555, 0xAAAA_AAAA] {
            for offset in (0..placed.size).step_by(4) {
                let now = u64::from(offset) * 1000;
                let mut context = Context { now, bytes: 4, events: &mut events, driven: &mut driven };
                placed.peripheral.advance(&mut context);
                placed.peripheral.write(offset, RegisterWrite::word(value), &mut context);
                placed.peripheral.read(offset, &mut context);
                placed.peripheral.interrupts(&mut Lines::default());
                placed.peripheral.next_event();
            }
            let mut context = Context { now: 0, bytes: 4, events: &mut events, driven: &mut driven };
            placed.peripheral.reset(&mut context);
        }
    }
}

#[test]
fn a_narrow_write_changes_its_bytes_only() {
    let write = RegisterWrite { value: 0x0000_AA00, mask: 0x0000_FF00 };
    assert_eq!(write.apply_to(0x1111_1111, u32::MAX), 0x1111_AA11);
    assert_eq!(write.apply_to(0x1111_1111, 0x0F00), 0x1111_1A11);
    assert_eq!((write.ones(), write.zeros()), (0xAA00, 0x5500));
}

#[test]
fn shared_lines_are_high_while_one_source_is() {
    let mut lines = Lines::default();
    lines.set(5, true);
    lines.set(5, false);
    lines.set(125, true);
    let changed: Vec<_> = lines.changed_from(Lines::default()).collect();
    assert_eq!(changed, [(5, true), (125, true)]);
}

#[test]
fn every_reset_bit_names_a_peripheral_that_is_there() {
    let placed = peripheral_map();
    for register in (0x60..=0x80).step_by(4) {
        for base in rcc::Rcc::default().poke(rcc::BASE + register, u32::MAX, u32::MAX).expect("a register") {
            assert!(placed.iter().any(|placed| placed.base == base), "{base:#010x}");
        }
    }
}
