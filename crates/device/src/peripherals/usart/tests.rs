use super::super::testing::Bench;
use super::*;

const BASE: u32 = 0x4000_4400;
/// The divider for 115200 baud, and cycles of a character of 8 bits with it.
const BAUD: u32 = 1389;
const FRAME: u64 = 13_890;
const UE: u32 = 1;
const BOTH: u32 = UE | RE | TE;
const FIFOEN: u32 = 1 << 29;

fn bench_of(usart: Usart, control: u32) -> Bench {
    let mut bench = Bench::new(BASE, Box::new(usart));
    bench.write(BASE + BRR, BAUD);
    bench.write(BASE + CR1, control & !UE);
    bench.write(BASE + CR1, control);
    bench
}

fn bench(control: u32) -> Bench {
    bench_of(Usart::new(&PORTS[0]), control)
}

/// A port that loses what arrives while it is full.
fn overrunning(control: u32) -> Bench {
    bench_of(Usart::with_overruns(&PORTS[0], true), control)
}

fn status(bench: &mut Bench) -> u32 {
    bench.read(BASE + ISR)
}

fn has(bench: &mut Bench, flags: u32) -> bool {
    status(bench) & flags == flags
}

fn send(bench: &mut Bench, bytes: &[u8]) {
    assert!(bench.signal(&BoardSignal::Serial(bytes)));
}

fn take(bench: &mut Bench) -> u8 {
    bench.read(BASE + RDR) as u8
}

/// Takes all that has been received.
fn take_all(bench: &mut Bench) -> Vec<u8> {
    let mut bytes = Vec::new();
    while has(bench, RXNE) {
        bytes.push(take(bench));
    }
    bytes
}

fn sent(bench: &mut Bench) -> Vec<u8> {
    let byte = |output| match output {
        BoardEvent::Serial { port: 2, byte } => byte,
        other => panic!("{other:?}"),
    };
    bench.outputs().into_iter().map(byte).collect()
}

#[test]
fn enabling_the_parts_is_acknowledged() {
    assert_eq!(status(&mut bench(0)), 0x0000_00C0);
    assert_eq!(status(&mut bench(UE | TE)), 0x0020_00C0);
    assert_eq!(status(&mut bench(BOTH)), 0x0060_00C0);
    assert_eq!(status(&mut bench(RE | TE)), 0x0000_00C0, "nothing is acknowledged while the port is off");
    assert_eq!(status(&mut bench(FIFOEN)), 0x0880_00C0, "one place free is the threshold after reset");
}

/// Shows D213.
#[test]
fn characters_leave_one_after_the_other_at_the_baud_rate() {
    let mut bench = bench(UE | TE);
    bench.write(BASE + TDR, u32::from(b'O'));
    assert!(has(&mut bench, TXE), "it moved to the shift register at once");
    bench.write(BASE + TDR, u32::from(b'K'));
    assert_eq!(status(&mut bench) & (TXE | TC), 0);
    bench.pass_to(FRAME - 1);
    assert_eq!(sent(&mut bench), b"");
    bench.pass_to(FRAME);
    assert_eq!((sent(&mut bench), status(&mut bench) & (TXE | TC)), (b"O".to_vec(), TXE));
    bench.pass_to(2 * FRAME);
    assert_eq!((sent(&mut bench), status(&mut bench) & (TXE | TC)), (b"K".to_vec(), TXE | TC));
}

#[test]
fn a_character_written_over_another_replaces_it() {
    let mut bench = bench(UE | TE);
    for byte in b"abc" {
        bench.write(BASE + TDR, u32::from(*byte));
    }
    bench.pass_to(5 * FRAME);
    assert_eq!(sent(&mut bench), b"ac");
}

#[test]
fn a_port_that_is_off_sends_nothing() {
    for control in [0, UE, TE] {
        let mut bench = bench(control);
        bench.write(BASE + TDR, 65);
        bench.pass_to(5 * FRAME);
        assert_eq!(sent(&mut bench), b"");
    }
}

#[test]
fn what_waits_for_the_transmitter_leaves_when_it_is_on() {
    let mut bench = bench(UE);
    bench.write(BASE + TDR, 65);
    assert!(!has(&mut bench, TXE));
    bench.write(BASE + CR1, UE | TE);
    bench.pass_to(FRAME);
    assert_eq!(sent(&mut bench), b"A");
}

#[test]
fn clearing_completion_lasts_until_the_next_character_has_left() {
    let mut bench = bench(UE | TE | TCIE);
    assert!(bench.level(62));
    bench.write(BASE + ICR, TC);
    assert!(!bench.level(62));
    bench.write(BASE + TDR, 65);
    bench.pass_to(FRAME);
    assert!(bench.level(62));
}

/// Shows D213: the transmitter's FIFO, its thresholds and flags.
#[test]
fn the_transmit_fifo_reports_its_room() {
    let mut bench = bench(UE | TE | FIFOEN | TXFEIE);
    bench.write(BASE + CR3, 2 << TXFTCFG_AT);
    assert!(has(&mut bench, TXFE | TXFT | TXE | TC) && bench.level(62));
    for byte in 0..9 {
        bench.write(BASE + TDR, byte);
    }
    assert_eq!(status(&mut bench) & (TXFE | TXFT | TXE), 0, "one is being sent, eight wait");
    bench.write(BASE + TDR, 99);
    bench.pass_to(FRAME);
    assert_eq!(status(&mut bench) & (TXFE | TXFT | TXE), TXE);
    bench.pass_to(4 * FRAME);
    assert_eq!(status(&mut bench) & (TXFE | TXFT), TXFT, "four places are free");
    bench.pass_to(8 * FRAME);
    assert!(has(&mut bench, TXFE) && bench.level(62));
    bench.write(BASE + ICR, TXFECF);
    assert!(!bench.level(62));
    bench.pass_to(9 * FRAME);
    assert_eq!(sent(&mut bench), [0, 1, 2, 3, 4, 5, 6, 7, 8], "there was no room for the tenth");
    assert!(has(&mut bench, TC));
}

#[test]
fn a_flush_of_the_transmitter_drops_what_waits() {
    let mut bench = bench(UE | TE | FIFOEN);
    for byte in b"abc" {
        bench.write(BASE + TDR, u32::from(*byte));
    }
    bench.write(BASE + RQR, TXFRQ);
    assert!(has(&mut bench, TXFE));
    bench.pass_to(5 * FRAME);
    assert_eq!((sent(&mut bench), has(&mut bench, TC)), (b"a".to_vec(), true));
}

#[test]
fn a_break_takes_a_frame() {
    let mut bench = bench(UE | TE);
    bench.write(BASE + RQR, SBKRQ);
    bench.write(BASE + TDR, 65);
    assert!(has(&mut bench, SBKF));
    bench.pass_to(FRAME);
    assert_eq!(status(&mut bench) & (SBKF | TC), 0);
    bench.pass_to(2 * FRAME);
    assert_eq!((sent(&mut bench), has(&mut bench, TC)), (b"A".to_vec(), true));
}

/// Shows D213.
#[test]
fn characters_arrive_one_after_the_other_at_the_baud_rate() {
    let mut bench = bench(BOTH | RXNEIE);
    send(&mut bench, b"hi");
    assert!(has(&mut bench, BUSY) && !bench.level(62));
    bench.pass_to(FRAME - 1);
    assert!(!bench.level(62));
    bench.pass_to(FRAME);
    assert!(bench.level(62) && has(&mut bench, RXNE | BUSY));
    assert_eq!(take(&mut bench), b'h');
    assert!(!bench.level(62));
    bench.pass_to(2 * FRAME);
    assert_eq!((status(&mut bench) & BUSY, take(&mut bench)), (0, b'i'));
}

#[test]
fn every_time_at_which_a_flag_changes_is_an_event() {
    let mut bench = bench(BOTH);
    assert_eq!(bench.peripheral.next_event(), None);
    send(&mut bench, b"a");
    assert_eq!(bench.peripheral.next_event(), Some(FRAME));
    bench.pass_to(FRAME);
    assert!(bench.peripheral.take_change() && !bench.peripheral.take_change());
    assert_eq!(bench.peripheral.next_event(), Some(2 * FRAME), "then the line has been idle");
    bench.pass_to(2 * FRAME);
    assert_eq!(bench.peripheral.next_event(), None);
}

/// Shows D213: a driver takes bytes because of IDLE, so IDLE may not wait for that.
#[test]
fn the_line_is_idle_a_frame_after_the_last_arrival_whether_it_was_taken_or_not() {
    for fifo in [0, FIFOEN] {
        let mut bench = bench(BOTH | IDLEIE | fifo);
        send(&mut bench, if fifo == 0 { b"a" } else { b"abc" });
        let last = if fifo == 0 { FRAME } else { 3 * FRAME };
        bench.pass_to(last + FRAME - 1);
        assert!(!bench.level(62));
        bench.pass_to(last + FRAME);
        assert!(bench.level(62));
        bench.write(BASE + ICR, IDLE);
        bench.pass_to(last + 10 * FRAME);
        assert!(!bench.level(62), "it does not expire again");
    }
}

#[test]
fn a_line_that_continues_is_not_idle() {
    let mut bench = bench(BOTH | FIFOEN);
    send(&mut bench, b"a");
    bench.pass_to(FRAME + FRAME / 2);
    send(&mut bench, b"b");
    bench.pass_to(2 * FRAME + FRAME / 2);
    assert_eq!(status(&mut bench) & IDLE, 0);
    bench.pass_to(3 * FRAME + FRAME / 2);
    assert!(has(&mut bench, IDLE));
}

/// Shows D213: RTOF comes RTOR bits after the last arrival.
#[test]
fn the_receiver_timeout_counts_bits_from_the_last_arrival() {
    let mut bench = bench(BOTH | FIFOEN | RTOIE);
    bench.write(BASE + RTOR, 40);
    bench.write(BASE + CR2, 1 << 23);
    bench.pass_to(100 * FRAME);
    assert!(!bench.level(62), "nothing was received");
    let start = bench.now;
    send(&mut bench, b"abc");
    let due = start + 3 * FRAME + 40 * u64::from(BAUD);
    bench.pass_to(due - 1);
    assert!(!bench.level(62));
    bench.pass_to(due);
    assert!(bench.level(62));
    bench.write(BASE + ICR, RTOF);
    assert!(!bench.level(62));
}

#[test]
fn the_receiver_timeout_can_be_set_while_it_counts() {
    let mut bench = bench(BOTH | FIFOEN | RTOIE);
    bench.write(BASE + RTOR, 100);
    bench.write(BASE + CR2, 1 << 23);
    send(&mut bench, b"a");
    bench.pass_to(FRAME + 50 * u64::from(BAUD));
    bench.write(BASE + RTOR, 60);
    bench.pass_to(FRAME + 60 * u64::from(BAUD) - 1);
    assert!(!bench.level(62));
    bench.pass_to(FRAME + 60 * u64::from(BAUD));
    assert!(bench.level(62));
    bench.write(BASE + ICR, RTOF);
    bench.write(BASE + RTOR, 10);
    assert!(!bench.level(62), "one that has expired does not expire again");
    send(&mut bench, b"b");
    bench.pass_to(bench.now + FRAME + 5 * u64::from(BAUD));
    bench.write(BASE + RTOR, 1);
    assert!(bench.level(62), "a value that has passed comes at once");
}

/// Shows D213.
#[test]
fn a_character_that_is_looked_for_interrupts() {
    for fifo in [0, FIFOEN] {
        let mut bench = bench(BOTH | CMIE | fifo);
        bench.write(BASE + CR2, u32::from(b'\n') << 24);
        send(&mut bench, b"hi\n");
        bench.pass_to(FRAME);
        assert!(!bench.level(62));
        let mut line = take_all(&mut bench);
        bench.pass_to(2 * FRAME);
        line.extend(take_all(&mut bench));
        bench.pass_to(3 * FRAME);
        assert!(bench.level(62) && has(&mut bench, CMF));
        bench.write(BASE + ICR, CMF);
        assert!(!bench.level(62));
        line.extend(take_all(&mut bench));
        assert_eq!(line, b"hi\n");
    }
}

/// Shows D214: a driver without FIFO that takes the line when its end is found gets all of it.
#[test]
fn what_finds_the_receiver_full_waits_and_its_match_is_found() {
    let mut bench = bench(BOTH | CMIE);
    bench.write(BASE + CR2, u32::from(b'\n') << 24);
    send(&mut bench, b"hi\nx");
    bench.pass_to(3 * FRAME - 1);
    assert!(!bench.level(62));
    bench.pass_to(3 * FRAME);
    assert!(bench.level(62));
    assert_eq!(take_all(&mut bench), b"hi\n");
}

/// Shows D213: RXFF, RXFT and their interrupts.
#[test]
fn the_receive_fifo_reports_its_thresholds() {
    for (field, expected) in [(0, 1), (1, 2), (2, 4), (3, 6), (4, 7), (5, 8)] {
        let mut bench = bench(BOTH | FIFOEN);
        bench.write(BASE + CR3, field << RXFTCFG_AT | RXFTIE);
        send(&mut bench, &[b'x'; 8]);
        bench.pass_to(expected * FRAME - 1);
        assert!(!bench.level(62), "{field}");
        bench.pass_to(expected * FRAME);
        assert!(bench.level(62), "{field}");
        take(&mut bench);
        assert!(!bench.level(62), "{field}");
    }
    let mut bench = bench(BOTH | FIFOEN | RXFFIE);
    send(&mut bench, &[b'x'; 8]);
    bench.pass_to(8 * FRAME - 1);
    assert!(!bench.level(62));
    bench.pass_to(8 * FRAME);
    assert!(bench.level(62) && has(&mut bench, RXFF));
}

/// Shows D214: nothing is lost, and a message is one message, however slow the application is.
#[test]
fn nothing_is_lost_while_the_receiver_is_full() {
    for fifo in [0, FIFOEN] {
        let mut bench = bench(BOTH | fifo);
        let text: Vec<u8> = (0..100).collect();
        send(&mut bench, &text);
        bench.pass_to(100 * FRAME);
        assert_eq!(status(&mut bench) & (IDLE | ORE), 0);
        bench.pass_to(101 * FRAME);
        assert!(has(&mut bench, IDLE));
        assert_eq!(take_all(&mut bench), text);
    }
}

/// Shows D214: as on the chip, if that is enabled.
#[test]
fn an_overrun_loses_what_comes_while_the_receiver_is_full() {
    let mut bench = overrunning(BOTH);
    send(&mut bench, b"abc");
    bench.pass_to(FRAME);
    assert_eq!(status(&mut bench) & ORE, 0);
    bench.write(BASE + CR3, EIE);
    assert!(!bench.level(62));
    bench.pass_to(3 * FRAME);
    assert!(has(&mut bench, ORE) && bench.level(62));
    assert_eq!(take_all(&mut bench), b"a", "the older one is kept");
    bench.write(BASE + ICR, ORE);
    assert!(!bench.level(62));
    send(&mut bench, b"d");
    bench.pass_to(4 * FRAME);
    assert_eq!(take_all(&mut bench), b"d");
}

#[test]
fn overruns_can_be_switched_off() {
    let mut bench = overrunning(BOTH);
    bench.write(BASE + CR3, OVRDIS);
    send(&mut bench, b"abc");
    bench.pass_to(3 * FRAME);
    assert_eq!((status(&mut bench) & ORE, take_all(&mut bench)), (0, b"c".to_vec()));
}

#[test]
fn an_overrun_can_hold_direct_memory_access_back() {
    let mut bench = overrunning(BOTH);
    bench.write(BASE + CR3, DMAR | DDRE);
    send(&mut bench, b"ab");
    bench.pass_to(FRAME);
    assert!(bench.requests(26));
    bench.pass_to(2 * FRAME);
    assert!(!bench.requests(26));
    bench.write(BASE + ICR, ORE);
    assert!(bench.requests(26));
}

/// Shows D214: what is still on the line is not the receiver's to drop.
#[test]
fn a_flush_of_the_receiver_takes_only_what_it_has() {
    let mut bench = bench(BOTH | FIFOEN);
    send(&mut bench, b"0123456789");
    bench.pass_to(3 * FRAME);
    bench.write(BASE + RQR, RXFRQ);
    assert_eq!(status(&mut bench) & RXNE, 0);
    bench.pass_to(20 * FRAME);
    assert_eq!(take_all(&mut bench), b"3456789");
}

#[test]
fn a_receiver_that_is_off_leaves_the_line_as_it_is() {
    let mut bench = bench(UE | TE);
    send(&mut bench, b"ab");
    bench.pass_to(5 * FRAME);
    assert_eq!(status(&mut bench) & (RXNE | BUSY), 0);
    bench.write(BASE + CR1, BOTH);
    bench.pass_to(5 * FRAME + FRAME / 2);
    bench.write(BASE + CR1, UE | TE);
    bench.pass_to(10 * FRAME);
    bench.write(BASE + CR1, BOTH);
    let start = bench.now;
    bench.pass_to(start + FRAME);
    assert_eq!(take(&mut bench), b'a', "cut off, it is sent again");
    bench.pass_to(start + 2 * FRAME);
    assert_eq!(take(&mut bench), b'b');
}

#[test]
fn a_line_has_an_end() {
    let mut bench = bench(0);
    assert!(bench.signal(&BoardSignal::Serial(&[0; LINE])));
    assert!(!bench.signal(&BoardSignal::Serial(b"x")));
    bench.write(BASE + CR1, BOTH);
    assert!(bench.signal(&BoardSignal::Serial(b"x")), "one has left it");
}

#[test]
fn switching_the_port_off_resets_its_flags_and_reset_keeps_the_line() {
    let mut bench = bench(BOTH | FIFOEN);
    send(&mut bench, b"abc");
    bench.write(BASE + TDR, 65);
    bench.pass_to(FRAME + 1);
    bench.write(BASE + CR1, FIFOEN);
    assert_eq!(status(&mut bench), 0x0880_00C0);
    bench.reset();
    assert_eq!((status(&mut bench), bench.read(BASE + BRR)), (0xC0, 0));
    bench.write(BASE + BRR, BAUD);
    bench.write(BASE + CR1, BOTH | FIFOEN);
    bench.pass_to(10 * FRAME);
    assert_eq!(take_all(&mut bench), b"bc", "a was received, and is gone");
}

#[test]
fn on_one_wire_a_receiver_hears_its_transmitter() {
    let mut bench = bench(UE);
    bench.write(BASE + CR3, HDSEL);
    bench.write(BASE + CR1, BOTH);
    bench.write(BASE + TDR, 65);
    bench.pass_to(FRAME);
    assert_eq!((sent(&mut bench), take_all(&mut bench)), (b"A".to_vec(), b"A".to_vec()));
    bench.write(BASE + CR1, UE | TE);
    bench.write(BASE + TDR, 66);
    bench.pass_to(2 * FRAME);
    assert_eq!((sent(&mut bench), take_all(&mut bench)), (b"B".to_vec(), vec![]));
}

#[test]
fn a_mute_port_wakes_by_an_idle_line() {
    let mut bench = bench(BOTH | MME | FIFOEN);
    send(&mut bench, b"ab");
    bench.pass_to(FRAME / 2);
    bench.write(BASE + RQR, MMRQ);
    assert!(has(&mut bench, RWU));
    bench.pass_to(3 * FRAME);
    assert_eq!(status(&mut bench) & (RWU | RXNE | IDLE), 0);
    send(&mut bench, b"c");
    bench.pass_to(5 * FRAME);
    assert_eq!((take_all(&mut bench), has(&mut bench, IDLE)), (b"c".to_vec(), true));
    bench.write(BASE + RQR, MMRQ);
    assert!(!has(&mut bench, RWU), "the line is idle already");
}

#[test]
fn a_mute_port_wakes_by_its_address() {
    let wake = 1 << 11;
    for (seven, address, other) in [(0, 0x95, 0x96), (1 << 4, 0xA5, 0x95)] {
        let mut bench = bench(BOTH | MME | wake | FIFOEN);
        bench.write(BASE + CR2, u32::from(address) << 24 | seven);
        bench.write(BASE + RQR, MMRQ);
        send(&mut bench, &[b'x', other, b'y', address, b'z', other, b'w']);
        bench.pass_to(20 * FRAME);
        assert_eq!(take_all(&mut bench), [address, b'z'], "{address:#x}");
        assert!(has(&mut bench, RWU));
    }
}

/// The other end is at the port's own baud rate, so that is what a measurement finds.
#[test]
fn a_measurement_of_the_baud_rate_ends_with_the_next_character() {
    let mut bench = bench(BOTH);
    bench.write(BASE + CR2, 1 << 20);
    for _ in 0..2 {
        assert_eq!(status(&mut bench) & ABRF, 0);
        send(&mut bench, b"U");
        bench.pass_to(bench.now + FRAME);
        assert!(has(&mut bench, ABRF));
        take(&mut bench);
        bench.write(BASE + RQR, ABRRQ);
    }
}

#[test]
fn requests_are_active_while_there_is_something_to_move() {
    let mut bench = bench(BOTH);
    bench.write(BASE + CR3, DMAR | DMAT);
    assert_eq!((bench.requests(26), bench.requests(27)), (false, true));
    send(&mut bench, b"a");
    bench.pass_to(FRAME);
    assert!(bench.requests(26));
    take(&mut bench);
    assert!(!bench.requests(26));
    bench.write(BASE + TDR, 65);
    bench.write(BASE + TDR, 66);
    assert!(!bench.requests(27), "there is no room");
    bench.pass_to(3 * FRAME);
    assert!(bench.requests(27));
}

#[test]
fn the_clock_that_is_selected_counts() {
    let mut bench = bench(BOTH);
    bench.signal(&BoardSignal::KernelClock { hz: 16_000_000 });
    bench.write(BASE + TDR, 65);
    bench.pass_to(10 * FRAME - 1);
    assert_eq!(sent(&mut bench), b"");
    bench.pass_to(10 * FRAME);
    assert_eq!(sent(&mut bench), b"A");
}

/// Shows D213: LPUART1 counts by its own formula, and has no receiver timeout.
#[test]
fn the_low_power_port_has_its_own_baud_rate() {
    let low_power = &PORTS[5];
    let base = low_power.base;
    let mut bench = Bench::new(base, Box::new(Usart::new(low_power)));
    bench.write(base + BRR, 355_556);
    bench.write(base + RTOR, 1);
    bench.write(base + CR2, 1 << 23);
    bench.write(base + CR1, BOTH | RXNEIE | RTOIE);
    send(&mut bench, b"a");
    bench.pass_to(13_888);
    assert!(!bench.level(66));
    bench.pass_to(13_889);
    assert!(bench.level(66));
    bench.read(base + RDR);
    bench.pass_to(100 * 13_889);
    assert!(!bench.level(66));
}

#[test]
fn settings_read_back() {
    let mut bench = bench(0);
    bench.write(BASE + BRR, 0x56D);
    bench.write(BASE + PRESC, 3);
    assert_eq!((bench.read(BASE + BRR), bench.read(BASE + PRESC)), (0x56D, 3));
}
