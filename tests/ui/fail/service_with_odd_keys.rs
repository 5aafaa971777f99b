stepup_runtime::service!(base = "/api/", unlisted = "maybe", name = "bank");

fn main() {}
