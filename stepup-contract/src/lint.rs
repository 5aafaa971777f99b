//! What is legal in a contract and looks like a mistake all the same. How much each rule matters is for the
//! people who run the check to say.

use crate::contract::{Contract, Unlisted};
use crate::endpoint::Endpoint;
use crate::http_method::HttpMethod;
use crate::method::Method;
use crate::overlap::{in_the_way, lacking, twins};
use crate::requirement::Trust;
use crate::rule::Rule;
use crate::samples::Tangled;
use crate::text::{fingerprint, nameless};

/// What a rule has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// The rule.
    pub rule: Rule,
    /// The endpoint, by its index in [`Contract::endpoints`]; `None` where it is the contract as a whole.
    pub endpoint: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

/// What looks like a mistake in this contract, in the order of its endpoints. `longest_max_age` is in seconds.
pub fn lints(contract: &Contract, longest_max_age: u32) -> Vec<Lint> {
    let mut found = Vec::new();
    if contract.unlisted() == Unlisted::Allow {
        found.push(Lint {
            rule: Rule::UnlistedAllow,
            endpoint: None,
            problem:
                "requests that match no endpoint are let through, including those for new handlers"
                    .into(),
            fix: "list every endpoint and say \"unlisted\": \"deny\"".into(),
        });
    }
    let table = contract.table();
    let mut unknown = |rule, problem: &str, why: Tangled| {
        let problem = format!("{problem} could not be checked");
        found.push(Lint { rule, endpoint: None, problem, fix: why.to_string() });
    };
    let in_front = in_the_way(contract, &table).map_err(|why| {
        unknown(Rule::Shadowed, "whether an endpoint takes requests from a stricter one", why);
    });
    let twins = twins(contract, &table).map_err(|why| {
        unknown(Rule::Alike, "whether servers cannot tell an endpoint from a stricter one", why);
    });
    let (mut in_front, twins) = (in_front.unwrap_or_default(), twins.unwrap_or_default());
    for index in 0..contract.endpoints().len() {
        let mut find = |rule, problem: String, fix: &str| {
            let fix = fix.to_owned();
            found.push(Lint { rule, endpoint: Some(index), problem, fix });
        };
        requirement(contract, index, longest_max_age, &mut find);
        let fix = "require as much, or give it another path";
        for problem in in_front.remove(&index).unwrap_or_default() {
            find(Rule::Shadowed, problem, fix);
        }
        for twin in twins.get(&index).into_iter().flatten() {
            let less = lacking(&contract.endpoints()[index], twin);
            let route = contract.route(twin);
            let problem =
                format!("some servers cannot tell it from {route}, and it requires less ({less})");
            find(Rule::Alike, problem, fix);
        }
    }
    found
}

impl Lint {
    /// That nothing gives this handler a route; [`Contract::examine_section`] names those.
    pub fn no_route(handler: &str) -> Self {
        Self {
            rule: Rule::NoRoute,
            endpoint: None,
            problem: format!("the handler {handler} has no route, so no contract lists it"),
            fix: "give it one on the attribute, as in #[step_up(post = \"/path\", …)], or in \
                  routes![POST \"/path\" => handler]"
                .into(),
        }
    }

    /// That this endpoint, by its index in the contract, requires what an enforcer cannot enforce; `why` is what
    /// the enforcer says of it.
    pub fn unenforceable(endpoint: usize, why: &str) -> Self {
        let (problem, fix) = why.split_once("; ").unwrap_or((why, "leave it out"));
        Self {
            rule: Rule::Unenforceable,
            endpoint: Some(endpoint),
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// What of its endpoint it is about, as the end of a JSON pointer (RFC 6901).
    pub fn within(&self, endpoint: &Endpoint) -> &'static str {
        let asked = &endpoint.requirement;
        match self.rule {
            Rule::LongMaxAge | Rule::ZeroMaxAge => "/security/max-age",
            Rule::SmsOnly if asked.methods.is_empty() => "/security/any-methods",
            Rule::SmsOnly => "/security/methods",
            Rule::Unenforceable if asked.per_action => "/security/per-action",
            Rule::Unenforceable => "/security/risk",
            Rule::StateChangingStandard | Rule::NoMaxAge | Rule::NoScopes => "/security",
            Rule::Shadowed | Rule::Alike => "/path",
            Rule::NoRoute | Rule::UnlistedAllow => "",
        }
    }

    /// What a waiver names: the same as long as this very thing is found at this endpoint, whatever else
    /// changes. `contract` is the one that it was found in.
    pub fn fingerprint(&self, contract: &Contract) -> String {
        let endpoint = self.endpoint.and_then(|index| contract.endpoints().get(index));
        let place = endpoint.map(|endpoint| contract.nameless_route(endpoint));
        let (place, problem) = (place.unwrap_or_default(), nameless(&self.problem));
        let text = format!("{}\n{place}\n{problem}", self.rule);
        fingerprint(&text)
    }
}

fn requirement(
    contract: &Contract,
    index: usize,
    longest_max_age: u32,
    find: &mut dyn FnMut(Rule, String, &str),
) {
    let Some(endpoint) = contract.endpoints().get(index) else { return };
    let asked = &endpoint.requirement;
    let changes =
        !matches!(endpoint.method, Some(HttpMethod::Get | HttpMethod::Head | HttpMethod::Options));
    if endpoint.trust() == Trust::Standard {
        if changes {
            find(
                Rule::StateChangingStandard,
                "changes state, and any valid token is enough, a stolen one too".into(),
                "require methods, acr or a max-age, or waive this",
            );
        }
    } else {
        match asked.max_age {
            None => find(
                Rule::NoMaxAge,
                "accepts an authentication of any age".into(),
                "add a max-age, such as 300",
            ),
            Some(0) => find(
                Rule::ZeroMaxAge,
                "a max-age of 0 has passed before the client is back from the login".into(),
                "allow some seconds, such as 60",
            ),
            Some(seconds) if seconds > longest_max_age => find(
                Rule::LongMaxAge,
                format!("accepts an authentication up to {seconds} seconds old"),
                "lower max-age, or raise the limit (longest-max-age)",
            ),
            Some(_) => {}
        }
        if by_telephone_alone(endpoint) {
            find(
                Rule::SmsOnly,
                "a code sent by text message or phone call is enough on its own, and whoever takes over the \
                 number receives it (a restricted authenticator in NIST SP 800-63B)"
                    .into(),
                "require mfa or hwk",
            );
        }
    }
    if asked.scopes.is_empty() {
        find(
            Rule::NoScopes,
            "requires no scope, so that any token for this API will do".into(),
            "add a scope, such as payments:approve",
        );
    }
}

/// Whether text messages and calls satisfy all that is asked of methods.
fn by_telephone_alone(endpoint: &Endpoint) -> bool {
    let telephone = |method: &Method| matches!(method, Method::Sms | Method::Tel);
    let asked = &endpoint.requirement;
    let none = asked.methods.is_empty() && asked.any_methods.is_empty();
    // What an acr says beside them is not known here.
    !none
        && asked.acr.is_empty()
        && asked.methods.iter().all(telephone)
        && (asked.any_methods.is_empty() || asked.any_methods.iter().any(telephone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(unlisted: &str, endpoints: Value) -> Vec<String> {
        let document = json!({
            "contract": 1, "service": "s", "version": "1", "unlisted": unlisted, "endpoints": endpoints,
        });
        let contract = Contract::parse(document.to_string()).unwrap();
        let lints = lints(&contract, 3600).into_iter().filter(|lint| lint.rule != Rule::NoScopes);
        lints
            .map(|lint| {
                let at = lint.endpoint.map(|index| contract.endpoints()[index].route());
                format!("{} {}", at.unwrap_or_default(), lint.rule)
            })
            .collect()
    }

    #[test]
    fn what_some_servers_cannot_tell_apart_is_found_where_it_asks_for_less() {
        let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300});
        let standard = json!({"step-up": false});
        for (path, twin) in [
            ("/pay", "/Pay"),
            ("/pay", "/pay/"),
            ("/a/{id}", "/A/{id}"),
            ("/caf%C3%A9", "/CAF%C3%89"),
            ("/my%20file", "/my+file"),
            ("/v-{id}", "/V-{id}"),
            ("/report", "/report.json"),
            ("/admin/users", "/admin.php/users"),
            ("/admin/{*rest}", "/admin.php/users"),
            ("/pay", "/index.php/pay"),
            ("/a/{id}/b", "/a/{id}/B.v1.json"),
        ] {
            let list = json!([
                {"method": "GET", "path": path, "security": mfa},
                {"method": "GET", "path": twin, "security": standard},
            ]);
            assert_eq!(found("deny", list), [format!("GET {twin} alike")]);
        }
        let same = json!([
            {"method": "GET", "path": "/pay", "security": mfa},
            {"method": "GET", "path": "/Pay", "security": mfa},
            {"method": "PUT", "path": "/PAY", "security": mfa},
            {"method": "GET", "path": "/payments", "security": standard},
        ]);
        assert_eq!(found("deny", same), [""; 0]);
    }

    #[test]
    fn each_rule_finds_what_it_is_for_and_nothing_else() {
        let one = |method: &str, security: Value| {
            found("deny", json!([{"method": method, "path": "/a", "security": security}]))
        };
        let none = Vec::<String>::new();
        assert_eq!(one("POST", json!({"step-up": false})), ["POST /a state-changing-standard"]);
        assert_eq!(one("GET", json!({"step-up": false})), none);
        let sensitive = |extra: Value| {
            let mut security = json!({"step-up": true, "max-age": 300});
            security.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
            one("POST", security)
        };
        assert_eq!(sensitive(json!({})), none);
        assert_eq!(sensitive(json!({"max-age": 3600})), none);
        assert_eq!(sensitive(json!({"max-age": 3601})), ["POST /a long-max-age"]);
        assert_eq!(sensitive(json!({"max-age": 0})), ["POST /a zero-max-age"]);
        assert_eq!(sensitive(json!({"methods": ["sms"]})), ["POST /a sms-only"]);
        assert_eq!(sensitive(json!({"any-methods": ["hwk", "tel"]})), ["POST /a sms-only"]);
        assert_eq!(sensitive(json!({"methods": ["sms", "pwd"]})), none);
        assert_eq!(sensitive(json!({"methods": ["pwd"], "any-methods": ["sms"]})), none);
        let security = json!({"step-up": true, "methods": ["mfa"]});
        assert_eq!(one("POST", security), ["POST /a no-max-age"]);
        assert_eq!(found("allow", json!([])), [" unlisted-allow"]);
    }

    #[test]
    fn an_endpoint_in_front_of_a_stricter_one_is_found() {
        let at = |method: &str, path: &str, step_up: bool| {
            let security = match step_up {
                true => json!({"step-up": true, "max-age": 300}),
                false => json!({"step-up": false}),
            };
            json!({"method": method, "path": path, "security": security})
        };
        let of = |list: &[Value]| found("deny", list.into());
        let shadowed = ["GET /a/me shadowed"];
        assert_eq!(of(&[at("GET", "/a/{id}", true), at("GET", "/a/me", false)]), shadowed);
        assert_eq!(of(&[at("GET", "/{*rest}", true), at("GET", "/a/me", false)]), shadowed);
        assert_eq!(of(&[at("GET", "/a", true), at("HEAD", "/a", false)]), ["HEAD /a shadowed"]);
        assert_eq!(of(&[at("GET", "/a", false), at("HEAD", "/a", true)]), [""; 0]);
        assert!(of(&[at("GET", "/a/{id}", false), at("GET", "/a/me", true)]).is_empty());
        // Where each has a parameter that the other has not.
        let crossing = [at("GET", "/a/{x}/c", true), at("GET", "/a/b/{y}", false)];
        assert_eq!(of(&crossing), ["GET /a/b/{y} shadowed"]);
        let crossing = [at("GET", "/a/{x}/c", false), at("GET", "/a/b/{y}", true)];
        assert!(of(&crossing).is_empty());
        assert!(of(&[at("PUT", "/a/{id}", true), at("GET", "/a/me", false)]).is_empty());
        let allow = found("allow", json!([at("PUT", "/a/{id}", true), at("GET", "/a/me", false)]));
        assert_eq!(allow, [" unlisted-allow", "GET /a/me shadowed"]);
    }

    #[test]
    fn a_fingerprint_outlives_other_changes() {
        let of = |name: &str, extra: bool| {
            let mut list = vec![json!({
                "method": "POST", "path": format!("/a/{{{name}}}"), "security": {"step-up": false},
            })];
            if extra {
                list.push(json!({"method": "GET", "path": "/", "security": {"step-up": false}}));
            }
            let contract = Contract::parse(Value::from(list).to_string()).unwrap();
            let lints = lints(&contract, 3600).into_iter();
            let lint = lints.rev().find(|lint| lint.rule == Rule::StateChangingStandard).unwrap();
            lint.fingerprint(&contract)
        };
        assert_eq!(of("id", false), of("key", true));
    }

    #[test]
    fn every_rule_reads_back_by_its_name() {
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse::<Rule>().unwrap(), rule);
        }
        let error = "sms-onyl".parse::<Rule>().unwrap_err().to_string();
        assert_eq!(error, "unknown lint `sms-onyl`; did you mean `sms-only`?");
    }
}
