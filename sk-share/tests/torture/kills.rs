//! Each worker writes down what it has done after each call has returned: that is what must be there, whoever dies.
//! One call in flight may count or not.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sk_share::{
    Plain, Share, Shared, SharedList, SharedMutex, SharedNumber, SharedQueue, SharedSemaphore,
    get_together, inherit, update_together,
};

use super::program::{Kid, Tried, WATCHDOG, spawn, start};

const WORKERS: u64 = 2;

/// Of the queue: so few that it is full now and then.
const CAPACITY: u64 = 8;

/// How many are free of the semaphore.
const PERMITS: u32 = 3;

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seconds() -> u64 {
    number_in("SK_TORTURE_SECONDS").unwrap_or(0)
}

/// How many kills there are at least.
fn kills() -> u64 {
    number_in("SK_KILLS").unwrap_or(if seconds() > 60 { 2000 } else { 100 })
}

/// How long a child may live.
pub(crate) fn patience() -> Duration {
    WATCHDOG + Duration::from_millis(100 * kills() + 1500 * seconds())
}

/// What all work on.
struct Board {
    share: Share,
    number: SharedNumber<u64>,
    value: Shared<Vec<u64>>,
    plain: Shared<[u64; 8], Plain>,
    left: Shared<i64>,
    right: Shared<Vec<i64>>,
    list: SharedList<(u64, String)>,
    queue: SharedQueue<(u64, u64, String)>,
    popped: SharedList<[u64; 2], Plain>,
    semaphore: SharedSemaphore,
    mutex: SharedMutex,
    /// What the mutex protects: the same, unless a holder died in between.
    pair: [SharedNumber<u64>; 2],
    turns: SharedNumber<u64>,
    heard: SharedNumber<u64>,
    acknowledged: Vec<SharedNumber<u64>>,
    /// How often a worker began, so that no two of its lives push the same.
    lives: SharedNumber<u64>,
}

impl Board {
    fn of(share: Share) -> Tried<Board> {
        Ok(Board {
            number: share.number("number", 0)?,
            value: share.value("value", vec![0; 40])?,
            plain: share.plain("plain", [0; 8])?,
            left: share.value("left", 0)?,
            right: share.value("right", vec![0; 40])?,
            list: share.list("list")?,
            queue: share.queue("queue", CAPACITY)?,
            popped: share.plain_list("popped")?,
            semaphore: share.semaphore("semaphore", PERMITS)?,
            mutex: share.mutex("mutex")?,
            pair: [share.number("first", 0)?, share.number("second", 0)?],
            turns: share.number("turns", 0)?,
            heard: share.number("heard", 0)?,
            lives: share.number("lives", 0)?,
            acknowledged: (0..WORKERS)
                .map(|worker| share.number(&format!("acknowledged {worker}"), 0))
                .collect::<Result<_, _>>()?,
            share,
        })
    }

    /// One turn of a worker; what it has done before it is acknowledged may be there or not.
    fn turn(&self, worker: usize, life: u64, turn: u64) -> Tried<()> {
        self.number.add(1);
        self.value.update(|value| value[worker] += 1)?;
        self.plain.update(|plain| plain[worker] += 1)?;
        update_together((&self.left, &self.right), |(left, right)| {
            *left += 1;
            right[worker] -= 1;
        })?;
        let (left, right) = get_together((&self.left, &self.right))?;
        if left + right.iter().sum::<i64>() != 0 {
            return Err(format!("{left} and {right:?} do not belong together").into());
        }
        self.collections(worker, life, turn)?;
        self.locks()?;
        self.names(worker, turn)?;
        self.acknowledged[worker].set(turn);
        self.turns.add(1);
        Ok(())
    }

    fn collections(&self, worker: usize, life: u64, turn: u64) -> Tried<()> {
        // Some lie in the list itself, some in blocks of their own.
        let text = "x".repeat(usize::try_from(turn % 7 * 20)?);
        let index = self.list.push(&(turn, text.clone()))?;
        if turn.is_multiple_of(3) {
            let longer = (turn, text.clone() + &"y".repeat(50));
            if !self.list.set(index, &longer)? {
                return Err(format!("what was pushed to {index} is not there").into());
            }
        }
        let id = worker as u64 * 1_000_000_000 + life * 1_000_000 + turn;
        self.queue.push(&(worker as u64, id, text)).timeout(WATCHDOG).wait()?;
        let (_, id, _) = self.queue.pop().timeout(WATCHDOG).wait()?;
        self.popped.push(&[worker as u64, id])?;
        Ok(())
    }

    /// Pops what those have left who died before they popped, or nobody could push any more.
    fn relieve(&self) -> Tried<()> {
        while self.queue.len()? > CAPACITY / 2
            && let Some((_, id, _)) = self.queue.try_pop()?
        {
            self.popped.push(&[WORKERS, id])?;
        }
        Ok(())
    }

    fn locks(&self) -> Tried<()> {
        let permits = self.semaphore.acquire(2).timeout(WATCHDOG).wait()?;
        drop(permits);
        let mut guard = self.mutex.lock().timeout(WATCHDOG).wait()?;
        let [first, second] = &self.pair;
        if guard.was_abandoned() {
            second.set(first.get());
            guard.repaired();
        }
        if first.get() != second.get() {
            return Err("two were in the mutex at once".into());
        }
        first.add(1);
        second.add(1);
        Ok(())
    }

    /// Names that come and go, of values of a size that comes and goes.
    fn names(&self, worker: usize, turn: u64) -> Tried<()> {
        let name = format!("temporary {}", turn % 3);
        let length = usize::try_from(turn * 37 % 3000)?;
        let temporary = self.share.value(&name, vec![worker; length])?;
        temporary.update(|temporary| temporary.push(worker)).or_else(gone)?;
        if turn.is_multiple_of(2) {
            self.share.remove(&name)?;
        }
        Ok(())
    }

    /// All that was acknowledged is there, and at most one turn of each life more.
    fn check(&self, lives: u64) -> Tried<()> {
        let acknowledged: u64 = self.acknowledged.iter().map(SharedNumber::get).sum();
        let (left, right) = get_together((&self.left, &self.right))?;
        assert_eq!(left + right.iter().sum::<i64>(), 0);
        for (what, found) in [
            ("number", self.number.get()),
            ("value", self.value.get()?.iter().sum()),
            ("plain", self.plain.get()?.iter().sum()),
            ("left", u64::try_from(left)?),
            ("list", self.list.len()?),
            ("mutex", self.pair[0].get()),
        ] {
            assert!(
                (acknowledged..=acknowledged + lives).contains(&found),
                "{what} is {found}, {acknowledged} were acknowledged in {lives} lives"
            );
        }
        for (turn, text) in self.list.to_vec()? {
            let length = usize::try_from(turn % 7 * 20)?;
            let is_whole = text.starts_with(&"x".repeat(length))
                && (text.len() == length || text.len() == length + 50 && turn.is_multiple_of(3));
            assert!(is_whole, "turn {turn} left {text:?}");
        }
        let ids: Vec<u64> = self.popped.to_vec()?.iter().map(|[_, id]| *id).collect();
        let mut seen: BTreeSet<u64> = ids.iter().copied().collect();
        assert_eq!(seen.len(), ids.len(), "an element was popped twice");
        let mut left = 0;
        while let Some((_, id, _)) = self.queue.try_pop()? {
            assert!(seen.insert(id), "{id} was popped and is still there");
            left += 1;
        }
        // Whoever is killed between a pop and its note loses one.
        let known = ids.len() as u64 + left;
        assert!(
            known <= acknowledged + lives && known + lives >= acknowledged,
            "{} popped and {left} left, {acknowledged} were acknowledged in {lives} lives",
            ids.len()
        );
        // All permits are there.
        assert_eq!(self.semaphore.available()?, PERMITS);
        drop(self.semaphore.acquire(PERMITS).timeout(WATCHDOG).wait()?);
        // Those who held temporary objects are dead.
        assert_eq!(self.share.check(Instant::now().checked_add(WATCHDOG))?, [""; 0]);
        Ok(())
    }
}

/// What was removed by another worker is not there.
fn gone(error: sk_share::Error) -> Result<(), sk_share::Error> {
    if error.is_not_found() { Ok(()) } else { Err(error) }
}

/// Works until it is killed.
pub(crate) fn works() -> Tried<()> {
    let (share, worker, turns): (Share, usize, u64) = inherit::receive()?;
    let board = Board::of(share)?;
    let life = board.lives.add(1);
    let first = board.acknowledged[worker].get() + 1;
    for turn in first..first.saturating_add(turns) {
        board.turn(worker, life, turn)?;
    }
    Ok(())
}

/// Waits for what the others do, until it is killed.
pub(crate) fn waits() -> Tried<()> {
    let (share, _, turns): (Share, usize, u64) = inherit::receive()?;
    let board = Board::of(share)?;
    let mut changes = board.value.watch()?;
    for _ in 0..turns {
        let seen = board.turns.get();
        board.turns.wait_until(move |turns| turns > seen).timeout(WATCHDOG).wait()?;
        changes.changed().timeout(WATCHDOG).wait()?;
        let length = board.list.len()?;
        board.list.wait_for_len(length + 1).timeout(WATCHDOG).wait()?;
        board.heard.add(1);
    }
    Ok(())
}

/// Rows: SHA-68, SHA-60
pub(crate) fn processes_killed_at_any_moment_lose_nothing() -> Tried<()> {
    let board = Board::of(Share::new()?)?;
    let start = |kid: u64| {
        let role = if kid < WORKERS { "works" } else { "waits" };
        spawn(role, &(board.share.clone(), kid, u64::MAX))
    };
    let mut kids = (0..=WORKERS).map(start).collect::<Tried<Vec<Kid>>>()?;
    let mut lives = WORKERS;
    let until = Instant::now() + Duration::from_secs(seconds());
    let mut killed = 0;
    while killed < kills() || Instant::now() < until {
        // Until somebody has come to something, and a moment that is another one each time.
        let turns = board.turns.get();
        board.turns.wait_until(move |now| now > turns).timeout(WATCHDOG).wait()?;
        for _ in 0..killed * 7919 % 60_000 {
            std::hint::spin_loop();
        }
        let victim = killed % (WORKERS + 1);
        let kid = &mut kids[usize::try_from(victim)?];
        kid.signal(Signal::KILL);
        // Another life begins while what is left of this one is being torn down.
        std::mem::replace(kid, start(victim)?).was_killed()?;
        lives += u64::from(victim < WORKERS);
        killed += 1;
        board.relieve()?;
        if killed.is_multiple_of(10) {
            // No sleeper is forgotten.
            let heard = board.heard.get();
            board.heard.wait_until(move |now| now > heard).timeout(WATCHDOG).wait()?;
            board.share.stats()?;
        }
    }
    for kid in &kids {
        kid.signal(Signal::KILL);
    }
    for kid in kids {
        kid.was_killed()?;
    }
    board.check(lives)?;
    println!("{killed} killed in {} turns", board.turns.get());
    Ok(())
}

/// The steps at which a process can die, as the protocol names them, and how often two workers come there at least.
const STEPS: &[&str] = &[
    "lock.take",
    "unlock.give",
    "flip.begin",
    "flip.begun",
    "flip.filled",
    "flip.described",
    "flip.committed",
    "flip.woken",
    "arena.reserve.found",
    "arena.reserve.marked",
    "arena.record.described",
    "arena.record.entered",
    "arena.link.filled",
    "arena.link.linked",
    "arena.record.left",
    "arena.mark.set",
    "arena.unmark.cleared",
    "arena.settle.freed",
    "arena.settle.cleared",
    "arena.release.unlinked",
    "transaction.listed",
    "transaction.committed",
    "transaction.published",
    "transaction.ended",
    "directory.filled",
    "directory.linked",
    "directory.made",
    "directory.created",
    "directory.remove",
    "directory.detached",
    "directory.told",
    "directory.destroyed",
    "directory.released",
    "list.push.written",
    "list.push.filled",
    "list.push.committed",
    "list.link.begin",
    "list.link.intended",
    "list.link.linked",
    "list.link.committed",
    "list.link.done",
    "queue.push.written",
    "queue.push.filled",
    "queue.push.committed",
    "queue.pop.copied",
    "queue.pop.committed",
    "queue.pop.released",
    "queue.pop.freed",
    "semaphore.front",
    "semaphore.counted",
    "semaphore.acquired",
    "table.taken",
    "table.give_back",
    "table.given_back",
    "mutex.drop",
];

/// At each step, when it is passed the first times and later.
///
/// Rows: SHA-68
pub(crate) fn processes_killed_at_every_step_lose_nothing() -> Tried<()> {
    for step in STEPS {
        let board = Board::of(Share::new()?)?;
        let mut killed = 0;
        for pass in [1, 2, 3, 5, 8, 21] {
            let fault = format!("{step}:{pass}");
            let mut command = Command::new("/proc/self/exe");
            command.env("SK_FAULT", &fault);
            let kid = start("works", &(board.share.clone(), 0_u64, 20_u64), &mut command)?;
            let other = spawn("works", &(board.share.clone(), 1_u64, 3_u64))?;
            killed += u64::from(kid.was_killed().is_ok());
            other.succeeded().map_err(|error| format!("at {step}:{pass}: {error}"))?;
            board.relieve()?;
        }
        assert!(killed >= 3, "nobody came to {step} often enough: {killed}");
        board.check(12).map_err(|error| format!("at {step}: {error}"))?;
        // Nothing of what they had is left once they are dead.
        board.share.clear()?;
        assert_eq!(board.share.check(None)?, [""; 0], "at {step}");
    }
    Ok(())
}
