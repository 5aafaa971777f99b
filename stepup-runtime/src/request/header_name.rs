//! Header names that some servers read as another name.

/// Whether any server might treat this header name as the `known` name, which is in lower case with `-`. CGI and its
/// successors read `-` and `_` as the same character (RFC 3875 §4.1.18), and some servers accept other characters.
pub fn reads_as(name: &str, known: &str) -> bool {
    let alike = |(known, given): (u8, u8)| match known {
        b'-' => !given.is_ascii_alphanumeric(),
        known => known == given.to_ascii_lowercase(),
    };
    known.len() == name.len() && known.bytes().zip(name.bytes()).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_name_is_recognized_with_other_separators() {
        for name in ["x-http-method", "x_http_method", "X.HTTP~Method"] {
            assert!(reads_as(name, "x-http-method"), "{name}");
        }
        for name in ["x-http-methods", "xahttp-method", "x--http-method"] {
            assert!(!reads_as(name, "x-http-method"), "{name}");
        }
    }
}
