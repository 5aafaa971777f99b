//! Contracts in words, for people, and texts that nothing obeys.

use stepup_contract::{ContractView, Method, Requirement};

/// A text of somebody's as one line of visible text: control characters, which a terminal or a workflow's log
/// would obey, and characters that change the direction of others, are escaped.
pub(crate) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        // The last two code points of each plane are no characters.
        c.is_control()
            || u32::from(c) & 0xfffe == 0xfffe
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Where a contract says more than is shown of it.
pub(crate) fn unknown(contract: &ContractView) -> Vec<&str> {
    contract.warnings().iter().filter_map(|warning| warning.pointer()).collect()
}

/// That a contract says more than is shown of it.
pub(crate) fn not_shown(contract: &ContractView) -> Option<String> {
    let fields = unknown(contract).join(", ");
    (!fields.is_empty()).then(|| {
        format!("Not understood, and not shown: {fields}. This may be less than is asked.")
    })
}

/// Seconds as people say them.
pub(crate) fn age(seconds: u32) -> String {
    match seconds {
        0 => "0 s".into(),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// What an endpoint asks, a part each, in the order in which it is looked at.
pub(crate) fn asks(requirement: &Requirement) -> Vec<String> {
    let list = |names: Vec<String>, word: &str| match &names[..] {
        [] => None,
        [one] => Some(one.clone()),
        _ => Some(names.join(word)),
    };
    let methods = |methods: &[Method]| methods.iter().map(Method::to_string).collect();
    let mut asks = Vec::new();
    asks.extend(requirement.bound.then(|| "bound token".to_owned()));
    if let Some(risk) = requirement.risk {
        asks.extend(risk.deny.map(|level| format!("risk below {level}")));
        asks.extend(risk.step_up.map(|level| format!("step-up from risk {level}")));
    }
    asks.extend(list(methods(&requirement.methods), " and "));
    asks.extend(list(methods(&requirement.any_methods), " or "));
    asks.extend(list(requirement.acr.clone(), " or ").map(|acr| format!("acr {acr}")));
    asks.extend(requirement.max_age.map(|seconds| format!("login at most {} old", age(seconds))));
    asks.extend(list(requirement.scopes.clone(), " and ").map(|scopes| format!("scope {scopes}")));
    asks.extend(requirement.per_action.then(|| "confirmed call by call".to_owned()));
    asks
}

/// A text in a cell of a Markdown table: no HTML, no code, no further cell, no link or picture, nothing that is struck
/// out, and nobody and no issue that is called by name.
pub(crate) fn cell(text: &str) -> String {
    /// A zero-width space; in HTML, so that no editor hides it.
    const APART: &str = "&#8203;";
    let mut shown = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '`' => shown.push('\''),
            '|' | '[' | ']' | '!' | '*' | '_' | '~' | '\\' => shown.extend(['\\', c]),
            '@' | '#' => {
                shown.push(c);
                shown.push_str(APART);
            }
            // What begins an address.
            '/' if shown.ends_with(':') => {
                shown.push_str(APART);
                shown.push(c);
            }
            '.' if shown.len() >= 3
                && shown.as_bytes()[shown.len() - 3..].eq_ignore_ascii_case(b"www") =>
            {
                shown.push_str(APART);
                shown.push(c);
            }
            c => shown.push(c),
        }
    }
    shown
}

/// A text in a code span of such a cell, where nothing else has a meaning.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", visible(text).replace('`', "'").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_obeyed() {
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
