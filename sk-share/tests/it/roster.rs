//! Members and agents, as far as one process shows them.

use std::sync::mpsc::channel;

use sk_share::memory::{Agent, Member, Roster};

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
    use sk_share::memory::{Kind, Region};
    let region = Region::create(Kind::new(9), 4096, None).unwrap();
    assert!(Roster::join(region.as_fd().try_clone_to_owned().unwrap()).unwrap_err().is_foreign());
    // One that says it is, and has nothing in it.
    let region = Region::create(Kind::ROSTER, 8192, None).unwrap();
    assert!(Roster::join(region.as_fd().try_clone_to_owned().unwrap()).unwrap_err().is_outside());
}
