use super::super::testing::Wired;

fn axes(wired: &mut Wired) -> [i16; 3] {
    let bytes = wired.read(&[0x28 | 0x80], 6);
    [0, 2, 4].map(|at| i16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

#[test]
fn it_says_who_it_is_and_keeps_its_settings() {
    let mut wired = Wired::new("lis3dh@0x19");
    assert_eq!(wired.read(&[0x0F], 1), [0x33]);
    wired.write(&[0x20 | 0x80, 0x57, 0x00, 0x40]);
    assert_eq!(wired.read(&[0x20 | 0x80], 3), [0x57, 0x00, 0x40]);
    assert_eq!(wired.read(&[0x20], 3), [0x57; 3], "without the topmost bit it stays where it is");
}

#[test]
fn accelerations_come_in_the_range_and_resolution_asked_for() {
    for (control, expected) in [
        (0x08, [8000, -16000, 16000]), // 2 g, 12 bits: 1 mg a step, left by 4
        (0x00, [8000, -16000, 16000]), // 10 bits hold these too
        (0x18, [4000, -8000, 8000]),   // 4 g
        (0x38, [672, -1328, 1328]),    // 16 g: 12 mg a step
    ] {
        let mut wired = Wired::new("lis3dh,x=0.5,y=-1,z=1");
        wired.write(&[0x23, control]);
        wired.write(&[0x20, 0x57]);
        wired.pass_micros(10_000);
        assert_eq!(axes(&mut wired), expected, "{control:#x}");
    }
}

#[test]
fn a_sample_is_new_once_and_overrun_when_missed() {
    let mut wired = Wired::new("lis3dh");
    wired.write(&[0x20, 0x57]);
    assert_eq!(wired.read(&[0x27], 1), [0]);
    wired.pass_micros(10_000);
    assert_eq!(wired.read(&[0x27], 1), [0x0F]);
    axes(&mut wired);
    assert_eq!(wired.read(&[0x27], 1), [0]);
    wired.pass_micros(20_000);
    assert_eq!(wired.read(&[0x27], 1), [0xFF]);
}

#[test]
fn in_power_down_nothing_is_measured() {
    let mut wired = Wired::new("lis3dh");
    wired.pass_seconds(10);
    assert_eq!((wired.read(&[0x27], 1), axes(&mut wired)), (vec![0], [0; 3]));
}

#[test]
fn interrupt_1_drives_its_pin_at_the_sample_beyond_the_threshold() {
    // X goes from 0 to 2 g in two seconds; the threshold is 1008 mg.
    let mut wired = Wired::new("lis3dh,x=0..2/2s,int1=PF3");
    wired.write(&[0x20, 0x57]);
    wired.write(&[0x22, 0x40]);
    wired.write(&[0x24, 0x08]);
    wired.write(&[0x32, 63]);
    wired.write(&[0x30, 0x02]);
    assert!(wired.pass_seconds(1).is_empty());
    assert_eq!(wired.pass_micros(20_000).len(), 1);
    assert_eq!(wired.read(&[0x31], 1), [0x42]);
    assert_eq!(wired.take_driven(), [("PF3".to_owned(), false)], "reading the source clears it");
}

#[test]
fn data_ready_drives_its_pin_at_each_sample_that_is_read() {
    let mut wired = Wired::new("lis3dh,int1=PB11");
    wired.write(&[0x22, 0x10]);
    wired.write(&[0x20, 0x57]);
    for _ in 0..3 {
        assert_eq!(wired.pass_micros(10_000), [("PB11".to_owned(), true)]);
        axes(&mut wired);
        assert_eq!(wired.take_driven(), [("PB11".to_owned(), false)]);
    }
}

/// A sensor at 100 Hz that reports clicks on z by interrupt 1, with `config` in CLICK_CFG.
fn clicking(config: u8, latched: u8) -> Wired {
    let mut wired = Wired::new("lis3dh,int1=PB11");
    wired.write(&[0x22, 0x80]); // I1_CLICK
    wired.write(&[0x38, config]);
    wired.write(&[0x3A, 0x64 | latched]); // 1.6 g
    wired.write(&[0x3B, 10]);
    wired.write(&[0x3C, 5]);
    wired.write(&[0x3D, 20]);
    wired.write(&[0x20, 0x57]);
    assert!(wired.pass_micros(500_000).is_empty(), "gravity is no click");
    wired
}

fn rises(driven: &[(String, bool)]) -> usize {
    driven.iter().filter(|(pin, level)| pin == "PB11" && *level).count()
}

/// Shows D216.
#[test]
fn a_tap_is_a_single_click_on_its_axis() {
    let mut wired = clicking(0x10, 0);
    assert!(wired.set("tap", 3.0));
    assert_eq!(wired.pass_micros(30_000), [("PB11".to_owned(), true)]);
    assert_eq!(wired.pass_micros(60_000), [("PB11".to_owned(), false)], "it lasts for the latency");
    assert_eq!(wired.read(&[0x39], 1), [0]);
    assert!(wired.set("tap", 1.0));
    assert!(wired.pass_micros(500_000).is_empty(), "clicks on x are not asked for");
    assert!(!wired.set("tap", 4.0) && !wired.set("tap", 0.0));
}

#[test]
fn a_click_that_is_latched_stays_until_its_source_is_read() {
    let mut wired = clicking(0x10, 0x80);
    wired.set("tap", -3.0);
    assert_eq!(wired.pass_micros(500_000), [("PB11".to_owned(), true)]);
    assert_eq!(wired.read(&[0x39], 1), [0x40 | 0x10 | 0x04], "the click ends as gravity comes back");
    assert_eq!(wired.take_driven(), [("PB11".to_owned(), false)]);
}

#[test]
fn two_taps_are_a_double_click_if_the_second_is_in_its_window() {
    // The latency ends 50 ms after the first, the window 200 ms later.
    for (pause, expected) in [(100_000, 1), (220_000, 1), (400_000, 0), (20_000, 0)] {
        let mut wired = clicking(0x20, 0);
        wired.set("tap", 3.0);
        let mut driven = wired.pass_micros(pause);
        wired.set("tap", 3.0);
        driven.extend(wired.pass_micros(500_000));
        assert_eq!(rises(&driven), expected, "{pause}");
    }
}

#[test]
fn what_is_beyond_the_threshold_for_too_long_is_no_click() {
    let mut wired = clicking(0x10, 0);
    wired.set("z", 2.0);
    let mut driven = wired.pass_micros(200_000);
    wired.set("z", 1.0);
    driven.extend(wired.pass_micros(200_000));
    assert_eq!(rises(&driven), 0);
}

#[test]
fn every_rate_sees_a_tap() {
    for (rate, period) in [(1, 1_000_000), (2, 100_000), (5, 10_000), (7, 2_500), (9, 744)] {
        let mut wired = clicking(0x10, 0);
        wired.write(&[0x20, rate << 4 | 7]);
        wired.pass_micros(5 * period);
        wired.set("tap", 3.0);
        assert_eq!(rises(&wired.pass_micros(40 * period)), 1, "{rate}");
    }
}

#[test]
fn the_high_pass_filter_takes_gravity_away() {
    let mut wired = Wired::new("lis3dh,int1=PB11");
    wired.write(&[0x22, 0x40]);
    wired.write(&[0x21, 0x01]); // before generator 1
    wired.write(&[0x32, 20]); // 320 mg
    wired.write(&[0x30, 0x20]); // z beyond it
    wired.write(&[0x20, 0x57]);
    assert!(wired.pass_seconds(2).is_empty());
    wired.set("z", 2.0);
    let driven = wired.pass_seconds(2);
    assert_eq!(driven, [("PB11".to_owned(), true), ("PB11".to_owned(), false)], "a step dies away");
}

#[test]
fn the_second_generator_drives_the_second_output() {
    let mut wired = Wired::new("lis3dh,int2=PC3");
    wired.write(&[0x25, 0x20]); // I2_IA2
    wired.write(&[0x36, 40]); // 640 mg
    wired.write(&[0x37, 3]); // for more than three samples
    wired.write(&[0x34, 0x02]); // x beyond it
    wired.write(&[0x20, 0x57]);
    assert!(wired.pass_micros(200_000).is_empty());
    wired.set("x", 1.0);
    assert!(wired.pass_micros(30_000).is_empty());
    assert_eq!(wired.pass_micros(10_000), [("PC3".to_owned(), true)]);
    assert_eq!(wired.read(&[0x35], 1), [0x42]);
}

#[test]
fn turning_over_is_a_movement_from_one_direction_to_another() {
    let mut wired = Wired::new("lis3dh,int1=PB11");
    wired.write(&[0x22, 0x40]);
    wired.write(&[0x24, 0x08]); // latched
    wired.write(&[0x32, 40]);
    wired.write(&[0x30, 0x7F]); // six directions, all of them
    wired.write(&[0x20, 0x57]);
    assert_eq!(rises(&wired.pass_micros(100_000)), 1);
    assert_eq!(wired.read(&[0x31], 1), [0x60], "z up");
    wired.take_driven();
    assert!(wired.pass_micros(100_000).is_empty());
    wired.set("z", -1.0);
    assert_eq!(rises(&wired.pass_micros(100_000)), 1);
    assert_eq!(wired.read(&[0x31], 1), [0x50], "z down");
}
