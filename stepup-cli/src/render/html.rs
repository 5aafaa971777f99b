//! The contract as one self-contained page. Its style is `page.css`, its script `page.js`.

use crate::contract_file::input::{contract, view};
use crate::report::display::{
    requirement_parts, trust_text, unknown_fields_warning, unlisted_text, visible,
};
use crate::report::failure::Failure;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use stepup_contract::{Axis, Change, ContractView, Endpoint, Method, Trust, Unlisted, compare};

/// The arguments of the page.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// Display the changes since this contract: JSON, or a compiled program.
    #[arg(long, value_name = "CONTRACT")]
    since: Option<PathBuf>,
}

pub(crate) fn html(arguments: &Arguments) -> Result<String, Failure> {
    let Some(since) = &arguments.since else {
        return Ok(page(&view(&arguments.contract)?, None));
    };
    // An unknown field may be the change, so unknown fields are errors here.
    let (old, new) = (contract(since)?, contract(&arguments.contract)?);
    let changes = compare(&old, &new).map_err(Failure::other)?;
    Ok(page(&new.into(), Some((old.version(), &changes))))
}

/// The page of a contract, with the changes since a version of it.
fn page(contract: &ContractView, since: Option<(&str, &[Change])>) -> String {
    let (service, version) = (escaped(contract.service()), escaped(contract.version()));
    let mut main = String::new();
    if let Some(warning) = unknown_fields_warning(contract) {
        let _ =
            writeln!(main, "<section class=\"changes\"><h2>{}</h2></section>", escaped(&warning));
    }
    if let Some((version, changes)) = since {
        main.push_str(&changed(changes, version));
    }
    // The worst axis of the changes at each endpoint.
    let mut axes: HashMap<String, Axis> = HashMap::new();
    for change in since.iter().flat_map(|(_, changes)| *changes) {
        if let Some(endpoint) = &change.new {
            let axis = axes.entry(endpoint.route()).or_insert(change.axis());
            *axis = (*axis).min(change.axis());
        }
    }
    for trust in Trust::ALL {
        let (id, (title, description)) = (trust.as_str(), trust_text(trust));
        let endpoints: Vec<&Endpoint> =
            contract.endpoints().iter().filter(|endpoint| endpoint.trust() == trust).collect();
        if endpoints.is_empty() {
            continue;
        }
        let _ = writeln!(
            main,
            "<section class=\"{id}\" aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title} \
             <span class=\"count\">{}</span></h2><p class=\"says\">{description}</p><ul class=\"endpoints\">",
            endpoints.len()
        );
        let mut group = None;
        for endpoint in endpoints {
            let whole = contract.whole_path(endpoint);
            let first = first_segment(&whole, contract.base());
            if group.as_deref() != Some(first) {
                let _ = writeln!(
                    main,
                    "<li class=\"group\" aria-hidden=\"true\">{}</li>",
                    escaped(first)
                );
                group = Some(first.to_owned());
            }
            let axis = axes.get(&contract.route(endpoint)).copied();
            main.push_str(&row(contract, endpoint, axis));
        }
        main.push_str("</ul></section>\n");
    }
    let unlisted = match contract.unlisted() {
        Unlisted::Deny => "<b>refused by gateway or protect</b>",
        Unlisted::Allow => "<b class=\"bad\">allowed</b>",
    };
    let unlisted_text = unlisted_text(contract.unlisted());
    let counts = Trust::ALL.map(|trust| {
        let count = contract.endpoints().iter().filter(|e| e.trust() == trust).count();
        format!("<div><dt>{}</dt><dd>{count}</dd></div>", trust.as_str())
    });
    let digest = contract.digest().unwrap_or_default();
    let digest = digest.get(..12).unwrap_or_default();
    let (css, js) = (include_str!("page.css"), include_str!("page.js"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{service} — step-up contract</title>\n<style>\n{css}</style>\n</head>\n<body>\n\
         <header><div class=\"title\"><h1>{service}</h1><p>step-up contract of version {version} \
         <code>{digest}</code></p></div>\n\
         <dl>{}<div><dt>other requests</dt><dd>{unlisted}</dd></div></dl>\n\
         <p class=\"unlisted\">{unlisted_text}</p>\n\
         <div class=\"search\"><label for=\"q\">Search</label>\
         <input id=\"q\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" \
         placeholder=\"path, method, handler, requirement\" aria-describedby=\"shown\">\
         <kbd aria-hidden=\"true\">/</kbd><output id=\"shown\" for=\"q\"></output>\
         <label class=\"sort\">Sort by <select id=\"sort\"><option value=\"path\">path</option>\
         <option value=\"age\">oldest login</option><option value=\"methods\">methods</option></select></label>\
         </div></header>\n\
         {LEGEND}<main>\n{main}<p id=\"nothing\" hidden>No endpoint matches.</p></main>\n\
         <script>\n{js}</script>\n</body>\n</html>\n",
        counts.concat(),
    )
}

/// The changes, at the top of the page.
fn changed(changes: &[Change], version: &str) -> String {
    let version = escaped(version);
    if changes.is_empty() {
        return format!(
            "<section class=\"changes\"><h2>Unchanged since version {version}</h2></section>\n"
        );
    }
    let mut text = format!(
        "<section class=\"changes\" aria-labelledby=\"changes\"><h2 id=\"changes\">Changed since version \
         {version} <span class=\"count\">{}</span></h2><ul>\n",
        changes.len()
    );
    for change in changes {
        let axis = change.axis().as_str();
        let sentences: Vec<String> =
            change.sentences().iter().map(|sentence| escaped(sentence)).collect();
        let words = format!("{axis} {} {}", change.subject(), change.sentences().join(" "));
        let _ = writeln!(
            text,
            "<li class=\"{axis}\" data-words=\"{}\"><span class=\"axis\">{axis}</span> <code>{}</code> {}</li>",
            escaped(&words.to_lowercase()),
            escaped(&change.subject()),
            sentences.join("; ")
        );
    }
    text.push_str("</ul></section>\n");
    text
}

fn row(contract: &ContractView, endpoint: &Endpoint, axis: Option<Axis>) -> String {
    let method = endpoint.method.map_or("ANY", |method| method.as_str());
    let whole = contract.whole_path(endpoint);
    let parts = requirement_parts(endpoint);
    let handler = endpoint.handler.as_deref().unwrap_or_default();
    let summary = endpoint.summary.as_deref().unwrap_or_default();
    // The search finds the displayed text and the contract's own words.
    let trust = endpoint.trust().as_str();
    let json = serde_json::to_string(&endpoint.requirement).unwrap_or_default();
    let json = json.replace(['{', '}', '[', ']', '"', ':', ','], " ");
    let changed = axis.map(Axis::as_str).unwrap_or_default();
    let displayed = parts.join(" ");
    let words =
        format!("{method} {whole} {summary} {handler} {trust} {changed} {displayed} {json}");
    // A missing limit sorts as the longest age.
    let age = endpoint.requirement.max_age.map(|age| age.to_string()).unwrap_or_default();
    let methods = [&endpoint.requirement.methods[..], &endpoint.requirement.any_methods].concat();
    let methods = methods.iter().map(Method::to_string).collect::<Vec<_>>().join(" ");
    let chips: Vec<String> =
        parts.iter().map(|part| format!("<span class=\"ask\">{}</span>", escaped(part))).collect();
    let axis = axis
        .filter(|axis| *axis != Axis::Neutral)
        .map(|axis| format!("<span class=\"axis {0}\">{0}</span>", axis.as_str()));
    format!(
        "<li data-words=\"{}\" data-age=\"{age}\" data-methods=\"{}\"><span class=\"method {}\">{method}</span><span class=\"where\">\
         <code class=\"path\">{}</code><span class=\"summary\">{}</span><span class=\"handler\">{}</span></span>\
         <span class=\"asks\">{}{}</span></li>\n",
        escaped(&words.to_lowercase()),
        escaped(&methods),
        method.to_lowercase(),
        path(&whole),
        escaped(summary),
        escaped(handler),
        axis.unwrap_or_default(),
        chips.join(""),
    )
}

/// The start of a path up to its first segment after the base, by which the rows are grouped.
fn first_segment<'a>(path: &'a str, base: Option<&str>) -> &'a str {
    let start = base.filter(|base| path.starts_with(base)).map_or(0, str::len);
    let rest = path.get(start + 1..).unwrap_or_default();
    let length = rest.find('/').map_or(path.len(), |slash| start + 1 + slash);
    path.get(..length).unwrap_or(path)
}

/// The terms of the page, for readers who do not know them.
const LEGEND: &str = "<details class=\"legend\"><summary>What do these terms mean?</summary><dl>\
<dt>step-up</dt><dd>a new, stronger or more recent login by a user who already has a token</dd>\
<dt>mfa</dt><dd>multi-factor authentication: two factors of different kinds, such as a password and a phone</dd>\
<dt>hwk, swk</dt><dd>a key in hardware, or in software, that the user has</dd>\
<dt>phishing_resistant</dt><dd>a method that a fake login page cannot relay, such as a passkey</dd>\
<dt>acr</dt><dd>the level of the login, as the identity provider names it</dd>\
<dt>login at most 5 min old</dt><dd>the user entered their factors within this time</dd>\
<dt>scope</dt><dd>a permission that the token contains</dd>\
<dt>bound token</dt><dd>a token that works only with a key of the client (DPoP)</dd></dl></details>\n";

/// A path with highlighted parameters, and line breaks allowed after slashes.
fn path(path: &str) -> String {
    let segments = path.split('/').skip(1).map(|segment| match segment.split_once('{') {
        Some((prefix, name)) if !name.starts_with('{') => {
            format!("{}<var>{{{}</var>", escaped(prefix), escaped(name))
        }
        _ => escaped(segment),
    });
    segments.map(|segment| format!("/<wbr>{segment}")).collect()
}

/// A text as part of a page, without markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_grouped_by_the_first_segment_after_the_base() {
        assert_eq!(first_segment("/payments/{id}", None), "/payments");
        assert_eq!(first_segment("/payments", None), "/payments");
        assert_eq!(first_segment("/", None), "/");
        assert_eq!(first_segment("/api/payments/{id}", Some("/api")), "/api/payments");
        assert_eq!(first_segment("/api", Some("/api")), "/api");
    }

    #[test]
    fn no_part_of_a_text_is_interpreted() {
        assert_eq!(escaped("<b>&\u{202e}\u{7}"), "&lt;b&gt;&amp;\\u{202e}\\u{7}");
    }
}
