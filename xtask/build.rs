//! Passes the host target to the tasks.

fn main() {
    println!("cargo:rustc-env=HOST_TARGET={}", std::env::var("TARGET").expect("cargo says which"));
    println!("cargo:rerun-if-changed=build.rs");
}
