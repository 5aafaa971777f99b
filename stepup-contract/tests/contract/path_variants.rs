//! A server behind the gateway may normalize paths. Whichever normalization it uses, it routes a request to the same
//! endpoint as the gateway, or to none. The servers are matchit on normalized paths and templates.

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

/// How a server normalizes paths and templates.
type Normalization = fn(&str) -> String;

const SERVERS: [(&str, Normalization); 5] = [
    ("no normalization", str::to_owned),
    ("decoded", decoded),
    ("decoded, case-insensitive", |text| decoded(text).to_lowercase()),
    ("decoded, without the trailing slash", |text| without_slash(&decoded(text))),
    ("decoded, case-insensitive, without the trailing slash", |text| {
        without_slash(&decoded(text).to_lowercase())
    }),
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
    let segments = prop::sample::select(vec![
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
    (vec(segments, 1..4), any::<bool>()).prop_map(|(segments, slash)| {
        let path: String = segments.iter().map(|text| format!("/{text}")).collect();
        if slash { path + "/" } else { path }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_server_routes_to_the_same_endpoint_or_to_none(
        mut templates in vec(template(), 1..6),
        path in path(),
    ) {
        templates.sort_unstable();
        templates.dedup();
        let endpoints: Value = templates
            .iter()
            .map(|template| json!({"path": template, "security": {"step-up": false}}))
            .collect();
        // Two templates that match the same requests are not a valid contract.
        let Ok(contract) = Contract::parse(endpoints.to_string()) else { return Ok(()) };
        let matcher = Matcher::new(&contract);
        let Ok(found) = matcher.find("POST", &path) else { return Ok(()) };
        let found = found.map(|endpoint| endpoint.path.as_str());
        for (name, normalize) in SERVERS {
            let mut server = matchit::Router::new();
            // A server that normalizes two templates to the same text cannot confuse them: its router refuses them.
            let mut distinct = true;
            for template in &templates {
                distinct &= server.insert(normalize(template), template.as_str()).is_ok();
            }
            if !distinct {
                continue;
            }
            let routed = server.at(&normalize(&path)).ok().map(|matched| *matched.value);
            prop_assert!(routed.is_none() || routed == found, "{name}: {path} reaches {routed:?}, not {found:?}");
        }
    }
}
