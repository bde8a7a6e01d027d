//! Where we are in a value: the path and the types on it.
//!
//! Every serializer and deserializer of this crate is generic over [`Track`]. The first pass runs
//! with [`Off`], whose methods compile to nothing; only when it has failed does a second pass run
//! with [`On`] and stop at the same place, so that its path is that of the failure.
//!
//! A step is pushed before a part is visited and taken away only when that went well. So after a
//! failure the path still points at it.

use std::any::type_name;
use std::fmt::Write as _;

pub(crate) trait Track {
    /// How many steps lead to the value that is being visited.
    fn level(&self) -> usize;
    /// Goes from the value at `level` to its part `step`, which is a `T`.
    fn enter<T: ?Sized>(&mut self, level: usize, step: impl FnOnce() -> Step);
    /// Goes to a part whose type nobody tells.
    fn enter_untyped(&mut self, level: usize, step: Step);
    /// Goes back to the value at `level`, whose part is done.
    fn leave(&mut self, level: usize);
    /// All parts are done: what is wrong now is so with the whole.
    fn finish(&mut self);
    /// The same place, one wrapper further in (`Some`, a newtype).
    fn unwrap<T: ?Sized>(&mut self);
    /// The struct or enum that is being visited has this name.
    fn named(&mut self, name: &'static str);
    /// The part just entered is a map key, whose scalar is to be remembered.
    fn listen(&mut self);
    /// A scalar was visited.
    fn heard(&mut self, scalar: impl FnOnce() -> String);
    /// From the map at `level` to the value of the key just heard; `entry` counts from 0.
    fn enter_value<T: ?Sized>(&mut self, level: usize, entry: usize);
}

/// How many steps of a path are shown at each of its ends.
const LONGEST_END: usize = 16;

#[derive(Debug)]
pub(crate) enum Step {
    Field(&'static str),
    Index(usize),
    Position(usize),
    Variant(&'static str),
    Key(usize),
    Entry(String),
}

/// Where in the value a pass has stopped.
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) type_name: Option<&'static str>,
}

/// Tracks nothing and costs nothing.
#[derive(Default)]
pub(crate) struct Off;

/// Tracks everything.
pub(crate) struct On {
    name: Option<&'static str>,
    root_type: &'static str,
    steps: Vec<(Step, Option<&'static str>)>,
    key: Option<Key>,
    is_finished: bool,
}

struct Key {
    level: usize,
    text: Option<String>,
}

impl Track for Off {
    #[inline(always)]
    fn level(&self) -> usize {
        0
    }
    #[inline(always)]
    fn enter<T: ?Sized>(&mut self, _: usize, _: impl FnOnce() -> Step) {}
    #[inline(always)]
    fn enter_untyped(&mut self, _: usize, _: Step) {}
    #[inline(always)]
    fn leave(&mut self, _: usize) {}
    #[inline(always)]
    fn finish(&mut self) {}
    #[inline(always)]
    fn unwrap<T: ?Sized>(&mut self) {}
    #[inline(always)]
    fn named(&mut self, _: &'static str) {}
    #[inline(always)]
    fn listen(&mut self) {}
    #[inline(always)]
    fn heard(&mut self, _: impl FnOnce() -> String) {}
    #[inline(always)]
    fn enter_value<T: ?Sized>(&mut self, _: usize, _: usize) {}
}

impl<K: Track> Track for &mut K {
    fn level(&self) -> usize {
        (**self).level()
    }
    fn enter<T: ?Sized>(&mut self, level: usize, step: impl FnOnce() -> Step) {
        (**self).enter::<T>(level, step);
    }
    fn enter_untyped(&mut self, level: usize, step: Step) {
        (**self).enter_untyped(level, step);
    }
    fn leave(&mut self, level: usize) {
        (**self).leave(level);
    }
    fn finish(&mut self) {
        (**self).finish();
    }
    fn unwrap<T: ?Sized>(&mut self) {
        (**self).unwrap::<T>();
    }
    fn named(&mut self, name: &'static str) {
        (**self).named(name);
    }
    fn listen(&mut self) {
        (**self).listen();
    }
    fn heard(&mut self, scalar: impl FnOnce() -> String) {
        (**self).heard(scalar);
    }
    fn enter_value<T: ?Sized>(&mut self, level: usize, entry: usize) {
        (**self).enter_value::<T>(level, entry);
    }
}

impl On {
    pub(crate) fn new<T: ?Sized>() -> Self {
        On {
            name: None,
            root_type: type_name::<T>(),
            steps: Vec::new(),
            key: None,
            is_finished: false,
        }
    }

    /// Where the pass has stopped; `None` if it came to the end.
    pub(crate) fn place(self) -> Option<Place> {
        if self.is_finished {
            return None;
        }
        let mut path = self.name.map_or_else(|| "root".to_owned(), snake_case);
        // Of a very long path the two ends tell enough.
        let left_out = LONGEST_END..self.steps.len().saturating_sub(LONGEST_END);
        for (at, (step, _)) in self.steps.iter().enumerate() {
            if left_out.contains(&at) {
                if at == left_out.start {
                    let _ = write!(path, " … {} steps … ", left_out.len());
                }
                continue;
            }
            // Writing to a String does not fail.
            let _ = match step {
                Step::Field(name) => write!(path, ".{name}"),
                Step::Index(index) => write!(path, "[{index}]"),
                Step::Position(position) => write!(path, ".{position}"),
                Step::Variant(name) => write!(path, ".{name}"),
                Step::Key(entry) => write!(path, "[key {entry}]"),
                Step::Entry(key) => write!(path, "[{key}]"),
            };
        }
        let type_name = self.steps.last().map_or(Some(self.root_type), |(_, name)| *name);
        // serde visits many parts by reference, which the user has not written.
        Some(Place { path, type_name: type_name.map(|name| name.trim_start_matches('&')) })
    }

    fn push(&mut self, level: usize, step: Step, type_name: Option<&'static str>) {
        self.steps.truncate(level);
        self.steps.push((step, type_name));
    }
}

impl Track for On {
    fn level(&self) -> usize {
        self.steps.len()
    }

    fn enter<T: ?Sized>(&mut self, level: usize, step: impl FnOnce() -> Step) {
        self.push(level, step(), Some(type_name::<T>()));
    }

    fn enter_untyped(&mut self, level: usize, step: Step) {
        self.push(level, step, None);
    }

    fn leave(&mut self, level: usize) {
        self.steps.truncate(level);
    }

    fn finish(&mut self) {
        self.is_finished = true;
    }

    fn unwrap<T: ?Sized>(&mut self) {
        match self.steps.last_mut() {
            Some((_, name)) => *name = Some(type_name::<T>()),
            None => self.root_type = type_name::<T>(),
        }
    }

    fn named(&mut self, name: &'static str) {
        if self.steps.is_empty() && self.name.is_none() {
            self.name = Some(name);
        }
    }

    fn listen(&mut self) {
        self.key = Some(Key { level: self.steps.len(), text: None });
    }

    fn heard(&mut self, scalar: impl FnOnce() -> String) {
        // A scalar deeper inside a compound key does not name the entry.
        if let Some(key) = self.key.as_mut().filter(|key| key.level == self.steps.len()) {
            key.text = Some(scalar());
        }
    }

    fn enter_value<T: ?Sized>(&mut self, level: usize, entry: usize) {
        let text = self.key.take().and_then(|key| key.text);
        self.enter::<T>(level, || Step::Entry(text.unwrap_or_else(|| format!("entry {entry}"))));
    }
}

/// The text of a key as it stands on a path, with quotation marks.
pub(crate) fn quoted(key: &str) -> String {
    /// How many characters of a key a path shows.
    const SHOWN: usize = 64;
    match key.char_indices().nth(SHOWN) {
        None => format!("{key:?}"),
        Some((end, _)) => format!("{:?}…", key.get(..end).unwrap_or_default()),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_at_a_level_replaces_what_was_below_it() {
        let mut track = On::new::<()>();
        track.named("BigJob");
        track.enter::<Vec<u8>>(0, || Step::Field("items"));
        track.enter::<u8>(1, || Step::Index(2));
        track.enter::<bool>(2, || Step::Variant("Deep"));
        track.enter::<u8>(1, || Step::Index(3));
        let place = track.place().unwrap();
        assert_eq!((place.path.as_str(), place.type_name), ("big_job.items[3]", Some("u8")));
    }

    #[test]
    fn a_very_long_path_is_shown_by_its_ends() {
        let mut track = On::new::<()>();
        for level in 0..100 {
            track.enter::<()>(level, || Step::Position(level));
        }
        let path = track.place().unwrap().path;
        assert!(path.starts_with("root.0.1.2."), "{path}");
        assert!(path.contains(".15 … 68 steps … .84."), "{path}");
        assert!(path.ends_with(".98.99"), "{path}");
    }

    #[test]
    fn a_very_long_key_is_cut() {
        assert_eq!(quoted("\u{e9}a"), "\"\u{e9}a\"");
        let long = quoted(&"\u{7f}".repeat(1 << 20));
        assert!(long.ends_with("\"…") && long.len() < 500, "{}", long.len());
    }

    #[test]
    fn a_map_entry_is_named_by_its_key_only_if_that_is_a_scalar() {
        let mut track = On::new::<()>();
        track.enter::<str>(0, || Step::Key(0));
        track.listen();
        track.heard(|| "\"alpha\"".to_owned());
        track.enter_value::<u8>(0, 0);
        assert_eq!(track.place().unwrap().path, "root[\"alpha\"]");

        let mut track = On::new::<()>();
        track.enter::<(u8, u8)>(0, || Step::Key(7));
        track.listen();
        track.enter::<u8>(1, || Step::Position(0));
        track.heard(|| "1".to_owned());
        track.enter_value::<u8>(0, 7);
        assert_eq!(track.place().unwrap().path, "root[entry 7]");
    }
}
