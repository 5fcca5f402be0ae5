use super::*;

fn board() -> Board {
    Board::new(Fittings { chance: Box::new(|| 7), unique: [9; 12], targets: Vec::new() }, Storage::default())
}

#[test]
fn registers_are_reached_by_their_address_and_width() {
    let mut board = board();
    board.write(0x4000_1028, 4, 0x0000_9F31, 0).expect("TIM6 PSC");
    assert_eq!(board.read(0x4000_1028, 4, 0), Ok(0x9F31));
    assert_eq!(board.read(0x4000_1029, 1, 0), Ok(0x9F));
    board.write(0x4000_1029, 1, 0xFFFF_FF12, 0).expect("its second byte");
    assert_eq!(board.read(0x4000_1028, 2, 0), Ok(0x1231));
}

#[test]
fn the_one_direct_read_of_the_clock_controller_is_zero() {
    let mut board = board();
    assert_eq!(board.read(0x4602_0C20, 4, 0), Ok(0));
    board.write(0x4602_0C20, 4, 0x7777, 0).expect("ignored");
    assert_eq!(board.peek(0x4602_0C20), Some(0));
    assert_eq!(board.take_outputs(), []);
}

#[test]
fn an_address_without_a_register_reads_zero_and_is_told_once() {
    let mut board = board();
    for _ in 0..3 {
        assert_eq!(board.read(0x4004_0000, 4, 0), Ok(0));
        assert_eq!(board.write(0x4004_0001, 1, 1, 0), Ok(()));
    }
    assert_eq!(board.take_outputs(), [Output::UnknownRegister { address: 0x4004_0000 }]);
}

#[test]
fn addresses_outside_the_peripheral_region_are_refused() {
    let mut board = board();
    for address in [0, 0x0BFA_0500, 0x3FFF_FFFC, 0x5000_0000, 0x5602_0C20, 0xA000_0000] {
        assert_eq!(board.read(address, 4, 0), Err(NoSuchAddress), "{address:#x}");
        assert_eq!(board.write(address, 4, 0, 0), Err(NoSuchAddress), "{address:#x}");
    }
}

#[test]
fn what_is_remembered_of_unknown_addresses_is_bounded() {
    let mut board = board();
    for address in (0x4100_0000..0x4101_0000).step_by(4) {
        board.read(address, 4, 0).expect("reads zero");
    }
    assert_eq!(board.unknown().count(), MAX_UNKNOWN);
    assert_eq!(board.take_outputs().len(), MAX_UNKNOWN);
}

#[test]
fn a_timer_raises_its_line_when_time_reaches_it() {
    let mut board = board();
    board.write(0x4000_102C, 4, 99, 0).expect("ARR");
    board.write(0x4000_100C, 4, 1, 0).expect("DIER");
    board.write(0x4000_1000, 4, 1, 0).expect("CR1");
    assert_eq!(board.next_event(), Some(100));
    board.advance(99);
    assert!(!board.lines().level(49));
    board.advance(100);
    assert!(board.lines().level(49));
    assert_eq!(board.next_event(), None);
}

#[test]
fn only_clock_control_and_one_flash_register_can_be_peeked() {
    let mut board = board();
    assert_eq!(board.peek(0x4602_0C1C), Some(0x0F));
    assert_eq!(board.peek(0x4002_2000), Some(0x104));
    for address in [0x4000_1000, 0x4202_0000, 0x4002_2004, 0x0800_0000, 0x2000_0000, 0x4602_0C1E] {
        assert_eq!(board.peek(address), None, "{address:#x}");
        assert!(!board.poke(address, u32::MAX, 1, 0), "{address:#x}");
    }
    assert!(!board.poke(0x4002_2000, u32::MAX, 0, 0));
}

#[test]
fn a_reset_bit_resets_its_peripheral() {
    let mut board = board();
    board.write(0x4000_1028, 4, 159, 0).expect("TIM6 PSC");
    assert!(board.poke(0x4602_0C74, 1 << 4, 1 << 4, 0));
    assert!(board.poke(0x4602_0C74, 1 << 4, 0, 0));
    assert_eq!(board.read(0x4000_1028, 4, 0), Ok(0));
}

#[test]
fn a_pin_from_outside_is_read_at_its_port() {
    let mut board = board();
    assert!(board.input(0x4202_0800, &Input::Pin { pin: 13, level: true }));
    assert_eq!(board.read(0x4202_0810, 4, 0), Ok(1 << 13));
    assert!(!board.input(0x4602_0C00, &Input::Pin { pin: 13, level: true }));
}

#[test]
fn after_reset_the_led_is_told_off() {
    let mut board = board();
    board.write(0x4202_0000, 4, 0xABFF_F7FF, 0).expect("MODER");
    board.write(0x4202_0018, 4, 1 << 5, 0).expect("BSRR");
    board.take_outputs();
    board.reset(0);
    assert_eq!(board.take_outputs(), [Output::Pin { port: 0, pin: 5, level: false }]);
}

#[test]
fn the_signature_lies_outside_the_peripheral_region() {
    assert_eq!(board().read(0x0BFA_0700, 4, 0), Ok(0x0909_0909));
}
