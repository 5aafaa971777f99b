//! What the gateway counts, for Prometheus.

use crate::gateway::histogram::Seconds;
use crate::gateway::mode::Mode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::Duration;
use stepup_contract::{Contract, Trust};
use stepup_runtime::{Admission, Refusal};

/// The label of an answer: what was decided.
type Label = [(&'static str, &'static str); 1];

/// The labels of an answer: by which mode it was asked, and what was decided.
type Labels = [(&'static str, &'static str); 2];

/// What was decided where a caller is let in.
const ALLOW: &str = "allow";

/// See the module.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Labels, Counter>,
    /// Those of `answers` that let a caller in: at hand, so that they wait for no look-up.
    allowed: [(Mode, Counter); Mode::ALL.len()],
    seconds: Seconds,
    reloads: Family<Label, Counter>,
    endpoints: Family<Label, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("stepup");
        let answers = Family::<Labels, Counter>::default();
        registry.register("answers", "Answers, by mode and by what was decided", answers.clone());
        let allowed =
            Mode::ALL.map(|mode| (mode, answers.get_or_create_owned(&labels(mode, ALLOW))));
        let seconds = Seconds::default();
        registry.register("answer_seconds", "How long an answer took", seconds.clone());
        let reloads = Family::default();
        registry.register(
            "contract_reloads",
            "Changed contracts, by whether taken",
            reloads.clone(),
        );
        let endpoints = Family::default();
        registry.register("endpoints", "Endpoints of the contract in force", endpoints.clone());
        Self { registry, answers, allowed, seconds, reloads, endpoints }
    }

    pub(crate) fn answered(&self, mode: Mode, judged: &Result<Admission, Refusal>, took: Duration) {
        self.seconds.observe(took);
        let decision = match judged {
            Ok(Admission::Caller(_)) => {
                if let Some((_, allowed)) = self.allowed.iter().find(|(other, _)| *other == mode) {
                    allowed.inc();
                }
                return;
            }
            Ok(Admission::Preflight) => "preflight",
            Ok(_) => "allow-unlisted",
            Err(refusal) => refusal.kind(),
        };
        self.answers.get_or_create(&labels(mode, decision)).inc();
    }

    pub(crate) fn reloaded(&self, taken: bool) {
        let taken = if taken { "yes" } else { "no" };
        self.reloads.get_or_create(&[("taken", taken)]).inc();
    }

    pub(crate) fn in_force(&self, contract: &Contract) {
        for trust in [Trust::Standard, Trust::Sensitive] {
            let endpoints = contract.endpoints().iter().filter(|one| one.trust() == trust);
            let number = i64::try_from(endpoints.count()).unwrap_or(i64::MAX);
            self.endpoints.get_or_create(&[("trust", trust.as_str())]).set(number);
        }
    }

    /// All of it, in OpenMetrics' text form.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn labels(mode: Mode, decision: &'static str) -> Labels {
    [("mode", mode.as_str()), ("decision", decision)]
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
