//! Text that is cut where it passes a limit, and says so.

use std::fmt::{self, Write as _};

use super::guarded;

/// How many bytes are counted beyond those that are kept. A `Display` that writes more is stopped,
/// so that one without end ends.
const COUNTED: u64 = 64 << 20;

/// Room for the longest note of what was left out.
const NOTE: usize = 56;

/// `text` with at most `limit` bytes, the note of what is missing among them.
pub(super) fn cut(mut text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let total = text.len() as u64;
    shorten(&mut text, total, "", limit);
    text
}

/// What `value` displays, with at most `limit` bytes, whatever its `Display` does.
pub(super) fn show<T: fmt::Display + ?Sized>(value: &T, limit: usize) -> String {
    let mut writer = Writer { text: String::new(), limit, total: 0, is_stopped: false };
    let outcome = guarded(|| write!(writer, "{value}"));
    let Writer { mut text, total, is_stopped, .. } = writer;
    if total > limit as u64 {
        shorten(&mut text, total, if is_stopped { "at least " } else { "" }, limit);
    }
    let complaint = match outcome {
        Ok(Ok(())) => return text,
        Ok(Err(fmt::Error)) if is_stopped => return text,
        Ok(Err(fmt::Error)) => "its Display failed".to_owned(),
        Err(message) => format!("its Display panicked: {message}"),
    };
    let gap = if text.is_empty() { "" } else { " " };
    cut(format!("{text}{gap}({complaint})"), limit)
}

fn shorten(text: &mut String, total: u64, at_least: &str, limit: usize) {
    text.truncate(text.floor_char_boundary(limit.saturating_sub(NOTE)));
    let left_out = total - text.len() as u64;
    // Writing to a String cannot fail.
    let _ = write!(text, " … [{at_least}{left_out} bytes left out]");
    text.shrink_to_fit();
}

/// Keeps what fits and counts the rest.
struct Writer {
    text: String,
    limit: usize,
    total: u64,
    is_stopped: bool,
}

impl fmt::Write for Writer {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.total > COUNTED {
            self.is_stopped = true;
            return Err(fmt::Error);
        }
        // Where a piece did not fit, what is kept behind it is cut off again in the end: the note
        // takes more room than the last character can have left.
        let room = self.limit.saturating_sub(self.text.len());
        let (kept, _) = piece.split_at(piece.floor_char_boundary(room));
        self.text.push_str(kept);
        self.total += piece.len() as u64;
        Ok(())
    }
}

/// Text without line breaks and other control characters, which are written as escapes.
pub(super) struct OneLine<'a>(pub(super) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        self.0.split_inclusive(breaks).try_for_each(|piece| match piece.chars().next_back() {
            Some(last) if breaks(last) => {
                f.write_str(piece.trim_end_matches(last))?;
                // A piece holds one break, its last character, since it was split at each.
                write!(f, "{}", last.escape_default())
            }
            _ => f.write_str(piece),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_falls_between_characters_and_counts_what_is_missing() {
        let whole = "ä".repeat(100);
        let short = cut(whole.clone(), 101);
        let (kept, note) = short.split_once(" … ").unwrap();
        assert!(whole.starts_with(kept) && short.len() <= 101, "{short}");
        assert_eq!(note, format!("[{} bytes left out]", 200 - kept.len()));
        assert_eq!(cut(short.clone(), 101), short);
    }

    #[test]
    fn what_fits_is_not_touched() {
        assert_eq!(cut("12345".to_owned(), 5), "12345");
        assert_eq!(show(&"12345", 5), "12345");
    }

    #[test]
    fn nothing_is_kept_behind_a_piece_that_did_not_fit() {
        let pieces = fmt::from_fn(|f| {
            f.write_str(&"a".repeat(99))?;
            f.write_str("ä")?;
            f.write_str("b")
        });
        let text = show(&pieces, 100);
        assert_eq!(text, format!("{} … [58 bytes left out]", "a".repeat(44)));
    }

    #[test]
    fn a_text_without_end_ends() {
        let endless = fmt::from_fn(|f| {
            let piece = "x".repeat(1 << 16);
            loop {
                f.write_str(&piece)?;
            }
        });
        let text = show(&endless, 200);
        assert!(text.len() <= 200 && text.contains("at least 67"), "{text}");
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(OneLine("a\nb\r\n\u{2028}ü\0").to_string(), r"a\nb\r\n\u{2028}ü\u{0}");
        assert_eq!(OneLine("").to_string(), "");
        assert_eq!(OneLine("\n\n").to_string(), r"\n\n");
    }
}
