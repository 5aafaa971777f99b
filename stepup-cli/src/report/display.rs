//! Contract values as text for people, escaped for terminals, logs, Markdown and pages.

use stepup_contract::{ContractView, Endpoint, Field, Trust, Unlisted};

/// A text as one visible line. Control characters, which a terminal or a workflow's log would interpret, and characters
/// that change the direction of text are escaped.
pub(crate) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        // The last two code points of each plane are not characters.
        c.is_control()
            || u32::from(c) & 0xfffe == 0xfffe
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { line.extend(c.escape_unicode()) } else { line.push(c) }
    }
    line
}

/// The unknown fields of a contract, as JSON pointers.
pub(crate) fn unknown_fields(contract: &ContractView) -> Vec<&str> {
    contract.warnings().iter().filter_map(|warning| warning.pointer()).collect()
}

/// A warning about the unknown fields of a contract.
pub(crate) fn unknown_fields_warning(contract: &ContractView) -> Option<String> {
    let fields = unknown_fields(contract).join(", ");
    (!fields.is_empty()).then(|| {
        format!("Unknown fields, not displayed: {fields}. The endpoints may require more than displayed here.")
    })
}

/// The title and the description of a level of trust.
pub(crate) fn trust_text(trust: Trust) -> (&'static str, &'static str) {
    match trust {
        Trust::Sensitive => ("Sensitive", "How and when the caller authenticated is checked."),
        Trust::Standard => ("Standard", "A valid token is enough."),
        Trust::Public => ("Public", "Everybody may call these endpoints, without a token."),
        _ => ("Other", "This version does not know this level of trust."),
    }
}

/// What happens to requests that match no endpoint.
pub(crate) fn unlisted_text(unlisted: Unlisted) -> &'static str {
    match unlisted {
        Unlisted::Deny => {
            "Requests that match no endpoint are refused by a gateway and by step_up.protect(). A router without either \
             of them serves its other handlers to everybody."
        }
        Unlisted::Allow => "Requests that match no endpoint are allowed.",
    }
}

/// What an endpoint requires, in the order of the checks; or why the endpoint is public.
pub(crate) fn requirement_parts(endpoint: &Endpoint) -> Vec<String> {
    if endpoint.public {
        return vec![endpoint.reason.clone().unwrap_or_else(|| "no reason given".into())];
    }
    let requirement = &endpoint.requirement;
    let text = |field| requirement.field_text(field);
    let mut parts = Vec::new();
    parts.extend(requirement.bound.then(|| "bound token".to_owned()));
    if let Some(risk) = requirement.risk {
        parts.extend(risk.deny.map(|level| format!("risk below {level}")));
        parts.extend(risk.step_up.map(|level| format!("step-up from risk {level}")));
    }
    parts.extend(text(Field::Methods));
    parts.extend(text(Field::AnyMethods));
    parts.extend(text(Field::Acr).map(|acr| format!("acr {acr}")));
    parts.extend(text(Field::MaxAge).map(|age| format!("login at most {age} old")));
    parts.extend(text(Field::Scopes).map(|scopes| format!("scope {scopes}")));
    parts.extend(requirement.per_action.then(|| "confirmed call by call".to_owned()));
    parts
}

/// A text in a cell of a Markdown table, without HTML, code, another cell, links, images, formatting, mentions or issue
/// references.
pub(crate) fn cell(text: &str) -> String {
    /// A zero-width space, written in HTML so that editors display it.
    const SEPARATOR: &str = "&#8203;";
    let mut cell = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => cell.push_str("&amp;"),
            '<' => cell.push_str("&lt;"),
            '`' => cell.push('\''),
            '|' | '[' | ']' | '!' | '*' | '_' | '~' | '\\' => cell.extend(['\\', c]),
            '@' | '#' => {
                cell.push(c);
                cell.push_str(SEPARATOR);
            }
            // The start of an address.
            '/' if cell.ends_with(':') => {
                cell.push_str(SEPARATOR);
                cell.push(c);
            }
            '.' if cell.len() >= 3
                && cell.as_bytes()[cell.len() - 3..].eq_ignore_ascii_case(b"www") =>
            {
                cell.push_str(SEPARATOR);
                cell.push(c);
            }
            c => cell.push(c),
        }
    }
    cell
}

/// A text in a code span of such a cell.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", visible(text).replace('`', "'").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_text_is_interpreted() {
        assert_eq!(
            visible("a\n::stop-commands::x\u{1b}[2K\u{202e}"),
            "a\\u{a}::stop-commands::x\\u{1b}[2K\\u{202e}"
        );
        assert_eq!(visible("caf\u{e9} /files/{*rest}"), "caf\u{e9} /files/{*rest}");
        assert_eq!(
            cell("![i](x) <b> a|b @acme `c`"),
            "\\!\\[i\\](x) &lt;b> a\\|b @&#8203;acme 'c'"
        );
        assert_eq!(
            cell("https://a.b WWW.c ~~d~~ #1 urn:x/y"),
            "https:&#8203;//a.b WWW&#8203;.c \\~\\~d\\~\\~ #&#8203;1 urn:x/y"
        );
        assert_eq!(visible("a\u{ffff}\u{1fffe}"), "a\\u{ffff}\\u{1fffe}");
        assert_eq!(code("/a|b`/{*rest}\n"), "`/a\\|b'/{*rest}\\u{a}`");
    }
}
