//! Which `acr_values` a challenge requests from an issuer. Only what [`Profile::ask`] and the requirement name is
//! requested; what [`Profile::proves`] names is requested only where every other challenge would lead nowhere.

use crate::model::{Method, Requirement};
use crate::profile::profile::{Profile, unique};

impl Profile {
    /// The `acr_values` to request so that a login satisfies this requirement, in order of preference; one of them is
    /// enough (RFC 9470 §4). The first of these lists that is not empty:
    ///
    /// 1. the values of [`Profile::ask`], and of the requirement's own `acr` list, that cover *all* required methods;
    /// 2. where only an `acr` can prove a method: the values that cover all such methods, first among the values of
    ///    step 1, then among those that prove a method;
    /// 3. the requirement's own `acr` list;
    /// 4. the names of the methods.
    ///
    /// A requirement's `acr` list restricts steps 1 and 2 to its values and higher levels.
    pub fn acr_values(&self, requirement: &Requirement) -> Vec<String> {
        let Requirement { methods, any_methods, acr, .. } = requirement;
        if methods.is_empty() && any_methods.is_empty() {
            return acr.clone();
        }
        let required = || methods.iter().chain(any_methods);
        // The endpoint's own order of preference precedes the profile's.
        let own = || acr.iter().map(String::as_str);
        let requested = || own().chain(required().flat_map(|method| self.asked_for(method)));
        let by_amr = |method: &Method| self.amr_can_prove(method);
        let all = self.covering(requirement, requested(), |_| false);
        let amr_is_enough = || {
            methods.iter().all(by_amr) && (any_methods.is_empty() || any_methods.iter().any(by_amr))
        };
        if !all.is_empty() || amr_is_enough() {
            return first_of([all, acr.clone(), unique(required().map(Method::amr))]);
        }
        let proving = || requested().chain(required().flat_map(|method| self.acr_proving(method)));
        first_of([
            self.covering(requirement, requested(), by_amr),
            self.covering(requirement, proving(), |_| false),
            self.covering(requirement, proving(), by_amr),
            acr.clone(),
            unique(required().map(Method::amr)),
        ])
    }

    /// Those of these `acr` values that the requirement accepts and that cover all of its methods, except the exempt
    /// ones. A value covers a method that it requests or proves.
    fn covering<'a>(
        &'a self,
        requirement: &Requirement,
        values: impl Iterator<Item = &'a str>,
        exempt: impl Fn(&Method) -> bool,
    ) -> Vec<String> {
        let Requirement { methods, any_methods, acr, .. } = requirement;
        let covers = |value: &str, method: &Method| {
            exempt(method)
                || self.asked_for(method).any(|known| known == value)
                || self.acr_proving(method).any(|known| known == value)
        };
        unique(values.filter(|value| {
            (acr.is_empty() || self.meets(value, acr))
                && methods.iter().all(|method| covers(value, method))
                && (any_methods.is_empty()
                    || any_methods.iter().any(|method| covers(value, method)))
        }))
    }
}

fn first_of<const N: usize>(lists: [Vec<String>; N]) -> Vec<String> {
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}
