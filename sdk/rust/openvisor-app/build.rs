//! Adds the folder of `openvisor.ld` to the linker's search path.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-search={folder}");
    println!("cargo:rerun-if-changed=openvisor.ld");
}
