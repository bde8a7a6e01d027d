//! Members and agents, as far as one process shows them.

use std::sync::mpsc::channel;

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sk_share::memory::{Agent, Kind, Member, Region, Roster, Wait, Woken};

/// Where things lie, as PROTOCOL.md says it: section 3.
#[cfg(not(sk_portable))]
mod layout {
    use sk_share::memory::Region;

    pub(crate) const END: u64 = 167_936 + 512 * 4096;
    /// An agent of the first thread of some process.
    pub(crate) const LIVING_AGENT: u32 = 1;

    pub(crate) fn generation(row: u64) -> u64 {
        167_936 + row * (4096 + 8) + 4
    }

    /// The word that says that somebody has this row; some thread has it.
    pub(crate) fn take(bytes: &Region, row: u64, _owner: u64) {
        let word = bytes.word32(167_936 + row * (4096 + 8)).unwrap();
        word.store(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// As the kernel leaves it when the thread ends.
    pub(crate) fn end(bytes: &Region, row: u64) {
        let word = bytes.word32(167_936 + row * (4096 + 8)).unwrap();
        word.store(0xc000_0000, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Where things lie, as PROTOCOL.md says it: section 12.
#[cfg(sk_portable)]
mod layout {
    use sk_share::memory::Region;

    pub(crate) const END: u64 = 167_936;
    /// An agent of the member in the first row, in the first generation.
    pub(crate) const LIVING_AGENT: u32 = 1 << 20 | 1;

    pub(crate) fn generation(row: u64) -> u64 {
        4096 + row * 64 + 8
    }

    /// Some process has this row that lives.
    pub(crate) fn take(bytes: &Region, row: u64, owner: u64) {
        let word = bytes.word64(4096 + row * 64).unwrap();
        word.store(owner, std::sync::atomic::Ordering::Relaxed);
        bytes.word32(256).unwrap().store(512, std::sync::atomic::Ordering::Relaxed);
    }

    /// As whoever finds it gone leaves it.
    pub(crate) fn end(bytes: &Region, row: u64) {
        let word = bytes.word64(4096 + row * 64).unwrap();
        word.fetch_and(!(7 << 32), std::sync::atomic::Ordering::Relaxed);
        word.fetch_or(4 << 32, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_process_is_a_member_once_however_often_it_joins() {
    let roster = Roster::create().unwrap();
    let again = Roster::join(roster.as_fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!((again.me(), again.id()), (roster.me(), roster.id()));
    drop(roster);
    assert_eq!(again.members().unwrap(), [again.me()]);
    assert_eq!(again.process_id(again.me()), Some(std::process::id()));
}

#[test]
fn a_row_that_was_left_is_taken_again_with_a_new_generation() {
    let roster = Roster::create().unwrap();
    let file = roster.as_fd().try_clone_to_owned().unwrap();
    let first = roster.me();
    drop(roster);
    let roster = Roster::join(file).unwrap();
    let second = roster.me();
    assert_eq!(second.row(), first.row());
    assert_ne!(second.generation(), first.generation());
    assert!(roster.is_member_dead(first).unwrap());
    assert!(!roster.is_member_dead(second).unwrap());
    assert_eq!(roster.process_id(first), None);
}

#[test]
fn after_leaving_every_handle_is_an_error() {
    let roster = Roster::create().unwrap();
    let agent = roster.agent().unwrap();
    let other = roster.clone();
    roster.leave();
    roster.leave();
    assert!(other.members().unwrap_err().is_not_member());
    assert!(other.agent().unwrap_err().is_not_member());
    assert!(other.is_dead(agent).unwrap_err().is_not_member());
    // The thread can be an agent elsewhere.
    let next = Roster::create().unwrap();
    assert!(!next.is_dead(next.agent().unwrap()).unwrap());
}

#[test]
fn a_thread_is_one_agent_until_it_ends() {
    let roster = Roster::create().unwrap();
    let (tell, told) = channel();
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let roster = &roster;
        scope.spawn(move || {
            tell.send((roster.agent().unwrap(), roster.agent().unwrap())).unwrap();
            ended.recv().unwrap_err();
        });
        let (first, second) = told.recv().unwrap();
        assert_eq!(first, second);
        assert_ne!(first, roster.agent().unwrap());
        assert!(!roster.is_dead(first).unwrap());
        assert_eq!(roster.member_of(first), Some(roster.me()));
        drop(end);
        // The scope ends before the thread's own destructors have run: wait for these.
        while !roster.is_dead(first).unwrap() {
            std::thread::yield_now();
        }
        assert_eq!(roster.member_of(first), None);
    });
}

#[test]
fn a_slot_that_was_given_back_is_taken_with_a_new_generation() {
    let roster = Roster::create().unwrap();
    let mut agents: Vec<Agent> = Vec::new();
    for _ in 0..20 {
        let there = roster.clone();
        agents.push(std::thread::spawn(move || there.agent().unwrap()).join().unwrap());
    }
    let slot = agents[0].slot();
    for (number, agent) in agents.iter().enumerate() {
        assert_eq!((agent.slot(), agent.generation()), (slot, u32::try_from(number).unwrap() + 1));
        assert!(roster.is_dead(*agent).unwrap());
    }
}

#[test]
fn a_thread_is_an_agent_of_one_roster_at_a_time() {
    let (first, second) = (Roster::create().unwrap(), Roster::create().unwrap());
    first.agent().unwrap();
    let error = second.agent().unwrap_err();
    assert_eq!(error.to_string(), "this thread is an agent of another roster");
}

#[test]
fn hundreds_of_threads_are_as_many_agents() {
    let roster = Roster::create().unwrap();
    let barrier = std::sync::Barrier::new(300);
    let mut agents: Vec<Agent> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..300)
            .map(|_| {
                scope.spawn(|| {
                    let agent = roster.agent().unwrap();
                    barrier.wait();
                    agent
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    agents.sort_by_key(|agent| agent.slot());
    agents.dedup();
    assert_eq!(agents.len(), 300);
}

#[test]
fn names_of_members_and_agents_come_back_and_impossible_ones_are_refused() {
    let roster = Roster::create().unwrap();
    assert_eq!(Member::from_bits(roster.me().to_bits()), Some(roster.me()));
    for bits in [0, 1, 1 << 32 | 512, u64::MAX, 1 << 32 | 1 << 20] {
        assert_eq!(Member::from_bits(bits), None);
    }
    let agent = roster.agent().unwrap();
    assert_eq!(Agent::from_parts(agent.slot(), agent.generation()), Some(agent));
    assert_eq!(Agent::from_parts(8192, 1), None);
    assert_eq!(Agent::from_parts(3, 0), None);
    // One that never was is as one that is dead.
    assert!(roster.is_dead(Agent::from_parts(8000, 9).unwrap()).unwrap());
    assert!(roster.is_member_dead(Member::from_bits(1 << 32 | 400).unwrap()).unwrap());
}

#[test]
fn a_region_that_is_no_roster_cannot_be_joined() {
    let region = Region::create(Kind::new(9), 4096, None).unwrap();
    assert!(Roster::join(region.as_fd().try_clone_to_owned().unwrap()).unwrap_err().is_foreign());
    // One that says it is, and has nothing in it.
    let region = Region::create(Kind::ROSTER, 8192, None).unwrap();
    assert!(Roster::join(region.as_fd().try_clone_to_owned().unwrap()).unwrap_err().is_outside());
}

fn again(roster: &Roster) -> OwnedFd {
    roster.as_fd().try_clone_to_owned().unwrap()
}

/// The roster as anybody could write it.
fn bytes_of(file: &OwnedFd) -> Region {
    Region::open(file.try_clone().unwrap(), Kind::ROSTER, None).unwrap()
}

#[test]
fn a_roster_without_a_free_row_is_full() {
    let roster = Roster::create().unwrap();
    let file = again(&roster);
    let bytes = bytes_of(&file);
    bytes.grow(layout::END).unwrap();
    let owner = bytes.word64(4096).unwrap().load(Ordering::Relaxed);
    drop(roster);
    for row in 0..512 {
        layout::take(&bytes, row, owner);
    }
    let error = Roster::join(file.try_clone().unwrap()).unwrap_err();
    assert!(error.is_limit());
    assert_eq!(error.to_string(), "all 512 rows for members of the program are in use");
    // The last one becomes free.
    layout::end(&bytes, 511);
    assert_eq!(Roster::join(file).unwrap().me().row(), 511);
}

#[test]
fn generations_begin_again_and_none_is_zero() {
    let file = again(&Roster::create().unwrap());
    bytes_of(&file).word32(layout::generation(0)).unwrap().store(u32::MAX, Ordering::Relaxed);
    let roster = Roster::join(file).unwrap();
    assert_eq!((roster.me().row(), roster.me().generation()), (0, 1));
}

/// A slot names a use of a row by the lowest 20 bits of its generation. One that nobody gave back would speak of
/// the use that has the same ones.
#[cfg(sk_portable)]
#[test]
fn slots_of_a_former_use_of_a_row_are_freed_before_it_lives_again() {
    let file = again(&Roster::create().unwrap());
    let bytes = bytes_of(&file);
    bytes.word32(layout::generation(0)).unwrap().store(1 << 20, Ordering::Relaxed);
    let slot = 36_864 + 5 * 16;
    bytes.word32(slot).unwrap().store(layout::LIVING_AGENT, Ordering::Relaxed);
    bytes.word32(slot + 4).unwrap().store(9, Ordering::Relaxed);
    let roster = Roster::join(file).unwrap();
    assert_eq!(roster.me().generation() & 0xf_ffff, 1);
    let agent = Agent::from_parts(5, 9).unwrap();
    assert!(roster.is_dead(agent).unwrap());
    // Nor does one live that speaks of a use that never was.
    bytes.word32(slot).unwrap().store(layout::LIVING_AGENT + 1, Ordering::Relaxed);
    assert!(roster.is_dead(agent).unwrap());
    bytes.word32(slot).unwrap().store(layout::LIVING_AGENT, Ordering::Relaxed);
    assert!(!roster.is_dead(agent).unwrap());
}

#[test]
fn a_full_table_of_agents_is_an_error() {
    let roster = Roster::create().unwrap();
    let bytes = bytes_of(&again(&roster));
    for slot in 0..8192 {
        let word = bytes.word32(36_864 + slot * 16).unwrap();
        word.store(layout::LIVING_AGENT, Ordering::Relaxed);
    }
    let error = roster.agent().unwrap_err();
    assert!(error.is_limit());
    assert_eq!(error.to_string(), "all 8192 agents of the program are in use");
}

/// Whatever lies in the roster, asking is an answer or an error, and leaving comes to an end.
#[test]
fn any_bytes_in_the_roster_are_neither_a_panic_nor_a_hang() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..20 {
        let roster = Roster::create().unwrap();
        let file = again(&roster);
        let bytes = bytes_of(&file);
        bytes.grow(layout::END - (next() % 400) * 4096 % layout::END).unwrap();
        for offset in (128..bytes.length().unwrap()).step_by(4) {
            let word = bytes.word32(offset).unwrap();
            let value = next();
            // All of it, or some words.
            if round % 2 == 0 || value.is_multiple_of(64) {
                word.store(u32::try_from(value >> 32).unwrap(), Ordering::Relaxed);
            }
        }
        if round % 4 == 3 {
            bytes.word64(56).unwrap().store(next(), Ordering::Relaxed);
        }
        let _ = roster.members().map(|members| {
            for member in members {
                let _ = (roster.is_member_dead(member), roster.process_id(member));
            }
        });
        for slot in 0..8192 {
            let agent = Agent::from_parts(slot, 1 + u32::from(slot)).unwrap();
            let _ = (roster.is_dead(agent), roster.member_of(agent));
        }
        let _ = roster.agent();
        let word = std::sync::atomic::AtomicU32::new(0);
        for owner in [None, Agent::from_parts(5, 1)] {
            let deadline = Some(Instant::now() + Duration::from_millis(2));
            let wait = Wait { word: &word, expected: 0, deaths: roster.deaths(), owner, deadline };
            assert_ne!(roster.wait(&wait).unwrap(), Woken::Changed);
        }
        roster.leave();
        // Another one can join, or not; it says so.
        let _ = Roster::join(file);
    }
}
