//! The life thread: its robust list holds the row of this process, and it watches the rows of others.
//!
//! It is started once for a membership, and it neither panics nor ends before the membership does: the
//! others would hold this process for dead while it lives. If it did, the process is ended.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::super::member::MOST;
use super::super::{Member, MustNotEnd, Shared};
use super::slot::has_living_agent;
use super::table::{Row, Table};
use super::{OWNER_DIED, THREAD, WAITERS, is_living};
use crate::error::{Error, Reason};
use crate::fault;
use crate::sync::{Arc, Ordering};
use crate::sys::{self, RobustList, Scope, Slept, WaitOn};

/// The kernel waits on so many words.
const WORDS: usize = 128;

/// Rows that one thread watches, beside the words `control` and `joined`.
const GROUP: usize = WORDS - 2;
const GROUPS: usize = MOST.div_ceil(GROUP);

/// How long until it looks again at rows that it has no thread for, or if the kernel cannot wait.
const MAKESHIFT: Duration = Duration::from_millis(10);

const STACK_BYTES: usize = 128 << 10;

/// Starts the life thread, and returns once it is a member and has looked at all others.
pub(in crate::memory::roster) fn start(
    shared: Arc<Shared>,
) -> Result<(Member, JoinHandle<()>), Error> {
    check_kernel()?;
    let (tell, told) = sync_channel(1);
    let thread = Builder::new()
        .name("sk-life".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || live(&shared, &tell))
        .map_err(|error| Error::system("cannot start the life thread", 1, error))?;
    match told.recv() {
        Ok(Ok(me)) => Ok((me, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(Reason::NotMember)),
    }
}

/// A wait that is over at once shows whether there is such a wait.
fn check_kernel() -> Result<(), Error> {
    let word = crate::sync::AtomicU32::new(1);
    sys::wait_any::<1>(&[WaitOn::new(&word, 0, Scope::Private)], None)
        .map_err(|error| Error::system("the kernel cannot wait on several words", 1, error))?;
    Ok(())
}

fn live(shared: &Arc<Shared>, tell: &SyncSender<Result<Member, Error>>) {
    sys::block_signals();
    let list = match RobustList::register(Arc::clone(shared.region.mapping())) {
        Ok(Some(list)) => list,
        Ok(None) => return drop(tell.send(Err(Error::new(Reason::RobustInUse)))),
        Err(error) => {
            let error = Error::system("cannot register a robust list", 0, error);
            return drop(tell.send(Err(error)));
        }
    };
    let me = match take_row(shared, &list) {
        Ok(me) => me,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let must_not_end = MustNotEnd;
    let _ = shared.me.set(me);
    let mut watch = Watch::new(Arc::clone(shared), me.row());
    let mut echoes = Echoes::default();
    if watch.look_at_all_for_the_first_time() {
        echoes.begin(Instant::now());
    }
    // Whoever asked may be gone; the membership then ends with the handle that was not made.
    let _ = tell.send(Ok(me));
    watch.until_told_to_end(echoes);
    watch.end_helpers();
    give_row_back(shared, &list, me.row());
    drop(list);
    std::mem::forget(must_not_end);
}

/// Becomes a member in the first row that is free.
fn take_row(shared: &Shared, list: &RobustList) -> Result<Member, Error> {
    let table = shared.table()?;
    let thread = sys::thread_id() & THREAD;
    for number in 0..MOST {
        let row = table.make_row(number)?;
        fault::point("join.row");
        if let Some(generation) = try_take_row(&table, list, row, number, thread) {
            let me = Member::new(number, generation);
            return me.ok_or_else(|| Error::new(Reason::NotMember));
        }
    }
    Err(Error::new(Reason::Full { what: "rows for members of the program", limit: 512 }))
}

/// The generation in this row; `None` if somebody has it.
fn try_take_row(
    table: &Table<'_>,
    list: &RobustList,
    row: Row<'_>,
    number: usize,
    thread: u32,
) -> Option<u32> {
    let own = row.entry(number)?;
    let seen = own.word.load(Ordering::Relaxed);
    if seen & THREAD != 0 {
        return None;
    }
    let offset = usize::try_from(Table::at_row(number)).ok()?;
    if !list.aim(offset, MOST) {
        return None;
    }
    fault::point("join.aimed");
    let taken = thread | WAITERS | OWNER_DIED;
    list.begin(number);
    fault::point("join.pending");
    // (B2) acquire: the kernel marked this word after all others of the row.
    if own.word.compare_exchange(seen, taken, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        list.end();
        return None;
    }
    fault::point("join.taken");
    list.link(number);
    fault::point("join.linked");
    list.end();
    let generation = own.generation.load(Ordering::Relaxed).wrapping_add(1).max(1);
    own.generation.store(generation, Ordering::Relaxed);
    fault::point("join.generation");
    table.introduce(number, sys::process_id());
    // Each is put in front of the others, so the first rows are told first and this one's own last.
    for watcher in (0..MOST).rev().filter(|watcher| *watcher != number) {
        let entry = row.entry(watcher)?;
        list.begin(watcher);
        fault::point("join.pair.pending");
        entry.word.store(taken, Ordering::Release);
        fault::point("join.pair.taken");
        list.link(watcher);
        fault::point("join.pair.linked");
        list.end();
        entry.generation.store(generation, Ordering::Relaxed);
        fault::point("join.pair.generation");
        // (B1) with the load in `Watch::look`.
        entry.word.store(thread | WAITERS, Ordering::Release);
    }
    fault::point("join.pairs");
    // (B1) as above.
    own.word.store(thread | WAITERS, Ordering::Release);
    fault::point("join.living");
    // (B4) with the load in `Watch`: who sees the count sees the words.
    table.joined.fetch_add(1, Ordering::Release);
    fault::point("join.counted");
    sys::wake(table.joined, u32::MAX, Scope::Shared);
    fault::point("join.told");
    Some(generation)
}

/// The reverse, in the order in which the kernel would do it.
fn give_row_back(shared: &Shared, list: &RobustList, number: usize) {
    let Ok(table) = shared.table() else { return };
    let Some(row) = table.row(number) else { return };
    let others = (0..MOST).filter(|watcher| *watcher != number);
    for watcher in others.chain([number]) {
        let Some(entry) = row.entry(watcher) else { continue };
        list.begin(watcher);
        fault::point("leave.pending");
        // (B2) with the next owner.
        entry.word.store(0, Ordering::Release);
        fault::point("leave.given");
        sys::wake(entry.word, u32::MAX, Scope::Shared);
        list.unlink(watcher);
        fault::point("leave.unlinked");
        list.end();
    }
}

/// What one thread watches: its own group of rows and, in the life thread, those that have no
/// thread of their own.
/// When a death is told again: the life thread of a process may be gone while another thread of it still runs
/// on another processor, and changes something whose waiters have looked already. It has microseconds to live; but
/// nobody is told of its end before the whole process is torn down.
const ECHOES: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(10), Duration::from_millis(100)];

/// The deaths that are to be told again.
#[derive(Default)]
struct Echoes {
    /// When, and which of the echoes it is.
    next: Option<(Instant, usize)>,
}

impl Echoes {
    fn begin(&mut self, now: Instant) {
        self.next = ECHOES.first().map(|after| (now + *after, 0));
    }

    /// Whether it is time for one.
    fn is_due(&mut self, now: Instant) -> bool {
        let Some((_, place)) = self.next.filter(|(at, _)| *at <= now) else { return false };
        self.next = ECHOES.get(place + 1).map(|after| (now + *after, place + 1));
        true
    }

    /// How long until there may be one.
    fn left(&self, now: Instant) -> Option<Duration> {
        self.next.map(|(at, _)| at.saturating_duration_since(now))
    }
}

struct Watch {
    shared: Arc<Shared>,
    me: usize,
    /// The helpers that watch the groups behind the first.
    helpers: [Option<JoinHandle<()>>; GROUPS],
}

impl Watch {
    fn new(shared: Arc<Shared>, me: usize) -> Watch {
        Watch { shared, me, helpers: [const { None }; GROUPS] }
    }

    /// Who is dead already is no news to anybody here. Whether one of them is not gone yet: of that end nobody is told
    /// but by an echo, and those of whoever was there before are not heard here.
    fn look_at_all_for_the_first_time(&self) -> bool {
        let mut is_one_ending = false;
        for row in 0..MOST {
            if let (Some(known), Some((state, _))) =
                (self.shared.local.known.get(row), self.look(row))
            {
                known.store(state, Ordering::Relaxed);
                let dead = Some(state >> 1).filter(|_| state & 1 == 0);
                let dead = dead.and_then(|generation| u32::try_from(generation).ok());
                let member = dead.and_then(|generation| Member::new(row, generation));
                is_one_ending |= member.is_some_and(|it| has_living_agent(&self.shared, it));
            }
        }
        is_one_ending
    }

    fn until_told_to_end(&mut self, mut echoes: Echoes) {
        loop {
            let Ok(table) = self.shared.table() else { return self.wait_makeshift() };
            // (B4) before the rows are looked at, so that whoever joins behind this changes it.
            let joined = table.joined.load(Ordering::Acquire);
            let are_all_watched = self.start_helpers(table.rows());
            let until = if are_all_watched { None } else { Some(MAKESHIFT) };
            for group in 1..GROUPS {
                if self.helpers.get(group).is_some_and(Option::is_none) {
                    watch_once(
                        &self.shared,
                        self.me,
                        group,
                        joined,
                        Some(Duration::ZERO),
                        &mut echoes,
                    );
                }
            }
            if !watch_once(&self.shared, self.me, 0, joined, until, &mut echoes) {
                return;
            }
        }
    }

    /// The table cannot be damaged away once it was mapped; if it were, this thread stays.
    fn wait_makeshift(&self) {
        while self.shared.local.control.load(Ordering::Acquire) == 0 {
            std::thread::park_timeout(MAKESHIFT);
        }
    }

    /// A thread for each group that has rows; false if one could not be started.
    fn start_helpers(&mut self, rows: usize) -> bool {
        let mut are_all_watched = true;
        for (group, helper) in self.helpers.iter_mut().enumerate().skip(1) {
            if helper.is_some() || rows <= group * GROUP {
                continue;
            }
            let (shared, me) = (Arc::clone(&self.shared), self.me);
            let thread = Builder::new()
                .name("sk-watch".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || help(&shared, me, group));
            match thread {
                Ok(thread) => *helper = Some(thread),
                Err(_) => are_all_watched = false,
            }
        }
        are_all_watched
    }

    fn end_helpers(&mut self) {
        for helper in self.helpers.iter_mut().filter_map(Option::take) {
            let _ = helper.join();
        }
    }

    fn look(&self, row: usize) -> Option<(u64, u32)> {
        look(&self.shared, self.me, row)
    }
}

/// A helper of the life thread. As that, it must not end while the membership lives.
fn help(shared: &Shared, me: usize, group: usize) {
    sys::block_signals();
    let must_not_end = MustNotEnd;
    let mut echoes = Echoes::default();
    loop {
        let joined = shared.table().map_or(0, |table| table.joined.load(Ordering::Acquire));
        if !watch_once(shared, me, group, joined, None, &mut echoes) {
            break;
        }
    }
    std::mem::forget(must_not_end);
}

/// What there is to be known of a row, and the word for the kernel to wait on.
fn look(shared: &Shared, me: usize, row: usize) -> Option<(u64, u32)> {
    let table = shared.table().ok()?;
    let entry = table.row(row)?.entry(me)?;
    // (B1) the generation is not older than the word.
    let word = entry.word.load(Ordering::Acquire);
    let generation = entry.generation.load(Ordering::Relaxed);
    Some((u64::from(generation) << 1 | u64::from(is_living(word)), word))
}

/// Whether somebody died between two looks at a row.
fn has_died(before: u64, now: u64) -> bool {
    let (lived, lives) = (before & 1 == 1, now & 1 == 1);
    match (now >> 1).wrapping_sub(before >> 1) {
        0 => lived && !lives,
        // The next one, where nobody was: it lives, or has come and gone.
        1 if !lived => !lives,
        _ => true,
    }
}

/// Looks at the rows of a group, counts who died, and sleeps until there is reason to look again. False if
/// the membership is to end.
fn watch_once(
    shared: &Shared,
    me: usize,
    group: usize,
    joined: u32,
    limit: Option<Duration>,
    echoes: &mut Echoes,
) -> bool {
    let Ok(table) = shared.table() else { return false };
    if shared.local.control.load(Ordering::Acquire) != 0 {
        return false;
    }
    let control = WaitOn::new(&shared.local.control, 0, Scope::Private);
    let mut words = [control; WORDS];
    let mut count = 1;
    let mut add = |word| {
        if let Some(place) = words.get_mut(count) {
            *place = word;
            count += 1;
        }
    };
    add(WaitOn::new(table.joined, joined, Scope::Shared));
    let mut deaths = 0;
    for row in (group * GROUP..MOST.min((group + 1) * GROUP)).filter(|row| *row != me) {
        let Some((now, word)) = look(shared, me, row) else { break };
        let before =
            shared.local.known.get(row).map_or(now, |known| known.swap(now, Ordering::Relaxed));
        deaths += u32::from(has_died(before, now));
        if now & 1 == 1
            && let Some(entry) = table.row(row).and_then(|row| row.entry(me))
        {
            add(WaitOn::new(entry.word, word, Scope::Shared));
        }
    }
    let now = Instant::now();
    if deaths > 0 {
        shared.count_deaths(deaths);
        table.recount(me);
        echoes.begin(now);
    } else if echoes.is_due(now) {
        shared.count_deaths(1);
    }
    if limit == Some(Duration::ZERO) {
        return true;
    }
    let limit = [limit, echoes.left(now)].into_iter().flatten().min();
    let until = limit.and_then(|limit| sys::monotonic(now + limit));
    let words = words.get(..count).unwrap_or_default();
    match sys::wait_any::<WORDS>(words, until) {
        Ok(Slept::Woken(_) | Slept::Changed | Slept::Interrupted | Slept::TimedOut) => {}
        // There is no telling why; it must go on all the same.
        Err(_) => std::thread::park_timeout(MAKESHIFT),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_told_again_a_few_times() {
        let mut echoes = Echoes::default();
        let start = Instant::now();
        assert!(!echoes.is_due(start) && echoes.left(start).is_none());
        echoes.begin(start);
        assert!(!echoes.is_due(start));
        let mut now = start;
        for after in ECHOES {
            assert_eq!(echoes.left(now), Some(after));
            now += after;
            assert!(echoes.is_due(now));
            assert!(!echoes.is_due(now));
        }
        assert!(echoes.left(now).is_none());
        // A death within begins anew.
        echoes.begin(now);
        echoes.begin(now + ECHOES[0] / 2);
        assert!(!echoes.is_due(now + ECHOES[0]));
    }

    #[test]
    fn a_death_is_seen_however_much_was_missed() {
        let state = |generation: u64, lives: bool| generation << 1 | u64::from(lives);
        let none = state(0, false);
        assert!(!has_died(none, none));
        assert!(!has_died(none, state(1, true)));
        assert!(has_died(none, state(1, false)));
        assert!(has_died(none, state(2, true)));
        assert!(!has_died(state(1, true), state(1, true)));
        assert!(has_died(state(1, true), state(1, false)));
        assert!(has_died(state(1, true), state(2, true)));
        assert!(!has_died(state(1, false), state(2, true)));
        assert!(has_died(state(1, false), state(2, false)));
    }
}
