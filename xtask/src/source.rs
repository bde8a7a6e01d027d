//! The text of a Rust file, with a view of the code alone: comments and the contents of strings are
//! blanked, so that a rule about code does not trip over prose.

/// The same text, line by line and column by column in bytes, with comments, strings and characters
/// replaced by spaces. Quotes stay.
pub(crate) fn code_only(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut position = 0;
    while position < bytes.len() {
        let rest = &text.as_bytes()[position..];
        let (hidden, keeps_quotes) = hidden_length(rest, previous(text, position));
        let end = position + hidden;
        let edge = usize::from(keeps_quotes);
        for byte in bytes.iter_mut().take(end.saturating_sub(edge)).skip(position + edge) {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        position = end.max(position + 1);
    }
    // Only whole characters were replaced, each of their bytes by a space.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// True where `word` stands in the line by itself and not as part of a longer word.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(start, _)| {
        !line[..start].ends_with(is_part) && !line[start + word.len()..].starts_with(is_part)
    })
}

fn previous(text: &str, position: usize) -> Option<u8> {
    position.checked_sub(1).map(|before| text.as_bytes()[before])
}

/// How many bytes from here are comment, string or character, and whether they begin and end with a
/// quote that stays. Zero where code stands.
fn hidden_length(rest: &[u8], previous: Option<u8>) -> (usize, bool) {
    match rest {
        [b'/', b'/', ..] => (line_comment(rest), false),
        [b'/', b'*', ..] => (block_comment(rest), false),
        [b'"', ..] => (string(rest), true),
        [b'r', b'"' | b'#', ..] if !previous.is_some_and(is_word) => (raw_string(rest), true),
        [b'b', b'r', b'"' | b'#', ..] if !previous.is_some_and(is_word) => {
            (raw_string(&rest[1..]).saturating_add(1), true)
        }
        [b'\'', ..] => (character(rest), true),
        _ => (0, false),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < rest.len() {
        match &rest[position..] {
            [b'/', b'*', ..] => (depth, position) = (depth + 1, position + 2),
            [b'*', b'/', ..] => {
                (depth, position) = (depth - 1, position + 2);
                if depth == 0 {
                    return position;
                }
            }
            _ => position += 1,
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut position = 1;
    while position < rest.len() {
        match rest[position] {
            b'\\' => position += 2,
            b'"' => return position + 1,
            _ => position += 1,
        }
    }
    rest.len()
}

/// `r"…"` or `r##"…"##`; a raw identifier such as `r#type` hides nothing.
fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let mut end = vec![b'"'];
    end.extend(std::iter::repeat_n(b'#', hashes));
    let body = &rest[hashes + 2..];
    let length = body.windows(end.len()).position(|window| window == end.as_slice());
    length.map_or(rest.len(), |length| hashes + 2 + length + end.len())
}

/// `'x'`, `'\n'`, `'\u{1F600}'`; a lifetime hides nothing.
fn character(rest: &[u8]) -> usize {
    let end = match rest.get(1) {
        Some(b'\\') => rest.iter().skip(3).position(|&byte| byte == b'\'').map(|at| at + 3),
        Some(&first) => {
            let width = match first {
                0xF0.. => 4,
                0xE0.. => 3,
                0xC0.. => 2,
                _ => 1,
            };
            (rest.get(1 + width) == Some(&b'\'')).then_some(1 + width)
        }
        None => None,
    };
    end.map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_columns_kept() {
        let text = "let a = \"unsafe {\"; // unsafe {\nlet b = 1; /* x /* y */ z */ let c = 2;\n";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert!(!code.contains("unsafe"));
        assert!(code.contains("let b = 1;") && code.contains("let c = 2;"));
    }

    #[test]
    fn raw_strings_end_at_their_own_quote() {
        let code = code_only("let a = r#\"x \" y\"#; let b = br\"z\"; let r#type = 1;");
        assert!(code.contains("let b ="), "{code}");
        assert!(code.contains("let r#type = 1;"), "{code}");
        assert!(!code.contains('x') && !code.contains('z'));
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        let code = code_only("fn f<'a>(x: &'a str) -> char { if x == y { '\"' } else { '\\'' } }");
        assert!(code.contains("fn f<'a>(x: &'a str)"), "{code}");
        assert!(code.ends_with("} }"), "{code}");
    }

    #[test]
    fn letters_beyond_ascii_keep_the_columns() {
        let text = "// größer\nlet letter = 'ß'; let next = 1;";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert!(code.contains("let next = 1;"));
    }

    #[test]
    fn a_word_is_not_part_of_a_longer_one() {
        assert!(has_word("a mark: HERE.", "HERE"));
        assert!(!has_word("THEREHERE HERE_TOO", "HERE"));
    }
}
