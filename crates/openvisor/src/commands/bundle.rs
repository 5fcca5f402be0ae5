//! `openvisor bundle`: creates and shows bundles.

mod arguments;

use std::path::Path;

use ::bundle::{Bundle, ConnectivityPolicy, CrashPolicy, DebugPolicy, FlashMemory, Layer, Policies};
use ::device::application::CAPACITY;
use ::device::image::{Image, ImageError, LoadError};
use serde_json::{Value, json};

use crate::host::application::{public_key, signing_key};
use crate::output::exit::Failure;
use crate::output::print::print_result;
use crate::output::table::pairs;
use crate::output::timeline::printable;
pub(super) use arguments::BundleArguments;
use arguments::{BundleAction, CreateArguments, ShowArguments};

/// Runs the subcommand.
pub(super) fn run(arguments: &BundleArguments) -> Result<(), Failure> {
    match &arguments.action {
        BundleAction::Create(create) => self::create(create),
        BundleAction::Show(show) => self::show(show),
    }
}

/// Checks everything before it writes the file.
fn create(arguments: &CreateArguments) -> Result<(), Failure> {
    let image = Image::load(&arguments.image)?;
    let policies = policies(arguments)?;
    let key = arguments.sign.as_deref().map(|path| signing_key("--sign", path)).transpose()?;
    let out = &arguments.out;
    // Comparing canonical paths, because the same file has many spellings.
    let same =
        out.canonicalize().is_ok_and(|out| arguments.image.canonicalize().is_ok_and(|image| image == out));
    if same {
        return Err(Failure::bad_input(format!("{} is the image; choose another file", out.display())));
    }
    let file = Bundle::write(image.bytes(), &policies, CAPACITY, key.as_ref())
        .map_err(|error| Failure::bad_input(format!("cannot create this bundle: it {error}")))?;
    std::fs::write(out, &file)
        .map_err(|error| Failure::environment(format!("cannot write {}: {error}", out.display())))?;
    let (out, bytes, image_bytes) = (out.display().to_string(), file.len(), image.bytes().len());
    let text = || {
        let signed = if key.is_some() { "signed" } else { "not signed" };
        format!("{}: {bytes} bytes, with an image of {image_bytes} bytes, {signed}", printable(&out))
    };
    let value =
        || json!({ "bundle": out, "bytes": bytes, "image_bytes": image_bytes, "signed": key.is_some() });
    print_result(arguments.json, text, value);
    Ok(())
}

fn policies(arguments: &CreateArguments) -> Result<Policies, Failure> {
    let key = arguments.debug_auth_pubkey.as_deref();
    let key = key.map(|path| public_key("--debug-auth-pubkey", path)).transpose()?;
    let auth_pubkey = key.map(|key| key.point().to_vec()).unwrap_or_default();
    Ok(Policies {
        debug: DebugPolicy { debuggable: false, auth_pubkey },
        crash: CrashPolicy {
            minimum_restart_ms: arguments.restart_min,
            maximum_restart_ms: arguments.restart_max,
            report_pubkey: Vec::new(),
            include_stack_bytes: arguments.include_stack_bytes,
        },
        connectivity: ConnectivityPolicy {
            connection_grace_time_sec: arguments.connection_grace_time,
            minimum_check_in_time_sec: arguments.minimum_check_in_time,
        },
        ..Policies::default()
    })
}

fn show(arguments: &ShowArguments) -> Result<(), Failure> {
    let key = arguments.signer.as_deref().map(|path| public_key("--signer", path)).transpose()?;
    let bundle = read(&arguments.file)?;
    if let Some(key) = &key {
        bundle.verify(key).map_err(|why| invalid_bundle(&arguments.file, why))?;
    }
    print_result(arguments.json, || text(&bundle, key.is_some()), || json(&bundle, key.is_some()));
    Ok(())
}

fn read(path: &Path) -> Result<Bundle, Failure> {
    let file =
        ::device::image::read_file(path).map_err(|cause| LoadError { path: path.to_owned(), cause })?;
    Bundle::read(&file, CAPACITY).map_err(|why| {
        if file.starts_with(b"\x7fELF") {
            Failure::bad_input(format!("{} is an ELF file, not a bundle", path.display()))
                .hint("create a bundle of an image with: openvisor bundle create IMAGE OUT")
        } else {
            invalid_bundle(path, why)
        }
    })
}

fn invalid_bundle(path: &Path, why: ::bundle::BundleError) -> Failure {
    LoadError { path: path.to_owned(), cause: ImageError::Refused(Box::new(why)) }.into()
}

fn json(bundle: &Bundle, checked: bool) -> Value {
    let Policies { debug, crash, update, connectivity } = bundle.policies();
    json!({
        "manifest": format!("sha256:{}", hex(&bundle.manifest_hash())),
        "signer_id": bundle.signer_id().map(|id| format!("{id:016x}")),
        "signature_checked": checked,
        "layers": layers(bundle).map(|layer| json!({
            "target": target(layer),
            "start": layer.region.start,
            "size": layer.region.size,
            "length": layer.bytes.len(),
            "fetch_hash": hex(&layer.fetch_hash()),
            "measurement_hash": hex(&layer.measurement_hash()),
        })).collect::<Vec<_>>(),
        "debug": { "debuggable": debug.debuggable, "debug_auth_pubkey": key(&debug.auth_pubkey) },
        "crash": {
            "minimum_restart_ms": crash.minimum_restart_ms,
            "maximum_restart_ms": crash.maximum_restart_ms,
            "crash_report_pubkey": key(&crash.report_pubkey),
            "include_stack_bytes": crash.include_stack_bytes,
        },
        "update": {
            "maximum_politeness_time_sec": update.maximum_politeness_time_sec,
            "minimum_kernel_version": update.minimum_kernel_version,
        },
        "connectivity": {
            "connection_grace_time_sec": connectivity.connection_grace_time_sec,
            "minimum_check_in_time_sec": connectivity.minimum_check_in_time_sec,
        },
    })
}

fn text(bundle: &Bundle, checked: bool) -> String {
    let Policies { debug, crash, update, connectivity } = bundle.policies();
    let policy =
        |value: u32, unit: &str| if value == 0 { "default".to_owned() } else { format!("{value} {unit}") };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let mut rows = vec![
        ("manifest", format!("sha256:{}", hex(&bundle.manifest_hash()))),
        ("signed", signed(bundle, checked)),
    ];
    for layer in layers(bundle) {
        let (start, size) = (layer.region.start, layer.region.size);
        rows.push((target(layer), format!("{} bytes, for {size:#x} bytes at {start:#x}", layer.bytes.len())));
        rows.push(("", format!("sha256:{}", hex(&layer.fetch_hash()))));
    }
    rows.extend([
        ("connection grace time", policy(connectivity.connection_grace_time_sec, "s")),
        ("minimum check-in time", policy(connectivity.minimum_check_in_time_sec, "s")),
        ("shortest restart", policy(crash.minimum_restart_ms, "ms")),
        ("longest restart", policy(crash.maximum_restart_ms, "ms")),
        ("stack in crash reports", policy(crash.include_stack_bytes, "bytes")),
        (
            "crash reports",
            if crash.report_pubkey.is_empty() { "not encrypted" } else { "encrypted" }.to_owned(),
        ),
        ("debuggable", yes_no(debug.debuggable)),
        ("debugging key", key(&debug.auth_pubkey).unwrap_or_else(|| "none".to_owned())),
        ("maximum wait before an update", policy(update.maximum_politeness_time_sec, "s")),
        ("minimum kernel version", policy(update.minimum_kernel_version, "").trim_end().to_owned()),
    ]);
    pairs(&rows)
}

fn signed(bundle: &Bundle, checked: bool) -> String {
    let how = if checked { "verified" } else { "not verified, because --signer is not given" };
    bundle.signer_id().map_or_else(|| "no".to_owned(), |id| format!("with key {id:016x}, {how}"))
}

fn layers(bundle: &Bundle) -> impl Iterator<Item = &Layer> {
    std::iter::once(bundle.image()).chain(bundle.external())
}

fn target(layer: &Layer) -> &'static str {
    match layer.region.memory {
        FlashMemory::Internal => "internal flash",
        FlashMemory::External => "external flash",
    }
}

/// A key in hexadecimal, if there is one.
fn key(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
