//! Hands `memory.x` to the linker, which would find that of the HAL first.

fn main() {
    println!(
        "cargo:rustc-link-arg=-T{}/memory.x",
        env!("CARGO_MANIFEST_DIR")
    );
    println!("cargo:rerun-if-changed=memory.x");
}
