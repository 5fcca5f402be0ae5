use super::*;

/// The smallest image: a vector table whose reset handler is the one instruction after it, `b .`.
const TINY: [u8; 10] = [0x00, 0x00, 0x08, 0x20, 0x09, 0x00, 0x00, 0x08, 0xFE, 0xE7];

/// An ELF file with one segment of `bytes` at `address`.
fn elf(address: u32, bytes: &[u8]) -> Vec<u8> {
    elf_of(&[(address, bytes)])
}

/// An ELF file with these segments; every field a literal of the format.
fn elf_of(segments: &[(u32, &[u8])]) -> Vec<u8> {
    let mut file = vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for half in [2u16, 40] {
        file.extend(half.to_le_bytes()); // e_type: executable, e_machine: Arm
    }
    for word in [1u32, 0x0800_0009, 52, 0, 0x0500_0200] {
        file.extend(word.to_le_bytes()); // e_version, e_entry, e_phoff, e_shoff, e_flags
    }
    for half in [52u16, 32, segments.len() as u16, 40, 0, 0] {
        file.extend(half.to_le_bytes()); // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    }
    let mut offset = 52 + 32 * segments.len() as u32;
    for (address, bytes) in segments {
        let size = bytes.len() as u32;
        for word in [1, offset, *address, *address, size, size, 5, 4] {
            file.extend(word.to_le_bytes()); // p_type: load, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags, p_align
        }
        offset += size;
    }
    file.extend(segments.iter().flat_map(|(_, bytes)| *bytes));
    file
}

fn refusal(file: &[u8]) -> String {
    Image::parse(file).expect_err("refused").to_string()
}

#[test]
fn a_raw_binary_is_taken_as_it_is() {
    let image = Image::parse(&TINY).expect("an image");
    assert_eq!(image.bytes(), TINY);
    assert_eq!(image.flash().len(), 0x10_0000);
    assert_eq!(image.flash()[10], 0xFF);
}

#[test]
fn all_devices_with_an_image_share_its_flash() {
    let image = Image::parse(&TINY).expect("an image");
    assert!(Arc::ptr_eq(&image.flash(), &image.clone().flash()));
}

#[test]
fn an_elf_file_gives_the_same_image_as_its_binary() {
    assert_eq!(Image::parse(&elf(0x0800_0000, &TINY)), Image::parse(&TINY));
}

#[test]
fn the_digest_is_the_sha256_of_the_bytes_in_flash() {
    let digest = Image::parse(&TINY).expect("an image").digest();
    assert_eq!(digest, sha256(&TINY));
    assert_eq!(sha256(b"abc")[..4], [0xBA, 0x78, 0x16, 0xBF]);
}

#[test]
fn an_empty_file_is_refused() {
    assert_eq!(refusal(&[]), "is empty; expected an application image (.elf, .hex, .srec or .bin)");
}

#[test]
fn a_zip_bundle_is_refused_by_name() {
    assert!(refusal(b"PK\x03\x04 and more").starts_with("is a zip bundle"));
}

#[test]
fn a_64_bit_elf_file_is_refused() {
    let mut file = elf(0x0800_0000, &TINY);
    file[4] = 2;
    assert!(refusal(&file).starts_with("is a 64-bit ELF file"), "{}", refusal(&file));
}

#[test]
fn a_big_endian_elf_file_is_refused() {
    let mut file = elf(0x0800_0000, &TINY);
    file[5] = 2;
    assert!(refusal(&file).starts_with("is a big-endian ELF file"), "{}", refusal(&file));
}

#[test]
fn an_elf_file_for_another_processor_is_refused_by_its_name() {
    let mut file = elf(0x0800_0000, &TINY);
    file[18] = 62;
    assert_eq!(refusal(&file), "is an ELF file for x86-64 (machine 62); expected Arm (machine 40)");
}

#[test]
fn an_object_file_is_refused() {
    let mut file = elf(0x0800_0000, &TINY);
    file[16] = 1;
    assert!(refusal(&file).starts_with("is an ELF file of type 1; expected an executable"));
}

#[test]
fn an_elf_file_cut_anywhere_is_refused() {
    let whole = elf(0x0800_0000, &TINY);
    for length in 4..whole.len() {
        assert_eq!(Image::parse(&whole[..length]), Err(ImageError::Truncated), "cut at {length}");
    }
}

#[test]
fn an_elf_file_without_segments_is_refused() {
    let mut file = elf(0x0800_0000, &TINY);
    file[44] = 0;
    assert_eq!(Image::parse(&file), Err(ImageError::NothingToLoad));
}

#[test]
fn a_segment_outside_application_flash_is_refused_with_its_address() {
    for address in [0x0000_0000, 0x07FF_FFFF, 0x080F_FFF8, 0x0C00_0000, 0xFFFF_FFFF] {
        let text = refusal(&elf(address, &TINY));
        assert!(text.starts_with(&format!("loads 10 bytes at {address:#010x}; expected")), "{text}");
    }
}

#[test]
fn segments_may_touch_and_leave_gaps_but_not_overlap() {
    let good = elf_of(&[(0x0800_0010, b"far"), (0x0800_000A, b"near"), (0x0800_0000, &TINY)]);
    let image = Image::parse(&good).expect("an image");
    assert_eq!(image.bytes()[10..], *b"near\xFF\xFFfar");
    for other in [0x0800_0000u32, 0x0800_0009, 0x0800_0004] {
        for segments in
            [[(0x0800_0000, &TINY[..]), (other, b"other")], [(other, b"other"), (0x0800_0000, &TINY)]]
        {
            let text = refusal(&elf_of(&segments));
            assert!(text.starts_with("loads two segments over each other, at 0x0800000"), "{text}");
        }
    }
}

#[test]
fn an_elf_file_with_nothing_but_ram_is_refused() {
    let mut file = elf(0x2000_0000, &TINY);
    assert!(refusal(&file).starts_with("loads 10 bytes at 0x20000000; expected"));
    file[68..72].copy_from_slice(&[0; 4]); // p_filesz: nothing to load, only RAM to reserve
    assert_eq!(Image::parse(&file), Err(ImageError::NothingToLoad));
    file[52] = 4; // p_type: a note
    assert_eq!(Image::parse(&file), Err(ImageError::NothingToLoad));
}

#[test]
fn an_elf_file_too_large_for_flash_is_refused_wherever_it_begins() {
    let large = vec![0; 0x10_0001];
    for address in [0x0800_0000, 0x0800_1000] {
        assert!(refusal(&elf(address, &large)).starts_with("loads 1048577 bytes at"));
    }
}

#[test]
fn a_file_of_no_end_is_not_read_to_its_end() {
    let text = Image::load(Path::new("/dev/zero")).expect_err("no end").to_string();
    assert_eq!(
        text,
        "/dev/zero has more than 67108864 bytes; expected an application image (.elf, .hex, .srec or .bin)"
    );
}

#[test]
fn an_image_may_fill_flash_but_not_one_byte_more() {
    let mut full = TINY.to_vec();
    full.resize(0x10_0000, 0);
    assert!(Image::parse(&full).is_ok());
    full.push(0);
    assert_eq!(refusal(&full), "has 1048577 bytes; expected at most 1048576, the size of application flash");
}

#[test]
fn a_file_shorter_than_two_vectors_is_refused() {
    assert_eq!(Image::parse(&TINY[..7]), Err(ImageError::TooShort(7)));
}

/// Shows D211.
#[test]
fn the_initial_stack_pointer_of_a_raw_binary_must_be_in_application_ram_as_the_processor_takes_it() {
    for (stack, good) in [
        (0x2000_0000u32, true),
        (0x2000_1002, true),
        (0x2007_FFFF, true),
        (0x2008_0000, true),
        (0x2008_0003, true),
        (0x2008_0004, false),
        (0x1FFF_FFFF, false),
        (0, false),
    ] {
        let mut file = TINY;
        file[..4].copy_from_slice(&stack.to_le_bytes());
        let expected = if good { Ok(()) } else { Err(ImageError::StackPointer(stack)) };
        assert_eq!(Image::parse(&file).map(|_| ()), expected, "{stack:#x}");
        // An ELF file or a bundle says what it is: its application may set the stack pointer itself.
        assert_eq!(Image::parse(&elf(0x0800_0000, &file)).map(|_| ()), Ok(()), "{stack:#x}");
        assert_eq!(Image::raw(&file).map(|_| ()), Ok(()), "{stack:#x}");
    }
}

/// Shows D211.
#[test]
fn a_dump_of_a_larger_flash_is_taken_without_what_is_erased() {
    let mut file = TINY.to_vec();
    file.resize(0x20_0000, 0xFF);
    assert_eq!(Image::parse(&file).expect("an image").bytes().len(), 0x10_0000);
    file[0x18_0000] = 0;
    assert_eq!(Image::parse(&file), Err(ImageError::TooLarge(0x20_0000)));
}

/// Shows D211.
#[test]
fn segments_without_load_addresses_are_loaded_where_they_run() {
    let mut file = elf(0x0800_0000, &TINY);
    file[64..68].copy_from_slice(&[0; 4]); // p_paddr
    assert_eq!(Image::parse(&file), Image::parse(&TINY));
}

/// Shows D211.
#[test]
fn zeros_in_ram_are_nothing_to_load() {
    let file = elf_of(&[(0x0800_0000, &TINY), (0x2000_1001, &[0; 7])]);
    assert_eq!(Image::parse(&file), Image::parse(&TINY));
    assert!(
        refusal(&elf_of(&[(0x0800_0000, &TINY), (0x2000_1001, &[0, 1])]))
            .starts_with("loads 2 bytes at 0x20001001")
    );
    assert!(
        refusal(&elf_of(&[(0x0800_0000, &TINY), (0x2007_FFFF, &[0, 0])])).starts_with("loads 2 bytes at")
    );
}

/// Shows D211.
#[test]
fn files_of_records_give_the_same_image_as_their_binary() {
    let hex = ":020000040800F2\n:0A000000000008200900000800000000C3\n:00000001FF\n";
    let text = refusal(hex.as_bytes());
    assert_eq!(text, "is an Intel HEX file, but of record 2 its checksum is wrong");
    let hex = ":020000040800F2\n:0A0000000000082009000008FEE7D8\n:00000001FF\n";
    assert_eq!(Image::parse(hex.as_bytes()), Image::parse(&TINY));
    let outside = ":020000042000DA\n:0A0000000000082009000008FEE7D8\n:00000001FF\n";
    assert!(refusal(outside.as_bytes()).starts_with("loads 10 bytes at 0x20000000; expected"));
    let twice = ":020000040800F2\n:0A0000000000082009000008FEE7D8\n:0100000000FF\n:00000001FF\n";
    assert!(refusal(twice.as_bytes()).starts_with("loads two segments over each other"));
    assert_eq!(refusal(b":00000001FF"), "has nothing to load into flash");
}

#[test]
fn the_reset_vector_must_be_thumb_code_inside_the_image() {
    for (reset, expected) in [
        (0x0800_0008, Err(ImageError::ResetNotThumb(0x0800_0008))),
        (0x0800_0007, Err(ImageError::ResetOutside { reset: 0x0800_0007, end: 0x0800_000A })),
        (0x0800_000B, Err(ImageError::ResetOutside { reset: 0x0800_000B, end: 0x0800_000A })),
        (0x0C1F_E0D9, Err(ImageError::ResetOutside { reset: 0x0C1F_E0D9, end: 0x0800_000A })),
        (0x0800_0009u32, Ok(())),
    ] {
        let mut file = TINY;
        file[4..8].copy_from_slice(&reset.to_le_bytes());
        assert_eq!(Image::parse(&file).map(|_| ()), expected, "{reset:#x}");
    }
}

#[test]
fn every_refusal_is_one_line() {
    let mut file = elf(0x0800_0000, &TINY);
    file[18] = 62;
    for text in [refusal(&[]), refusal(b"PK\x03\x04"), refusal(&file), refusal(&[0; 20]), refusal(&[1; 3])] {
        assert!(!text.contains('\n') && text.len() < 160, "{text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let text = Image::load(Path::new("/no/such/application.elf")).expect_err("no file").to_string();
    assert!(text.starts_with("/no/such/application.elf cannot be read: "), "{text}");
}

#[test]
fn no_damaged_file_brings_the_reader_down() {
    let whole = elf(0x0800_0000, &TINY);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut file = whole.clone();
            file[at] ^= 1 << bit;
            if let Ok(image) = Image::parse(&file) {
                assert!(image.bytes().len() <= MAX_IMAGE);
            }
            file[at] = 0xFF;
            let _ = Image::parse(&file);
        }
    }
}
