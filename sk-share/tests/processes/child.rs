//! What children do.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sk_share::memory::{Agent, Member, Region, Roster, Wait, Woken};

use super::program::{ARGUMENT, At, CHILD, KIND, Program, Tried, WATCHDOG};

pub(crate) fn main(role: &str) -> ExitCode {
    // Nothing outlives the parent, nor its patience, which grows with what it is to do.
    let kills = super::environment("SK_KILLS", 0).unwrap_or(0);
    let watchdog = WATCHDOG + Duration::from_millis(50 * kills);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    std::thread::spawn(move || {
        std::thread::park_timeout(watchdog);
        std::process::abort();
    });
    if role == "stay" {
        forever();
    }
    if role == "nothing_left" {
        return code(nothing_left());
    }
    let argument = std::env::var(ARGUMENT).unwrap_or_default();
    let program = match Program::inherited() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("{role} did not join: {error}");
            return ExitCode::FAILURE;
        }
    };
    code(match role {
        "member" => member(&program, &argument),
        "observer" => observer(&program),
        "rounds" => rounds(&program, &argument),
        "sleeper" => sleeper(&program, &argument),
        "agent" => agent(&program),
        "waiter" => waiter(&program),
        "grower" => grower(&program),
        "leaver" => leaver(&program),
        "forker" => forker(&program),
        "pairs" => pairs(&program),
        "churn" => churn(&program),
        "stayer" => stayer(&program),
        "executor" => executor(&program, &argument),
        "limited" => limited(&program),
        other => Err(format!("no role {other}").into()),
    })
}

fn code(result: Tried<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("child: {error}");
            ExitCode::FAILURE
        }
    }
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Says which member it is, then dies as it was told once it may.
fn member(program: &Program, argument: &str) -> Tried<()> {
    let (index, manner) = argument.split_once(' ').ok_or("an index and a manner")?;
    let mut words = manner.split_whitespace();
    let manner = words.next().unwrap_or("killed");
    let resident: usize = words.next().map_or(Ok(0), str::parse)?;
    let mut ballast = vec![0_u8; resident << 20];
    ballast.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(&ballast);
    program.value(index.parse()?).store(program.roster.me().to_bits(), Ordering::Release);
    let before = program.get(At::Go);
    program.add(At::Ready);
    if manner == "killed" {
        forever();
    }
    program.until(At::Go, before + 1)?;
    match manner {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "panic" => {
            // In silence: what it would say comes between the lines of the tests.
            std::panic::set_hook(Box::new(|_| {}));
            panic!("as it was told")
        }
        "exec" => Err(Command::new("/proc/self/exe").env(CHILD, "stay").exec().into()),
        "segfault" => super::segfault(),
        "leave" => {
            program.roster.leave();
            forever()
        }
        _ => Ok(()),
    }
}

/// Notices the deaths of the members in the first values, as many as `Turn` says.
fn observer(program: &Program) -> Tried<()> {
    program.add(At::Ready);
    program.until(At::Round, 1)?;
    let members = victims(program)?;
    program.add(At::Acknowledged);
    let result = program.until_dead(&members);
    program.add(if result.is_ok() { At::Done } else { At::Failed });
    result?;
    forever();
}

fn victims(program: &Program) -> Tried<Vec<Member>> {
    let count = usize::try_from(program.get(At::Turn))?;
    let bits = (0..count).map(|index| program.value(index).load(Ordering::Acquire));
    Ok(bits.map(Member::from_bits).collect::<Option<_>>().ok_or("no members")?)
}

/// As an observer, round by round.
fn rounds(program: &Program, argument: &str) -> Tried<()> {
    let is_agent: bool = argument == "agent";
    if is_agent {
        program.roster.agent()?;
    }
    program.add(At::Ready);
    for round in 1.. {
        program.until(At::Round, round)?;
        let members = victims(program)?;
        program.add(At::Acknowledged);
        if let Err(error) = program.until_dead(&members) {
            eprintln!("round {round}: {error}");
            program.add(At::Failed);
        }
        program.add(At::Done);
    }
    Ok(())
}

/// Sleeps until the word `Go` moves. The one that acts then says so, the other is to be killed first.
fn sleeper(program: &Program, argument: &str) -> Tried<()> {
    program.add(At::Ready);
    let deaths = program.roster.deaths();
    let wait =
        Wait { word: program.word(At::Go), expected: 0, deaths, owner: None, deadline: None };
    let woken = program.roster.wait(&wait)?;
    if argument == "dies" {
        program.add(At::Acknowledged);
        forever();
    }
    match woken {
        Woken::Changed | Woken::Death => program.add(At::Done),
        _ => program.add(At::Failed),
    }
    forever();
}

/// A thread that is an agent and ends, in order and otherwise, while the process lives on.
fn agent(program: &Program) -> Tried<()> {
    for turn in 0..super::ENDS {
        std::thread::scope(|scope| {
            scope.spawn(move || {
                write_agent(program).unwrap();
                program.add(At::Round);
                program.until(At::Go, turn + 1).unwrap();
                if turn == 2 {
                    // Without any destructor, while the process lives on.
                    super::end_this_thread();
                }
            });
            if turn == 2 {
                forever();
            }
        });
    }
    forever();
}

/// Waits for the agents that come up, one after another.
fn waiter(program: &Program) -> Tried<()> {
    program.add(At::Ready);
    for turn in 1..=super::ENDS {
        program.until(At::Round, turn)?;
        let agent = read_agent(program)?;
        let deaths = program.roster.deaths();
        let word = program.word(At::Never);
        let wait = Wait { word, expected: 0, deaths, owner: Some(agent), deadline: None };
        program.add(At::Turn);
        let mut woken = program.roster.wait(&wait)?;
        while cfg!(sk_portable) && woken == Woken::Changed {
            // The life thread of another process has woken its own sleepers on this word.
            woken = program.roster.wait(&wait)?;
        }
        match woken {
            Woken::OwnerDied => program.add(At::Done),
            other => {
                eprintln!("{other:?} in place of the owner's death");
                program.add(At::Failed);
            }
        }
    }
    forever();
}

fn grower(program: &Program) -> Tried<()> {
    program.board.grow(40 << 20)?;
    Ok(())
}

fn leaver(program: &Program) -> Tried<()> {
    let me = program.roster.me();
    program.value(0).store(me.to_bits(), Ordering::Release);
    std::thread::scope(|scope| {
        scope.spawn(|| program.roster.agent().map(drop)).join().map_err(|_| "the thread panicked")
    })??;
    program.add(At::Ready);
    program.roster.leave();
    Ok(())
}

/// What a forked copy may do, and what the original still is.
fn forker(program: &Program) -> Tried<()> {
    let agent = program.roster.agent()?;
    let word = program.word(At::Done);
    let pid = super::fork();
    if pid == 0 {
        let is_right = (|| -> Tried<bool> {
            let copied =
                |error: Option<sk_share::Error>| error.is_some_and(|error| error.is_copied());
            let refused = copied(program.roster.members().err())
                && copied(program.roster.agent().err())
                && copied(program.roster.is_dead(agent).err())
                && copied(program.board.grow(1 << 17).err());
            let deaths = program.roster.deaths();
            let wait = Wait { word, expected: 0, deaths, owner: None, deadline: None };
            let refused = refused && copied(program.roster.wait(&wait).err());
            // Numbers still act, dropping does nothing, and the copy may join on its own.
            word.fetch_add(1, Ordering::Release);
            drop(program.roster.clone());
            program.roster.leave();
            let own = Roster::join(program.roster.as_fd().try_clone_to_owned()?)?;
            let is_other = own.me() != program.roster.me() && own.agent()? != agent;
            Ok(refused && is_other && own.members()?.contains(&program.roster.me()))
        })();
        super::end_this_process(if matches!(is_right, Ok(true)) { 0 } else { 1 });
    }
    let pid = rustix::process::Pid::from_raw(pid).ok_or("no copy was made")?;
    let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())?;
    let is_right = status.is_some_and(|(_, status)| status.exit_status() == Some(0));
    let lives = !program.roster.is_dead(agent)?
        && !program.roster.is_member_dead(program.roster.me())?
        && program.roster.agent()? == agent;
    if is_right && lives && program.get(At::Done) == 1 {
        Ok(())
    } else {
        Err(format!("copy: {is_right}, original: {lives}").into())
    }
}

/// Everybody watches two of all, and one of the two is this one perhaps.
fn pairs(program: &Program) -> Tried<()> {
    let index = usize::try_from(program.word(At::Turn).fetch_add(1, Ordering::AcqRel))?;
    program.value(index).store(program.roster.me().to_bits(), Ordering::Release);
    program.add(At::Ready);
    program.until(At::Round, 1)?;
    let bits = [0, 1].map(|value| program.value(1000 + value).load(Ordering::Acquire));
    let members: Option<Vec<Member>> = bits.into_iter().map(Member::from_bits).collect();
    let members = members.ok_or("no members")?;
    program.add(At::Acknowledged);
    if members.contains(&program.roster.me()) {
        forever();
    }
    let result = program.until_dead(&members);
    program.add(if result.is_ok() { At::Done } else { At::Failed });
    result?;
    forever();
}

/// How a file of a region, or a pipe or handle of its life thread, is shown.
fn is_ours(shown: &str) -> bool {
    if cfg!(sk_portable) {
        let temporary = std::env::temp_dir();
        let is_unnamed =
            shown.contains(&*temporary.to_string_lossy()) && shown.contains("(deleted)");
        is_unnamed || shown.starts_with("pipe:") || shown.contains("pidfd")
    } else {
        shown.contains("memfd:sk-share")
    }
}

/// A process that dropped everything has no descriptor, no mapping and no thread of ours.
fn nothing_left() -> Tried<()> {
    let count = || -> Tried<[usize; 3]> {
        let entries = |path: &str| Ok::<_, std::io::Error>(std::fs::read_dir(path)?.flatten());
        let files = entries("/proc/self/fd")?
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .filter(|target| is_ours(&target.to_string_lossy()))
            .count();
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let maps = maps.lines().filter(|line| is_ours(line)).count();
        let threads = entries("/proc/self/task")?
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok())
            .filter(|name| name.starts_with("sk-"))
            .count();
        Ok([files, maps, threads])
    };
    // A file for each region; the life thread, or two of them with a pipe between.
    let [pipe, threads_of_one] = if cfg!(sk_portable) { [2, 2] } else { [0, 1] };
    // What it inherited from the parent stays.
    let [files, maps, threads] = count()?;
    let roster = Roster::create()?;
    let region = Region::create(KIND, 1 << 20, Some(roster.id()))?;
    let there = roster.clone();
    std::thread::spawn(move || there.agent().map(drop)).join().map_err(|_| "it panicked")??;
    if count()? != [files + 2 + pipe, maps + 2, threads + threads_of_one] {
        return Err(format!("before: {:?}", count()?).into());
    }
    drop((roster, region));
    // A thread that was joined may be listed for a moment more.
    for _ in 0..1_000_000 {
        if count()? == [files, maps, threads] {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err(format!("after: {:?}", count()?).into())
}

/// Limits of this process are met as errors, and what was there stays usable.
fn limited(program: &Program) -> Tried<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let with =
        |resource, limit: u64, test: &dyn Fn() -> Option<sk_share::Error>| -> Tried<String> {
            let before = getrlimit(resource);
            setrlimit(resource, Rlimit { current: Some(limit), ..before })?;
            let error = test();
            setrlimit(resource, before)?;
            let error = error.ok_or("no error")?;
            if error.is_limit() { Ok(error.to_string()) } else { Err(error.into()) }
        };
    let board = &program.board;
    board.write(5000, b"kept")?;
    let error = with(Resource::Fsize, 1 << 20, &|| board.grow(2 << 20).err())?;
    if !error.contains("1048576") || !error.contains("RLIMIT_FSIZE") {
        return Err(error.into());
    }
    if cfg!(sk_portable) {
        // Nothing is reserved there: what counts is what is mapped.
        let text = std::fs::read_to_string("/proc/self/statm")?;
        let pages: u64 = text.split_whitespace().next().ok_or("no size")?.parse()?;
        let limit = (pages << 12) + (4 << 20);
        let error = with(Resource::As, limit, &|| board.grow(20 << 20).err())?;
        if !error.contains("RLIMIT_AS") {
            return Err(error.into());
        }
    } else {
        with(Resource::As, 1 << 30, &|| Region::create(KIND, 8 << 30, None).err())?;
    }
    with(Resource::Nofile, 3, &|| Region::create(KIND, 4096, None).err())?;
    let mut kept = [0; 4];
    board.read(5000, &mut kept)?;
    if kept != *b"kept" || board.grow(20 << 20)? != 20 << 20 {
        return Err("something was lost".into());
    }
    Ok(())
}

fn write_agent(program: &Program) -> Tried<()> {
    let agent = program.roster.agent()?;
    let bits = u64::from(agent.generation()) << 32 | u64::from(agent.slot());
    program.value(0).store(bits, Ordering::Release);
    Ok(())
}

pub(crate) fn read_agent(program: &Program) -> Tried<Agent> {
    let bits = program.value(0).load(Ordering::Acquire);
    let agent = Agent::from_parts(u16::try_from(bits & 0xffff)?, u32::try_from(bits >> 32)?);
    Ok(agent.ok_or("no agent")?)
}

/// One of its threads is an agent and calls exec.
fn executor(program: &Program, thread: &str) -> Tried<()> {
    let execute = || -> Tried<()> {
        write_agent(program)?;
        program.add(At::Ready);
        program.until(At::Go, 1)?;
        Err(Command::new("/proc/self/exe").env(CHILD, "stay").exec().into())
    };
    match thread {
        "first" => execute(),
        _ => std::thread::scope(|scope| scope.spawn(execute).join()).map_err(|_| "it panicked")?,
    }
}

/// A thread that is an agent still when its process is no member any more.
fn stayer(program: &Program) -> Tried<()> {
    std::thread::scope(|scope| {
        let (leave, may_leave) = std::sync::mpsc::channel();
        scope.spawn(move || {
            write_agent(program).unwrap();
            leave.send(()).unwrap();
            // Whoever has left cannot wait in the roster.
            while program.get(At::Go) < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        may_leave.recv()?;
        program.add(At::Ready);
        program.until(At::Go, 1)?;
        program.roster.leave();
        Tried::Ok(())
    })?;
    forever();
}

/// Joins and leaves, has agents that come and go, waits and wakes, as fast as it can.
fn churn(program: &Program) -> Tried<()> {
    let file = program.roster.as_fd().try_clone_to_owned()?;
    program.roster.leave();
    loop {
        let roster = Roster::join(file.try_clone()?)?;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    roster.agent().unwrap();
                    for _ in 0..4 {
                        let word = program.word(At::Turn);
                        let expected = word.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
                        sk_share::memory::wake_one(word);
                        let deadline = Some(Instant::now() + Duration::from_micros(50));
                        let deaths = roster.deaths();
                        let wait = Wait { word, expected, deaths, owner: None, deadline };
                        roster.wait(&wait).unwrap();
                    }
                });
            }
        });
        program.add(At::Done);
    }
}
