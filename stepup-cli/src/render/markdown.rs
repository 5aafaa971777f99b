//! The contract as Markdown tables.

use crate::report::display::{
    cell, code, requirement_parts, trust_text, unknown_fields_warning, unlisted_text,
};
use std::fmt::Write;
use std::path::PathBuf;
use stepup_contract::{ContractView, Trust};

/// The arguments of the Markdown form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    pub(crate) contract: PathBuf,
}

pub(crate) fn markdown(contract: &ContractView) -> String {
    let (service, version) = (cell(contract.service()), cell(contract.version()));
    let mut text = format!("# The step-up contract of {service} {version}\n");
    let _ = writeln!(text, "\n{}", unlisted_text(contract.unlisted()));
    if let Some(warning) = unknown_fields_warning(contract) {
        let _ = write!(text, "\n**{}**\n", cell(&warning));
    }
    for trust in Trust::ALL {
        let (title, description) = trust_text(trust);
        let endpoints = || contract.endpoints().iter().filter(|endpoint| endpoint.trust() == trust);
        if endpoints().next().is_none() {
            continue;
        }
        let _ = write!(text, "\n## {title}\n\n{description}\n\n");
        let third = if trust == Trust::Public { "reason" } else { "requires" };
        let _ = writeln!(
            text,
            "| method | path | {third} | handler | summary |\n|---|---|---|---|---|"
        );
        for endpoint in endpoints() {
            let method = endpoint.method.map_or("any", |method| method.as_str());
            let parts = cell(&requirement_parts(endpoint).join(", "));
            let summary = cell(endpoint.summary.as_deref().unwrap_or_default());
            let handler = endpoint.handler.as_deref().map(code);
            let (path, handler) =
                (code(&contract.whole_path(endpoint)), handler.unwrap_or_default());
            let _ = writeln!(text, "| {method} | {path} | {parts} | {handler} | {summary} |");
        }
    }
    text
}
