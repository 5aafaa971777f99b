use stepup_runtime::step_up;

#[step_up(post = "approve", methods = ["mfaa", "otp", "otp"], max_age = "soon", color = 1, acr = [])]
async fn approve() {}

fn main() {}
