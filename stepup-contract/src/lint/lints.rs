//! Likely mistakes in a valid contract. The people who run the check configure the level of each rule.

use crate::comparison::conflicts::{less_required, lookalikes, shadowing};
use crate::lint::rule::Rule;
use crate::model::{Contract, Endpoint, HttpMethod, Method, Trust, Unlisted};
use crate::path::TooManyOverlaps;

/// A finding of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lint {
    /// The rule.
    pub rule: Rule,
    /// The endpoint, by its index in [`Contract::endpoints`]; `None` if the finding is about the contract as a whole.
    pub endpoint: Option<usize>,
    /// The problem.
    pub problem: String,
    /// How to fix it.
    pub fix: String,
}

/// Likely mistakes in this contract, in the order of its endpoints. `longest_max_age` is in seconds.
pub fn lints(contract: &Contract, longest_max_age: u32) -> Vec<Lint> {
    let mut found = Vec::new();
    if contract.unlisted() == Unlisted::Allow {
        found.push(Lint {
            rule: Rule::UnlistedAllow,
            endpoint: None,
            problem:
                "requests that match no endpoint are allowed, including those for new handlers"
                    .into(),
            fix: "list every endpoint and set \"unlisted\" to \"deny\"".into(),
        });
    }
    let table = contract.table();
    let mut unchecked = |rule, question: &str, error: TooManyOverlaps| {
        let problem = format!("{question} could not be checked");
        found.push(Lint { rule, endpoint: None, problem, fix: error.to_string() });
    };
    let shadowing = shadowing(contract, &table).map_err(|error| {
        unchecked(Rule::Shadowed, "whether an endpoint takes requests from a stricter one", error);
    });
    let lookalikes = lookalikes(contract, &table).map_err(|error| {
        let question = "whether servers cannot distinguish an endpoint from a stricter one";
        unchecked(Rule::Lookalike, question, error);
    });
    let mut shadowing = shadowing.unwrap_or_default();
    let lookalikes = lookalikes.unwrap_or_default();
    for index in 0..contract.endpoints().len() {
        let mut find = |rule, problem: String, fix: &str| {
            let fix = fix.to_owned();
            found.push(Lint { rule, endpoint: Some(index), problem, fix });
        };
        requirement(contract, index, longest_max_age, &mut find);
        let fix = "require as much, or use another path";
        for problem in shadowing.remove(&index).unwrap_or_default() {
            find(Rule::Shadowed, problem, fix);
        }
        for stricter in lookalikes.get(&index).into_iter().flatten() {
            let less = less_required(&contract.endpoints()[index], stricter);
            let route = contract.route(stricter);
            let problem = format!(
                "some servers cannot distinguish it from {route}, which requires more ({less})"
            );
            find(Rule::Lookalike, problem, fix);
        }
    }
    found
}

impl Lint {
    /// The finding for a handler without a route; [`Contract::examine_section`] returns these handlers.
    pub fn no_route(handler: &str) -> Self {
        Self {
            rule: Rule::NoRoute,
            endpoint: None,
            problem: format!("the handler {handler} has no route, so no contract lists it"),
            fix: "give it a route on the attribute, as in #[step_up(post = \"/path\", …)], or in \
                  routes![POST \"/path\" => handler]"
                .into(),
        }
    }

    /// The finding for an endpoint, by its index in the contract, that an enforcer cannot enforce for this reason.
    pub fn unenforceable(endpoint: usize, reason: &str) -> Self {
        let (problem, fix) = reason.split_once("; ").unwrap_or((reason, "remove it"));
        Self {
            rule: Rule::Unenforceable,
            endpoint: Some(endpoint),
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// The part of the endpoint that the finding is about, as the end of a JSON pointer (RFC 6901).
    pub fn pointer_in(&self, endpoint: &Endpoint) -> &'static str {
        let required = &endpoint.requirement;
        match self.rule {
            Rule::LongMaxAge | Rule::ZeroMaxAge => "/security/max-age",
            Rule::SmsOnly if required.methods.is_empty() => "/security/any-methods",
            Rule::SmsOnly => "/security/methods",
            Rule::Unenforceable if required.per_action => "/security/per-action",
            Rule::Unenforceable => "/security/risk",
            Rule::StateChangingPublic | Rule::NoReason => "/trust",
            Rule::StateChangingStandard | Rule::NoMaxAge | Rule::NoScopes => "/security",
            Rule::Shadowed | Rule::Lookalike => "/path",
            Rule::NoRoute | Rule::UnlistedAllow => "",
        }
    }
}

fn requirement(
    contract: &Contract,
    index: usize,
    longest_max_age: u32,
    find: &mut dyn FnMut(Rule, String, &str),
) {
    let Some(endpoint) = contract.endpoints().get(index) else { return };
    let required = &endpoint.requirement;
    let changes =
        !matches!(endpoint.method, Some(HttpMethod::Get | HttpMethod::Head | HttpMethod::Options));
    if endpoint.public {
        if changes {
            find(
                Rule::StateChangingPublic,
                "changes state, and everybody may call it".into(),
                "make it standard or sensitive; or waive this, if the handler authenticates its callers in another way, \
                 such as by a signature",
            );
        }
        if endpoint.reason.is_none() {
            find(
                Rule::NoReason,
                "is public, and the contract does not state why".into(),
                "add a reason, as in reason = \"signed by Stripe\"",
            );
        }
        return;
    }
    if endpoint.trust() == Trust::Standard {
        if changes {
            find(
                Rule::StateChangingStandard,
                "changes state, and any valid token is enough, including a stolen one".into(),
                "require methods, acr or a max-age, or waive this",
            );
        }
    } else {
        match required.max_age {
            None => find(
                Rule::NoMaxAge,
                "accepts an authentication of any age".into(),
                "add a max-age, such as 300",
            ),
            Some(0) => find(
                Rule::ZeroMaxAge,
                "a max-age of 0 has passed before the client returns from the login".into(),
                "allow some seconds, such as 60",
            ),
            Some(seconds) if seconds > longest_max_age => find(
                Rule::LongMaxAge,
                format!("accepts an authentication up to {seconds} seconds old"),
                "lower max-age, or raise the limit (longest-max-age)",
            ),
            Some(_) => {}
        }
        if telephone_suffices(endpoint) {
            find(
                Rule::SmsOnly,
                "a code sent by text message or phone call is enough on its own, and an attacker who takes over the \
                 number receives it (a restricted authenticator in NIST SP 800-63B)"
                    .into(),
                "require mfa or hwk",
            );
        }
    }
    if required.scopes.is_empty() {
        find(
            Rule::NoScopes,
            "requires no scope, so any token for this API is accepted".into(),
            "add a scope, such as payments:approve",
        );
    }
}

/// Whether text messages and phone calls satisfy all required methods.
fn telephone_suffices(endpoint: &Endpoint) -> bool {
    let telephone = |method: &Method| matches!(method, Method::Sms | Method::Tel);
    let required = &endpoint.requirement;
    let none = required.methods.is_empty() && required.any_methods.is_empty();
    // A required acr may demand more.
    !none
        && required.acr.is_empty()
        && required.methods.iter().all(telephone)
        && (required.any_methods.is_empty() || required.any_methods.iter().any(telephone))
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
    fn an_endpoint_that_some_servers_confuse_with_a_stricter_one_is_found() {
        let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300});
        let standard = json!({"step-up": false});
        for (path, lookalike) in [
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
                {"method": "GET", "path": lookalike, "security": standard},
            ]);
            assert_eq!(found("deny", list), [format!("GET {lookalike} lookalike")]);
        }
        let public = json!([
            {"method": "GET", "path": "/pay", "security": standard},
            {"method": "GET", "path": "/Pay", "trust": "public", "reason": "r", "security": standard},
            {"method": "GET", "path": "/a/{id}", "security": standard},
            {"method": "GET", "path": "/a/b", "trust": "public", "reason": "r", "security": standard},
        ]);
        assert_eq!(found("deny", public), ["GET /Pay lookalike", "GET /a/b shadowed"]);
        let same = json!([
            {"method": "GET", "path": "/pay", "security": mfa},
            {"method": "GET", "path": "/Pay", "security": mfa},
            {"method": "PUT", "path": "/PAY", "security": mfa},
            {"method": "GET", "path": "/payments", "security": standard},
        ]);
        assert_eq!(found("deny", same), [""; 0]);
    }

    #[test]
    fn each_rule_finds_its_mistake_and_nothing_else() {
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
        let public = |method: &str, reason: Option<&str>| {
            let mut endpoint = json!({
                "method": method, "path": "/a", "trust": "public", "security": {"step-up": false},
            });
            if let Some(reason) = reason {
                endpoint["reason"] = reason.into();
            }
            found("deny", json!([endpoint]))
        };
        assert_eq!(public("GET", Some("the home page")), none);
        assert_eq!(public("GET", None), ["GET /a no-reason"]);
        assert_eq!(public("POST", Some("signed")), ["POST /a state-changing-public"]);
    }

    #[test]
    fn an_endpoint_that_takes_requests_from_a_stricter_one_is_found() {
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
        // Each has a parameter where the other has fixed text.
        let crossing = [at("GET", "/a/{x}/c", true), at("GET", "/a/b/{y}", false)];
        assert_eq!(of(&crossing), ["GET /a/b/{y} shadowed"]);
        let crossing = [at("GET", "/a/{x}/c", false), at("GET", "/a/b/{y}", true)];
        assert!(of(&crossing).is_empty());
        assert!(of(&[at("PUT", "/a/{id}", true), at("GET", "/a/me", false)]).is_empty());
        let allow = found("allow", json!([at("PUT", "/a/{id}", true), at("GET", "/a/me", false)]));
        assert_eq!(allow, [" unlisted-allow", "GET /a/me shadowed"]);
    }

    #[test]
    fn every_rule_can_be_parsed_from_its_name() {
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse::<Rule>().unwrap(), rule);
        }
        let error = "sms-onyl".parse::<Rule>().unwrap_err().to_string();
        assert_eq!(error, "unknown lint `sms-onyl`; did you mean `sms-only`?");
    }
}
