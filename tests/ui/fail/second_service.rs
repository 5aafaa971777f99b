mod a {
    stepup_runtime::service!();
}

mod b {
    stepup_runtime::service!(base = "/api");
}

fn main() {}
