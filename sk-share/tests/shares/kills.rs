//! Processes that work on everything at once and are killed, at any moment and at each named step.
//!
//! Each worker has one slot of acknowledged work, which it writes after each call has returned: that is what must be
//! there, whoever dies. One call in flight may count or not.

use std::time::Duration;

use rustix::process::Signal;
use sk_share::{Plain, Share, Shared, SharedNumber, get_together, inherit, update_together};

use super::program::{Kid, Tried, WATCHDOG, spawn, spawn_with};

const WORKERS: u64 = 2;

/// How many kills the loop has, and how long a child may live.
fn kills() -> u64 {
    std::env::var("SK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

pub(crate) fn patience() -> Duration {
    WATCHDOG + Duration::from_millis(100) * u32::try_from(kills()).unwrap_or(u32::MAX)
}

/// What all work on.
struct Board {
    share: Share,
    number: SharedNumber<u64>,
    /// How often each worker has changed it, and all of them.
    value: Shared<Vec<u64>>,
    plain: Shared<[u64; 8], Plain>,
    left: Shared<i64>,
    right: Shared<Vec<i64>>,
    turns: SharedNumber<u64>,
    acknowledged: Vec<SharedNumber<u64>>,
}

impl Board {
    fn of(share: Share) -> Tried<Board> {
        let number = share.number("number", 0)?;
        let value = share.value("value", vec![0; 40])?;
        let plain = share.plain("plain", [0; 8])?;
        let left = share.value("left", 0)?;
        let right = share.value("right", vec![0; 40])?;
        let turns = share.number("turns", 0)?;
        let acknowledged = (0..WORKERS)
            .map(|worker| share.number(&format!("acknowledged {worker}"), 0))
            .collect::<Result<_, _>>()?;
        Ok(Board { share, number, value, plain, left, right, turns, acknowledged })
    }

    /// One turn of a worker; what it has done before it is acknowledged may be there or not.
    fn turn(&self, worker: usize, turn: u64) -> Tried<()> {
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
        // Names that come and go, of a size that comes and goes.
        let name = format!("temporary {}", turn % 3);
        let length = usize::try_from(turn * 37 % 3000)?;
        let temporary = self.share.value(&name, vec![worker; length])?;
        temporary.update(|temporary| temporary.push(worker)).or_else(gone)?;
        if turn.is_multiple_of(2) {
            self.share.remove(&name)?;
        }
        self.acknowledged[worker].set(turn);
        self.turns.add(1);
        Ok(())
    }

    /// All that was acknowledged is there, and at most one turn of each life more.
    fn check(&self, lives: u64) -> Tried<()> {
        let acknowledged: u64 = self.acknowledged.iter().map(SharedNumber::get).sum();
        let value = self.value.get()?;
        let plain = self.plain.get()?;
        let (left, right) = get_together((&self.left, &self.right))?;
        assert_eq!(left + right.iter().sum::<i64>(), 0);
        for (what, found) in [
            ("number", self.number.get()),
            ("value", value.iter().sum()),
            ("plain", plain.iter().sum()),
            ("left", u64::try_from(left)?),
        ] {
            assert!(
                (acknowledged..=acknowledged + lives).contains(&found),
                "{what} is {found}, {acknowledged} were acknowledged in {lives} lives"
            );
        }
        // Those who hold temporary objects are dead, or drop them soon.
        assert_eq!(self.share.check(Some(std::time::Instant::now() + WATCHDOG))?, [""; 0]);
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
    let first = board.acknowledged[worker].get() + 1;
    for turn in first..first.saturating_add(turns) {
        board.turn(worker, turn)?;
    }
    Ok(())
}

/// Rows: SHA-68
pub(crate) fn at_any_moment() -> Tried<()> {
    let board = Board::of(Share::new()?)?;
    let start = |worker: u64| spawn("works", &(board.share.clone(), worker, u64::MAX));
    let mut kids = (0..WORKERS).map(start).collect::<Tried<Vec<Kid>>>()?;
    let mut lives = WORKERS;
    for kill in 0..kills() {
        // Until somebody has come to something, and a moment that is another one each time.
        let turns = board.turns.get();
        board.turns.wait_until(move |now| now > turns).timeout(WATCHDOG).wait()?;
        for _ in 0..kill * 7919 % 30_000 {
            std::hint::spin_loop();
        }
        let worker = kill % WORKERS;
        let kid = &mut kids[usize::try_from(worker)?];
        kid.signal(Signal::KILL);
        // What it was about may be taken over while it is still being torn down.
        std::mem::replace(kid, start(worker)?).was_killed()?;
        lives += 1;
        if kill.is_multiple_of(10) {
            board.value.get()?;
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
    println!("{} killed in {} turns", lives, board.turns.get());
    Ok(())
}

/// The steps at which a process can die, as the protocol names them.
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
    "arena.link.filled",
    "arena.link.linked",
    "arena.record.left",
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
];

/// At each step, when it is passed the first times and later.
///
/// Rows: SHA-68
pub(crate) fn at_every_step() -> Tried<()> {
    for step in STEPS {
        let board = Board::of(Share::new()?)?;
        let mut killed = 0;
        for pass in [1, 2, 3, 5, 8, 21] {
            let fault = format!("{step}:{pass}");
            let kid = spawn_with("works", &(board.share.clone(), 0_u64, 20_u64), Some(&fault))?;
            let other = spawn("works", &(board.share.clone(), 1_u64, 3_u64))?;
            killed += u64::from(kid.was_killed().is_ok());
            other.succeeded()?;
        }
        assert!(killed >= 3, "nobody came to {step} often enough: {killed}");
        board.check(12).map_err(|error| format!("at {step}: {error}"))?;
        // Nothing of what they had is left once they are dead.
        board.share.clear()?;
        assert_eq!(board.share.check(None)?, [""; 0], "at {step}");
    }
    Ok(())
}
