//! Whatever server stands behind an enforcer, and however it reads a path, it finds the endpoint that the enforcer
//! has found, or none. The servers are matchit on what each of them makes of the path and of the templates.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use stepup_contract::{Contract, Matcher};

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) if *first == b'%' => {
                bytes.push(value);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn without_slash(text: &str) -> String {
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

/// What a server makes of a path, and of the templates.
type Reading = fn(&str) -> String;

const SERVERS: [(&str, Reading); 5] = [
    ("as it is written", str::to_owned),
    ("decoded", decoded),
    ("decoded, whatever the case", |text| decoded(text).to_lowercase()),
    ("whatever the slash at the end", |text| without_slash(&decoded(text))),
    ("whatever the case and the slash", |text| without_slash(&decoded(text).to_lowercase())),
];

fn segment() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "A", "x:y", "@", "caf%C3%A9", "d.e", "p%20q"]),
        2 => Just("{z}"),
        1 => Just("v-{z}"),
    ]
}

fn template() -> impl Strategy<Value = String> {
    (vec(segment(), 1..4), 0..6_usize).prop_map(|(segments, end)| {
        let segments = segments.iter().enumerate();
        let mut path: String = segments
            .map(|(at, text)| format!("/{}", text.replace('z', &format!("z{at}"))))
            .collect();
        match end {
            0 => path.push_str("/{*rest}"),
            1 => path.push('/'),
            _ => {}
        }
        path
    })
}

fn path() -> impl Strategy<Value = String> {
    let spelled = prop::sample::select(vec![
        "a",
        "%61",
        "A",
        "%41",
        "b",
        "B",
        "x:y",
        "x%3Ay",
        "x%3ay",
        "X:Y",
        "%78%3Ay",
        "@",
        "%40",
        "v-1",
        "v%2D1",
        "V-1",
        "caf%C3%A9",
        "caf%c3%a9",
        "caf%C3%89",
        "d.e",
        "d%2Ee",
        "D.e",
        "p%20q",
        "p%20Q",
        "other",
        "7",
    ]);
    (vec(spelled, 1..4), any::<bool>()).prop_map(|(segments, slash)| {
        let path: String = segments.iter().map(|text| format!("/{text}")).collect();
        if slash { path + "/" } else { path }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_server_finds_what_was_found_or_nothing(
        mut templates in vec(template(), 1..6),
        path in path(),
    ) {
        templates.sort_unstable();
        templates.dedup();
        let endpoints: Value = templates
            .iter()
            .map(|template| json!({"path": template, "security": {"step-up": false}}))
            .collect();
        // Two that take the same requests are no contract.
        let Ok(contract) = Contract::parse(endpoints.to_string()) else { return Ok(()) };
        let matcher = Matcher::new(&contract);
        let Ok(found) = matcher.find("POST", &path) else { return Ok(()) };
        let found = found.map(|endpoint| endpoint.path.as_str());
        for (name, read) in SERVERS {
            let mut server = matchit::Router::new();
            // A server that cannot tell two templates apart takes neither of them for the other.
            let mut told_apart = true;
            for template in &templates {
                told_apart &= server.insert(read(template), template.as_str()).is_ok();
            }
            if !told_apart {
                continue;
            }
            let takes = server.at(&read(&path)).ok().map(|matched| *matched.value);
            prop_assert!(takes.is_none() || takes == found, "{name}: {path} is {takes:?}, not {found:?}");
        }
    }
}
