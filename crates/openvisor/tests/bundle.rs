//! `openvisor bundle`, and bundles wherever an image is taken.

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::fixtures::{Mosquitto, SAMPLE, SAMPLE_BIN, text};
use support::{Processes, within};
use test_bundles::{File, Layer, field, hostile, manifest, number, zip};

const LIMIT: Duration = Duration::from_mins(2);

/// Code, standard output and standard error of a command.
fn run(processes: &Processes, words: &[&str]) -> (i32, String, String) {
    let process = processes.openvisor(words);
    (process.code(), process.out.text(), process.err.text())
}

fn done(processes: &Processes, words: &[&str]) -> String {
    let (code, out, err) = run(processes, words);
    assert_eq!((code, err.as_str()), (0, ""), "{words:?}");
    out
}

/// A command that is refused as bad input, in one line and without a trace.
fn refused(processes: &Processes, words: &[&str]) -> String {
    let (code, out, err) = run(processes, words);
    assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
    assert_eq!(err.lines().count(), 1, "{words:?}: {err}");
    err
}

fn shown(processes: &Processes, file: &Path) -> Value {
    serde_json::from_str(&done(processes, &["bundle", "show", text(file), "--json"])).unwrap()
}

#[test]
fn the_policies_given_to_create_are_shown() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, key) = (folder.path().join("app.zip"), folder.path().join("key.pem"));
        let pair = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&key, pair.public_key_pem()).unwrap();
        let words = "--connection-grace-time 30 --minimum-check-in-time 3600 --restart-min 500 --restart-max 9000 \
                     --include-stack-bytes 256 -k";
        let words =
            ["bundle", "create", SAMPLE_BIN, text(&bundle)].into_iter().chain(words.split_whitespace());
        let out = done(processes, &words.chain([text(&key)]).collect::<Vec<_>>());
        assert!(out.contains("not signed"), "{out}");
        let value = shown(processes, &bundle);
        assert_eq!(value["connectivity"]["connection_grace_time_sec"], 30);
        assert_eq!(value["connectivity"]["minimum_check_in_time_sec"], 3600);
        assert_eq!(value["crash"]["minimum_restart_ms"], 500);
        assert_eq!(value["crash"]["maximum_restart_ms"], 9000);
        assert_eq!(value["crash"]["include_stack_bytes"], 256);
        assert_eq!(value["debug"]["debug_auth_pubkey"].as_str().map(str::len), Some(130));
        assert_eq!(value["signer_id"], Value::Null);
        let image = std::fs::read(SAMPLE_BIN).unwrap();
        assert_eq!(value["layers"][0]["fetch_hash"], test_bundles::hex(&test_bundles::sha256(&image)));
        assert_eq!(value["layers"][0]["length"], image.len());
        let table = done(processes, &["bundle", "show", text(&bundle)]);
        let line = table.lines().find_map(|line| line.strip_prefix("minimum check-in time"));
        assert_eq!(line.map(str::trim), Some("3600 s"), "{table}");
    });
}

/// Shows that `bundle create` has a form for programs, as its neighbours have, and that an image is recognised.
#[test]
fn create_reports_as_json_and_show_names_an_elf_file() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("app.zip");
        let out = done(processes, &["bundle", "create", SAMPLE_BIN, text(&bundle), "--json"]);
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["bundle"], text(&bundle));
        assert_eq!(value["bytes"], std::fs::metadata(&bundle).unwrap().len());
        assert_eq!(value["image_bytes"], std::fs::metadata(SAMPLE_BIN).unwrap().len());
        assert_eq!(value["signed"], false);

        let elf = Path::new(SAMPLE_BIN).with_extension("elf");
        let (code, _, err) = run(processes, &["bundle", "show", text(&elf)]);
        assert_eq!(code, 2);
        assert!(err.contains("is an ELF file, not a bundle"), "{err}");
    });
}

#[test]
fn a_bundle_is_made_as_zip_programs_read_it() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("app.zip");
        done(processes, &["bundle", "create", SAMPLE_BIN, text(&bundle)]);
        let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                      print(*[i.filename for i in z.infolist()]); \
                      sys.stdout.flush(); sys.stdout.buffer.write(z.read(z.namelist()[0])[:4])";
        let python = processes.tool("python3", ["-c", script, text(&bundle)]);
        assert_eq!(python.code(), 0, "{}", python.err.text());
        let image = std::fs::read(SAMPLE_BIN).unwrap();
        let name = test_bundles::hex(&test_bundles::sha256(&image));
        assert_eq!(python.out.text().lines().next(), Some(format!("{name} manifest").as_str()));
    });
}

/// Shows M01, M61, M81.
#[test]
fn a_bundle_runs_as_its_image_does() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("app.zip");
        done(processes, &["bundle", "create", SAMPLE, text(&bundle)]);
        let broker = Mosquitto::start(processes);
        let words = [vec!["run".to_owned(), text(&bundle).to_owned()], broker.settings()].concat();
        let run = processes.openvisor(words);
        run.out.expect("publish 0: requestcompleted");
        drop(run);
        let demo = processes.openvisor(["demo", text(&bundle)]);
        demo.out.expect("LED off");
        demo.signal("INT");
        assert_eq!(demo.code(), 0, "{}", demo.err.text());
    });
}

/// A vector table whose every handler is an undefined instruction.
fn crashing() -> Vec<u8> {
    let mut image = 0x2001_0000u32.to_le_bytes().to_vec();
    (1..16).for_each(|_| image.extend(0x0800_0041u32.to_le_bytes()));
    image.extend(0xDE00u16.to_le_bytes()); // UDF #0
    image
}

/// Shows D73, D151.
#[test]
fn an_application_that_crashes_restarts_as_its_bundle_says() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let (image, bundle) = (folder.path().join("crash.bin"), folder.path().join("crash.zip"));
        std::fs::write(&image, crashing()).unwrap();
        let pauses = ["--restart-min", "100", "--restart-max", "300"];
        done(processes, &[&["bundle", "create", text(&image), text(&bundle)][..], &pauses].concat());
        let run = processes.openvisor(["run", text(&bundle)]);
        let mut from = 0;
        for pause in ["in 100 ms", "in 200 ms", "in 300 ms", "in 300 ms"] {
            let (next, line) = run.err.expect_after(from, "application crashed");
            assert!(line.contains(pause), "{pause}: {line}");
            from = next;
        }
    });
}

/// Shows D153.
#[test]
fn a_signature_is_reported_and_verified_with_signer() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (bundle, key, public, other) =
            (path("a.zip"), path("key.pem"), path("public.pem"), path("other.pem"));
        let pair = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        std::fs::write(&public, pair.public_key_pem()).unwrap();
        std::fs::write(&other, rcgen::KeyPair::generate().unwrap().public_key_pem()).unwrap();
        done(processes, &["bundle", "create", SAMPLE, text(&bundle), "--sign", text(&key)]);
        let show = |key: &Path| run(processes, &["bundle", "show", text(&bundle), "--signer", text(key)]);
        assert!(show(&public).1.contains(", verified"));
        assert_eq!(show(&other).0, 2);
        let process =
            processes.openvisor(["run", text(&bundle), "--seconds", "1", "--signer", text(&public)]);
        process.err.expect("bundle signed with key");
        let process = processes.openvisor(["run", text(&bundle), "--seconds", "1"]);
        assert!(process.err.expect("bundle signed with key").contains("not verified"));
        let error = refused(processes, &["run", text(&bundle), "--signer", text(&other)]);
        assert!(error.contains("it is signed with key"), "{error}");
        let error = refused(processes, &["run", SAMPLE, "--signer", text(&public)]);
        assert!(error.contains("is not a bundle and has no signature"), "{error}");
        let error = refused(processes, &["run", text(&bundle), "--signer", text(&key)]);
        assert!(error.contains("contains no public key in PEM"), "{error}");
    });
}

/// Every command that takes a bundle, as it would be called with this one; the folder must stay as it is.
fn refuse_everywhere(processes: &Processes, folder: &Path, bundle: &Path, expected: &str) {
    let (data, bundle) = (folder.join("data"), text(bundle));
    for words in [
        &["run", bundle, "--data", text(&data)][..],
        &["device", bundle, "--cloud", "127.0.0.1:9", "--data", text(&data)],
        &["demo", bundle, "--data", text(&data)],
        &["bundle", "show", bundle],
    ] {
        let error = refused(processes, words);
        assert!(error.contains(bundle) && error.contains(expected), "{expected}: {error}");
        assert!(!data.exists(), "{words:?} has made a folder");
    }
}

#[test]
fn a_hostile_archive_is_refused_by_every_command_in_one_line_and_nothing_is_written() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let image = std::fs::read(SAMPLE_BIN).unwrap();
        let path = folder.path().join("bundle.zip");
        for (number, (name, file, expected)) in hostile(&image).into_iter().enumerate() {
            std::fs::write(&path, file).unwrap();
            if number == 0 {
                refuse_everywhere(processes, folder.path(), &path, expected);
            }
            let error =
                refused(processes, &["run", text(&path), "--data", text(&folder.path().join("data"))]);
            assert!(error.contains(expected), "{name}: {error}");
        }
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().flatten().map(|it| it.file_name()).collect();
        assert_eq!(left, ["bundle.zip"]);
    });
}

#[test]
fn a_bundle_with_wrong_hashes_or_regions_is_refused() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let image = std::fs::read(SAMPLE_BIN).unwrap();
        let path = folder.path().join("bundle.zip");
        let good = Layer::image(&image);
        let of =
            |layer: Layer| zip(&[File::layer(&image), File::stored("manifest", &manifest(&[layer], &[]))]);
        let mut measured = good.clone();
        measured.measured[31] ^= 1;
        let wrong_order = field(3, &[number(1, 2), number(2, 1)].concat());
        let order = [
            File::layer(&image),
            File::stored("manifest", &manifest(std::slice::from_ref(&good), &wrong_order)),
        ];
        for (file, expected) in [
            (of(measured), "SHA-256 of the region"),
            (of(Layer { start: 4, ..good.clone() }), "outside the application's internal flash"),
            (of(Layer { key: 1, ..good.clone() }), "is encrypted"),
            (of(Layer { memory: 2, ..good.clone() }), "expected one, the application"),
            (zip(&order), "is longer than its maximum"),
        ] {
            std::fs::write(&path, file).unwrap();
            let error = refused(processes, &["run", text(&path)]);
            assert!(error.contains(expected), "{expected}: {error}");
        }
    });
}

#[test]
fn what_cannot_be_made_is_refused_before_anything_is_written() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("app.zip");
        let letter = folder.path().join("letter");
        std::fs::write(&letter, "dear").unwrap();
        for (words, expected) in [
            (&["--restart-min", "2", "--restart-max", "1"][..], "longer than its maximum"),
            (&["--debug-auth-pubkey", text(&letter)], "--debug-auth-pubkey: "),
            (&["--sign", text(&letter)], "contains no private key in PEM"),
            (&["--sign", "/no/such/key"], "cannot read /no/such/key"),
        ] {
            let error = refused(processes, &[&["bundle", "create", SAMPLE, text(&out)][..], words].concat());
            assert!(error.contains(expected), "{error}");
            assert!(!out.exists());
        }
        let copy = folder.path().join("app.elf");
        std::fs::copy(SAMPLE, &copy).unwrap();
        let error = refused(processes, &["bundle", "create", text(&copy), text(&copy)]);
        assert!(error.contains("is the image"), "{error}");
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(SAMPLE).unwrap());
        let (code, _, error) = run(processes, &["bundle", "create", text(&letter), text(&out)]);
        assert_eq!(code, 2, "{error}");
        let (code, _, error) = run(processes, &["bundle", "create", SAMPLE, "/no/such/folder/app.zip"]);
        assert_eq!(code, 3, "{error}");
    });
}
