//! Several values in one step: all or none, whoever dies or stops when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use sk_share::Error;
use sk_share::ground::{
    Arena, FLAGS, Flip, Ground, IN_PROGRESS, MOST_VALUES, Transactions, Writer,
};

use super::support::{Agent, Death, Fate, Memory, late, soon};

const ATTENTION: u64 = 0;
const RECORD: u64 = 8;
const LIST: u64 = RECORD + 32;
const FIRST_VALUE: u64 = 2304;
const VALUES: u64 = 4;
const ARENA: u64 = FIRST_VALUE + VALUES * 256;
const FIRST: u64 = (ARENA + Arena::<Agent>::header_bytes(CHUNKS)).next_multiple_of(512);
const CHUNKS: u64 = 40;
const CHUNK: u64 = 512;

fn memory() -> Arc<Memory> {
    let memory = Memory::new(FIRST, FIRST + CHUNKS * CHUNK, 16);
    let maker = Agent::new(&memory, 15, Fate::Lives);
    Arena::create(&maker, ARENA, FIRST, CHUNK, CHUNKS).unwrap();
    memory
}

fn place(value: u64) -> u64 {
    FIRST_VALUE + value * 256
}

fn transactions(agent: &Agent) -> Transactions<'_, Agent> {
    Transactions::at(agent, ATTENTION, RECORD).unwrap()
}

fn is_in_progress(agent: &Agent) -> bool {
    transactions(agent).attention().unwrap() & IN_PROGRESS != 0
}

/// As values are read: without a lock, and with a look into the record while a transaction is in progress.
fn try_read(agent: &Agent, value: u64) -> Result<(u64, Vec<u8>), Error> {
    let arena = Arena::open(agent, ARENA)?;
    let flip = Flip::at(agent, place(value))?.in_arena(&arena);
    let transactions = transactions(agent);
    let mut bytes = Vec::new();
    if transactions.attention()? & IN_PROGRESS == 0 {
        return flip.read(&mut bytes, late()).map(|version| (version, bytes));
    }
    loop {
        match transactions.version_of(place(value))? {
            Some(version) if flip.version() == version.wrapping_sub(1) => {
                if flip.read_staged(version, &mut bytes)? {
                    transactions.help()?;
                    return Ok((version, bytes));
                }
            }
            _ => {
                transactions.help()?;
                return flip.read(&mut bytes, late()).map(|version| (version, bytes));
            }
        }
    }
}

fn read(agent: &Agent, value: u64) -> (u64, Vec<u8>) {
    try_read(agent, value).unwrap()
}

/// The same without help: what it looks like while nobody finishes it.
fn peek(agent: &Agent, value: u64) -> (u64, Vec<u8>) {
    let arena = Arena::open(agent, ARENA).unwrap();
    let flip = Flip::at(agent, place(value)).unwrap().in_arena(&arena);
    let mut bytes = Vec::new();
    let version = match transactions(agent).version_of(place(value)).unwrap() {
        Some(version) if flip.version() == version - 1 => {
            assert!(flip.read_staged(version, &mut bytes).unwrap());
            version
        }
        _ => flip.read(&mut bytes, soon()).unwrap(),
    };
    (version, bytes)
}

/// As whoever writes a value takes its lock.
fn lock<'f, 'g>(
    agent: &'g Agent,
    flip: &'f Flip<'g, Agent>,
    value: u64,
) -> Result<Writer<'f, 'g, Agent>, Error> {
    let transactions = transactions(agent);
    let writer = flip.lock(late())?;
    if writer.was_abandoned()
        && transactions.attention()? & IN_PROGRESS != 0
        && let Some(version) = transactions.version_of(place(value))?
    {
        flip.roll_forward(version)?;
    }
    Ok(writer)
}

fn write(agent: &Agent, value: u64, bytes: &[u8]) -> u64 {
    let arena = Arena::open(agent, ARENA).unwrap();
    let flip = Flip::at(agent, place(value)).unwrap().in_arena(&arena);
    let mut writer = lock(agent, &flip, value).unwrap();
    writer.commit(bytes).unwrap()
}

/// Changes these values in one step.
fn try_transact(agent: &Agent, values: &[u64], bytes: &[u8]) -> Result<(), Error> {
    let arena = Arena::open(agent, ARENA)?;
    let transactions = transactions(agent);
    let guard = transactions.begin(late())?;
    let flips = values.iter().map(|value| Ok(Flip::at(agent, place(*value))?.in_arena(&arena)));
    let flips: Vec<_> = flips.collect::<Result<_, Error>>()?;
    let mut staged = Vec::new();
    for (flip, value) in flips.iter().zip(values) {
        let mut writer = lock(agent, flip, *value)?;
        let version = writer.stage(bytes)?;
        staged.push((place(*value), version, writer));
    }
    let result = transactions.commit(&guard, &mut staged);
    drop(staged);
    drop(guard);
    result
}

fn transact(agent: &Agent, values: &[u64], bytes: &[u8]) {
    try_transact(agent, values, bytes).unwrap();
}

/// The books agree with the blocks that the values hold, and no lock is left.
fn check(agent: &Agent) {
    let arena = Arena::open(agent, ARENA).unwrap();
    let flips = (0..VALUES).map(|value| Flip::at(agent, place(value)).unwrap());
    let blocks: Vec<u64> = flips.flat_map(|flip| flip.blocks().unwrap()).collect();
    let account = arena.check(late()).unwrap();
    assert_eq!(account.against(&blocks), Vec::<String>::new());
    assert!(account.reserved.is_empty());
}

#[test]
fn several_values_change_in_one_step() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    write(&one, 0, &[1; 100]);
    transact(&one, &[0, 1, 3], &[2; 200]);
    assert!(!is_in_progress(&two));
    assert_eq!(read(&two, 0), (2, vec![2; 200]));
    assert_eq!(read(&two, 1), (1, vec![2; 200]));
    assert_eq!(read(&two, 2), (0, vec![]));
    assert_eq!(read(&two, 3), (1, vec![2; 200]));
    transact(&two, &[1], &[3; 4]);
    transact(&two, &[], &[]);
    assert_eq!(read(&one, 1), (2, vec![3; 4]));
    assert_eq!(transactions(&one).attention().unwrap(), 3 * (FLAGS + 1));
    check(&one);
    // One after another, within one thread too.
    let all = transactions(&one);
    let guard = all.begin(soon()).unwrap();
    assert!(all.begin(soon()).unwrap_err().is_reentry());
    assert!(transactions(&two).begin(soon()).unwrap_err().is_timeout());
    all.help().unwrap();
    drop(guard);
    // The same value twice is no step.
    assert!(try_transact(&one, &[2, 2], &[1]).unwrap_err().is_reentry());
    assert_eq!(read(&two, 2), (0, vec![]));
    assert_eq!(write(&two, 2, &[7]), 1);
}

#[test]
fn flags_of_others_stay_and_are_no_other_transaction() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let attention = agent.u64(ATTENTION).unwrap();
    attention.fetch_or(2, Ordering::SeqCst);
    transact(&agent, &[0, 1], &[1; 9]);
    assert_eq!(attention.load(Ordering::SeqCst), (FLAGS + 1) | 2);
    let dying = Agent::new(&memory, 1, Fate::AtPoint("transaction.committed", 0));
    assert!(dying.run(|agent| transact(agent, &[0, 1], &[2; 9])).is_none());
    attention.fetch_or(4, Ordering::SeqCst);
    assert_eq!(peek(&agent, 1), (2, vec![2; 9]));
    transactions(&agent).help().unwrap();
    assert_eq!(attention.load(Ordering::SeqCst), (2 * (FLAGS + 1)) | 6);
}

#[test]
fn too_many_values_change_nothing() {
    let count = MOST_VALUES + 1;
    let length = FIRST_VALUE + count * 256;
    let memory = Memory::new(length, length, 4);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let all = transactions(&agent);
    let flips: Vec<_> = (0..count).map(|value| Flip::at(&agent, place(value)).unwrap()).collect();
    for most in [count, MOST_VALUES] {
        let guard = all.begin(soon()).unwrap();
        let mut staged = Vec::new();
        for (flip, value) in flips.iter().zip(0..most) {
            let mut writer = flip.lock(soon()).unwrap();
            staged.push((place(value), writer.stage(&[1]).unwrap(), writer));
        }
        let result = all.commit(&guard, &mut staged);
        if most == MOST_VALUES {
            result.unwrap();
            continue;
        }
        assert!(result.unwrap_err().is_limit());
        drop(staged);
        assert!(flips.iter().all(|flip| flip.version() == 0));
        assert_eq!(all.attention().unwrap(), 0);
    }
    assert!(flips.iter().zip(0..MOST_VALUES).all(|(flip, _)| flip.version() == 1));
}

/// What comes after the death.
const FOLLOWERS: u32 = 5;

fn follow(agent: &Agent, follower: u32) -> (u64, u64) {
    match follower {
        0 => (u64::from(write(agent, 0, &[5; 90]) > 0), 0),
        1 => (0, u64::from(write(agent, 2, &[5; 90]) > 0)),
        2 => {
            transact(agent, &[1, 2], &[5; 90]);
            (0, 1)
        }
        3 => {
            transactions(agent).help().unwrap();
            (0, 0)
        }
        _ => {
            // Takes both locks over and does nothing, as a reader does who was overtaken.
            for value in [0, 2] {
                let arena = Arena::open(agent, ARENA).unwrap();
                let flip = Flip::at(agent, place(value)).unwrap().in_arena(&arena);
                drop(flip.lock(late()).unwrap());
            }
            (u64::from(write(agent, 0, &[5; 90]) > 0), u64::from(write(agent, 2, &[5; 90]) > 0))
        }
    }
}

/// Has an agent die in a transaction, another one in what comes then, and looks at what they left.
fn kill(first: Fate, death: Death, follower: u32, second: Fate) -> (bool, Agent, Agent) {
    let memory = memory();
    let other = Agent::new(&memory, 1, Fate::Lives);
    write(&other, 0, &[1; 100]);
    write(&other, 0, &[2; 100]);
    write(&other, 2, &[2; 10]);
    let dying = Agent::new(&memory, 0, first).ending(death);
    let lived = dying.run(|agent| transact(agent, &[0, 2], &[3; 100])).is_some();
    let committed = u64::from(lived || dying.points().contains(&"transaction.committed"));
    let fill = if committed == 1 { 3 } else { 2 };
    let looks = if committed == 1 {
        [(3, vec![3; 100]), (2, vec![3; 100])]
    } else {
        [(2, vec![2; 100]), (1, vec![2; 10])]
    };
    // In whatever order, with help and without, and without waiting for anybody.
    for [first, second] in [[0, 1], [1, 0]] {
        let found = [first, second].map(|index: usize| peek(&other, index as u64 * 2));
        assert_eq!(found, [looks[first].clone(), looks[second].clone()]);
    }
    if follower == FOLLOWERS || death == Death::Stopped {
        assert_eq!(read(&other, 2), looks[1]);
        assert_eq!(read(&other, 0), looks[0]);
    }
    let following = Agent::new(&memory, 2, second);
    if death == Death::Stopped && !lived {
        transactions(&following).help().unwrap();
        assert_eq!(peek(&other, 2), looks[1]);
        // From here on it is dead.
        Agent::next(&memory, 0, Fate::Lives);
    }
    let followed = following.run(|agent| follow(agent, follower));
    for [first, second] in [[0, 2], [2, 0]] {
        for value in [first, second] {
            let (version, bytes) = peek(&other, value);
            let before = if value == 0 { 2 } else { 1 } + committed;
            match followed {
                Some((zeroth, second)) => {
                    assert_eq!(version, before + if value == 0 { zeroth } else { second });
                }
                None => assert!(version == before || version == before + 1),
            }
            assert_eq!(bytes[0], if version == before { fill } else { 5 });
        }
    }
    let before = [0, 2].map(|value| read(&other, value).0);
    let last = Agent::new(&memory, 3, Fate::Lives);
    transact(&last, &[0, 1, 2], &[9; 70]);
    assert!(!is_in_progress(&last));
    assert_eq!([0, 2].map(|value| read(&other, value)), before.map(|at| (at + 1, vec![9; 70])));
    for value in [0, 2] {
        assert_eq!(write(&other, value, &[]), read(&other, value).0);
        write(&other, value, &[]);
    }
    write(&other, 1, &[]);
    write(&other, 1, &[]);
    check(&last);
    (lived, dying, following)
}

#[test]
fn whoever_dies_or_stops_at_any_step_changed_all_or_nothing() {
    let (lived, whole, _) = kill(Fate::Lives, Death::Process, 3, Fate::Lives);
    assert!(lived);
    let mut passed: BTreeSet<_> = whole.points().into_iter().collect();
    for death in [Death::Process, Death::Thread, Death::Stopped] {
        for follower in 0..=FOLLOWERS {
            let follower = follower.min(FOLLOWERS);
            for step in 0..whole.steps() {
                let (lived, _, second) = kill(Fate::AtStep(step), death, follower, Fate::Lives);
                assert!(!lived);
                passed.extend(second.points());
            }
        }
    }
    passed.retain(|point| point.starts_with("transaction"));
    assert_eq!(
        passed.into_iter().collect::<Vec<_>>(),
        [
            "transaction.committed",
            "transaction.ended",
            "transaction.listed",
            "transaction.look",
            "transaction.published",
            "transaction.rolled",
        ]
    );
}

/// Whoever rolls forward, or takes a lock over, may die at each step of that.
#[test]
fn whoever_finishes_it_may_die_too() {
    for point in ["transaction.listed", "transaction.committed", "transaction.published"] {
        for follower in 0..FOLLOWERS {
            let fate = Fate::AtPoint(point, 0);
            let (_, _, second) = kill(fate, Death::Process, follower, Fate::Lives);
            for step in 0..second.steps() {
                kill(fate, Death::Process, follower, Fate::AtStep(step));
            }
        }
    }
}

/// A lock taken over, and given back by one who knows nothing of transactions, does not hide what was committed.
#[test]
fn who_takes_a_lock_over_and_does_not_write_hides_nothing() {
    let memory = memory();
    let agent = Agent::new(&memory, 1, Fate::Lives);
    let dying = Agent::new(&memory, 0, Fate::AtPoint("transaction.committed", 0));
    assert!(dying.run(|agent| transact(agent, &[0, 1], &[3; 20])).is_none());
    for _ in 0..2 {
        let flip = Flip::at(&agent, place(0)).unwrap();
        let writer = flip.lock(soon()).unwrap();
        assert!(writer.was_abandoned());
        drop(writer);
    }
    assert_eq!(write(&agent, 0, &[4; 20]), 2);
    assert_eq!(peek(&agent, 1), (1, vec![3; 20]));
    let flip = Flip::at(&agent, place(0)).unwrap();
    assert!(!flip.lock(soon()).unwrap().was_abandoned());
}

/// The record is looked at while the next transaction is written down, which comes to nothing then.
#[test]
fn what_the_next_one_writes_down_is_not_believed() {
    let memory = memory();
    let dying = Agent::new(&memory, 0, Fate::AtPoint("transaction.published", 1));
    assert!(dying.run(|agent| transact(agent, &[0, 1], &[1; 20])).is_none());
    let times = AtomicU32::new(0);
    let others = Arc::clone(&memory);
    let reader = Agent::new(&memory, 1, Fate::Lives).when("transaction.look", move || {
        if times.fetch_add(1, Ordering::SeqCst) == 0 {
            let next = Agent::new(&others, 2, Fate::AtPoint("transaction.listed", 0));
            assert!(next.run(|agent| transact(agent, &[0, 2], &[2; 20])).is_none());
        }
    });
    assert_eq!(transactions(&reader).version_of(place(0)).unwrap(), None);
    assert_eq!(read(&reader, 0), (1, vec![1; 20]));
    assert_eq!(read(&reader, 2), (0, vec![]));
}

/// Who watches a value is told of the step when somebody finishes it.
#[test]
fn whoever_watches_is_told_by_who_finishes_it() {
    let memory = memory();
    let dying = Agent::new(&memory, 0, Fate::AtPoint("transaction.committed", 0));
    assert!(dying.run(|agent| transact(agent, &[0, 1], &[3; 20])).is_none());
    let watcher = Agent::new(&memory, 1, Fate::Lives);
    thread::scope(|scope| {
        scope.spawn(|| {
            while memory.asleep() == 0 {
                thread::yield_now();
            }
            let helper = Agent::new(&memory, 2, Fate::Lives);
            transactions(&helper).help().unwrap();
        });
        let flip = Flip::at(&watcher, place(1)).unwrap();
        assert_eq!(flip.changed(0, late()).unwrap(), 1);
    });
}

/// A value whose memory is given back is in nobody's record.
#[test]
fn a_value_that_goes_is_let_go() {
    let memory = memory();
    let agent = Agent::new(&memory, 1, Fate::Lives);
    transactions(&agent).let_go(place(0)).unwrap();
    let dying = Agent::new(&memory, 0, Fate::AtPoint("transaction.committed", 0));
    assert!(dying.run(|agent| transact(agent, &[0, 1], &[3; 20])).is_none());
    // One that was about to finish it has stopped.
    let stopping =
        Agent::new(&memory, 2, Fate::AtPoint("transaction.rolled", 0)).ending(Death::Stopped);
    assert!(stopping.run(|agent| transactions(agent).help().unwrap()).is_none());
    assert!(transactions(&agent).let_go(place(0)).unwrap_err().is_busy());
    transactions(&agent).let_go(place(2)).unwrap();
    Agent::next(&memory, 2, Fate::Lives);
    transactions(&agent).let_go(place(0)).unwrap();
    assert!(!is_in_progress(&agent));
    // Whatever lies there now is not touched any more.
    for at in (place(0)..place(1)).step_by(8).filter(|at| at % 256 != 8) {
        agent.u64(at).unwrap().store(0, Ordering::SeqCst);
    }
    transactions(&agent).help().unwrap();
    assert_eq!(Flip::at(&agent, place(0)).unwrap().version(), 0);
}

#[test]
fn a_record_that_nobody_wrote_is_an_error() {
    for at in (RECORD + 16..LIST + 2 * 16).step_by(8) {
        for damage in [1, 2, 256, 1 << 33, 1 << 63] {
            let memory = memory();
            let agent = Agent::new(&memory, 1, Fate::Lives);
            let dying = Agent::new(&memory, 0, Fate::AtPoint("transaction.committed", 0));
            assert!(dying.run(|agent| transact(agent, &[0, 1], &[3; 20])).is_none());
            agent.u64(at).unwrap().fetch_xor(damage, Ordering::SeqCst);
            let all = transactions(&agent);
            assert!(all.version_of(place(0)).unwrap_err().is_damaged(), "{at} {damage:#x}");
            assert!(all.help().unwrap_err().is_damaged());
            assert!(all.begin(soon()).unwrap_err().is_damaged());
            assert!(all.let_go(place(2)).unwrap_err().is_damaged());
            assert!(try_read(&agent, 0).unwrap_err().is_damaged());
            assert!((0..2).all(|value| Flip::at(&agent, place(value)).unwrap().version() == 0));
            agent.u64(at).unwrap().fetch_xor(damage, Ordering::SeqCst);
            assert_eq!(read(&agent, 0), (1, vec![3; 20]));
        }
    }
    // A count of transactions that is another one, and IN_PROGRESS out of nothing.
    for damage in [IN_PROGRESS, (FLAGS + 1) | IN_PROGRESS] {
        let memory = memory();
        let agent = Agent::new(&memory, 1, Fate::Lives);
        transact(&agent, &[0, 1], &[3; 20]);
        agent.u64(ATTENTION).unwrap().fetch_xor(damage, Ordering::SeqCst);
        let all = transactions(&agent);
        let is_other = damage != IN_PROGRESS;
        assert_eq!(all.help().is_err(), is_other);
        assert_eq!(peek_version(&agent), 1);
    }
    // IN_PROGRESS that appears between the beginning and the commit.
    let memory = memory();
    let agent = Agent::new(&memory, 1, Fate::Lives);
    let all = transactions(&agent);
    let guard = all.begin(soon()).unwrap();
    agent.u64(ATTENTION).unwrap().fetch_or(IN_PROGRESS, Ordering::SeqCst);
    assert!(all.commit(&guard, &mut []).unwrap_err().is_damaged());
    drop(guard);
    for at in [4, 1 << 40, u64::MAX - 3] {
        assert!(Transactions::at(&agent, at, at).and_then(|all| all.help()).is_err());
    }
}

fn peek_version(agent: &Agent) -> u64 {
    Flip::at(agent, place(0)).unwrap().version()
}

/// Transactions that die, single writers and readers at once. Whoever has seen a step in one value sees it in the
/// other.
#[test]
fn nobody_sees_half_of_a_step_among_many_deaths() {
    let memory = memory();
    let last = AtomicU64::new(1);
    let number_of = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    let steps = thread::scope(|scope| {
        let transactors = [0_u16, 1].map(|index| {
            let (memory, last) = (&memory, &last);
            scope.spawn(move || {
                let mut agent = Agent::new(memory, index, Fate::Lives);
                for round in 0..300_u32 {
                    agent.fated(Fate::AtStep(round * 29 % 331 + 30));
                    let lived = agent.run(|agent| {
                        let all = transactions(agent);
                        let guard = all.begin(late()).unwrap();
                        // Within the lock, so that the values only grow.
                        let number = last.fetch_add(1, Ordering::SeqCst);
                        let mut bytes = number.to_le_bytes().to_vec();
                        bytes.resize(8 + usize::try_from(number % 3 * 50).unwrap(), 7);
                        let arena = Arena::open(agent, ARENA).unwrap();
                        let flips = [0, 1]
                            .map(|value| Flip::at(agent, place(value)).unwrap().in_arena(&arena));
                        let mut staged = Vec::new();
                        for (flip, value) in flips.iter().zip(0..) {
                            let mut writer = lock(agent, flip, value).unwrap();
                            let version = writer.stage(&bytes).unwrap();
                            staged.push((place(value), version, writer));
                        }
                        all.commit(&guard, &mut staged).unwrap();
                        drop(staged);
                        drop(guard);
                    });
                    if lived.is_none() {
                        agent = Agent::next(memory, index, Fate::Lives);
                    }
                }
            })
        });
        // It writes again what is there.
        let writer = {
            let memory = &memory;
            scope.spawn(move || {
                let mut agent = Agent::new(memory, 2, Fate::Lives);
                for round in 0..300_u32 {
                    agent.fated(Fate::AtStep(round * 31 % 211 + 10));
                    let lived = agent.run(|agent| {
                        let arena = Arena::open(agent, ARENA).unwrap();
                        let flip = Flip::at(agent, place(1)).unwrap().in_arena(&arena);
                        let mut writer = lock(agent, &flip, 1).unwrap();
                        let mut bytes = Vec::new();
                        writer.read(&mut bytes).unwrap();
                        writer.commit(&bytes).unwrap();
                        drop(writer);
                    });
                    if lived.is_none() {
                        agent = Agent::next(memory, 2, Fate::Lives);
                    }
                }
            })
        };
        let readers = [3_u16, 4].map(|index| {
            let memory = &memory;
            scope.spawn(move || {
                let agent = Agent::new(memory, index, Fate::Lives);
                let mut seen = 0;
                for round in 0..2_000_u64 {
                    let number = number_of(&read(&agent, (round + u64::from(index)) % 2).1);
                    assert!(number >= seen, "{number} after {seen}");
                    seen = number;
                }
                seen
            })
        });
        for thread in transactors {
            thread.join().unwrap();
        }
        writer.join().unwrap();
        readers.map(|reader| reader.join().unwrap())
    });
    let agent = Agent::new(&memory, 5, Fate::Lives);
    let [one, two] = [0, 1].map(|value| read(&agent, value).1);
    assert_eq!(one, two);
    assert!(steps.iter().all(|seen| *seen <= number_of(&one)));
    check(&agent);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a table: what died half-way happened to all values or to none.
    #[test]
    fn values_are_those_of_a_table(
        steps in prop::collection::vec(
            (
                0_u16..3,
                prop::collection::btree_set(0..VALUES, 1..4),
                any::<bool>(),
                0_usize..200,
                prop::option::of(0_u32..400),
            ),
            1..40,
        )
    ) {
        let memory = memory();
        let mut agents = [0, 1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
        let watcher = Agent::new(&memory, 14, Fate::Lives);
        let mut table = [const { (0, Vec::new()) }; 4];
        for (number, (who, values, alone, length, dies)) in steps.into_iter().enumerate() {
            let values: Vec<u64> = values.into_iter().take(if alone { 1 } else { 9 }).collect();
            let bytes = vec![u8::try_from(number).unwrap(); length];
            let agent = &mut agents[usize::from(who)];
            agent.fated(dies.map_or(Fate::Lives, Fate::AtStep));
            let lived = agent.run(|agent| {
                if alone {
                    write(agent, values[0], &bytes);
                } else {
                    transact(agent, &values, &bytes);
                }
            });
            if lived.is_none() {
                *agent = Agent::next(&memory, who, Fate::Lives);
            }
            // Seen without help as a rule, so that the next one finds it as it was left.
            let look = |value| if number % 5 == 0 { read(&watcher, value) } else { peek(&watcher, value) };
            let now: Vec<_> = (0..VALUES).map(look).collect();
            let happened = now[usize::try_from(values[0]).unwrap()].0
                != table[usize::try_from(values[0]).unwrap()].0;
            prop_assert!(happened || lived.is_none());
            if happened {
                for value in values {
                    let entry = &mut table[usize::try_from(value).unwrap()];
                    *entry = (entry.0 + 1, bytes.clone());
                }
            }
            prop_assert_eq!(&now[..], &table[..]);
            check(&watcher);
        }
    }
}
