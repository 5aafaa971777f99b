//! What the gateway counts, for Prometheus.

use crate::gateway::mode::Mode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::Duration;
use stepup_contract::{Contract, Trust};
use stepup_runtime::{Admission, Refusal};

/// The label of an answer: what was decided.
type Label = [(&'static str, &'static str); 1];

/// The labels of an answer: by which mode it was asked, and what was decided.
type Labels = [(&'static str, &'static str); 2];

/// See the module.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Labels, Counter>,
    seconds: Histogram,
    reloads: Family<Label, Counter>,
    endpoints: Family<Label, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("stepup");
        let answers = Family::default();
        registry.register("answers", "Answers, by mode and by what was decided", answers.clone());
        let seconds = Histogram::new([
            0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.001, 0.01, 0.1, 1.0, 10.0,
        ]);
        registry.register("answer_seconds", "How long an answer took", seconds.clone());
        let reloads = Family::default();
        registry.register(
            "contract_reloads",
            "Changed contracts, by whether taken",
            reloads.clone(),
        );
        let endpoints = Family::default();
        registry.register("endpoints", "Endpoints of the contract in force", endpoints.clone());
        Self { registry, answers, seconds, reloads, endpoints }
    }

    pub(crate) fn answered(&self, mode: Mode, judged: &Result<Admission, Refusal>, took: Duration) {
        let decision = match judged {
            Ok(Admission::Caller(_)) => "allow",
            Ok(Admission::Preflight) => "preflight",
            Ok(_) => "allow-unlisted",
            Err(refusal) => refusal.kind(),
        };
        let labels = [("mode", mode.as_str()), ("decision", decision)];
        self.answers.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn reloaded(&self, taken: bool) {
        let taken = if taken { "yes" } else { "no" };
        self.reloads.get_or_create(&[("taken", taken)]).inc();
    }

    pub(crate) fn in_force(&self, contract: &Contract) {
        for (trust, name) in [(Trust::Standard, "standard"), (Trust::Sensitive, "sensitive")] {
            let endpoints = contract.endpoints().iter().filter(|one| one.trust() == trust);
            let number = i64::try_from(endpoints.count()).unwrap_or(i64::MAX);
            self.endpoints.get_or_create(&[("trust", name)]).set(number);
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

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
