use stepup_runtime::step_up;

struct Api;

impl Api {
    #[step_up(methods = ["mfa"])]
    async fn approve(&self) {}
}

fn main() {}
