//! The kinds of objects that a share holds: what each does when the share, the directory or a snapshot asks.

use std::io::Write as _;
use std::time::Instant;

use super::space::Space;
use crate::blob::BlobWriter;
use crate::codec::Bytes as _;
use crate::error::{Error, Reason};
use crate::ground::{
    Arena, Barrier, Condvar, Event, EventCount, Flip, Found, Ground as _, Mutex, Objects, Offset,
    RwLock, Semaphore, Spec, checksum,
};
use crate::memory::{Commons, Member};
use crate::sync::{Arc, Ordering};
use crate::value::Writing;
use crate::{list, number, queue, value};

pub(crate) const VALUE: u32 = 1;
pub(crate) const NUMBER: u32 = 2;
pub(crate) const LIST: u32 = 3;
pub(crate) const QUEUE: u32 = 4;
pub(crate) const BLOB: u32 = 5;
pub(crate) const MUTEX: u32 = 6;
pub(crate) const RWLOCK: u32 = 7;
pub(crate) const SEMAPHORE: u32 = 8;
pub(crate) const EVENT: u32 = 9;
pub(crate) const BARRIER: u32 = 10;
pub(crate) const CONDVAR: u32 = 11;
const LAST: u32 = CONDVAR;

/// What an object of this kind and type is in the directory of a share.
pub(crate) fn spec(kind: u32, type_name: &str, bytes: u64) -> Spec<'_> {
    let fingerprint = checksum(u64::from(kind), type_name.as_bytes());
    Spec { kind, fingerprint, type_name, bytes }
}

impl Objects<Commons> for Space {
    fn destroy(&self, kind: u32, body: Offset) -> Result<(), Error> {
        match kind {
            VALUE => value::destroy(self, &self.arena(), body),
            LIST => list::whole::destroy(self, body),
            QUEUE => queue::whole::destroy(self, body),
            // They have nothing besides their block.
            _ => Ok(()),
        }
    }

    fn wake(&self, found: &Found) {
        // What is too damaged to be woken wakes by itself, in five seconds at the latest.
        let _ = wake(self, found);
    }

    fn is_gone(&self, member: u64) -> bool {
        // Bits that no member can have are nobody's.
        Member::from_bits(member)
            .is_none_or(|member| self.commons.roster().is_member_gone(member).unwrap_or(false))
    }
}

fn wake(space: &Space, found: &Found) -> Result<(), Error> {
    let (commons, body) = (&space.commons, found.body);
    match found.kind {
        VALUE => EventCount::at(commons, body.wrapping_add(value::CHANGES))?.notify_all(),
        NUMBER => EventCount::at(commons, number::changes_of(found))?.notify_all(),
        LIST => EventCount::at(commons, body.wrapping_add(list::CHANGES))?.notify_all(),
        QUEUE => queue::whole::wake(space, body)?,
        MUTEX => Mutex::at(commons, body)?.wake_all(),
        RWLOCK => RwLock::at(commons, body)?.wake_all(),
        SEMAPHORE => Semaphore::at(commons, body)?.wake_all(),
        EVENT => Event::at(commons, body)?.wake_all(),
        BARRIER => Barrier::at(commons, body)?.wake_all(),
        CONDVAR => Condvar::at(commons, body)?.notify_all(),
        _ => {}
    }
    Ok(())
}

/// All blocks that an object holds besides its own.
pub(crate) fn blocks(space: &Space, found: &Found) -> Result<Vec<Offset>, Error> {
    match found.kind {
        VALUE => value::blocks(&space.commons, found.body),
        LIST => list::whole::blocks(space, found.body),
        QUEUE => queue::whole::blocks(space, found.body),
        _ => Ok(Vec::new()),
    }
}

/// Works on a value with its lock, whatever its type.
fn writing<R>(
    space: &Space,
    found: &Found,
    deadline: Option<Instant>,
    work: impl FnOnce(&mut Writing<'_, '_, '_>) -> Result<R, Error>,
) -> Result<R, Error> {
    let arena: Arena<'_, Commons> = space.arena();
    let flip = Flip::at(&space.commons, found.body)?.in_arena(&arena);
    let mut writer = flip.lock(deadline)?;
    work(&mut Writing::begin(space, found.body, &arena, &mut writer)?)
}

/// After this no write is on its way that began before the call.
pub(crate) fn take_lock_once(
    space: &Space,
    found: &Found,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    match found.kind {
        VALUE => writing(space, found, deadline, |_| Ok(())),
        LIST => list::whole::take_lock_once(space, found.body, deadline),
        QUEUE => queue::whole::take_lock_once(space, found.body, deadline),
        _ => Ok(()),
    }
}

/// Whether an object is of a kind whose changes wait while the share is stopped.
pub(crate) fn waits(found: &Found) -> bool {
    matches!(found.kind, VALUE | LIST | QUEUE)
}

/// Has what waits in an object take effect, unless the share is stopped again.
pub(crate) fn publish(
    space: &Space,
    found: &Found,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    match found.kind {
        // With its lock that comes before all else.
        VALUE => writing(space, found, deadline, |_| Ok(())),
        LIST => list::whole::publish(space, found.body, deadline),
        QUEUE => queue::whole::publish(space, found.body, deadline),
        _ => Ok(()),
    }
}

/// How many changes an object has had, where that is counted.
pub(crate) fn writes(space: &Space, found: &Found) -> Result<u64, Error> {
    match found.kind {
        VALUE => Ok(Flip::at(&space.commons, found.body)?.version()),
        LIST => list::whole::writes(space, found.body),
        QUEUE => queue::whole::mark(space, found.body),
        _ => Ok(0),
    }
}

/// What tells whether an object has changed: another number after each change as a rule. `prepare`: whoever looks is
/// about to sleep until the next change of anything in the share.
pub(crate) fn mark(space: &Space, found: &Found, prepare: bool) -> Result<u64, Error> {
    let commons = &space.commons;
    match found.kind {
        VALUE => Ok(Flip::at(commons, found.body)?.version_for_watchers()),
        NUMBER => {
            if prepare {
                EventCount::at(commons, number::changes_of(found))?.prepare();
            }
            Ok(commons.u64(found.body)?.load(Ordering::SeqCst))
        }
        LIST => {
            EventCount::at(commons, found.body.wrapping_add(list::CHANGES))?.look();
            list::whole::mark(space, found.body)
        }
        QUEUE => queue::whole::mark(space, found.body),
        _ => Ok(0),
    }
}

/// Whether changes wait in an object for the start of the share.
pub(crate) fn is_pending(space: &Space, found: &Found) -> Result<bool, Error> {
    match found.kind {
        VALUE => value::is_pending(&space.commons, found.body),
        LIST => list::whole::is_pending(space, found.body),
        QUEUE => queue::whole::is_pending(space, found.body),
        _ => Ok(false),
    }
}

/// The content of an object, for a share that travels as a copy. What programs synchronise with is free there.
pub(crate) fn snapshot(
    space: &Space,
    found: &Found,
    deadline: Option<Instant>,
) -> Result<Vec<u8>, Error> {
    let (commons, body) = (&space.commons, found.body);
    let count = |count: u32| count.to_le_bytes().to_vec();
    match found.kind {
        VALUE => {
            // With its lock, so that half of a step over several values is not taken for all of it.
            let mut bytes = Vec::new();
            writing(space, found, deadline, |writing| {
                writing.read_committed();
                writing.read(&mut bytes)
            })?;
            Ok(bytes)
        }
        NUMBER => Ok(commons.u64(body)?.load(Ordering::SeqCst).to_le_bytes().to_vec()),
        LIST => list::whole::snapshot(space, body, deadline),
        QUEUE => queue::whole::snapshot(space, body, deadline),
        BLOB => Ok(space.blob(found)?.as_bytes().to_vec()),
        RWLOCK => Ok(count(RwLock::at(commons, body)?.readers())),
        SEMAPHORE => Ok(count(Semaphore::at(commons, body)?.permits())),
        BARRIER => Ok(count(Barrier::at(commons, body)?.parties())),
        EVENT => Ok(count(Event::at(commons, body)?.is_set()?.into())),
        _ => Ok(Vec::new()),
    }
}

/// Makes an object of a [`snapshot`] under a name that nobody has.
pub(crate) fn restore(
    space: &Arc<Space>,
    name: &str,
    (kind, fingerprint, type_name): (u32, u64, &str),
    bytes: &[u8],
) -> Result<(), Error> {
    if kind == BLOB {
        let mut writer = BlobWriter::new(space, name)?;
        writer
            .write_all(bytes)
            .map_err(|error| Error::system("cannot write a blob", bytes.len() as u64, error))?;
        return writer.seal().map(|_| ());
    }
    let count = bytes.first_chunk().copied().map(u32::from_le_bytes).unwrap_or_default();
    let body_bytes = body_bytes(kind, count, bytes)?;
    let spec = Spec { kind, fingerprint, type_name, bytes: body_bytes };
    let make = |found: &Found| make(space, found, count, bytes);
    space.with_names(None, |names| {
        if names.look(name)?.is_some() {
            return Err(Error::new(Reason::NameTaken { name: name.to_owned() }));
        }
        names.create(name, &spec, make).map(|_| ())
    })
}

/// How large the body of an object is.
fn body_bytes(kind: u32, count: u32, bytes: &[u8]) -> Result<u64, Error> {
    Ok(match kind {
        VALUE => value::BODY_BYTES,
        NUMBER => number::BODY_BYTES,
        LIST => list::whole::body_bytes(bytes),
        QUEUE => queue::whole::BODY_BYTES,
        MUTEX => Mutex::<'static, Commons>::BYTES,
        RWLOCK => RwLock::<'static, Commons>::bytes(count),
        SEMAPHORE => Semaphore::<'static, Commons>::bytes(count),
        EVENT => Event::<'static, Commons>::BYTES,
        BARRIER => Barrier::<'static, Commons>::bytes(count),
        CONDVAR => Condvar::<'static, Commons>::BYTES,
        kind => {
            return Err(Error::damaged("the kind of an object", kind.into(), LAST.into()));
        }
    })
}

/// Gives a new object the content of a [`snapshot`].
fn make(space: &Space, found: &Found, count: u32, bytes: &[u8]) -> Result<(), Error> {
    let (commons, body) = (&space.commons, found.body);
    match found.kind {
        VALUE => value::make(space, found, bytes),
        NUMBER => {
            let bits = bytes.first_chunk().copied().map(u64::from_le_bytes);
            number::make(space, found, bits.unwrap_or_default())
        }
        LIST => list::whole::restore(space, found, bytes),
        QUEUE => queue::whole::restore(space, found, bytes),
        EVENT => {
            let event = Event::create(commons, body)?;
            if count != 0 {
                event.set();
            }
            Ok(())
        }
        _ => make_lock(space, found, count),
    }
}

/// Makes what programs synchronise with, for so many.
pub(crate) fn make_lock(space: &Space, found: &Found, count: u32) -> Result<(), Error> {
    let (commons, body) = (&space.commons, found.body);
    match found.kind {
        MUTEX => Mutex::create(commons, body).map(|_| ()),
        RWLOCK => RwLock::create(commons, body, count).map(|_| ()),
        SEMAPHORE => Semaphore::create(commons, body, count).map(|_| ()),
        EVENT => Event::create(commons, body).map(|_| ()),
        BARRIER => Barrier::create(commons, body, count).map(|_| ()),
        CONDVAR => Condvar::create(commons, body).map(|_| ()),
        kind => Err(Error::new(Reason::Damaged {
            what: "the kind of a lock",
            value: kind.into(),
            limit: LAST.into(),
        })),
    }
}
