//! The commit by flip: a value is the old one or the new one, whoever dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sk_share::ground::{Arena, Flip, Ground, Lock};

use super::support::{Agent, Death, Fate, Memory, late, soon};

const VERSION: u64 = 16;
const BEGUN: u64 = 24;
const SLOTS: [u64; 2] = [32, 120];

fn memory() -> Arc<Memory> {
    Memory::new(256, 256, 16)
}

fn read(agent: &Agent) -> (u64, Vec<u8>) {
    let mut bytes = vec![9; 3];
    let version = Flip::at(agent, 0).unwrap().read(&mut bytes, soon()).unwrap();
    (version, bytes)
}

fn write(agent: &Agent, bytes: &[u8]) -> u64 {
    Flip::at(agent, 0).unwrap().write(bytes, soon()).unwrap()
}

fn pattern(number: u64, length: usize) -> Vec<u8> {
    (0_u8..=255).cycle().skip(usize::try_from(number).unwrap()).step_by(3).take(length).collect()
}

#[test]
fn what_is_committed_is_read() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    assert_eq!(read(&agent), (0, vec![]));
    for length in (0..=64).chain([0, 1, 63]) {
        let before = read(&agent).0;
        let bytes = pattern(before, length);
        assert_eq!(write(&agent, &bytes), before + 1);
        assert_eq!(read(&agent), (before + 1, bytes));
    }
}

#[test]
fn a_writer_changes_what_it_reads() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let flip = Flip::at(&one, 0).unwrap();
    flip.write(&[1], None).unwrap();
    let mut writer = flip.lock(None).unwrap();
    let mut bytes = Vec::new();
    assert_eq!(writer.read(&mut bytes).unwrap(), 1);
    assert!(Flip::at(&two, 0).unwrap().write(&[7], soon()).unwrap_err().is_timeout());
    assert!(flip.write(&[7], soon()).unwrap_err().is_reentry());
    bytes.push(2);
    assert_eq!(writer.commit(&bytes).unwrap(), 2);
    assert_eq!(read(&two), (2, vec![1, 2]));
    assert_eq!(writer.commit(&[3]).unwrap(), 3);
    assert_eq!(read(&two), (3, vec![3]));
}

#[test]
fn words_that_nobody_wrote_are_errors() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let flip = Flip::at(&agent, 0).unwrap();
    write(&agent, &[1; 40]);
    write(&agent, &[2; 40]);
    let slot = SLOTS[0];
    for at in [slot, slot + 8, slot + 24, slot + 56, BEGUN, VERSION] {
        let word = agent.u64(at).unwrap();
        let whole = word.load(Ordering::SeqCst);
        for damage in [1, 1 << 5, 1 << 33, u64::MAX] {
            // A commit that somebody began: what a death may leave.
            if at == BEGUN && damage == 1 {
                continue;
            }
            word.store(whole ^ damage, Ordering::SeqCst);
            let mut bytes = Vec::new();
            let error = flip.read(&mut bytes, soon()).unwrap_err();
            assert!(error.is_damaged(), "{at} {damage:#x} {error}");
        }
        word.store(whole, Ordering::SeqCst);
        assert_eq!(read(&agent), (2, vec![2; 40]));
    }
    agent.u64(BEGUN).unwrap().store(9, Ordering::SeqCst);
    assert!(flip.write(&[1], soon()).unwrap_err().is_damaged());
    for at in [4, 56, 256, u64::MAX, u64::MAX - 7] {
        assert!(Flip::at(&agent, at).unwrap_err().is_damaged(), "{at}");
    }
}

/// Kills or stops a writer; gives whether it came to its end, and all that it passed.
fn write_and_die(fate: Fate, death: Death) -> Option<Agent> {
    let memory = memory();
    let old = Agent::new(&memory, 1, Fate::Lives);
    write(&old, &[1; 24]);
    write(&old, &[2; 24]);
    assert!(Flip::at(&old, 0).unwrap().changed(2, soon()).unwrap_err().is_timeout());
    let agent = Agent::new(&memory, 0, fate).ending(death);
    let version = agent.run(|agent| write(agent, &[3; 32]));
    // Without waiting for anybody.
    let (number, bytes) = read(&old);
    assert!(
        (number, &bytes) == (3, &vec![3; 32])
            || version.is_none() && (number, &bytes) == (2, &vec![2; 24])
    );
    if death != Death::Stopped {
        assert_eq!(write(&old, &[4; 8]), number + 1);
        assert_eq!(read(&old), (number + 1, vec![4; 8]));
        assert_eq!(write(&old, &[]), number + 2);
        assert_eq!(read(&old), (number + 2, vec![]));
    }
    version.map(|_| agent)
}

#[test]
fn a_writer_that_dies_or_stops_at_any_step_disturbs_nobody() {
    let whole = write_and_die(Fate::Lives, Death::Process).unwrap();
    let points: BTreeSet<_> = whole.points().into_iter().collect();
    for death in [Death::Process, Death::Thread, Death::Stopped] {
        for point in &points {
            assert!(write_and_die(Fate::AtPoint(point, 0), death).is_none(), "{point}");
        }
        for step in 0..whole.steps() {
            assert!(write_and_die(Fate::AtStep(step), death).is_none());
        }
    }
    let passed: Vec<_> = points
        .into_iter()
        .filter(|point| point.starts_with("flip") || point.starts_with("count"))
        .collect();
    assert_eq!(
        passed,
        [
            "count.cleared",
            "count.noticed",
            "flip.begin",
            "flip.begun",
            "flip.committed",
            "flip.described",
            "flip.filled",
            "flip.woken",
        ]
    );
}

#[test]
fn a_reader_outlives_one_commit_in_the_middle_of_its_copy() {
    let memory = memory();
    let writer = Agent::new(&memory, 1, Fate::Lives);
    write(&writer, &[1; 24]);
    let commits = AtomicU32::new(0);
    let reader = Agent::new(&memory, 0, Fate::Lives).when("flip.read.begin", move || {
        assert_eq!(commits.fetch_add(1, Ordering::SeqCst), 0);
        write(&writer, &[2; 24]);
    });
    assert_eq!(read(&reader), (1, vec![1; 24]));
}

/// Eight times it is overtaken. Then it waits for the lock, and no longer than it said.
#[test]
fn a_reader_that_is_always_overtaken_takes_the_lock() {
    for is_held in [false, true] {
        let memory = memory();
        let writer = Agent::new(&memory, 1, Fate::Lives);
        let looks = Arc::new(AtomicU32::new(0));
        let looked = Arc::clone(&looks);
        let reader = Agent::new(&memory, 0, Fate::Lives).when("flip.read.begin", move || {
            let look = looked.fetch_add(1, Ordering::SeqCst);
            if look < 8 {
                write(&writer, &[1; 24]);
                write(&writer, &[2; 24]);
            }
            if look == 7 && is_held {
                std::mem::forget(Lock::at(&writer, 0).unwrap().lock().unwrap());
            }
        });
        write(&reader, &[0; 24]);
        let flip = Flip::at(&reader, 0).unwrap();
        let mut bytes = Vec::new();
        let began = Instant::now();
        let result = flip.read(&mut bytes, soon());
        if is_held {
            assert!(result.unwrap_err().is_timeout());
            assert!(began.elapsed() >= Duration::from_millis(20));
            assert_eq!(looks.load(Ordering::SeqCst), 8);
        } else {
            assert_eq!(result.unwrap(), 17);
            assert_eq!(bytes, [2; 24]);
            assert_eq!(looks.load(Ordering::SeqCst), 9);
        }
    }
}

#[test]
fn whoever_watches_sees_commits_and_not_their_number() {
    let memory = memory();
    let [watcher, writer] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let flip = Flip::at(&watcher, 0).unwrap();
    assert!(flip.changed(0, soon()).unwrap_err().is_timeout());
    write(&writer, &[1]);
    write(&writer, &[2]);
    assert_eq!(flip.changed(0, soon()).unwrap(), 2);
    thread::scope(|scope| {
        scope.spawn(|| {
            while memory.asleep() == 0 {
                thread::yield_now();
            }
            write(&writer, &[3]);
        });
        assert_eq!(flip.changed(2, late()).unwrap(), 3);
    });
}

#[test]
fn a_watcher_sees_the_commit_of_a_writer_that_died_before_it_woke_anybody() {
    for point in ["flip.committed", "count.noticed", "count.cleared"] {
        let memory = memory();
        let watcher = Agent::new(&memory, 0, Fate::Lives);
        let flip = Flip::at(&watcher, 0).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                while memory.asleep() == 0 {
                    thread::yield_now();
                }
                let writer = Agent::new(&memory, 1, Fate::AtPoint(point, 0));
                assert!(writer.run(|writer| write(writer, &[1])).is_none());
            });
            assert_eq!(flip.changed(0, late()).unwrap(), 1);
        });
    }
}

/// Three values at the beginning, and the arena that their longer bytes lie in.
mod in_an_arena {
    use super::*;

    const AT: u64 = 768;
    const FIRST: u64 = 768 + 1536 + 512;
    const CHUNKS: u64 = 48;
    const CHUNK: u64 = 512;

    fn memory() -> Arc<Memory> {
        let memory = Memory::new(FIRST, FIRST + CHUNKS * CHUNK, 16);
        let maker = Agent::new(&memory, 15, Fate::Lives);
        Arena::create(&maker, AT, FIRST, CHUNK, CHUNKS).unwrap();
        memory
    }

    fn with<T>(agent: &Agent, value: u64, work: impl FnOnce(&Flip<'_, Agent>) -> T) -> T {
        let arena = Arena::open(agent, AT).unwrap();
        work(&Flip::at(agent, value * 256).unwrap().in_arena(&arena))
    }

    fn read(agent: &Agent, value: u64) -> (u64, Vec<u8>) {
        let mut bytes = Vec::new();
        let version = with(agent, value, |flip| flip.read(&mut bytes, late()).unwrap());
        (version, bytes)
    }

    fn write(agent: &Agent, value: u64, bytes: &[u8]) -> u64 {
        with(agent, value, |flip| flip.write(bytes, late()).unwrap())
    }

    /// The books agree with the blocks that the values hold.
    fn check(agent: &Agent) -> usize {
        let blocks: Vec<u64> =
            (0..3).flat_map(|value| with(agent, value, |flip| flip.blocks().unwrap())).collect();
        let account = Arena::open(agent, AT).unwrap().check(late()).unwrap();
        assert_eq!(account.against(&blocks), Vec::<String>::new());
        assert!(account.reserved.is_empty());
        account.used.len()
    }

    #[test]
    fn values_of_all_lengths_are_read_back() {
        let memory = memory();
        let agent = Agent::new(&memory, 0, Fate::Lives);
        for length in [0, 64, 65, 100, 101, 2000, 66, 5000, 3, 700, 700, 700, 1] {
            let before = read(&agent, 1).0;
            let bytes = pattern(before, length);
            assert_eq!(write(&agent, 1, &bytes), before + 1);
            assert_eq!(read(&agent, 1), (before + 1, bytes));
            check(&agent);
        }
        // What is no longer needed is given back, one commit later.
        write(&agent, 1, &[]);
        assert_eq!(check(&agent), 0);
        let error = with(&agent, 1, |flip| flip.write(&[0; 30_000], soon()).unwrap_err());
        assert!(error.is_limit());
        assert_eq!(read(&agent, 1).1, Vec::<u8>::new());
    }

    #[test]
    fn a_value_of_one_size_is_written_without_touching_the_books() {
        let memory = memory();
        let agent = Agent::new(&memory, 0, Fate::Lives);
        write(&agent, 0, &[1; 100]);
        write(&agent, 0, &[2; 100]);
        let other = Agent::new(&memory, 1, Fate::Lives);
        let _books = Lock::at(&other, AT).unwrap().lock().unwrap();
        for number in 3..9 {
            write(&agent, 0, &[number; 101]);
            assert_eq!(read(&agent, 0), (u64::from(number), vec![number; 101]));
        }
        let error = with(&agent, 0, |flip| flip.write(&[1; 400], soon()).unwrap_err());
        assert!(error.is_timeout());
        // Shorter ones need no block, and keep the one that nobody can take back now.
        with(&agent, 0, |flip| flip.write(&[1; 10], soon()).unwrap());
        assert_eq!(read(&agent, 0).1, [1; 10]);
    }

    #[test]
    fn a_block_that_is_too_large_will_do_where_there_is_no_room() {
        let memory = memory();
        let agent = Agent::new(&memory, 0, Fate::Lives);
        write(&agent, 0, &pattern(1, 500));
        with(&agent, 0, |flip| flip.lock(late()).unwrap().reserve(500).unwrap());
        // All that is left: whole chunks, and what is left of others.
        let arena = Arena::open(&agent, AT).unwrap();
        let lengths = (1..=CHUNKS).rev().map(|chunks| chunks * CHUNK).chain([100; 8]);
        let reserve = |(word, length)| arena.exchange(512 + 8 * word, length, late()).ok();
        let rest: Vec<_> = lengths
            .enumerate()
            .filter_map(|(place, length)| reserve((place as u64 % 32, length)))
            .collect();
        let error = with(&agent, 0, |flip| flip.write(&[1; 1000], late()).unwrap_err());
        assert!(error.is_limit(), "{error}");
        for (version, length) in [(2, 100), (3, 100), (4, 500)] {
            assert_eq!(write(&agent, 0, &pattern(version, length)), version);
            assert_eq!(read(&agent, 0), (version, pattern(version, length)));
        }
        drop(rest);
        check(&agent);
    }

    #[test]
    fn a_block_that_is_not_there_is_an_error() {
        let memory = memory();
        let agent = Agent::new(&memory, 0, Fate::Lives);
        write(&agent, 0, &[1; 100]);
        let block = agent.u64(SLOTS[1] + 16).unwrap();
        let whole = block.load(Ordering::SeqCst);
        for wrong in [0, 8, whole + 8, whole + 1, FIRST + CHUNKS * CHUNK - 8, u64::MAX] {
            block.store(wrong, Ordering::SeqCst);
            let mut bytes = Vec::new();
            let error = with(&agent, 0, |flip| flip.read(&mut bytes, soon()).unwrap_err());
            assert!(error.is_damaged(), "{wrong}");
        }
    }

    /// A commit of a new length and two that follow, killed somewhere.
    fn write_and_die(lengths: [usize; 3], fate: Fate) -> Option<u32> {
        let memory = memory();
        let other = Agent::new(&memory, 1, Fate::Lives);
        write(&other, 0, &pattern(1, lengths[0]));
        write(&other, 0, &pattern(2, lengths[1]));
        let agent = Agent::new(&memory, 0, fate);
        let version = agent.run(|agent| write(agent, 0, &pattern(3, lengths[2])));
        let (number, bytes) = read(&other, 0);
        assert_eq!(bytes, pattern(number, lengths[usize::try_from(number - 1).unwrap()]));
        assert!(version.is_none() || number == 3);
        check(&other);
        for length in [200, 10, 10] {
            let number = write(&other, 0, &pattern(9, length));
            assert_eq!(read(&other, 0), (number, pattern(9, length)));
            check(&other);
        }
        assert_eq!(check(&other), 0);
        version.map(|_| agent.steps())
    }

    #[test]
    fn a_writer_that_dies_at_any_step_leaves_a_value_and_books() {
        for lengths in [[100, 100, 300], [100, 100, 120], [300, 5, 5], [1, 2, 900], [900, 900, 1]] {
            let steps = write_and_die(lengths, Fate::Lives).unwrap();
            for step in 0..steps {
                assert!(write_and_die(lengths, Fate::AtStep(step)).is_none());
            }
        }
    }

    /// Makes room for a long commit, killed somewhere; gives how many steps it took.
    fn reserve_and_die(fate: Fate) -> Option<u32> {
        let memory = memory();
        let other = Agent::new(&memory, 1, Fate::Lives);
        write(&other, 0, &pattern(1, 100));
        write(&other, 0, &pattern(2, 300));
        let agent = Agent::new(&memory, 0, fate);
        let reserved = agent.run(|agent| {
            with(agent, 0, |flip| flip.lock(late()).unwrap().reserve(900).unwrap());
        });
        assert_eq!(read(&other, 0), (2, pattern(2, 300)));
        assert_eq!(check(&other), 2);
        if reserved.is_some() {
            // Somebody is at the books: what fits needs none.
            let third = Agent::new(&memory, 2, Fate::Lives);
            let books = Lock::at(&third, AT).unwrap().lock().unwrap();
            write(&other, 0, &pattern(3, 900));
            drop(books);
        } else {
            write(&other, 0, &pattern(3, 900));
        }
        assert_eq!(read(&other, 0), (3, pattern(3, 900)));
        check(&other);
        reserved.map(|()| agent.steps())
    }

    #[test]
    fn who_makes_room_and_dies_changes_nothing() {
        let steps = reserve_and_die(Fate::Lives).unwrap();
        for step in 0..steps {
            reserve_and_die(Fate::AtStep(step));
        }
    }

    #[test]
    fn a_reader_is_overtaken_by_who_makes_room() {
        let memory = memory();
        let writer = Agent::new(&memory, 0, Fate::Lives);
        write(&writer, 0, &pattern(1, 100));
        let other = Arc::clone(&memory);
        let looks = AtomicU32::new(0);
        // Once it has copied the length: a commit, and room for the next, whose block is another's then.
        let reader = Agent::new(&memory, 1, Fate::Lives).when("flip.read.begin", move || {
            if looks.fetch_add(1, Ordering::SeqCst) == 0 {
                let agent = Agent::new(&other, 2, Fate::Lives);
                write(&agent, 0, &pattern(2, 100));
                with(&agent, 0, |flip| flip.lock(late()).unwrap().reserve(900).unwrap());
                write(&agent, 1, &[7; 100]);
            }
        });
        assert_eq!(read(&reader, 0), (2, pattern(2, 100)));
    }

    /// Writers that die, and readers beside them.
    #[test]
    fn values_are_whole_among_many_deaths() {
        let memory = memory();
        let written = thread::scope(|scope| {
            let writers = [0_u16, 1, 2].map(|index| {
                let memory = &memory;
                scope.spawn(move || {
                    let mut agent = Agent::new(memory, index, Fate::Lives);
                    let mut written = 0;
                    for round in 0..400_u32 {
                        agent.fated(Fate::AtStep(round * 13 % 397 + 20));
                        let length = usize::try_from(round * 37 % 600).unwrap();
                        let bytes = vec![u8::try_from(round % 251).unwrap(); length];
                        let value = u64::from(round % 3);
                        match agent.run(|agent| write(agent, value, &bytes)) {
                            Some(_) => written += 1,
                            None => agent = Agent::next(memory, index, Fate::Lives),
                        }
                    }
                    written
                })
            });
            let reader = {
                let memory = &memory;
                scope.spawn(move || {
                    let agent = Agent::new(memory, 3, Fate::Lives);
                    let mut last = [0; 3];
                    for round in 0..3_000_u64 {
                        let value = round % 3;
                        let (version, bytes) = read(&agent, value);
                        let last = &mut last[usize::try_from(value).unwrap()];
                        assert!(version >= *last);
                        *last = version;
                        assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
                    }
                })
            };
            reader.join().unwrap();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>()
        });
        let last = Agent::new(&memory, 4, Fate::Lives);
        check(&last);
        assert!((0..3).map(|value| read(&last, value).0).sum::<u64>() >= written);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against what was written last: a commit that died happened whole or not at all.
        #[test]
        fn a_value_is_what_was_committed_last(
            steps in prop::collection::vec(
                (
                    0_u16..3,
                    0_u64..3,
                    prop_oneof![3 => 0_usize..150, 1 => 0_usize..1500],
                    prop::option::of(0_u32..300),
                ),
                1..60,
            )
        ) {
            let memory = memory();
            let mut agents = [0, 1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
            let watcher = Agent::new(&memory, 14, Fate::Lives);
            let mut model = [const { (0, Vec::new()) }; 3];
            for (number, (who, value, length, dies)) in steps.into_iter().enumerate() {
                let agent = &mut agents[usize::from(who)];
                agent.fated(dies.map_or(Fate::Lives, Fate::AtStep));
                let bytes = pattern(number as u64 * 7, length);
                let lived = agent.run(|agent| write(agent, value, &bytes)).is_some();
                if !lived {
                    *agent = Agent::next(&memory, who, Fate::Lives);
                }
                for index in 0..3 {
                    let (version, found) = read(&watcher, index);
                    let expected = &mut model[usize::try_from(index).unwrap()];
                    if index == value && (lived || version != expected.0) {
                        *expected = (expected.0 + 1, bytes.clone());
                    }
                    prop_assert_eq!((version, &found), (expected.0, &expected.1));
                }
                check(&watcher);
            }
        }
    }
}
