//! The kinds of objects that a share holds: what each does when the share, the directory or a snapshot asks.

use std::io::Write as _;
use std::time::Instant;

use super::space::Space;
use crate::blob::BlobWriter;
use crate::error::{Error, Reason};
use crate::ground::{Arena, EventCount, Flip, Found, Ground as _, Objects, Offset, Spec, checksum};
use crate::memory::{Commons, Member};
use crate::sync::{Arc, Ordering};
use crate::value::Writing;
use crate::{number, value};

pub(crate) const VALUE: u32 = 1;
pub(crate) const NUMBER: u32 = 2;
pub(crate) const BLOB: u32 = 5;

/// What an object of this kind and type is in the directory of a share.
pub(crate) fn spec(kind: u32, type_name: &str, bytes: u64) -> Spec<'_> {
    let fingerprint = checksum(u64::from(kind), type_name.as_bytes());
    Spec { kind, fingerprint, type_name, bytes }
}

impl Objects<Commons> for Space {
    fn destroy(&self, kind: u32, body: Offset) -> Result<(), Error> {
        match kind {
            VALUE => value::destroy(&self.commons, &self.arena()?, body),
            // They have nothing besides their block.
            _ => Ok(()),
        }
    }

    fn wake(&self, found: &Found) {
        let counts: &[Offset] = match found.kind {
            VALUE => &[found.body.wrapping_add(value::CHANGES)],
            NUMBER => &[number::changes_of(found)],
            _ => &[],
        };
        for at in counts {
            if let Ok(count) = EventCount::at(&self.commons, *at) {
                count.notify_all();
            }
        }
    }

    fn is_gone(&self, member: u64) -> bool {
        // Bits that no member can have are nobody's.
        Member::from_bits(member)
            .is_none_or(|member| self.commons.roster().is_member_dead(member).unwrap_or(false))
    }
}

/// All blocks that an object holds besides its own.
pub(crate) fn blocks(space: &Space, found: &Found) -> Result<Vec<Offset>, Error> {
    match found.kind {
        VALUE => value::blocks(&space.commons, found.body),
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
    let arena: Arena<'_, Commons> = space.arena()?;
    let flip = Flip::at(&space.commons, found.body)?.in_arena(&arena);
    work(&mut Writing::begin(space, found.body, &arena, &flip, deadline)?)
}

/// After this no write is on its way that began before the call.
pub(crate) fn take_lock_once(
    space: &Space,
    found: &Found,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    match found.kind {
        VALUE => writing(space, found, deadline, |_| Ok(())),
        _ => Ok(()),
    }
}

/// Has what waits in an object take effect.
pub(crate) fn publish(
    space: &Space,
    found: &Found,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    match found.kind {
        VALUE => writing(space, found, deadline, |writing| writing.publish_pending()),
        _ => Ok(()),
    }
}

/// How many changes an object has had, where that is counted.
pub(crate) fn writes(space: &Space, found: &Found) -> Result<u64, Error> {
    match found.kind {
        VALUE => Ok(Flip::at(&space.commons, found.body)?.version()),
        _ => Ok(0),
    }
}

/// What tells whether an object has changed: another number after each change. `prepare`: whoever looks is
/// about to sleep until the next change of anything in the share.
pub(crate) fn mark(space: &Space, found: &Found, prepare: bool) -> Result<u64, Error> {
    let commons = &space.commons;
    match found.kind {
        VALUE => {
            // First its count, sequentially consistent, as the change that comes before a notice ends with it.
            EventCount::at(commons, found.body.wrapping_add(value::CHANGES))?.look();
            Ok(Flip::at(commons, found.body)?.version())
        }
        NUMBER => {
            if prepare {
                EventCount::at(commons, number::changes_of(found))?.prepare();
            }
            Ok(commons.u64(found.body)?.load(Ordering::SeqCst))
        }
        _ => Ok(0),
    }
}

/// Whether changes wait in an object for the start of the share.
pub(crate) fn is_pending(space: &Space, found: &Found) -> Result<bool, Error> {
    match found.kind {
        VALUE => value::is_pending(&space.commons, found.body),
        _ => Ok(false),
    }
}

/// The content of an object, for a share that travels as a copy.
pub(crate) fn snapshot(space: &Space, found: &Found) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    match found.kind {
        VALUE => {
            let arena = space.arena()?;
            Flip::at(&space.commons, found.body)?.in_arena(&arena).read(&mut bytes, None)?;
        }
        NUMBER => {
            let value = space.commons.u64(found.body)?.load(Ordering::SeqCst);
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        BLOB => bytes.extend_from_slice(space.blob(found)?.as_bytes()),
        _ => {}
    }
    Ok(bytes)
}

/// Makes an object of a [`snapshot`] under a name that nobody has.
pub(crate) fn restore(
    space: &Arc<Space>,
    name: &str,
    (kind, fingerprint, type_name): (u32, u64, &str),
    bytes: &[u8],
) -> Result<(), Error> {
    let spec = |bytes| Spec { kind, fingerprint, type_name, bytes };
    if kind == BLOB {
        let mut writer = BlobWriter::new(space, name)?;
        writer
            .write_all(bytes)
            .map_err(|error| Error::system("cannot write a blob", bytes.len() as u64, error))?;
        return writer.seal().map(|_| ());
    }
    space.with_names(None, |names| {
        match kind {
            VALUE => names
                .create(name, &spec(value::BODY_BYTES), |found| value::make(space, found, bytes)),
            NUMBER => names.create(name, &spec(number::BODY_BYTES), |found| {
                let bits = bytes.first_chunk().copied().map(u64::from_le_bytes);
                number::make(space, found, bits.unwrap_or_default())
            }),
            _ => Err(Error::new(Reason::Damaged {
                what: "the kind of an object",
                value: u64::from(kind),
                limit: u64::from(BLOB),
            })),
        }
        .map(|_| ())
    })
}
