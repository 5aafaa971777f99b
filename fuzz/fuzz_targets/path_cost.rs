//! No path takes long to compare with a contract. Searches for paths of up to 8 KiB, the default limit, that take more
//! than any known one. The fuzzer's instrumentation makes the code about ten times slower.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use stepup_contract::{Contract, Matcher};

const LONGEST: Duration = Duration::from_millis(100);

static MATCHERS: LazyLock<Vec<Matcher>> = LazyLock::new(|| {
    let contracts = [
        r#"[{"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
            {"path": "/users/{id}/v-{version}", "security": {"step-up": false}}]"#,
        r#"[{"path": "/caf%C3%A9/{a}/b/{c}/d.json", "security": {"step-up": true, "methods": ["mfa"]}},
            {"path": "/{*rest}", "security": {"step-up": false}}]"#,
    ];
    contracts.map(|text| Matcher::new(&Contract::parse(text).expect("a contract"))).into()
});

fuzz_target!(|data: (&str, u16)| {
    let (part, repeated) = data;
    if part.is_empty() {
        return;
    }
    let mut path = String::from("/");
    for _ in 0..=repeated {
        if path.len() + part.len() > 8192 {
            break;
        }
        path.push_str(part);
    }
    for matcher in MATCHERS.iter() {
        // The shortest of several runs, because another process may interrupt one.
        let once = || {
            let began = Instant::now();
            let _ = matcher.find("POST", &path);
            began.elapsed()
        };
        let first = once();
        if first > LONGEST {
            let shortest = (0..3).map(|_| once()).min().unwrap_or(first);
            assert!(
                shortest <= LONGEST,
                "{shortest:?} for {part:?}, repeated to {} bytes",
                path.len()
            );
        }
    }
});
