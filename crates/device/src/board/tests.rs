use super::*;

fn board() -> Board {
    Board::new(
        BoardConfig { entropy: Box::new(|| 7), unique: [9; 12], attachments: Vec::new() },
        Storage::default(),
    )
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
    assert_eq!(board.take_events(), []);
}

#[test]
fn an_address_without_a_register_reads_zero_and_is_reported_once() {
    let mut board = board();
    for _ in 0..3 {
        assert_eq!(board.read(0x4004_0000, 4, 0), Ok(0));
        assert_eq!(board.write(0x4004_0001, 1, 1, 0), Ok(()));
    }
    assert_eq!(board.take_events(), [BoardEvent::UnknownRegister { address: 0x4004_0000 }]);
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
    assert_eq!(board.take_events().len(), MAX_UNKNOWN);
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
    assert!(board.signal(0x4202_0800, &BoardSignal::Pin { pin: 13, level: true }, 0));
    assert_eq!(board.read(0x4202_0810, 4, 0), Ok(1 << 13));
    assert!(!board.signal(0x4602_0C00, &BoardSignal::Pin { pin: 13, level: true }, 0));
}

#[test]
fn after_reset_the_led_is_reported_off() {
    let mut board = board();
    board.write(0x4202_0000, 4, 0xABFF_F7FF, 0).expect("MODER");
    board.write(0x4202_0018, 4, 1 << 5, 0).expect("BSRR");
    board.take_events();
    board.reset(0);
    assert_eq!(board.take_events(), [BoardEvent::Pin { port: 0, pin: 5, level: false }]);
}

#[test]
fn the_signature_lies_outside_the_peripheral_region() {
    assert_eq!(board().read(0x0BFA_0700, 4, 0), Ok(0x0909_0909));
}

/// A kibibyte of RAM at 0x20000000.
struct Ram([u8; 1024]);

impl DirectMemory for Ram {
    fn load(&self, address: u32, bytes: u32) -> Option<u32> {
        let at = address.checked_sub(0x2000_0000)? as usize;
        let found = self.0.get(at..at + bytes as usize)?;
        Some(found.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }
    fn store(&mut self, address: u32, bytes: u32, value: u32) -> bool {
        let place = address.checked_sub(0x2000_0000).map(|at| at as usize);
        let place = place.and_then(|at| self.0.get_mut(at..at + bytes as usize));
        place.map(|place| place.copy_from_slice(&value.to_le_bytes()[..bytes as usize])).is_some()
    }
}

const DMA: u32 = 0x4002_0000;
/// Registers of channel 0.
const CLBAR: u32 = DMA + 0x50;
const CFCR: u32 = DMA + 0x5C;
const CSR: u32 = DMA + 0x60;
const CCR: u32 = DMA + 0x64;
const CTR1: u32 = DMA + 0x90;
const CTR2: u32 = DMA + 0x94;
const CBR1: u32 = DMA + 0x98;
const CSAR: u32 = DMA + 0x9C;
const CDAR: u32 = DMA + 0xA0;
const CLLR: u32 = DMA + 0xCC;
const INCREMENT: u32 = 1 << 3 | 1 << 19;
const SOFTWARE: u32 = 1 << 9;

/// A board whose channel 0 is set up and started, and memory that counts from zero up.
fn moving(registers: &[(u32, u32)]) -> (Board, Ram) {
    let mut board = board();
    for (register, value) in registers {
        board.write(*register, 4, *value, 0).expect("a register");
    }
    board.write(CCR, 4, 1 | 0x7F00, 0).expect("a register");
    (board, Ram(std::array::from_fn(|at| at as u8)))
}

fn flags(board: &mut Board) -> u32 {
    board.read(CSR, 4, 0).expect("a register")
}

#[test]
fn a_block_of_memory_is_moved_and_reported() {
    let block = [(CTR1, INCREMENT | 2 | 2 << 16), (CTR2, SOFTWARE), (CBR1, 32)];
    let places = [(CSAR, 0x2000_0010), (CDAR, 0x2000_0200)];
    let (mut board, mut ram) = moving(&[&block[..], &places].concat());
    assert!(board.is_transfer_due());
    board.transfer(&mut ram, 0);
    assert_eq!(ram.0[0x200..0x220], std::array::from_fn::<u8, 32, _>(|at| at as u8 + 0x10));
    assert_eq!(flags(&mut board), 0x301, "half, complete and idle");
    assert!(board.lines().level(29) && !board.is_transfer_due());
    board.write(CFCR, 4, 0x7F00, 0).expect("a register");
    assert!(!board.lines().level(29));
    let registers = [CBR1, CSAR, CDAR, CCR].map(|register| board.read(register, 4, 0).expect("a register"));
    assert_eq!(registers, [0, 0x2000_0030, 0x2000_0220, 0x7F00]);
}

#[test]
fn unequal_widths_are_cut_padded_or_packed() {
    for (control, bytes, expected) in [
        (INCREMENT | 2, 8, [0x10, 0x14, 0xAA, 0xAA, 0xAA]), // words to bytes: the lowest of each
        (INCREMENT | 1 << 16, 2, [0x10, 0x00, 0x11, 0x00, 0xAA]), // bytes to half-words
        (INCREMENT | 2 << 11 | 2, 4, [0x10, 0x11, 0x12, 0x13, 0xAA]), // packed
        (INCREMENT | 2 << 11 | 2 << 16, 4, [0x10, 0x11, 0x12, 0x13, 0xAA]),
    ] {
        let places = [(CSAR, 0x2000_0010), (CDAR, 0x2000_0200)];
        let (mut board, mut ram) =
            moving(&[&[(CTR1, control), (CTR2, SOFTWARE), (CBR1, bytes)][..], &places].concat());
        ram.0[0x200..0x210].fill(0xAA);
        board.transfer(&mut ram, 0);
        assert_eq!(ram.0[0x200..0x205], expected, "CTR1 {control:#x}");
    }
}

/// Cycles of a character while BRR is zero: ten bits of the least divider.
const CHARACTER: u64 = 160;

#[test]
fn a_peripheral_asks_for_each_item() {
    let receiving = [(CTR1, 1 << 19), (CTR2, 26), (CBR1, 3), (CSAR, 0x4000_4424), (CDAR, 0x2000_0200)];
    let (mut board, mut ram) = moving(&receiving);
    board.write(0x4000_4408, 4, 1 << 6, 0).expect("a register");
    board.write(0x4000_4400, 4, 5, 0).expect("a register");
    assert!(!board.is_transfer_due());
    board.signal(0x4000_4400, &BoardSignal::Serial(b"ab"), 0);
    assert!(!board.is_transfer_due(), "the first character has only just begun");
    let move_until = |board: &mut Board, ram: &mut Ram, cycles: u64| {
        while let Some(at) = board.next_event().filter(|at| *at <= cycles) {
            assert!(board.advance(at), "a flag of the port has changed");
            board.transfer(ram, at);
        }
    };
    move_until(&mut board, &mut ram, 2 * CHARACTER);
    assert_eq!((&ram.0[0x200..0x202], flags(&mut board)), (&b"ab"[..], 0x200), "half of three is behind it");
    board.signal(0x4000_4400, &BoardSignal::Serial(b"cd"), 2 * CHARACTER);
    move_until(&mut board, &mut ram, 4 * CHARACTER);
    assert_eq!((&ram.0[0x200..0x203], flags(&mut board)), (&b"abc"[..], 0x301));
    assert_eq!(board.read(0x4000_4424, 4, 4 * CHARACTER), Ok(u32::from(b'd')), "the next is not taken");
}

#[test]
fn a_list_is_followed_to_its_end() {
    let (mut board, mut ram) = moving(&[
        (CTR1, INCREMENT),
        (CTR2, SOFTWARE),
        (CBR1, 4),
        (CSAR, 0x2000_0010),
        (CDAR, 0x2000_0200),
        (CLBAR, 0x2000_0000),
        (CLLR, 0x2000_0300 & 0xFFFC | 1 << 29 | 1 << 28 | 1 << 16),
    ]);
    // The item: two bytes from 0x20000040, with no link behind it.
    for (index, word) in [2u32, 0x2000_0040, 0].iter().enumerate() {
        ram.store(0x2000_0300 + 4 * index as u32, 4, *word);
    }
    board.transfer(&mut ram, 0);
    assert_eq!(ram.0[0x200..0x207], [0x10, 0x11, 0x12, 0x13, 0x40, 0x41, 0x06]);
    assert_eq!(flags(&mut board) & 0x501, 0x101);
}

#[test]
fn a_place_that_is_not_there_ends_the_channel() {
    for (register, address) in [(CSAR, 0x1000_0000), (CDAR, 0x2000_0400), (CSAR, 0x2000_0001)] {
        let places = [(CSAR, 0x2000_0000), (CDAR, 0x2000_0200), (register, address)];
        let block = [(CTR1, INCREMENT | 2 | 2 << 16), (CTR2, SOFTWARE), (CBR1, 8)];
        let (mut board, mut ram) = moving(&[&block[..], &places].concat());
        board.transfer(&mut ram, 0);
        assert_eq!(flags(&mut board), 0x401, "{address:#x}");
        assert!(board.lines().level(29));
    }
}

#[test]
fn a_channel_can_be_suspended_and_reset() {
    let (mut board, mut ram) = moving(&[(CTR1, INCREMENT), (CTR2, 26), (CBR1, 8)]);
    board.write(CCR, 4, 1 | 4, 0).expect("a register");
    assert_eq!(flags(&mut board), 0x2001);
    board.write(CCR, 4, 2, 0).expect("a register");
    assert_eq!((flags(&mut board), board.read(CCR, 4, 0)), (1, Ok(0)));
    board.transfer(&mut ram, 0);
}

#[test]
fn a_list_that_leads_back_to_itself_does_not_hold_the_board_up() {
    let (mut board, mut ram) = moving(&[
        (CTR1, INCREMENT),
        (CTR2, SOFTWARE),
        (CBR1, 1),
        (CSAR, 0x2000_0010),
        (CDAR, 0x2000_0200),
        (CLBAR, 0x2000_0000),
        (CLLR, 0x300 | 1 << 29 | 1 << 16),
    ]);
    for (index, word) in [1u32, 0x300 | 1 << 29 | 1 << 16].iter().enumerate() {
        ram.store(0x2000_0300 + 4 * index as u32, 4, *word);
    }
    board.transfer(&mut ram, 0);
    assert!(board.is_transfer_due() || flags(&mut board) & 0x400 != 0);
}

#[test]
fn a_pin_that_goes_low_selects_what_is_wired_to_it() {
    let attachments = vec![Attachment::spi("1:23lc512,cs=PA4").expect("a wiring")];
    let board_config = BoardConfig { entropy: Box::new(|| 7), unique: [9; 12], attachments };
    let mut board = Board::new(board_config, Storage::default());
    let mut write =
        |address: u32, bytes: u32, value: u32| board.write(address, bytes, value, 0).expect("there");
    write(0x4202_0018, 4, 1 << 4);
    write(0x4202_0000, 4, 0xABFF_FFFF & !(3 << 8) | 1 << 8);
    write(0x4001_3008, 4, 7);
    write(0x4001_300C, 4, 1 << 22);
    for command in [[2u8, 0, 0, 0x5A], [3, 0, 0, 0]] {
        write(0x4202_0028, 4, 1 << 4);
        write(0x4001_3004, 4, 4);
        write(0x4001_3000, 4, 1);
        write(0x4001_3000, 4, 1 | 1 << 9);
        for byte in command {
            write(0x4001_3020, 1, u32::from(byte));
        }
        if command[0] == 2 {
            write(0x4001_3000, 4, 0);
            write(0x4202_0018, 4, 1 << 4);
        }
    }
    assert_eq!(board.read(0x4001_3030, 4, 0), Ok(0x5A00_0000));
}
