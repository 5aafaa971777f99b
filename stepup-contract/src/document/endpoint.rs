//! The JSON form of an endpoint. The same functions read the endpoints of a document, of the short form, and of the
//! lines in the link section.
//!
//! Reading checks types only. If it reports no error, the values can be trusted, and the rules are checked afterwards.

use crate::document::json::{Object, Reader};
use crate::model::{Endpoint, Field, Requirement, RiskRule, Trust};
use serde_json::Value;

/// The keys of an endpoint.
pub(crate) const KEYS: [&str; 7] =
    ["method", "path", "trust", "handler", "summary", "reason", "security"];

/// An endpoint as read, with what the document declares in addition to the values.
pub(crate) struct EndpointDraft {
    pub(crate) endpoint: Endpoint,
    declared: Declared,
}

/// What a document declares about an endpoint's trust.
struct Declared {
    trust: Option<Trust>,
    step_up: bool,
}

impl EndpointDraft {
    /// Reports declarations that contradict the requirement. Valid only if reading reported no error.
    pub(crate) fn check_declarations(&self, pointer: &str, reader: &mut Reader) {
        let requirement = &self.endpoint.requirement;
        if self.endpoint.public {
            if self.declared.step_up {
                reader.error(
                    format!("{pointer}/security/step-up"),
                    "a public endpoint requires no step-up; write false, or make it sensitive",
                );
            }
            return;
        }
        if self.declared.trust.is_some_and(|trust| trust != requirement.trust()) {
            reader.error(
                format!("{pointer}/trust"),
                "contradicts security/step-up: sensitive endpoints have true, standard and public ones false",
            );
        }
        let step_up = if self.declared.step_up { Trust::Sensitive } else { Trust::Standard };
        for problem in requirement.contradictions(step_up) {
            reader.error(format!("{pointer}/security/{}", problem.field.key()), problem);
        }
    }
}

impl Reader {
    /// Reads an endpoint that must have a path.
    pub(crate) fn endpoint(&mut self, object: Object<'_>) -> EndpointDraft {
        self.check_known(object, &KEYS);
        let path = self.required_text(object, "path").unwrap_or_default();
        self.endpoint_at(object, path)
    }

    /// Reads an endpoint at this path. The caller checks for unknown fields.
    pub(crate) fn endpoint_at(&mut self, object: Object<'_>, path: String) -> EndpointDraft {
        let method = self.parsed(object, "method");
        let handler = self.text(object, "handler");
        let summary = self.text(object, "summary");
        let reason = self.text(object, "reason");
        let trust = self.choice(object, "trust", Trust::ALL.map(|trust| (trust.as_str(), trust)));
        let pointer = format!("{}/security", object.pointer);
        let (requirement, step_up) = match object.map.get("security") {
            Some(Value::Object(map)) => self.requirement(Object { map, pointer: &pointer }),
            Some(_) => {
                self.error(pointer, "must be an object");
                Default::default()
            }
            None => {
                self.error(
                    pointer,
                    "missing; write {\"step-up\": false} if a valid token is enough",
                );
                Default::default()
            }
        };
        let public = trust == Some(Trust::Public);
        let endpoint = Endpoint { method, path, handler, summary, public, reason, requirement };
        EndpointDraft { endpoint, declared: Declared { trust, step_up } }
    }

    /// Reads a requirement and its `step-up`.
    fn requirement(&mut self, object: Object<'_>) -> (Requirement, bool) {
        let fields = [
            Field::StepUp,
            Field::Methods,
            Field::AnyMethods,
            Field::Acr,
            Field::MaxAge,
            Field::Scopes,
            Field::Risk,
            Field::Bound,
            Field::PerAction,
        ];
        self.check_known(object, &fields.map(Field::key));
        if !object.map.contains_key(Field::StepUp.key()) {
            self.error(format!("{}/step-up", object.pointer), "missing; write true or false");
        }
        let step_up = self.flag(object, Field::StepUp.key()).unwrap_or_default();
        let requirement = Requirement {
            methods: self.list(object, Field::Methods.key()),
            any_methods: self.list(object, Field::AnyMethods.key()),
            acr: self.list(object, Field::Acr.key()),
            max_age: self.max_age(object),
            scopes: self.list(object, Field::Scopes.key()),
            risk: self.risk(object),
            bound: self.flag(object, Field::Bound.key()).unwrap_or_default(),
            per_action: self.flag(object, Field::PerAction.key()).unwrap_or_default(),
        };
        (requirement, step_up)
    }

    fn max_age(&mut self, object: Object<'_>) -> Option<u32> {
        let value = object.map.get(Field::MaxAge.key())?;
        let age = value.as_u64().and_then(|age| u32::try_from(age).ok());
        if age.is_none() {
            let message = format!("write whole seconds from 0 to {}, not {value}", u32::MAX);
            self.error(format!("{}/max-age", object.pointer), message);
        }
        age
    }

    fn risk(&mut self, object: Object<'_>) -> Option<RiskRule> {
        let pointer = format!("{}/risk", object.pointer);
        let Value::Object(map) = object.map.get(Field::Risk.key())? else {
            self.error(pointer, "must be an object with step-up, deny, or both");
            return None;
        };
        let rule = Object { map, pointer: &pointer };
        self.check_known(rule, &["step-up", "deny"]);
        Some(RiskRule { step_up: self.parsed(rule, "step-up"), deny: self.parsed(rule, "deny") })
    }
}
