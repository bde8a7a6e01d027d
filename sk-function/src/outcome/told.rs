//! An error and its sources as text.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounded::{OneLine, cut, show};
use super::{Failure, guarded};

/// A message and what it was caused by.
///
/// In the bytes it is a sequence of messages, so that its depth there is not one of nesting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    message: String,
    source: Option<Box<Told>>,
}

impl Told {
    /// `error` and its sources, and the delay that the first failure among them asks for.
    pub(super) fn of<E: Error + ?Sized>(error: &E) -> (Told, Option<Duration>) {
        let message = show(error, Failure::MESSAGE_LIMIT);
        let mut sources = Vec::new();
        let mut retry_after = None;
        let mut next = guarded(|| error.source());
        loop {
            let source = match next {
                Ok(None) => break,
                Ok(Some(source)) => source,
                Err(message) => {
                    sources
                        .push(cut(format!("its source panicked: {message}"), Failure::LINE_LIMIT));
                    break;
                }
            };
            if sources.len() + 1 == Failure::SOURCES_LIMIT {
                sources.push("further sources are left out".to_owned());
                break;
            }
            sources.push(show(source, Failure::LINE_LIMIT));
            let asked = source.downcast_ref::<Failure>().and_then(Failure::retry_after);
            retry_after = retry_after.or(asked);
            next = guarded(|| source.source());
        }
        (Told { message, source: Told::chain(sources) }, retry_after)
    }

    pub(super) fn text<T: fmt::Display + ?Sized>(text: &T) -> Told {
        Told { message: show(text, Failure::MESSAGE_LIMIT), source: None }
    }

    /// This message, caused by `failure` and its sources.
    pub(super) fn caused_by(self, failure: &Failure) -> Told {
        let sources = std::iter::once(show(failure, Failure::LINE_LIMIT))
            .chain(
                failure
                    .0
                    .cause
                    .told()
                    .into_iter()
                    .flat_map(|told| told.messages().skip(1).map(cut_line)),
            )
            .take(Failure::SOURCES_LIMIT);
        Told { message: self.message, source: Told::chain(sources.collect()) }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    fn chain(messages: Vec<String>) -> Option<Box<Told>> {
        let mut chain = None;
        for message in messages.into_iter().rev() {
            chain = Some(Box::new(Told { message, source: chain }));
        }
        chain
    }

    fn messages(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self), |told| told.source.as_deref()).map(Told::message)
    }
}

fn cut_line(text: &str) -> String {
    cut(text.to_owned(), Failure::LINE_LIMIT)
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OneLine(&self.message).fmt(f)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &dyn Error)
    }
}

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The number of messages must be known before the first of them.
        let messages: Vec<&str> = self.messages().collect();
        messages.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Messages)
    }
}

struct Messages;

impl<'de> Visitor<'de> for Messages {
    type Value = Told;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message and at most {} sources", Failure::SOURCES_LIMIT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Told, A::Error> {
        use serde::de::Error as _;
        let message: String =
            messages.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let mut sources = Vec::new();
        while let Some(source) = messages.next_element::<String>()? {
            if sources.len() == Failure::SOURCES_LIMIT {
                return Err(A::Error::invalid_length(sources.len() + 2, &self));
            }
            sources.push(cut(source, Failure::LINE_LIMIT));
        }
        let message = cut(message, Failure::MESSAGE_LIMIT);
        Ok(Told { message, source: Told::chain(sources) })
    }
}
