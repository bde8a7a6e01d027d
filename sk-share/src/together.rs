//! Several values changed, or read, in one step.

use std::time::Instant;

use crate::codec::Codec;
use crate::error::{Error, Reason};
use crate::ground::{Flip, MOST_VALUES};
use crate::share::space::Object;
use crate::value::{Shared, Writing};

/// Values that change in one step: a tuple of references to [`Shared`] values, or a slice of them; all of one
/// share, each once, and at most 128.
pub trait Together: parts::Parts<Of = Self::Values> {
    /// What they hold: a tuple of values, or a vector of them.
    type Values;
}

mod parts {
    use super::{Error, Instant, Object, Writing};

    /// What a step needs of its values.
    pub trait Parts {
        type Of;
        fn objects(&self) -> Vec<&Object>;
        fn deadline(&self) -> Option<Instant>;
        fn read(&self, from: &[Writing<'_, '_, '_>]) -> Result<Self::Of, Error>;
        fn encode(&self, values: &Self::Of) -> Result<Vec<Vec<u8>>, Error>;
    }
}

/// Changes several values in one step, and gives what the closure gives: all of them change, or none, also
/// if the closure panics or this process dies. Nobody ever sees some of them changed and others not.
///
/// Others who write one of them wait until it is done. Values are locked in one order everywhere, so that two such
/// changes cannot wait for each other.
///
/// ```
/// use sk_share::{Share, update_together};
///
/// let share = Share::new()?;
/// let (mine, yours) = (share.value("mine", 10)?, share.value("yours", 0)?);
/// update_together((&mine, &yours), |(mine, yours)| {
///     *mine -= 3;
///     *yours += 3;
/// })?;
/// assert_eq!((mine.get()?, yours.get()?), (7, 3));
/// # Ok::<(), sk_share::Error>(())
/// ```
///
/// # Errors
/// As for [`Shared::update`]; a value is there twice, is of another share, or there are too many; the share is
/// stopped ([`Error::is_stopped`]).
pub fn update_together<V: Together, R>(
    values: V,
    change: impl FnOnce(&mut V::Values) -> R,
) -> Result<R, Error> {
    try_update_together(values, |values| Ok(change(values)))
}

/// As [`update_together`], and nothing has changed if the closure fails.
///
/// # Errors
/// That of the closure, and those of [`update_together`].
pub fn try_update_together<V: Together, R, E: From<Error>>(
    values: V,
    change: impl FnOnce(&mut V::Values) -> Result<R, E>,
) -> Result<R, E> {
    let deadline = values.deadline();
    let mut result = None;
    let objects = values.objects();
    let written = with_all(&objects, deadline, |writings| {
        let mut all = values.read(writings)?;
        match change(&mut all) {
            Err(error) => result = Some(Err(error)),
            Ok(changed) => {
                let bytes = values.encode(&all)?;
                let mut staged = Vec::with_capacity(writings.len());
                for ((writing, bytes), object) in writings.iter_mut().zip(&bytes).zip(&objects) {
                    staged.push(writing.stage(bytes).map_err(|error| object.report(error))?);
                }
                result = Some(Ok(changed));
                return Ok(Some(staged));
            }
        }
        Ok(None)
    });
    match (written, result) {
        (Err(error), _) => Err(error.into()),
        (Ok(()), Some(result)) => result,
        // The closure above leaves a result wherever it does not fail.
        (Ok(()), None) => Err(Error::timed_out("the values were free").into()),
    }
}

/// Reads several values as they are at one moment.
///
/// Unlike [`Shared::get`] it waits for those who write them. While the share is stopped it gives what was there when
/// it stopped.
///
/// # Errors
/// As for [`Shared::get`] and [`update_together`].
pub fn get_together<V: Together>(values: V) -> Result<V::Values, Error> {
    let mut read = None;
    with_all(&values.objects(), values.deadline(), |writings| {
        // As those who read one value: what waits for the start of the share is not there yet.
        writings.iter_mut().for_each(Writing::read_committed);
        read = Some(values.read(writings)?);
        Ok(None)
    })?;
    // The closure above fails or leaves it.
    read.ok_or_else(|| Error::timed_out("the values were free"))
}

/// Works on values with all their locks, taken by their place, and commits what the work has staged: the versions
/// that they will be, in the order in which they were given. The work reports what goes wrong in it.
fn with_all(
    objects: &[&Object],
    deadline: Option<Instant>,
    work: impl FnOnce(&mut [Writing<'_, '_, '_>]) -> Result<Option<Vec<u64>>, Error>,
) -> Result<(), Error> {
    let Some(first) = objects.first() else { return work(&mut []).map(|_| ()) };
    let space = &*first.space;
    let order = order_of(first, objects).map_err(|error| first.report(error))?;
    let arena = space.arena();
    let flips = objects
        .iter()
        .map(|object| {
            let flip = Flip::at(&space.commons, object.found.body);
            Ok(flip.map_err(|error| object.report(error))?.in_arena(&arena))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut locked = Vec::with_capacity(objects.len());
    for place in order {
        let Some((object, flip)) = objects.get(place).zip(flips.get(place)) else { continue };
        locked.push((place, flip.lock(deadline).map_err(|error| object.report(error))?));
    }
    locked.sort_by_key(|(place, _)| *place);
    let mut writings = Vec::with_capacity(objects.len());
    for (object, (_, writer)) in objects.iter().zip(&mut locked) {
        // Looked for again, now that nobody writes: what is removed does not come back.
        let writing = Writing::begin(space, object.found.body, &arena, writer)
            .and_then(|writing| object.check().map(|()| writing));
        writings.push(writing.map_err(|error| object.report(error))?);
    }
    if let Some(versions) = work(&mut writings)? {
        let mut staged: Vec<_> = objects
            .iter()
            .zip(locked)
            .zip(versions)
            .map(|((object, (_, writer)), version)| (object.found.body, version, writer))
            .collect();
        // After the values, in this order always, so that steps over other values meet here only.
        let committed = space.transactions().and_then(|transactions| {
            let guard = transactions.begin(deadline)?;
            transactions.commit(&guard, &mut staged)
        });
        committed.map_err(|error| first.report(error))?;
    }
    space.notify_activity();
    Ok(())
}

/// In which order the values are locked, if they go together.
fn order_of(first: &Object, objects: &[&Object]) -> Result<Vec<usize>, Error> {
    let count = objects.len() as u64;
    if count > MOST_VALUES {
        return Err(Error::too_long("the most values of one step", count, MOST_VALUES));
    }
    for object in objects {
        object.check()?;
        if object.space.id() != first.space.id() {
            let (found, expected) = (object.space.id(), first.space.id());
            return Err(Error::new(Reason::OtherRegion { found, expected }));
        }
    }
    let mut order: Vec<usize> = (0..objects.len()).collect();
    let body = |place: &usize| objects.get(*place).map_or(0, |object| object.found.body);
    order.sort_by_key(body);
    match order.windows(2).find(|pair| matches!(pair, [one, two] if body(one) == body(two))) {
        Some(twice) => Err(Error::reentry(twice.first().map_or(0, body))),
        None => Ok(order),
    }
}

/// The first of these instants.
fn earliest(deadlines: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}

impl<T: 'static, C: Codec<T>> Together for &[Shared<T, C>] {
    type Values = Vec<T>;
}

impl<T: 'static, C: Codec<T>> parts::Parts for &[Shared<T, C>] {
    type Of = Vec<T>;

    fn objects(&self) -> Vec<&Object> {
        self.iter().map(|shared| &**shared.object()).collect()
    }

    fn deadline(&self) -> Option<Instant> {
        earliest(self.iter().map(Shared::deadline))
    }

    fn read(&self, from: &[Writing<'_, '_, '_>]) -> Result<Vec<T>, Error> {
        self.iter().zip(from).map(|(shared, writing)| value_of(shared, Some(writing))).collect()
    }

    fn encode(&self, values: &Vec<T>) -> Result<Vec<Vec<u8>>, Error> {
        if values.len() != self.len() {
            let (asked, limit) = (values.len() as u64, self.len() as u64);
            return Err(Error::too_long("as many values as there were", asked, limit));
        }
        self.iter().zip(values).map(|(shared, value)| bytes_of(shared, value)).collect()
    }
}

macro_rules! tuples {
    ($($value:ident $codec:ident $place:tt),+) => {
        impl<$($value: 'static, $codec: Codec<$value>),+> Together
            for ($(&Shared<$value, $codec>,)+)
        {
            type Values = ($($value,)+);
        }

        impl<$($value: 'static, $codec: Codec<$value>),+> parts::Parts
            for ($(&Shared<$value, $codec>,)+)
        {
            type Of = ($($value,)+);

            fn objects(&self) -> Vec<&Object> {
                vec![$(&**self.$place.object()),+]
            }

            fn deadline(&self) -> Option<Instant> {
                earliest([$(self.$place.deadline()),+])
            }

            fn read(&self, from: &[Writing<'_, '_, '_>]) -> Result<Self::Of, Error> {
                Ok(($(value_of(self.$place, from.get($place))?,)+))
            }

            fn encode(&self, values: &Self::Of) -> Result<Vec<Vec<u8>>, Error> {
                Ok(vec![$(bytes_of(self.$place, &values.$place)?),+])
            }
        }
    };
}

fn value_of<T: 'static, C: Codec<T>>(
    shared: &Shared<T, C>,
    from: Option<&Writing<'_, '_, '_>>,
) -> Result<T, Error> {
    // There is one for each value.
    let from = from.ok_or_else(|| Error::timed_out("the value was free"));
    let read = from.and_then(|writing| C::read(writing));
    read.map(|(value, _)| value).map_err(|error| shared.object().report(error))
}

fn bytes_of<T: 'static, C: Codec<T>>(shared: &Shared<T, C>, value: &T) -> Result<Vec<u8>, Error> {
    let bytes = C::with_bytes(value, |bytes| Ok(bytes.to_vec()));
    bytes.map_err(|error| shared.object().report(error))
}

tuples!(A CA 0);
tuples!(A CA 0, B CB 1);
tuples!(A CA 0, B CB 1, D CD 2);
tuples!(A CA 0, B CB 1, D CD 2, E CE 3);
tuples!(A CA 0, B CB 1, D CD 2, E CE 3, F CF 4);
tuples!(A CA 0, B CB 1, D CD 2, E CE 3, F CF 4, G CG 5);
tuples!(A CA 0, B CB 1, D CD 2, E CE 3, F CF 4, G CG 5, H CH 6);
tuples!(A CA 0, B CB 1, D CD 2, E CE 3, F CF 4, G CG 5, H CH 6, I CI 7);
