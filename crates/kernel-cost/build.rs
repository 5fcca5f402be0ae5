//! Where the program lies in memory, when it is built for the processor.

fn main() {
    println!("cargo:rerun-if-changed=firmware.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where");
        println!("cargo:rustc-link-arg-bin=kernel-firmware=-T{folder}/firmware.ld");
    }
}
