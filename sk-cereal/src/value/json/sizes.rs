//! How many parts each container of a JSON text has, found before it is read.
//!
//! With that each vector is made as large as it will be and no larger: reading takes at most 16
//! bytes for each byte of text. A growing vector would take three times as much, and what it grows
//! to is the text's to choose.

use std::cell::Cell;

use crate::depth::DEFAULT_DEPTH;

/// The numbers of parts, to be taken in the order in which the containers begin.
pub(super) struct Sizes {
    parts: Vec<u32>,
    taken: Cell<usize>,
}

/// A level of the tree takes up to three of the text: `{"$map": [[key, value]]}`.
const DEEPEST: usize = 3 * DEFAULT_DEPTH as usize + 3;

/// What the scan has seen of the current part of a container.
#[derive(Clone, Copy)]
enum Seen {
    Nothing,
    Key,
    Colon,
    Part,
}

struct Container {
    place: usize,
    is_map: bool,
    seen: Seen,
}

impl Sizes {
    /// Counts in `text`. What is not JSON is counted as far as it looks like JSON: a part of an
    /// array takes two bytes at least, `1,`, and one of an object four, `k:1,`.
    pub(super) fn of(text: &[u8]) -> Self {
        let containers = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        let mut parts: Vec<u32> = Vec::with_capacity(containers);
        let mut open: Vec<Container> = Vec::new();
        let mut rest = text.iter();
        while let Some(byte) = rest.next() {
            let inner = open.last_mut();
            match (byte, inner) {
                (b' ' | b'\t' | b'\n' | b'\r', _) => {}
                (b']' | b'}', _) => {
                    open.pop();
                }
                (b',', Some(inner)) => inner.seen = inner.before_part(),
                (b':', Some(inner)) if matches!(inner.seen, Seen::Key) => inner.seen = Seen::Colon,
                (byte, inner) => {
                    if let Some(inner) = inner {
                        inner.see_content(&mut parts);
                    }
                    match byte {
                        b'"' => skip_string(&mut rest),
                        b'[' | b'{' => {
                            if open.len() > DEEPEST {
                                break;
                            }
                            let is_map = *byte == b'{';
                            let place = parts.len();
                            let mut container = Container { place, is_map, seen: Seen::Nothing };
                            container.seen = container.before_part();
                            open.push(container);
                            parts.push(0);
                        }
                        _ => {}
                    }
                }
            }
        }
        Sizes { parts, taken: Cell::new(0) }
    }

    /// The number of parts of the next container; `None` behind the last one.
    pub(super) fn take(&self) -> Option<usize> {
        let next = self.taken.get();
        self.taken.set(next + 1);
        self.parts.get(next).and_then(|&parts| usize::try_from(parts).ok())
    }
}

impl Container {
    fn before_part(&self) -> Seen {
        if self.is_map { Seen::Nothing } else { Seen::Colon }
    }

    fn see_content(&mut self, parts: &mut [u32]) {
        match self.seen {
            Seen::Nothing => self.seen = Seen::Key,
            Seen::Colon => {
                self.seen = Seen::Part;
                if let Some(parts) = parts.get_mut(self.place) {
                    *parts = parts.saturating_add(1);
                }
            }
            Seen::Key | Seen::Part => {}
        }
    }
}

/// Goes on to behind the closing quotation mark.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                rest.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Vec<u32> {
        Sizes::of(text.as_bytes()).parts
    }

    #[test]
    fn parts_are_counted_in_the_order_in_which_containers_begin() {
        assert_eq!(sizes("5"), [0; 0]);
        assert_eq!(sizes("[]"), [0]);
        assert_eq!(sizes(" [ 1 , [ 2 ] , { } , \"a,b]\" ] "), [4, 1, 0]);
        assert_eq!(sizes(r#"{"a": {"b": [1, 2]}, "c:\"": {"d": {}}}"#), [2, 1, 2, 1, 0]);
        assert_eq!(sizes("[true, null, -1.5e3]"), [3]);
    }

    #[test]
    fn what_is_not_json_does_not_count_for_more_than_its_bytes() {
        assert_eq!(sizes("[,,,,,"), [0]);
        assert_eq!(sizes("{,,::,,{:,"), [0, 0]);
        assert_eq!(sizes("{\"a\":,\"b\":,"), [0]);
        assert_eq!(sizes("{1 2 3 4"), [0]);
        assert_eq!(sizes("]]}}["), [0]);
        assert_eq!(sizes("[\"unclosed, ["), [1]);
    }
}
