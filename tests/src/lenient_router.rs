//! Every method and path that a lenient server could read in a request. Such a server decodes more than once, ignores
//! case, removes unknown parts of a path, and trusts headers that override the method or the path.

use crate::upstream::ReceivedRequest;
use std::collections::BTreeSet;

/// All pairs of method and path that a lenient server could read in this request.
pub fn request_variants(request: &ReceivedRequest) -> BTreeSet<(String, String)> {
    let header = |name: &str| {
        let values = request.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    let mut methods: Vec<String> = vec![request.method.to_uppercase()];
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_http_method_override",
        "x-http_method-override",
        "x.http.method.override",
        "x-tunneled-method",
    ] {
        let values: Vec<String> = header(name);
        methods.extend(values.iter().map(|method| method.to_uppercase()));
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split(['&', ';']).flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    let overrides_method = |name: &str| {
        let name = name.split('\0').next().unwrap_or_default().trim_start().to_lowercase();
        let letters = name.replace(|c: char| !c.is_ascii_alphanumeric(), "");
        ["_method", ".method"].contains(&name.as_str())
            || (letters.contains("http") && letters.contains("method"))
            || letters.ends_with("tunneledmethod")
    };
    methods.extend(
        pairs.filter(|(name, _)| overrides_method(name)).map(|(_, method)| method.to_uppercase()),
    );
    let mut targets = vec![request.target.clone()];
    for name in ["x-original-url", "x-rewrite-url", "x_original_url", "x.original.url"] {
        targets.extend::<Vec<String>>(header(name));
    }
    for name in [
        "script_name",
        "script-name",
        "x-script-name",
        "x-forwarded-script-name",
        "x-forwarded-prefix",
        "x_forwarded_prefix",
        "x-traversal-path",
    ] {
        let values: Vec<String> = header(name);
        let forms = |script: &String| {
            [script.clone(), decoded(script), format!("/{}", script.trim_matches('/'))]
        };
        let scripts: Vec<String> = values.iter().flat_map(forms).collect();
        let inner = scripts.iter().filter_map(|script| request.target.strip_prefix(&**script));
        targets.extend(inner.map(str::to_owned).collect::<Vec<_>>());
    }
    // Pyramid adds the value of this header at the start of the path.
    let roots: Vec<String> = header("x-vhm-root");
    targets.extend(roots.iter().map(|root| format!("{root}{}", request.target)));
    for name in ["path_info", "path-info"] {
        targets.extend::<Vec<String>>(header(name));
    }
    let paths: BTreeSet<String> = targets.iter().flat_map(|target| paths(target)).collect();
    let of = |method: &String| paths.iter().map(|path| (method.clone(), path.clone())).collect();
    methods.iter().flat_map(|method| -> Vec<_> { of(method) }).collect()
}

/// All paths that a lenient server could read in a target: the results of the transformations, in every order.
fn paths(target: &str) -> BTreeSet<String> {
    // All servers agree on the start of the query and on the absolute form (RFC 9112 §3.2.2), if neither is encoded.
    let target = target.split('?').next().unwrap_or_default();
    let plain = if target.starts_with('/') { target.to_owned() } else { without_origin(target) };
    let target = plain.as_str();
    let transformations: [fn(&str) -> String; 15] = [
        decoded,
        without_origin,
        cut,
        slashes,
        merged,
        without_parameters,
        folded,
        resolved,
        trimmed,
        without_extension,
        normalized,
        lower,
        trimmed_everywhere,
        without_extensions,
        without_server_segments,
    ];
    let mut known = BTreeSet::from([target.to_owned()]);
    let mut new = vec![target.to_owned()];
    while let Some(path) = new.pop() {
        for transform in transformations {
            let read = transform(&path);
            if known.len() < 4096 && known.insert(read.clone()) {
                new.push(read);
            }
        }
    }
    known
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let (b'%', Some(value)) = (first, value) {
            bytes.push(value);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    // Some old decoders accept the overlong UTF-8 encoding of a slash.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.replace("\u{fffd}\u{fffd}", "/")
}

fn without_origin(path: &str) -> String {
    let behind = path.split_once("://").map(|(_, behind)| behind);
    let behind = behind.or_else(|| path.strip_prefix("//"));
    let path =
        behind.map(|behind| behind.find('/').map_or("/", |at| &behind[at..])).unwrap_or(path);
    path.to_owned()
}

fn cut(path: &str) -> String {
    path.split(['?', '#', '\0']).next().unwrap_or_default().to_owned()
}

fn slashes(path: &str) -> String {
    path.replace(['\\', '\u{ff0f}'], "/")
}

fn merged(path: &str) -> String {
    let mut path = path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}

fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join("/")
}

/// Removes the extension of each segment, like Apache's MultiViews.
fn without_extensions(path: &str) -> String {
    let stem = |segment: &str| match segment.split_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(stem).collect::<Vec<_>>().join("/")
}

/// Removes the names of PHP scripts, and the segments in which ASP.NET keeps a session without a cookie.
fn without_server_segments(path: &str) -> String {
    let is_servers = |segment: &&str| {
        segment.to_lowercase().ends_with(".php")
            || (segment.starts_with('(') && segment.ends_with(')'))
    };
    path.split('/').filter(|segment| !is_servers(segment)).collect::<Vec<_>>().join("/")
}

fn folded(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_lowercase() }
}

/// Converts to lower case, including the letters outside ASCII whose upper or lower case is an ASCII letter.
fn lower(path: &str) -> String {
    let letter = |c: char| match c {
        '\u{17f}' => 's',
        '\u{130}' | '\u{131}' => 'i',
        '\u{212a}' => 'k',
        c => c.to_lowercase().next().unwrap_or(c),
    };
    path.chars().map(letter).collect()
}

/// Replaces the full-width forms of ASCII, and some other forms of delimiters, with ASCII.
fn normalized(path: &str) -> String {
    let mut text = String::new();
    for c in path.chars() {
        match c {
            '\u{ff01}'..='\u{ff5e}' => {
                text.extend(char::from_u32(u32::from(c) - 0xff01 + 0x21));
            }
            '\u{2024}' => text.push('.'),
            '\u{2025}' | '\u{fe30}' => text.push_str(".."),
            '\u{37e}' => text.push(';'),
            '\u{2047}' => text.push_str("??"),
            '\u{fe56}' => text.push('?'),
            c => text.push(c),
        }
    }
    text
}

fn trimmed(path: &str) -> String {
    path.trim_end_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

fn trimmed_everywhere(path: &str) -> String {
    let segments = path.split('/').map(trimmed);
    segments.collect::<Vec<_>>().join("/")
}

fn without_extension(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem.to_owned(),
        _ => path.to_owned(),
    }
}

fn resolved(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(method: &str, target: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut request = ReceivedRequest {
            method: method.into(),
            target: target.into(),
            headers: http::HeaderMap::new(),
        };
        for (name, value) in headers {
            request.headers.append(*name, value.parse().expect("a value"));
        }
        request_variants(&request).contains(&("POST".into(), "/pay".into()))
    }

    #[test]
    fn every_transformation_is_applied() {
        for target in [
            "/pay",
            "/PAY/",
            "/%2570%61y",
            "/x/%2e%2e/pay;a=b",
            "/x/..%252fpay",
            "//host/pay",
            "http://host/pay",
            "/x\\..\\pay",
            "/pay%23x",
            "/x/%c0%ae%c0%ae/../../pay",
            "/a//../../pay",
            "/pay%20.json",
            "/PAY/.json",
            "/pa%25%37%39",
            "/pay%c2%a0",
            "/public/%ef%b8%b0/pay",
            "/%ef%bd%90ay",
            "/pay.%20/",
        ] {
            assert!(reads("POST", target, &[]), "{target}");
        }
        assert!(reads("GET", "/pay", &[("x-http-method-override", "post")]));
        assert!(reads("GET", "/pay?_method=POST", &[]));
        assert!(reads("GET", "/pay?X-HTTP-Method-Override=POST", &[]));
        assert!(reads("POST", "/public/pay", &[("script_name", "/public")]));
        assert!(reads("POST", "/x", &[("x-original-url", "/pay")]));
        assert!(reads("POST", "/x/pay", &[("x-forwarded-prefix", "/x")]));
        assert!(reads("POST", "/", &[("x-vhm-root", "/pay")]));
        assert!(!reads("GET", "/pay", &[]));
        assert!(!reads("POST", "/payments", &[]));
    }
}
