//! Handles that are encoded and decoded within one process.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sk_cereal::{Session, internal};
use sk_share::memory::Descriptors;
use sk_share::{Share, Shared, SharedBlob, SharedList, SharedMutex, SharedNumber, inherit};

use super::patience::add_up;

/// There and back, with what travels beside the bytes.
fn travel<T: Serialize, R: DeserializeOwned>(value: &T) -> Result<R, sk_cereal::Error> {
    let session = Session::hand_over();
    session.enter(|| internal::from_slice(&internal::to_vec(value)?))
}

#[derive(Serialize, Deserialize)]
struct Job {
    share: Share,
    progress: Vec<Option<SharedNumber<u32>>>,
    result: (Shared<String>, SharedList<u8>),
    log: SharedBlob,
    lock: SharedMutex,
}

/// Rows: SHA-51, CER-44
#[test]
fn handles_arrive_as_what_they_are_wherever_they_lie() {
    let share = Share::new().unwrap();
    let job = Job {
        share: share.clone(),
        progress: vec![None, Some(share.number("progress", 1).unwrap())],
        result: (share.value("text", String::new()).unwrap(), share.list("list").unwrap()),
        log: share.blob("log", b"log").unwrap(),
        lock: share.mutex("lock").unwrap(),
    };
    let arrived: Job = travel(&job).unwrap();
    assert_eq!(arrived.share, share);
    arrived.progress[1].as_ref().unwrap().add(1);
    assert_eq!(job.progress[1].as_ref().unwrap().get(), 2);
    arrived.result.0.set(&"done".to_owned()).unwrap();
    arrived.result.1.push(&1).unwrap();
    assert_eq!(job.result.0.get().unwrap(), "done");
    assert_eq!(job.result.1.to_vec().unwrap(), [1]);
    assert_eq!(arrived.log.as_ptr(), job.log.as_ptr());
    let guard = arrived.lock.lock().wait().unwrap();
    assert!(job.lock.lock().wait().unwrap_err().is_reentry());
    drop(guard);
    // The same share twice is one, in the table of descriptors too.
    let session = Session::hand_over();
    let bytes = session.enter(|| internal::to_vec(&(&share, &share, &job.result.0))).unwrap();
    let descriptors: Descriptors = session.take();
    // The share, its blob, and the roster of the program.
    assert_eq!(descriptors.as_fds().len(), 3);
    let (one, two, _): (Share, Share, Shared<String>) =
        Session::hand_over().enter(|| internal::from_slice(&bytes)).unwrap();
    assert_eq!(one, two);
    // All handles of it are of one client: what one holds is held once.
    drop((arrived, one, two, job));
    share.clear().unwrap();
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: CER-44
#[test]
fn a_handle_is_not_encoded_outside_a_session() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    for error in [internal::to_vec(&share).unwrap_err(), internal::to_vec(&value).unwrap_err()] {
        assert!(error.to_string().contains("Session"), "{error}");
    }
}

/// Rows: CER-44
#[test]
fn a_handle_of_another_type_is_refused() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u8).unwrap();
    let error = travel::<_, Shared<u16>>(&value).unwrap_err().to_string();
    assert!(
        error.contains("u8") && error.contains("u16") && error.contains("\"value\""),
        "{error}"
    );
    let error = travel::<_, SharedNumber<u8>>(&value).unwrap_err().to_string();
    assert!(error.contains("\"value\""), "{error}");
    let error = travel::<_, SharedMutex>(&share.event("event").unwrap()).unwrap_err().to_string();
    assert!(error.contains("an event") && error.contains("a mutex"), "{error}");
    drop(value);
    share.clear().unwrap();
    assert_eq!(share.stats().unwrap().detached, 0);
}

/// Rows: CER-44
#[test]
fn a_handle_without_its_memory_says_which() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u8).unwrap();
    let (id, session) = (share.id().to_string(), Session::hand_over());
    let bytes = session.enter(|| internal::to_vec(&(&share, &value))).unwrap();
    // As long as somebody here has the share, that is enough.
    let (again, _): (Share, Shared<u8>) = internal::from_slice(&bytes).unwrap();
    drop((again, share, value, session));
    for entered in [false, true] {
        let decode = || internal::from_slice::<(Share, Shared<u8>)>(&bytes);
        let decoded = if entered { Session::hand_over().enter(decode) } else { decode() };
        let error = decoded.unwrap_err().to_string();
        assert!(error.contains(&id) && error.contains("descriptor"), "{error}");
    }
}

/// Rows: CER-44, SHA-51
#[test]
fn what_was_removed_on_the_way_is_not_found() {
    let share = Share::new().unwrap();
    let (value, held) = (share.value("value", 1_u8).unwrap(), share.value("held", 1_u8).unwrap());
    let session = Session::hand_over();
    let bytes = session.enter(|| internal::to_vec(&value)).unwrap();
    let of_held = session.enter(|| internal::to_vec(&held)).unwrap();
    drop(value);
    share.clear().unwrap();
    // Another object in its place is not taken for it.
    share.value("other", 2_u8).unwrap();
    let error = session.enter(|| internal::from_slice::<Shared<u8>>(&bytes)).unwrap_err();
    assert!(error.to_string().contains("nothing has the name"), "{error}");
    // As long as somebody has it, it arrives as what it is: detached.
    let held_too: Shared<u8> = session.enter(|| internal::from_slice(&of_held)).unwrap();
    assert!(held_too.is_detached() && held_too.get().unwrap_err().is_not_found());
    drop((held, held_too));
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-51
#[test]
fn a_value_may_hold_handles_of_its_share() {
    #[derive(Serialize, Deserialize)]
    struct Account {
        name: String,
        visits: SharedNumber<u64>,
        notes: SharedList<String>,
    }
    let share = Share::new().unwrap();
    let account = Account {
        name: "ada".to_owned(),
        visits: share.number("visits", 0).unwrap(),
        notes: share.list("notes").unwrap(),
    };
    let value = share.put("account", &account).unwrap();
    let list = share.list::<SharedNumber<u64>>("list").unwrap();
    list.push(&account.visits).unwrap();
    drop(account);
    for round in 1..=10 {
        let read = value.get().unwrap();
        assert_eq!(read.visits.add(1), round);
        read.notes.push(&read.name).unwrap();
        value.update(|account| account.name.push('!')).unwrap();
        list.get(0).unwrap().unwrap();
    }
    assert_eq!(share.get_number::<u64>("visits").unwrap().get(), 10);
    assert_eq!(value.get().unwrap().notes.len().unwrap(), 10);
    share.remove("visits").unwrap();
    // Nobody holds the number any more: what names it does not decode, and says so.
    let error = value.get().err().unwrap();
    assert!(error.is_codec() && share.has_error(), "{error}");
    add_up(&share);
}

#[test]
fn nothing_is_received_where_nothing_was_passed() {
    assert!(!inherit::is_offered());
    let error = inherit::receive::<Share>().unwrap_err();
    assert!(error.to_string().contains("nothing was passed"), "{error}");
}
