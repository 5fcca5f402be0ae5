//! Every target with its corpus and a bounded number of mutations of it.

use std::time::Duration;

use fuzz::mutation;

/// Only a busy machine reaches it: there are fewer mutations then, never a failure.
const LIMIT: Duration = Duration::from_secs(5);

fn fuzz_target(name: &str) {
    let target = fuzz::target(name).expect("a target");
    if let Err(finding) = mutation::run(target, 1, target.tries, LIMIT) {
        panic!("{name}: {}\ninput: {:02x?}", finding.message, finding.input);
    }
}

/// Shows D01, D03, D32, D33.
#[test]
fn a_hostile_application_breaks_no_rule_of_the_kernel() {
    fuzz_target("kernel_calls");
}

/// Whatever a cloud sends, the device's end refuses it or understands it.
#[test]
fn a_hostile_cloud_breaks_no_rule_of_the_devices_link() {
    fuzz_target("link_device");
}

/// Whatever a device sends, the cloud's end refuses it or understands it.
#[test]
fn a_hostile_device_breaks_no_rule_of_the_clouds_link() {
    fuzz_target("link_cloud");
}

/// Hostile device bytes and hostile broker bytes at once.
#[test]
fn hostile_devices_and_brokers_break_no_rule_of_the_relay() {
    fuzz_target("relay_device");
}

/// Whatever a broker sends.
#[test]
fn a_hostile_broker_breaks_no_rule_of_the_client() {
    fuzz_target("mqtt_session");
}

/// Whatever file is given as an image.
#[test]
fn a_hostile_file_is_refused_as_an_image() {
    fuzz_target("image");
}

/// Whatever file is given as a bundle, and whatever its manifest says.
#[test]
fn a_hostile_bundle_is_refused_or_is_what_it_says() {
    fuzz_target("bundle");
}

/// Whatever file is given as a recording.
#[test]
fn a_hostile_recording_is_refused_or_replayed() {
    fuzz_target("recording");
}

/// Whatever a debugger sends.
#[test]
fn a_hostile_debugger_breaks_no_rule_of_the_device() {
    fuzz_target("gdb");
}

/// Whatever file is given for the names in backtraces.
#[test]
fn hostile_debugging_information_gives_names_or_none() {
    fuzz_target("symbols");
}

/// Whatever certificate is read for its common name.
#[test]
fn a_hostile_certificate_has_a_name_or_none() {
    fuzz_target("certificate");
}

/// Whatever a load balancer sends first. Shows D356.
#[test]
fn a_hostile_proxy_header_has_an_address_or_is_refused() {
    fuzz_target("proxy_header");
}

/// Whatever an HTTP server answers.
#[test]
fn a_hostile_http_response_fits_or_is_refused() {
    fuzz_target("http_response");
}

/// Whatever an application writes into peripheral registers.
#[test]
fn hostile_register_writes_break_no_rule_of_the_peripherals() {
    fuzz_target("peripherals");
}

#[test]
fn the_corpus_is_small() {
    let bytes: usize = fuzz::TARGETS.iter().flat_map(mutation::corpus).map(|input| input.len()).sum();
    assert!(bytes < 500_000, "{bytes} bytes");
}
