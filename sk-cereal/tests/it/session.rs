//! What travels beside the bytes.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sk_cereal::{Purpose, Session, internal};

/// What the tests send beside the bytes.
#[derive(Debug, Default, PartialEq)]
struct Beside(Vec<String>);

/// A handle, whose bytes are only its place in the table.
#[derive(Debug, PartialEq)]
struct Handle(String);

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = Session::require::<Self>().map_err(S::Error::custom)?;
        let place = session.with(|Beside(sent)| {
            sent.push(self.0.clone());
            sent.len() as u64 - 1
        });
        serializer.serialize_u64(place)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let place = usize::deserialize(deserializer)?;
        let session = Session::require::<Self>().map_err(D::Error::custom)?;
        let found = session.with(|Beside(received)| received.get(place).cloned());
        found.map(Handle).ok_or_else(|| D::Error::custom(format!("no handle {place} came along")))
    }
}

/// An endpoint that moves, so it has no snapshot.
struct Endpoint;

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Session::require_hand_over::<Self>().map_err(S::Error::custom)?;
        serializer.serialize_unit()
    }
}

fn handles() -> Vec<Handle> {
    ["a", "b"].map(|name| Handle(name.to_owned())).into()
}

/// Rows: CER-30
#[test]
fn what_lies_in_the_table_travels_beside_the_bytes() {
    let session = Session::hand_over();
    let bytes = session.enter(|| internal::to_vec(&handles())).unwrap();
    let sent: Beside = session.take();
    assert_eq!(sent, Beside(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(session.take::<Beside>(), Beside::default());

    let session = Session::hand_over();
    session.put(sent);
    let back: Vec<Handle> = session.enter(|| internal::from_slice(&bytes)).unwrap();
    assert_eq!(back, handles());

    let empty = Session::hand_over();
    let error = empty.enter(|| internal::from_slice::<Vec<Handle>>(&bytes)).unwrap_err();
    assert!(error.to_string().contains("no handle 0 came along"), "{error}");
    assert_eq!(error.path(), Some("root[0]"));
}

/// Rows: CER-30
#[test]
fn what_needs_a_session_and_finds_none_is_an_error_that_names_it() {
    let error = internal::to_vec(&handles()).unwrap_err();
    assert!(error.is_session());
    assert_eq!(
        error.to_string(),
        "cannot encode alloc::vec::Vec<it::session::Handle> at root[0] (it::session::Handle): \
         it::session::Handle crosses only within a session (sk_cereal::Session), and there is none"
    );
    assert_eq!(error.path(), Some("root[0]"));
    assert!(Session::require::<Handle>().unwrap_err().is_session());
    assert!(internal::from_slice::<Handle>(&internal::to_vec(&0_u64).unwrap()).is_err());
}

/// Rows: CER-30
#[test]
fn a_snapshot_refuses_by_name_what_can_only_be_handed_over() {
    assert!(Session::hand_over().enter(|| internal::to_vec(&Endpoint)).is_ok());
    let error = Session::snapshot().enter(|| internal::to_vec(&(1, Endpoint))).unwrap_err();
    assert!(error.is_session());
    assert!(error.to_string().contains("no snapshot of it can be taken"), "{error}");
    assert_eq!(error.path(), Some("root.1"));
    assert!(error.to_string().contains("session::Endpoint"), "{error}");
}

/// Rows: CER-30
#[test]
fn sessions_nest_and_end_with_their_closure_also_by_a_panic() {
    let purpose = || Session::current().map(|session| session.purpose());
    let outer = Session::hand_over();
    outer.enter(|| {
        internal::to_vec(&handles()).unwrap();
        let inner = Session::snapshot();
        inner.enter(|| {
            assert_eq!(purpose(), Some(Purpose::Snapshot));
            internal::to_vec(&Handle("c".to_owned())).unwrap();
        });
        assert_eq!(inner.take::<Beside>().0, ["c"]);
        let panicking = || inner.enter(|| panic!("within the session"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
        assert_eq!(purpose(), Some(Purpose::HandOver));
        // Another thread is in no session.
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(Session::current().is_none()));
        });
    });
    assert_eq!(purpose(), None);
    assert_eq!(outer.take::<Beside>().0, ["a", "b"]);
}

/// Rows: CER-21
#[test]
fn the_second_pass_is_a_rehearsal_that_leaves_the_tables_alone() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            let session = Session::require::<Self>().map_err(S::Error::custom)?;
            session.with(|Beside(sent)| sent.push(session.is_rehearsal().to_string()));
            Err(S::Error::custom("broken"))
        }
    }
    let session = Session::hand_over();
    let error = session.enter(|| internal::to_vec(&(handles(), Broken))).unwrap_err();
    assert_eq!(error.path(), Some("root.1"));
    assert_eq!(session.take::<Beside>().0, ["a", "b", "false"]);
}

/// Rows: CER-18
#[test]
fn is_encodable_is_a_rehearsal_of_its_own() {
    struct Live;
    impl Serialize for Live {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let session = Session::current().map(|s| (s.purpose(), s.is_rehearsal()));
            assert_eq!(session, Some((Purpose::HandOver, true)));
            serializer.serialize_unit()
        }
    }
    impl<'de> Deserialize<'de> for Live {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            <()>::deserialize(deserializer).map(|()| Live)
        }
    }
    assert!(internal::is_encodable(&Live));
    let outer = Session::snapshot();
    assert!(outer.enter(|| internal::is_encodable(&handles())));
    assert_eq!(outer.take::<Beside>(), Beside::default());
}

/// Rows: CER-26
#[test]
fn the_second_pass_of_a_decode_is_a_rehearsal_that_sees_the_tables() {
    #[derive(Debug)]
    struct Looks;
    impl<'de> Deserialize<'de> for Looks {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            <()>::deserialize(deserializer)?;
            let session = Session::require::<Self>().map_err(D::Error::custom)?;
            let seen = session.with(|Beside(seen)| {
                seen.push(session.is_rehearsal().to_string());
                seen.join(" ")
            });
            Err(D::Error::custom(format!("always, {}", seen.len())))
        }
    }
    let session = Session::hand_over();
    let error = session.enter(|| {
        let bytes = internal::to_vec(&()).unwrap();
        internal::from_slice::<Looks>(&bytes).unwrap_err()
    });
    assert_eq!(session.take::<Beside>().0, ["false", "true"]);
    // The second pass failed for another reason, so it is not believed.
    assert!(error.to_string().contains("always, 5"), "{error}");
    assert_eq!(error.path(), None);
}

/// Rows: CER-30
#[test]
fn counting_bytes_is_a_rehearsal() {
    let session = Session::hand_over();
    let counted = session.enter(|| internal::encoded_len(&handles())).unwrap();
    assert_eq!(session.take::<Beside>(), Beside::default());
    let bytes = session.enter(|| internal::to_vec(&handles())).unwrap();
    assert_eq!(bytes.len(), counted);
}

/// Rows: CER-30
#[test]
fn a_table_survives_a_panic_and_may_look_into_its_session_when_dropped() {
    let session = Session::hand_over();
    session.put(Beside(vec!["kept".to_owned()]));
    let panics = || session.with(|_: &mut Beside| panic!("within the table"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(session.take::<Beside>().0, ["kept"]);

    /// Looks into the session when it is dropped.
    #[derive(Default)]
    struct Looks(Option<Session>);
    impl Drop for Looks {
        fn drop(&mut self) {
            if let Some(session) = &self.0 {
                session.with(|Beside(seen)| seen.push("dropped".to_owned()));
                session.with(|looks: &mut Looks| assert!(looks.0.is_none()));
            }
        }
    }
    session.put(Looks(Some(session.clone())));
    session.put(Looks(None));
    assert_eq!(session.take::<Beside>().0, ["dropped"]);
}

/// Rows: CER-18
#[test]
fn in_the_destructor_of_a_thread_local_there_is_no_session_and_no_panic() {
    use std::sync::mpsc::{Sender, channel};

    struct AtEnd(Sender<(bool, bool)>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            let session = Session::hand_over().enter(Session::current).is_some();
            let _ = self.0.send((internal::is_encodable(&5_u8), session));
        }
    }
    thread_local! {
        static AT_END: std::cell::OnceCell<AtEnd> = const { std::cell::OnceCell::new() };
    }
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        AT_END.with(|cell| assert!(cell.set(AtEnd(sender)).is_ok()));
        // The sessions of this thread are made later, so they are destroyed earlier.
        Session::hand_over().enter(|| ());
    });
    thread.join().unwrap();
    assert_eq!(receiver.recv().unwrap(), (true, false));
}
