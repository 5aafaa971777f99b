//@ CARGO_BIN_NAME=bank
//@ CARGO_MANIFEST_DIR=ui/package_with_library
stepup_runtime::service!(base = "/api");

fn main() {}
