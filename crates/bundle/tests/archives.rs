//! Archives that are accepted, and those that are not.

use bundle::{Bundle, BundleError, Capacity, FlashMemory, Policies};
use test_bundles::{FLASH, File, Layer, bundle, hostile, manifest, zip};

const IMAGE: &[u8] = b"an application, which nothing here executes";

const CAPACITY: Capacity = Capacity { internal_flash: FLASH as u32, external_flash: 4 << 20 };

fn read_error(file: &[u8]) -> String {
    Bundle::read(file, CAPACITY).expect_err("refused").to_string()
}

#[test]
fn a_handmade_bundle_is_read() {
    let bundle = Bundle::read(&bundle(IMAGE, &[]), CAPACITY).expect("a bundle");
    assert_eq!(bundle.image().bytes, IMAGE);
    assert_eq!(bundle.image().region.size, 0x10_0000);
    assert_eq!(bundle.policies(), &Policies::default());
    assert_eq!((bundle.external().len(), bundle.signer_id()), (0, None));
}

#[test]
fn entries_may_be_deflated_and_in_any_order() {
    let manifest = File::deflated("manifest", &manifest(&[Layer::image(IMAGE)], &[]));
    let layer = File::deflated(&test_bundles::hex(&test_bundles::sha256(IMAGE)), IMAGE);
    assert!(Bundle::read(&zip(&[manifest, layer]), CAPACITY).is_ok());
}

#[test]
fn an_image_of_zeros_is_no_bomb() {
    let zeros = vec![0; FLASH];
    let file = Bundle::write(&zeros, &Policies::default(), CAPACITY, None).expect("written");
    assert!(file.len() < 3000, "{}", file.len());
    assert_eq!(Bundle::read(&file, CAPACITY).expect("read").image().bytes, zeros);
}

#[test]
fn every_hostile_archive_is_refused_in_one_line_that_says_why() {
    for (name, file, expected) in hostile(IMAGE) {
        let error = read_error(&file);
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.chars().all(|letter| !letter.is_control()) && error.len() < 200, "{name}: {error:?}");
    }
}

/// A bundle with a small region, whose hash is quick to compute.
fn small() -> Vec<u8> {
    let manifest = manifest(&[Layer::of(1, 0, 0x1000, IMAGE)], &[]);
    zip(&[File::layer(IMAGE), File::stored("manifest", &manifest)])
}

#[test]
fn a_bundle_cut_anywhere_is_refused() {
    let whole = small();
    assert!((0..whole.len()).all(|length| Bundle::read(&whole[..length], CAPACITY).is_err()));
}

/// What is not covered by a hash or a checksum may change (times, versions), and then the bundle is the same.
#[test]
fn a_bundle_with_one_byte_changed_is_refused_or_the_same() {
    let whole = small();
    let good = Bundle::read(&whole, CAPACITY).expect("good");
    for at in 0..whole.len() {
        for change in [1, 0x80, 0xFF] {
            let mut file = whole.clone();
            file[at] ^= change;
            if let Ok(read) = Bundle::read(&file, CAPACITY) {
                assert_eq!(read, good, "byte {at}");
            }
        }
    }
}

fn of_layers(layers: &[Layer], files: &[&[u8]]) -> Result<Bundle, BundleError> {
    let mut entries: Vec<File> = files.iter().map(|bytes| File::layer(bytes)).collect();
    entries.push(File::stored("manifest", &manifest(layers, &[])));
    Bundle::read(&zip(&entries), CAPACITY)
}

/// Shows D152.
#[test]
fn layers_for_the_external_flash_are_read_with_their_regions() {
    let layers = [Layer::of(2, 0x2000, 0x1000, b"two"), Layer::image(IMAGE), Layer::of(2, 0, 0x2000, b"one")];
    let bundle = of_layers(&layers, &[IMAGE, b"one", b"two"]).expect("a bundle");
    let layers: Vec<_> =
        bundle.external().iter().map(|layer| (layer.region.start, &layer.bytes[..])).collect();
    assert_eq!(layers, [(0x2000, &b"two"[..]), (0, b"one")]);
    assert!(bundle.external().iter().all(|layer| layer.region.memory == FlashMemory::External));
}

/// Shows D152.
#[test]
fn invalid_layers_are_refused() {
    let image = Layer::image(IMAGE);
    let changed = |change: fn(&mut Layer)| {
        let mut layer = Layer::image(IMAGE);
        change(&mut layer);
        layer
    };
    for (layers, expected) in [
        (vec![], "its manifest is empty"),
        (vec![changed(|layer| layer.measured[0] ^= 1)], "SHA-256 of the region"),
        (vec![changed(|layer| layer.fetch[0] ^= 1)], "is not in the archive"),
        (vec![changed(|layer| layer.fetch.truncate(31))], "a layer's hash has 31 bytes"),
        (vec![changed(|layer| layer.key = 7)], "encrypted with key 0000000000000007"),
        (vec![changed(|layer| layer.memory = 3)], "a layer has no region"),
        (
            vec![changed(|layer| layer.start = 1)],
            "0x100000 bytes at 0x1, is outside the application's internal",
        ),
        (vec![changed(|layer| layer.start = 0xFFFF_FFFF)], "is outside"),
        (vec![Layer::of(1, 0x100, 0x1000, IMAGE)], "begins at 0x100 of the internal flash"),
        (vec![Layer::of(1, 0, 16, IMAGE)], "does not fit its region of 16"),
        (vec![image.clone(), image.clone()], "2 layers for the internal flash"),
        (vec![Layer::of(2, 0, 0x1000, IMAGE)], "0 layers for the internal flash"),
        (
            vec![image.clone(), Layer::of(2, 4 << 20, 1, IMAGE)],
            "outside the application's external flash of 0x400000",
        ),
        (
            vec![image.clone(), Layer::of(2, 0, 0x1001, IMAGE), Layer::of(2, 0x1000, 0x1000, IMAGE)],
            "overlap in the external flash",
        ),
        (vec![image.clone(); 17], "more than 16 layers"),
    ] {
        let error = of_layers(&layers, &[IMAGE]).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let error = of_layers(&[image], &[IMAGE, b"stray"]).expect_err("stray").to_string();
    assert!(error.contains("is not a layer in its manifest"), "{error}");
}

#[test]
fn a_region_has_to_fit_the_devices_flash() {
    let capacity = Capacity { internal_flash: 0x8_0000, external_flash: 0 };
    let refused = Bundle::read(&bundle(IMAGE, &[]), capacity).expect_err("too large a region");
    assert!(refused.to_string().contains("internal flash of 0x80000"), "{refused}");
}

/// Shows D211.
#[test]
fn every_entry_has_a_date_that_the_format_has_and_the_archive_is_the_same_each_time() {
    let file = Bundle::write(IMAGE, &Policies::default(), CAPACITY, None).expect("written");
    assert_eq!(file, Bundle::write(IMAGE, &Policies::default(), CAPACITY, None).expect("written"));
    let mut headers = 0;
    // Where the time is in a local header and in one of the directory (APPNOTE 4.3.7, 4.3.12).
    for (signature, time) in [(b"PK\x03\x04", 10), (b"PK\x01\x02", 12)] {
        for at in (0..file.len() - 4).filter(|at| file[*at..].starts_with(signature)) {
            // Midnight; day 1, month 1 and 1980.
            assert_eq!(file[at + time..at + time + 4], [0, 0, 0x21, 0]);
            headers += 1;
        }
    }
    assert_eq!(headers, 4);
}
