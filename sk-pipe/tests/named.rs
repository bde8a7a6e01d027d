//! Pipes by name between processes that have nothing in common, and what is left when they are killed.
//!
//! The same program is parent and child. A child gets nothing from its parent but a name.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use sk_pipe::share::{Share, Shared};
use sk_pipe::{Anchor, Connector, Error, Listener, Point, connect, connect_with, pair};

const ROLE: &str = "SK_PIPE_TEST_ROLE";
const NAME: &str = "SK_PIPE_TEST_NAME";

/// Whatever takes longer hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

const KEY: &[u8] = b"a key of these tests";

type Tried<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return child(&role);
    }
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn() -> Tried<()>| {
        let test = move || test().map_err(|error| Failed::from(error.to_string()));
        trials.push(Trial::test(name, test));
    };
    add("programs_that_have_only_a_name_connect", programs_that_have_only_a_name_connect);
    add(
        "a_thread_uses_a_pipe_of_others_and_its_own_share",
        a_thread_uses_a_pipe_of_others_and_its_own_share,
    );
    add("the_death_of_who_connected_is_noticed", the_death_of_who_connected_is_noticed);
    add("the_name_of_a_killed_listener_is_free", the_name_of_a_killed_listener_is_free);
    add(
        "who_is_killed_while_it_connects_harms_nobody",
        who_is_killed_while_it_connects_harms_nobody,
    );
    add(
        "a_listener_killed_at_any_time_lets_nobody_hang",
        a_listener_killed_at_any_time_lets_nobody_hang,
    );
    add(
        "another_user_is_let_in_only_where_that_was_said",
        another_user_is_let_in_only_where_that_was_said,
    );
    add("a_name_is_free_while_others_start_children", a_name_is_free_while_others_start_children);
    add(
        "a_limit_of_descriptors_is_an_error_on_this_side_only",
        a_limit_of_descriptors_is_an_error_on_this_side_only,
    );
    add("a_connection_leaves_nothing_behind", a_connection_leaves_nothing_behind);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A name that nobody else has, and a path.
fn names(what: &str) -> [String; 2] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sk-pipe-named-{}-{what}-{number}", std::process::id());
    let path = std::env::temp_dir().join(&name);
    [name, path.display().to_string()]
}

/// A child process, which is gone when this is.
struct Kid(Child);

impl Kid {
    fn start(role: &str, name: &str) -> Tried<Kid> {
        Kid::spawn(role, name, &mut Command::new("/proc/self/exe"))
    }

    fn spawn(role: &str, name: &str, command: &mut Command) -> Tried<Kid> {
        let command = command.env(ROLE, role).env(NAME, name).stdin(Stdio::null());
        Ok(Kid(command.spawn()?))
    }

    fn kill(mut self) -> Tried<()> {
        self.0.kill()?;
        let status = self.0.wait()?;
        if status.signal() == Some(9) { Ok(()) } else { Err(format!("it {status}").into()) }
    }

    fn succeeded(mut self) -> Tried<()> {
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it {status}").into()) }
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn child(role: &str) -> ExitCode {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    std::thread::spawn(|| {
        std::thread::park_timeout(WATCHDOG);
        eprintln!("a child hangs");
        std::process::abort();
    });
    let name = std::env::var(NAME).unwrap();
    let result = match role {
        "asks" => asks(&name, false),
        "asks with pipes of its own" => asks(&name, true),
        "stays" => stays(&name, false),
        "stays with pipes of its own" => stays(&name, true),
        "has a share" => has_a_share(&name),
        "has few descriptors" => has_few_descriptors(&name),
        "listens" => listens(&name),
        "connects" => connects(&name),
        "is another user" => is_another_user(&name),
        "leaves nothing" => leaves_nothing(&name),
        other => Err(format!("no role {other}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A pipe within this process, which is a member of a program of its own from then on.
fn own_pipe() -> Tried<(Anchor<u32, u32>, Point<u32, u32>)> {
    let (mut anchor, mut point) = pair::<u32, u32>()?;
    anchor.send(&1).wait()?;
    assert_eq!(point.recv().wait()?, 1);
    Ok((anchor, point))
}

fn asks(name: &str, has_own: bool) -> Tried<()> {
    let own = if has_own { Some(own_pipe()?) } else { None };
    let mut point = connect::<u32, u32>(name).timeout(WATCHDOG).wait()?;
    let number = point.recv_timeout(WATCHDOG)?;
    point.send(&(number + 1)).wait()?;
    // The ones of its own go on to work, and so do new ones.
    if let Some((mut anchor, mut own)) = own {
        own.send(&2).wait()?;
        assert_eq!(anchor.recv().wait()?, 2);
    }
    own_pipe()?;
    let end = futures::executor::block_on(point.recv()).unwrap_err();
    if end.is_closed() { Ok(()) } else { Err(end.into()) }
}

/// Rows: PIPE-35
fn programs_that_have_only_a_name_connect() -> Tried<()> {
    for name in names("programs") {
        let mut listener = Listener::<u32, u32>::bind(&name)?;
        let kids = ["asks", "asks with pipes of its own"];
        let kids = kids.into_iter().cycle().take(6).map(|role| Kid::start(role, &name));
        let kids = kids.collect::<Tried<Vec<Kid>>>()?;
        // All at a time.
        let mut anchors = Vec::new();
        for number in 0..6 {
            let mut anchor = listener.accept_timeout(WATCHDOG)?;
            anchor.send(&number).wait()?;
            anchors.push(anchor);
        }
        for (anchor, number) in anchors.iter_mut().zip(0..) {
            assert_eq!(anchor.recv_timeout(WATCHDOG)?, number + 1);
        }
        drop(anchors);
        for kid in kids {
            kid.succeeded()?;
        }
    }
    Ok(())
}

fn has_a_share(name: &str) -> Tried<()> {
    let share = Share::new()?;
    let value = share.value("value", 0_u32)?;
    let talk = |mut point: Point<u32, u32>, value: &Shared<u32>, is_first: bool| -> Tried<()> {
        for _ in 0..2 {
            if is_first {
                value.update(|value| *value += 1)?;
            }
            let number = point.recv_timeout(WATCHDOG)?;
            point.send(&(number + 1)).wait()?;
            value.update(|value| *value += 1)?;
        }
        Ok(())
    };
    for is_first in [false, true] {
        // A thread that has used nothing yet.
        let point = connect::<u32, u32>(name).timeout(WATCHDOG).wait()?;
        let value = value.clone();
        let talking = std::thread::spawn(move || talk(point, &value, is_first));
        talking.join().map_err(|_| "a panic")??;
    }
    assert_eq!(value.get()?, 6);
    Ok(())
}

/// Rows: PIPE-35
fn a_thread_uses_a_pipe_of_others_and_its_own_share() -> Tried<()> {
    let [name, _] = names("share");
    let mut listener = Listener::<u32, u32>::bind(&name)?;
    let kid = Kid::start("has a share", &name)?;
    for _ in 0..2 {
        let mut anchor = listener.accept_timeout(WATCHDOG)?;
        for number in 0..2 {
            // It sleeps before each.
            std::thread::sleep(Duration::from_millis(5));
            anchor.send(&number).wait()?;
            assert_eq!(anchor.recv_timeout(WATCHDOG)?, number + 1);
        }
    }
    kid.succeeded()
}

fn stays(name: &str, has_own: bool) -> Tried<()> {
    let _own = if has_own { Some(own_pipe()?) } else { None };
    let mut point = connect::<u32, u32>(name).timeout(WATCHDOG).wait()?;
    point.send(&7).wait()?;
    loop {
        std::thread::park();
    }
}

/// Rows: PIPE-35
fn the_death_of_who_connected_is_noticed() -> Tried<()> {
    let [name, _] = names("death");
    let mut listener = Listener::<u32, u32>::bind(&name)?;
    for role in ["stays", "stays with pipes of its own"] {
        for is_task in [false, true] {
            let kid = Kid::start(role, &name)?;
            let process = kid.0.id();
            let mut anchor = listener.accept_timeout(WATCHDOG)?;
            let waiting = std::thread::spawn(move || {
                let first = anchor.recv_timeout(WATCHDOG);
                let receiving = anchor.recv().timeout(WATCHDOG);
                let end =
                    if is_task { futures::executor::block_on(receiving) } else { receiving.wait() };
                (first, end)
            });
            // It may be killed before, while or after that one waits.
            std::thread::sleep(Duration::from_millis(30));
            kid.kill()?;
            let (first, end) = waiting.join().map_err(|_| "a panic")?;
            let end = end.unwrap_err();
            assert!(end.is_disconnected(), "{end}");
            assert_eq!(end.process(), Some(process));
            // What it had sent came, unless it was killed before.
            assert!(first.is_ok_and(|first| first == 7));
        }
    }
    Ok(())
}

fn listens(name: &str) -> Tried<()> {
    let mut listener = Listener::<u32, u32>::builder(name).key(KEY).bind()?;
    let mut anchors = Vec::new();
    loop {
        let mut anchor = listener.accept().wait()?;
        // Some hang up at once.
        if anchor.send(&7).wait().is_ok() {
            anchors.push(anchor);
        }
    }
}

/// Connects as soon as somebody listens.
fn connect_soon(name: &str) -> Result<Point<u32, u32>, Error> {
    let deadline = Instant::now() + WATCHDOG;
    loop {
        let connected = connect_with::<u32, u32>(name, KEY).timeout(WATCHDOG).wait();
        match connected {
            Err(error) if error.is_not_found() && Instant::now() < deadline => {
                std::thread::yield_now();
            }
            connected => return connected,
        }
    }
}

/// Rows: PIPE-35
fn the_name_of_a_killed_listener_is_free() -> Tried<()> {
    let own = own_pipe()?;
    let [name, path] = names("killed");
    for name in [&name, &path] {
        for is_task in [false, true] {
            // The next one takes over what the one before has left.
            let kid = Kid::start("listens", name)?;
            let process = kid.0.id();
            let mut point = connect_soon(name)?;
            assert_eq!(point.recv_timeout(WATCHDOG)?, 7);
            assert!(Listener::<u32, u32>::bind(name).unwrap_err().is_name_in_use());
            kid.kill()?;
            let receiving = point.recv().timeout(WATCHDOG);
            let end =
                if is_task { futures::executor::block_on(receiving) } else { receiving.wait() };
            let end = end.unwrap_err();
            assert!(end.is_disconnected(), "{end}");
            assert_eq!(end.process(), Some(process));
            assert!(connect::<u32, u32>(name).wait().unwrap_err().is_not_found());
        }
    }
    assert!(PathBuf::from(&path).exists());
    drop(Listener::<u32, u32>::bind(&path)?);
    assert!(!PathBuf::from(&path).exists());
    assert!(!PathBuf::from(format!("{path}.lock")).exists());
    drop(own);
    Ok(())
}

fn connects(name: &str) -> Tried<()> {
    loop {
        drop(connect_with::<u32, u32>(name, KEY).timeout(WATCHDOG).wait()?);
    }
}

/// Rows: PIPE-35, PIPE-36
fn who_is_killed_while_it_connects_harms_nobody() -> Tried<()> {
    let [name, _] = names("connecting");
    let mut listener = Listener::<u32, u32>::builder(&name).key(KEY).bind()?;
    for round in 0..20_u32 {
        let kids = (0..2).map(|_| Kid::start("connects", &name)).collect::<Tried<Vec<_>>>()?;
        let mut accepted = 0;
        while accepted < round * 3 {
            drop(listener.accept_timeout(WATCHDOG)?);
            accepted += 1;
        }
        let killing =
            std::thread::spawn(move || -> Tried<()> { kids.into_iter().try_for_each(Kid::kill) });
        while !killing.is_finished() {
            match listener.accept().timeout(Duration::from_millis(1)).wait() {
                Ok(anchor) => drop(anchor),
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.into()),
            }
        }
        killing.join().map_err(|_| "a panic")??;
        // Those who were at the door when they died, and one who lives.
        let living = connect_with::<u32, u32>(&name, KEY).timeout(WATCHDOG).background();
        let mut last = loop {
            let mut anchor = listener.accept_timeout(WATCHDOG)?;
            if anchor.send(&round).wait().is_ok()
                && let Err(error) = anchor.recv().timeout(Duration::from_millis(20)).wait()
                && error.is_timeout()
            {
                break anchor;
            }
        };
        let mut point = living.wait()?;
        assert_eq!(point.recv_timeout(WATCHDOG)?, round);
        point.send(&9).wait()?;
        assert_eq!(last.recv_timeout(WATCHDOG)?, 9);
    }
    Ok(())
}

/// Rows: PIPE-35, PIPE-36
fn a_listener_killed_at_any_time_lets_nobody_hang() -> Tried<()> {
    let [name, path] = names("listening");
    for round in 0..20_u64 {
        let name = if round % 2 == 0 { &name } else { &path };
        let kid = Kid::start("listens", name)?;
        drop(connect_soon(name)?);
        let calling = (0..4).map(|_| {
            let name = name.clone();
            std::thread::spawn(move || {
                let mut pipes = 0;
                loop {
                    let connected = connect_with::<u32, u32>(&name, KEY).timeout(WATCHDOG).wait();
                    match connected.and_then(|mut point| point.recv().timeout(WATCHDOG).wait()) {
                        Ok(_) => pipes += 1,
                        Err(error) => return (pipes, error),
                    }
                }
            })
        });
        let calling: Vec<_> = calling.collect();
        std::thread::sleep(Duration::from_millis(round * 2));
        kid.kill()?;
        for call in calling {
            let (_, error) = call.join().map_err(|_| "a panic")?;
            assert!(error.is_not_found() || error.is_disconnected(), "{error} {error:?}");
        }
    }
    drop(Listener::<u32, u32>::bind(&path)?);
    Ok(())
}

/// Connects with one descriptor more each time, until there are enough.
fn has_few_descriptors(name: &str) -> Tried<()> {
    let _own = own_pipe()?;
    let most = getrlimit(Resource::Nofile);
    let set = |current: u64| setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..most });
    let open = || Ok::<_, std::io::Error>(std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1);
    let before = open()?;
    for spare in 0..40 {
        set(before + spare)?;
        let connected = connect_with::<u32, u32>(name, KEY).wait();
        set(before + 100)?;
        match connected {
            Ok(mut point) => {
                assert_eq!(point.recv_timeout(WATCHDOG)?, 7);
                assert!(spare > 3, "{spare}");
                return Ok(());
            }
            Err(error) => assert!(error.is_limit(), "{spare}: {error}"),
        }
        // What had been joined is left by a thread.
        let deadline = Instant::now() + WATCHDOG / 2;
        while open()? > before && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(open()?, before, "{spare}");
    }
    Err("it was never enough".into())
}

/// Rows: PIPE-35
fn a_limit_of_descriptors_is_an_error_on_this_side_only() -> Tried<()> {
    let [name, _] = names("limit");
    let mut listener = Listener::<u32, u32>::builder(&name).key(KEY).bind()?;
    let kid = Kid::start("has few descriptors", &name)?;
    let mut anchor = listener.accept_timeout(WATCHDOG)?;
    anchor.send(&7).wait()?;
    assert!(anchor.recv_timeout(WATCHDOG).unwrap_err().is_closed());
    kid.succeeded()
}

/// A child has all that its parent has open, until it calls `exec`.
///
/// Rows: PIPE-35
fn a_name_is_free_while_others_start_children() -> Tried<()> {
    let starting = std::thread::spawn(|| -> Tried<()> {
        for _ in 0..100 {
            Command::new("/bin/true").uid(rustix::process::geteuid().as_raw()).status()?;
        }
        Ok(())
    });
    let names = names("free");
    while !starting.is_finished() {
        for name in &names {
            drop(Listener::<u32, u32>::bind(name)?);
            assert!(connect::<u32, u32>(name).wait().unwrap_err().is_not_found());
        }
    }
    starting.join().map_err(|_| "a panic")?
}

const NOBODY: u32 = 65_534;

fn is_another_user(name: &str) -> Tried<()> {
    // This side looks too.
    let error = connect::<u32, u32>(name).timeout(WATCHDOG).wait().unwrap_err();
    assert!(error.is_denied(), "{error}");
    let connecting = Connector::new(name).any_user().connect::<u32, u32>();
    let mut point = connecting.timeout(WATCHDOG).wait()?;
    assert_eq!(point.recv_timeout(WATCHDOG)?, 7);
    point.send(&8).wait()?;
    let end = point.recv_timeout(WATCHDOG).unwrap_err();
    if end.is_closed() { Ok(()) } else { Err(end.into()) }
}

/// Rows: PIPE-36
fn another_user_is_let_in_only_where_that_was_said() -> Tried<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tried: only root can start a process of another user");
        return Ok(());
    }
    let [name, path] = names("user");
    let start = |name: &str| {
        let mut command = Command::new("/proc/self/exe");
        Kid::spawn("is another user", name, command.uid(NOBODY).gid(NOBODY))
    };
    let mut listener = Listener::<u32, u32>::bind(&name)?;
    let kid = start(&name)?;
    let error = loop {
        // The first time it hangs up by itself, maybe before it is seen.
        let error = listener.accept_timeout(WATCHDOG).map(|_| ()).unwrap_err();
        if error.process() == Some(kid.0.id()) {
            break error;
        }
    };
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("user 65534"), "{error}");
    drop(kid);
    drop(listener);
    for name in [&name, &path] {
        let mut listener = Listener::<u32, u32>::builder(name).any_user().bind()?;
        let kid = start(name)?;
        let mut anchor = listener.accept_timeout(WATCHDOG)?;
        anchor.send(&7).wait()?;
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, 8);
        drop(anchor);
        kid.succeeded()?;
    }
    Ok(())
}

/// Alone in its process, so that its files and mappings can be counted.
fn leaves_nothing(name: &str) -> Tried<()> {
    let count = || -> Tried<(usize, usize)> {
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let files = std::fs::read_dir("/proc/self/fd")?.count();
        Ok((files, maps.lines().filter(|line| line.contains("sk-")).count()))
    };
    let use_one = || -> Tried<()> {
        let mut listener = Listener::<u32, u32>::builder(name).key(KEY).bind()?;
        let wrong = connect::<u32, u32>(name).background();
        assert!(listener.accept().wait().is_err());
        assert!(wrong.wait().is_err());
        let late =
            connect_with::<u32, u32>(name, KEY).timeout(Duration::from_millis(1)).background();
        assert!(late.wait().is_err());
        let connecting = connect_with::<u32, u32>(name, KEY).background();
        let mut anchor = futures::executor::block_on(listener.accept())?;
        anchor.send(&7).wait()?;
        assert_eq!(connecting.wait()?.recv().wait()?, 7);
        Ok(())
    };
    let _own = own_pipe()?;
    use_one()?;
    let before = count()?;
    for _ in 0..20 {
        use_one()?;
    }
    // A kept thread lets go of its socket a moment after the outcome.
    let deadline = Instant::now() + WATCHDOG / 2;
    let mut after = count()?;
    while after > before && Instant::now() < deadline {
        std::thread::yield_now();
        after = count()?;
    }
    assert!(after.0 <= before.0 && after.1 <= before.1, "{after:?} after {before:?}");
    Ok(())
}

/// Rows: PIPE-35
fn a_connection_leaves_nothing_behind() -> Tried<()> {
    for name in names("nothing") {
        Kid::start("leaves nothing", &name)?.succeeded()?;
        assert!(!PathBuf::from(name).exists());
    }
    Ok(())
}
