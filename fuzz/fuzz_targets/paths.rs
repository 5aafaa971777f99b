//! For all templates that both accept, the path table and axum's matcher (matchit) find the same template. An enforcer
//! before axum finds the same endpoint or refuses the request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepup_contract::{Contract, Endpoint, Matcher, Requirement, check_path};

fuzz_target!(|data: (Vec<&str>, Vec<&str>)| {
    let (templates, paths) = data;
    let mut router = matchit::Router::new();
    let mut endpoints = Vec::new();
    for template in templates.into_iter().take(20) {
        if check_path(template).is_ok() && router.insert(template, template.to_owned()).is_ok() {
            endpoints.push(Endpoint::new(template, Requirement::default()));
        }
    }
    let contract = Contract::new("s", "1", endpoints).expect("matchit accepts them");
    let (table, matcher) = (contract.table(), Matcher::new(&contract));
    for path in paths {
        let found = table.find("GET", path).map(|endpoint| endpoint.path.as_str());
        assert_eq!(found, router.at(path).ok().map(|at| at.value.as_str()), "{path}");
        if let Ok(enforced) = matcher.find("GET", path) {
            let enforced = enforced.map(|endpoint| endpoint.path.as_str());
            assert!(found.is_none() || found == enforced, "{path}: {found:?}, {enforced:?}");
        }
    }
});
