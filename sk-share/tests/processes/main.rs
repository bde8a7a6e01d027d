//! Processes that die in every way and at every step, and what the others notice.
//!
//! The same program is parent and child. `SK_KILLS` says how many rounds the loop of kills has;
//! `SK_RESIDENT_MIB` how much memory those have that are killed in it.
//!
//! Unsafe is what a test of death needs: to fork, to touch what is not mapped, to end without
//! destructors. Its invariant: whoever does it does nothing after it that it may not.
#![expect(unsafe_code, reason = "a test forks and dies in ways that safe code has not")]

mod child;
mod program;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::Signal;
use sk_share::memory::{Agent, Member, Wait, Woken, wake_one};

use program::{At, CHILD, Kid, Program, Tried, WATCHDOG};

/// The kernel tells when a thread ends in whatever way, or becomes another program. Without robust futexes
/// only the end of the process is told, and what a thread gives back itself.
const NOTICES_THREADS: bool = cfg!(not(sk_portable));

/// In how many ways a thread ends: twice in order, and once without any destructor.
const ENDS: u32 = if NOTICES_THREADS { 3 } else { 2 };

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(CHILD) {
        return child::main(&role);
    }
    let mut trials: Vec<Trial> =
        ["killed", "abort", "exit", "panic", "exec", "segfault", "return", "leave"]
            .into_iter()
            .filter(|manner| NOTICES_THREADS || *manner != "exec")
            .map(|manner| {
                Trial::test(format!("everybody_notices_a_death_by_{manner}"), move || {
                    everybody_notices(manner).map_err(failed)
                })
            })
            .collect();
    let mut add = |name: &str, test: fn() -> Tried<()>| {
        trials.push(Trial::test(name, move || test().map_err(failed)));
    };
    add("kills_in_a_loop_are_all_noticed", kills_in_a_loop_are_all_noticed);
    add("kills_at_any_moment_leave_nothing_taken", kills_at_any_moment_leave_nothing_taken);
    add(
        "a_waiter_that_was_woken_and_killed_is_replaced",
        a_waiter_that_was_woken_and_killed_is_replaced,
    );
    add("all_who_wait_for_a_thread_hear_of_its_end", all_who_wait_for_a_thread_hear_of_its_end);
    if NOTICES_THREADS {
        add("an_agent_that_calls_exec_is_dead", an_agent_that_calls_exec_is_dead);
    }
    add("an_agent_is_dead_when_its_process_is", an_agent_is_dead_when_its_process_is);
    add("an_agent_of_a_member_that_left_lives_on", an_agent_of_a_member_that_left_lives_on);
    add("a_stopped_process_is_not_dead", a_stopped_process_is_not_dead);
    if NOTICES_THREADS {
        add("a_death_is_told_again", a_death_is_told_again);
    }
    add("a_forked_copy_is_no_member", a_forked_copy_is_no_member);
    add("members_beyond_one_wait_are_watched_too", members_beyond_one_wait_are_watched_too);
    add("limits_of_the_process_are_errors", limits_of_the_process_are_errors);
    add("nothing_is_left_of_a_roster", nothing_is_left_of_a_roster);
    if cfg!(feature = "faults") {
        add("death_at_any_step_of_joining_loses_no_row", death_at_any_step_of_joining_loses_no_row);
        add(
            "death_at_any_step_of_an_agent_loses_no_slot",
            death_at_any_step_of_an_agent_loses_no_slot,
        );
        add(
            "death_at_any_step_of_growing_loses_nothing",
            death_at_any_step_of_growing_loses_nothing,
        );
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Failed {
    error.to_string().into()
}

fn segfault() -> ! {
    // SAFETY: nothing comes after it; the read is the end of the process.
    unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
    std::process::abort()
}

fn fork() -> i32 {
    // SAFETY: the copy uses what its only thread may, and ends by `_exit`.
    unsafe { libc::fork() }
}

fn end_this_process(code: i32) -> ! {
    // SAFETY: it runs no destructor and does not return.
    unsafe { libc::_exit(code) }
}

fn end_this_thread() -> ! {
    // SAFETY: nobody joins this thread or borrows from its stack; the process is killed later.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    std::process::abort()
}

/// Three that die at the same time, three others and the parent that notice.
fn everybody_notices(manner: &str) -> Tried<()> {
    let program = Program::new()?;
    let observers = (0..3).map(|_| program.spawn("observer")).collect::<Tried<Vec<Kid>>>()?;
    program.until(At::Ready, 3)?;
    let mut kids = Vec::new();
    let mut members = Vec::new();
    for index in 0..3 {
        let (kid, member) = program.member(index, manner)?;
        kids.push(kid);
        members.push(member);
    }
    program.word(At::Turn).store(3, Ordering::Release);
    program.add(At::Round);
    program.until(At::Acknowledged, 3)?;
    if manner == "killed" {
        kids.iter().for_each(Kid::kill);
    } else {
        program.add(At::Go);
    }
    program.until_dead(&members)?;
    program.until(At::Done, 3)?;
    assert_eq!(program.get(At::Failed), 0);
    assert_eq!(program.roster.members()?.len(), 4);
    if matches!(manner, "exec" | "leave") {
        // It was noticed although the process lives on.
        kids.iter().for_each(Kid::kill);
    }
    drop((kids, observers));
    Ok(())
}

fn environment(name: &str, default: u64) -> Tried<u64> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

/// Two die together in each round, at any moment, while two children and the parent watch; in every fourth
/// round another one dies while it joins.
fn kills_in_a_loop_are_all_noticed() -> Tried<()> {
    let program = Program::new()?;
    let rounds = u32::try_from(environment("SK_KILLS", 100)? / 2)?;
    let resident = environment("SK_RESIDENT_MIB", 0)?;
    let observers =
        ["agent", ""].map(|argument| program.spawn_with("rounds", argument, None)).into_iter();
    let observers = observers.collect::<Tried<Vec<Kid>>>()?;
    program.until(At::Ready, 2)?;
    program.word(At::Turn).store(2, Ordering::Release);
    let (mut times, mut single) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let starting = match round % 4 {
            0 if cfg!(feature = "faults") => {
                let fault = if NOTICES_THREADS {
                    format!("join.pair.taken:{}", 1 + round * 7 % 511)
                } else {
                    ["join.taken", "join.generation", "join.living"][round as usize / 4 % 3]
                        .to_owned()
                };
                Some(program.spawn_with("member", "9 killed", Some(&fault))?)
            }
            _ => None,
        };
        let (one, first) = program.member(0, &format!("killed {resident}"))?;
        let (two, second) = program.member(1, &format!("killed {resident}"))?;
        program.add(At::Round);
        if round % 2 == 0 {
            program.until(At::Acknowledged, 2 * round)?;
        }
        let begin = Instant::now();
        one.kill();
        if round % 3 == 0 {
            program.until_dead(&[first])?;
            single.push(begin.elapsed());
            two.kill();
            program.until_dead(&[second])?;
        } else {
            two.kill();
            program.until_dead(&[first, second])?;
            times.push(begin.elapsed());
        }
        program.until(At::Done, 2 * round)?;
        assert_eq!(program.get(At::Failed), 0, "round {round}");
        drop((one, two, starting));
        // Rows are used again: nobody ever needs more than these.
        assert!(first.row() < 7 && second.row() < 7, "{first:?} {second:?}");
    }
    assert_eq!(program.roster.members()?.len(), 3);
    drop(observers);
    for (what, mut times) in [("one", single), ("two at once", times)] {
        times.sort();
        if let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) {
            println!(
                "{what}, {resident} MiB: noticed after {median:.0?}, at most {longest:.0?}, of {}",
                times.len()
            );
        }
    }
    Ok(())
}

/// Two processes join, leave, and have agents without end, and are killed somewhere in it. Behind that no row
/// and no slot is taken, and whoever comes next has the first ones.
fn kills_at_any_moment_leave_nothing_taken() -> Tried<()> {
    let program = Program::new()?;
    let rounds = environment("SK_KILLS", 100)? / 2;
    for round in 0..rounds {
        let kids = [program.spawn("churn")?, program.spawn("churn")?];
        // Some while they start, others after a while of it.
        let end = Instant::now() + Duration::from_micros(round * 367 % 7_000);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        if round % 10 == 9 {
            // However slow the machine is, some come to something.
            program.until(At::Done, program.get(At::Done) + 1)?;
        }
        for kid in kids {
            kid.kill();
            kid.was_killed()?;
        }
        assert_eq!(program.roster.members()?, [program.roster.me()], "round {round}");
    }
    let turns = program.get(At::Done);
    assert!(turns > 0, "nobody came to anything");
    program.word(At::Round).store(0, Ordering::Release);
    let kid = program.spawn("agent")?;
    program.until(At::Round, 1)?;
    let agent = child::read_agent(&program)?;
    assert_eq!((program.member_rows()?, agent.slot()), (vec![0, 1], 16));
    drop(kid);
    println!("{} killed in {turns} turns of joining and leaving", 2 * rounds);
    Ok(())
}

/// Of two that sleep, the first is woken and does nothing; its death is what the second hears.
fn a_waiter_that_was_woken_and_killed_is_replaced() -> Tried<()> {
    for _ in 0..10 {
        let program = Program::new()?;
        let first = program.spawn_with("sleeper", "dies", None)?;
        program.until(At::Ready, 1)?;
        first.until_asleep()?;
        let second = program.spawn_with("sleeper", "acts", None)?;
        program.until(At::Ready, 2)?;
        second.until_asleep()?;
        program.word(At::Go).store(1, Ordering::Release);
        wake_one(program.word(At::Go));
        first.kill();
        program.until(At::Done, 1)?;
        assert_eq!(program.get(At::Failed), 0);
    }
    Ok(())
}

/// Four processes wait for one thread that ends in order, twice, and once without any destructor. Its
/// process lives on, so that nobody is told by the death of a member.
fn all_who_wait_for_a_thread_hear_of_its_end() -> Tried<()> {
    let program = Program::new()?;
    let waiters = (0..4).map(|_| program.spawn("waiter")).collect::<Tried<Vec<Kid>>>()?;
    program.until(At::Ready, 4)?;
    let agent = program.spawn("agent")?;
    for turn in 1..=ENDS {
        program.until(At::Turn, 4 * turn)?;
        for waiter in &waiters {
            waiter.until_asleep()?;
        }
        program.add(At::Go);
        program.until(At::Done, 4 * turn)?;
        assert_eq!(program.get(At::Failed), 0);
    }
    drop((agent, waiters));
    Ok(())
}

/// From the first thread and from another one, whose number is another one after exec.
fn an_agent_that_calls_exec_is_dead() -> Tried<()> {
    for thread in ["first", "second"] {
        let program = Program::new()?;
        let kid = program.spawn_with("executor", thread, None)?;
        program.until(At::Ready, 1)?;
        let owner = child::read_agent(&program)?;
        let begin = Instant::now();
        program.add(At::Go);
        loop {
            let deaths = program.roster.deaths();
            if program.roster.is_dead(owner)? {
                break;
            }
            let deadline = Some(begin + Duration::from_secs(3));
            let word = program.word(At::Never);
            let wait = Wait { word, expected: 0, deaths, owner: Some(owner), deadline };
            if program.roster.wait(&wait)? == Woken::TimedOut {
                return Err(format!("the {thread} thread is not noticed").into());
            }
        }
        assert_eq!(program.roster.member_of(owner), None);
        kid.kill();
        kid.was_killed()?;
    }
    Ok(())
}

/// Waits until this agent is dead, woken by its end or that of its process, and not by the clock.
fn until_agent_dead(program: &Program, owner: Agent) -> Tried<()> {
    let deadline = Some(Instant::now() + WATCHDOG);
    loop {
        let deaths = program.roster.deaths();
        if program.roster.is_dead(owner)? {
            return Ok(());
        }
        let word = program.word(At::Never);
        let wait = Wait { word, expected: 0, deaths, owner: Some(owner), deadline };
        match program.roster.wait(&wait)? {
            Woken::OwnerDied | Woken::Death => {}
            // The life thread of another process has woken its own sleepers on this word.
            Woken::Changed if cfg!(sk_portable) => {}
            other => return Err(format!("{other:?} in place of the owner's death").into()),
        }
    }
}

fn an_agent_is_dead_when_its_process_is() -> Tried<()> {
    let program = Program::new()?;
    for _ in 0..20 {
        program.word(At::Round).store(0, Ordering::Release);
        let kid = program.spawn("agent")?;
        program.until(At::Round, 1)?;
        let owner = child::read_agent(&program)?;
        assert!(!program.roster.is_dead(owner)?);
        std::thread::scope(|scope| {
            let waiters = [(); 2].map(|()| scope.spawn(|| until_agent_dead(&program, owner)));
            kid.kill();
            waiters.into_iter().try_for_each(|waiter| waiter.join().map_err(|_| "it panicked")?)
        })?;
        assert_eq!(program.roster.member_of(owner), None);
        kid.was_killed()?;
    }
    Ok(())
}

/// It holds what it holds until its thread ends, however many members come after it.
fn an_agent_of_a_member_that_left_lives_on() -> Tried<()> {
    for end in ["thread", "process"] {
        let program = Program::new()?;
        let kid = program.spawn("stayer")?;
        program.until(At::Ready, 1)?;
        let owner = child::read_agent(&program)?;
        let member = program.roster.member_of(owner).ok_or("no member")?;
        program.add(At::Go);
        program.until_dead(&[member])?;
        assert!(!program.roster.is_dead(owner)?);
        assert_eq!(program.roster.member_of(owner), None);
        let (next, _) = program.member(1, "killed")?;
        assert!(!program.roster.is_dead(owner)?);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| until_agent_dead(&program, owner));
            if end == "thread" {
                program.add(At::Go);
            } else {
                kid.kill();
            }
            waiter.join().map_err(|_| "it panicked")?
        })?;
        next.kill();
        next.was_killed()?;
        // Its row is free, if it was not already.
        let (_next, member) = program.member(1, "killed")?;
        assert_eq!(member.row(), 1, "{end}");
    }
    Ok(())
}

fn a_stopped_process_is_not_dead() -> Tried<()> {
    let program = Program::new()?;
    let (kid, member) = program.member(0, "killed")?;
    kid.signal(Signal::STOP);
    let deaths = program.roster.deaths();
    let deadline = Some(Instant::now() + Duration::from_millis(200));
    let word = program.word(At::Never);
    let wait = Wait { word, expected: 0, deaths, owner: None, deadline };
    assert_eq!(program.roster.wait(&wait)?, Woken::TimedOut);
    assert!(!program.roster.is_member_dead(member)?);
    // Stopped, it can be killed and is noticed.
    kid.kill();
    program.until_dead(&[member])
}

/// What another thread of the dead did after its life thread was gone is not slept through.
fn a_death_is_told_again() -> Tried<()> {
    let program = Program::new()?;
    for _ in 0..50 {
        let (kid, member) = program.member(0, "killed")?;
        kid.kill();
        program.until_dead(&[member])?;
        let deaths = program.roster.deaths();
        // It is told three times again, the last time after a tenth of a second. Who is late has missed them.
        let deadline = Some(Instant::now() + Duration::from_secs(1));
        let word = program.word(At::Never);
        let wait = Wait { word, expected: 0, deaths, owner: None, deadline };
        if program.roster.wait(&wait)? != Woken::TimedOut {
            assert_ne!(program.roster.deaths(), deaths);
            return Ok(());
        }
    }
    Err("none of fifty deaths was told again".into())
}

fn a_forked_copy_is_no_member() -> Tried<()> {
    let program = Program::new()?;
    program.spawn("forker")?.succeeded()
}

/// The kernel waits on 128 words: everybody has more than one thread that watches.
fn members_beyond_one_wait_are_watched_too() -> Tried<()> {
    const COUNT: usize = 130;
    let program = Program::new()?;
    let mut kids = Vec::new();
    for number in 1..=COUNT {
        kids.push(program.spawn("pairs")?);
        // A few at a time, as many as there are processors to start them.
        program.until(At::Ready, u32::try_from(number.saturating_sub(4))?)?;
    }
    program.until(At::Ready, u32::try_from(COUNT)?)?;
    assert_eq!(program.roster.members()?.len(), COUNT + 1);
    let mut members: Vec<Member> = (0..COUNT)
        .filter_map(|index| Member::from_bits(program.value(index).load(Ordering::Acquire)))
        .collect();
    members.sort_by_key(|member| member.row());
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        return Err("no members".into());
    };
    assert!(first.row() < 126 && last.row() > 126, "{first:?} {last:?}");
    for (index, member) in [first, last].into_iter().enumerate() {
        program.value(1000 + index).store(member.to_bits(), Ordering::Release);
    }
    program.add(At::Round);
    program.until(At::Acknowledged, u32::try_from(COUNT)?)?;
    // The last one alone: nothing else has anybody look at its row.
    for member in [last, first] {
        let pid = program.roster.process_id(*member).ok_or("no process")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).ok_or("no process")?;
        rustix::process::kill_process(pid, Signal::KILL)?;
        program.until_dead(&[*member])?;
    }
    program.until(At::Done, u32::try_from(COUNT - 2)?)?;
    assert_eq!(program.get(At::Failed), 0);
    // Everybody dies, all at once.
    kids.iter().for_each(Kid::kill);
    program.until_dead(&members)
}

fn limits_of_the_process_are_errors() -> Tried<()> {
    let program = Program::new()?;
    let kid = program.spawn("limited")?;
    kid.succeeded()
}

fn nothing_is_left_of_a_roster() -> Tried<()> {
    Program::new()?.spawn("nothing_left")?.succeeded()
}

/// A watcher is there all the time; after each death a member joins in full, in a row that was used
/// before, and its death is noticed.
fn death_at_any_step_of_joining_loses_no_row() -> Tried<()> {
    let program = Program::new()?;
    let points = steps_of_a_membership();
    let mut last: Option<Member> = None;
    for point in &points {
        program.value(0).store(0, Ordering::Release);
        program
            .spawn_with("leaver", "", Some(point))?
            .was_killed()
            .map_err(|error| format!("{point}: {error}"))?;
        if let Some(member) = Member::from_bits(program.value(0).load(Ordering::Acquire)) {
            program.until_dead(&[member])?;
        }
        assert_eq!(program.roster.members()?, [program.roster.me()], "{point}");
        let (kid, member) = program.member(0, "killed")?;
        assert_eq!(program.roster.members()?, [program.roster.me(), member], "{point}");
        assert_eq!(member.row(), 1, "{point}");
        if let Some(last) = last {
            assert!(member.generation() > last.generation(), "{point}");
            assert!(program.roster.is_member_dead(last)?, "{point}");
        }
        kid.kill();
        program.until_dead(&[member])?;
        last = Some(member);
    }
    Ok(())
}

fn steps_of_a_membership() -> Vec<String> {
    if !NOTICES_THREADS {
        let joining = ["row", "taken", "freed", "generation", "living", "told"];
        let joining = joining.map(|step| format!("join.{step}")).into_iter();
        let agent = ["taken", "generation", "living", "give", "given"];
        let agent = agent.map(|step| format!("agent.{step}")).into_iter();
        let leaving = ["begin", "given", "told"].map(|step| format!("leave.{step}"));
        return joining.chain(agent).chain(leaving).collect();
    }
    let mut points: Vec<String> = ["row", "aimed", "pending", "taken", "linked", "generation"]
        .into_iter()
        .chain(["pairs", "living", "counted", "told"])
        .map(|step| format!("join.{step}"))
        .collect();
    for step in ["pending", "taken", "linked", "generation"] {
        points.extend([1, 2, 300, 511].map(|pass| format!("join.pair.{step}:{pass}")));
    }
    for step in ["pending", "given", "unlinked"] {
        points.extend([1, 2, 300, 511, 512].map(|pass| format!("leave.{step}:{pass}")));
    }
    points.extend(["agent.give", "agent.given", "agent.unlinked"].map(str::to_owned));
    points
}

fn death_at_any_step_of_an_agent_loses_no_slot() -> Tried<()> {
    let program = Program::new()?;
    let steps: &[&str] = if NOTICES_THREADS {
        &[
            "aimed",
            "pending",
            "taken",
            "linked",
            "generation",
            "living",
            "give",
            "given",
            "unlinked",
        ]
    } else {
        &["taken", "generation", "living", "give", "given"]
    };
    let mut generation = 0;
    for step in steps {
        let point = format!("agent.{step}");
        program.spawn_with("leaver", "", Some(&point))?.was_killed()?;
        program.word(At::Round).store(0, Ordering::Release);
        let kid = program.spawn("agent")?;
        program.until(At::Round, 1)?;
        let bits = program.value(0).load(Ordering::Acquire);
        // The first slot that a member in row 1 tries.
        assert_eq!(bits & 0xffff, 16, "{point}");
        assert!(bits >> 32 > generation, "{point}");
        generation = bits >> 32;
        kid.kill();
        kid.was_killed()?;
    }
    Ok(())
}

fn death_at_any_step_of_growing_loses_nothing() -> Tried<()> {
    let steps: &[(&str, u64)] = if NOTICES_THREADS {
        &[
            // The first to grow is the roster, by a row for the child.
            ("grow.begin:1", 1 << 16),
            ("grow.allocated:1", 1 << 16),
            ("grow.stored:1", 1 << 16),
            ("grow.begin:2", 1 << 16),
            ("grow.allocated:2", 1 << 16),
            ("grow.stored:2", 16 << 20),
            ("grow.allocated:3", 16 << 20),
            ("grow.stored:4", 40 << 20),
        ]
    } else {
        &[
            ("grow.begin:1", 1 << 16),
            ("grow.allocated:1", 1 << 16),
            ("grow.stored:1", 16 << 20),
            ("grow.allocated:2", 16 << 20),
            ("grow.stored:3", 40 << 20),
        ]
    };
    for (fault, least) in steps {
        let program = Program::new()?;
        program.board.write(60_000, b"kept")?;
        program.spawn_with("grower", "", Some(fault))?.was_killed()?;
        let length = program.board.length()?;
        assert!(length >= *least, "{fault}: {length}");
        assert_eq!(program.board.grow(50 << 20)?, 50 << 20);
        let mut kept = [0; 4];
        program.board.read(60_000, &mut kept)?;
        assert_eq!(&kept, b"kept");
        assert_eq!(program.board.word64((50 << 20) - 8)?.load(Ordering::Relaxed), 0);
    }
    Ok(())
}
