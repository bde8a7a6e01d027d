//! A barrier by name.

use std::time::{Duration, Instant};

use sk_function::{Operation, Source};

use super::{OfProcess, Turn, Turns, handle};
use crate::error::Error;
use crate::ground::{AgentRef, Arrival, Attempt, Barrier, Offset, Role};
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::Object;
use crate::sync::Arc;
use crate::waiting::waiting;

/// A place where several parties meet: nobody goes on before all have come.
///
/// It is a handle: cheap to clone, and in another process the same barrier. It can be used again at once. A party
/// that dies while it waits has not come: another one has to come in its place.
///
/// ```
/// use sk_share::{Share, Side};
///
/// let share = Share::new()?;
/// let barrier = share.barrier("start", 2)?;
/// let other = barrier.clone();
/// let party = std::thread::spawn(move || other.wait().wait());
/// let mut sides = [barrier.wait().wait()?, party.join().unwrap()?];
/// sides.sort();
/// assert_eq!(sides, [Side::Follower, Side::Leader]);
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedBarrier {
    object: Arc<Object>,
}

handle!(SharedBarrier, kind::BARRIER, "a barrier", Barrier::<'static, Commons>::bytes);

/// What a party was at a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// One of those who waited.
    Follower,
    /// The one that came last.
    Leader,
}

/// How long a party that gives up waits for whoever is at the books of the barrier just then.
const GRACE: Duration = Duration::from_millis(100);

struct Meeting;

impl Turns for Meeting {
    type State = Arrival;

    fn pass_on(commons: &Commons, at: Offset, me: AgentRef, state: &mut Arrival) {
        let deadline = Instant::now().checked_add(GRACE);
        // An error means damage, which whoever comes next is told of, or one that has stopped: then the party
        // has come, until its process ends.
        let _ = Barrier::at(commons, at).and_then(|barrier| barrier.pass_on(me, state, deadline));
    }
}

impl SharedBarrier {
    /// The most parties that one may have.
    pub const MOST: u32 = Barrier::<'static, Commons>::MOST;

    /// Comes, and waits until all have. Given up before that, this party has not come.
    ///
    /// # Errors
    /// It was removed, also while this waits; the limit of the operation.
    pub fn wait(&self) -> Operation<impl Source<Output = Side, Error = Error> + use<>> {
        // For the process: a party may wander between threads while it waits.
        let mut turn = Turn::<Meeting, OfProcess>::new(&self.object);
        waiting(&self.object.space.commons, "all parties had come", move || {
            let attempt = turn
                .attempt(|commons, at, me, state| Barrier::at(commons, at)?.attempt(me, state))?;
            Ok(match attempt {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done((_, Role::Leader)) => Attempt::Done(Side::Leader),
                Attempt::Done((_, Role::Follower)) => Attempt::Done(Side::Follower),
            })
        })
    }
}
