//! Names: there or not and never half, whoever dies; and nothing is freed that somebody who lives holds.

mod damage;
mod table;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use sk_share::Error;
use sk_share::ground::{
    AgentRef, Arena, Attempt, Directory, Found, Ground, Lock, MOST_NAME, Objects, Offset, Open,
    Spec, wait_for,
};

use super::support::{Agent, Death, Fate, Memory, late, soon};

const SERIAL: u64 = 16;
const TO_FREE: u64 = 24;
const SEGMENTS: u64 = 64;
const PINS: u64 = 64;
const DIRECTORY: u64 = 0;
const ARENA: u64 = 4352;
const CHUNK: u64 = 1024;
const CHUNKS: u64 = 40;
const KIND: u32 = 1;
const SPEC: Spec<'_> = Spec { kind: KIND, fingerprint: 7, type_name: "Thing", bytes: 24 };

fn memory_of(chunks: u64) -> Arc<Memory> {
    let first = (ARENA + Arena::<Agent>::header_bytes(chunks)).next_multiple_of(CHUNK);
    let memory = Memory::new(first, first + chunks * CHUNK, 16);
    let maker = Agent::new(&memory, 15, Fate::Lives);
    Arena::create(&maker, ARENA, first, CHUNK, chunks).unwrap();
    memory.reused_from(first);
    memory
}

fn memory() -> Arc<Memory> {
    memory_of(CHUNKS)
}

fn bits(agent: &Agent) -> u64 {
    agent.me().unwrap().to_word()
}

/// Objects of two blocks each. A member is the agent of its row.
struct Things<'a> {
    agent: &'a Agent,
    arena: &'a Arena<'a, Agent>,
    /// A member of which only a thread has ended.
    lives_on: Option<u64>,
    woken: Cell<u32>,
    /// What is destroyed fails so often.
    fails: Cell<u32>,
}

impl Objects<Agent> for Things<'_> {
    fn destroy(&self, kind: u32, body: Offset) -> Result<(), Error> {
        assert_eq!(kind, KIND);
        if let Some(left) = self.fails.get().checked_sub(1) {
            self.fails.set(left);
            return Err(Error::full(1, 1));
        }
        for word in [body, body + 8] {
            self.arena.release(word, soon())?;
            self.agent.point("thing.released");
        }
        Ok(())
    }

    fn wake(&self, _: &Found) {
        self.woken.set(self.woken.get() + 1);
    }

    fn is_gone(&self, member: u64) -> bool {
        Some(member) != self.lives_on
            && AgentRef::from_word(member).is_none_or(|member| self.agent.is_dead(member))
    }
}

/// The names as one agent sees them.
#[derive(Clone, Copy)]
struct View<'a> {
    agent: &'a Agent,
    lives_on: Option<u64>,
    fails: u32,
}

fn view(agent: &Agent) -> View<'_> {
    View { agent, lives_on: None, fails: 0 }
}

impl View<'_> {
    fn try_with<R>(
        self,
        work: impl FnOnce(&Open<'_, '_, Agent, Things<'_>>, &Things<'_>) -> R,
    ) -> Result<R, Error> {
        let agent = self.agent;
        let arena = Arena::open(agent, ARENA)?;
        let things = Things {
            agent,
            arena: &arena,
            lives_on: self.lives_on,
            woken: Cell::new(0),
            fails: Cell::new(self.fails),
        };
        let row = u64::from(agent.me()?.index);
        let directory = Directory::at(agent, &arena, DIRECTORY, row)?;
        let open = directory.open(&things, soon())?;
        let result = work(&open, &things);
        // By hand: what a function returns is not dropped if a guard's drop unwinds.
        drop(open);
        Ok(result)
    }

    fn with<R>(self, work: impl FnOnce(&Open<'_, '_, Agent, Things<'_>>) -> R) -> R {
        self.try_with(|open, _| work(open)).unwrap()
    }

    fn attach(self) {
        self.with(|open| open.attach(bits(self.agent)).unwrap());
    }

    fn try_create(self, name: &str) -> Result<Found, Error> {
        self.try_with(|open, things| {
            if let Some(found) = open.find_as(name, &SPEC)? {
                return Ok(found);
            }
            open.reap()?;
            open.create(name, &SPEC, |found| fill(self.agent, things.arena, found))
        })?
    }

    fn create(self, name: &str) -> Found {
        self.try_create(name).unwrap()
    }

    fn find(self, name: &str) -> Option<Found> {
        self.with(|open| open.find(name).unwrap())
    }

    fn remove(self, name: &str) -> bool {
        self.with(|open| {
            let found = open.all().unwrap().into_iter().find(|(there, _)| there == name);
            found.is_some_and(|(_, found)| open.remove(&found).unwrap())
        })
    }

    fn reap(self) -> u64 {
        self.with(|open| open.reap().unwrap())
    }

    fn unpin(self, found: &Found) -> bool {
        let arena = Arena::open(self.agent, ARENA).unwrap();
        let row = u64::from(self.agent.me().unwrap().index);
        Directory::at(self.agent, &arena, DIRECTORY, row).unwrap().unpin(found).unwrap()
    }

    fn names(self) -> BTreeMap<String, Found> {
        self.with(|open| open.all().unwrap()).into_iter().collect()
    }

    /// The books agree with all that objects and the directory hold, and what is found is whole. Gives how many
    /// objects there are, named or not.
    fn check(self) -> usize {
        let (blocks, objects) = self.with(|open| {
            let (mut blocks, objects) = open.blocks().unwrap();
            for found in &objects {
                assert_whole(self.agent, found);
                blocks.extend([0, 8].map(|at| load(self.agent, found.body + at)));
            }
            for (name, found) in open.all().unwrap() {
                assert_eq!(open.names_of(&found).unwrap(), (name, "Thing".to_owned()));
                assert!(objects.contains(&found));
            }
            (blocks, objects)
        });
        let account = Arena::open(self.agent, ARENA).unwrap().check(soon()).unwrap();
        assert_eq!(account.against(&blocks), Vec::<String>::new());
        assert!(account.reserved.is_empty());
        objects.len()
    }
}

fn load(agent: &Agent, at: u64) -> u64 {
    agent.u64(at).unwrap().load(Ordering::SeqCst)
}

fn store(agent: &Agent, at: u64, value: u64) {
    agent.u64(at).unwrap().store(value, Ordering::SeqCst);
}

/// The content of an object is its serial, everywhere.
fn fill(agent: &Agent, arena: &Arena<'_, Agent>, found: &Found) -> Result<(), Error> {
    for (at, bytes) in [(0, 40), (8, 200)] {
        let reservation = arena.exchange(found.body + at, bytes, soon())?;
        agent.u64(reservation.block())?.store(found.serial, Ordering::SeqCst);
        reservation.link()?;
        agent.point("thing.half");
    }
    agent.u64(found.body + 16)?.store(found.serial, Ordering::SeqCst);
    Ok(())
}

fn assert_whole(agent: &Agent, found: &Found) {
    assert_eq!(load(agent, found.body + 16), found.serial);
    for at in [0, 8] {
        assert_eq!(load(agent, load(agent, found.body + at)), found.serial);
    }
}

#[test]
fn a_name_is_made_found_removed_and_made_again() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let [one, two] = [view(&one), view(&two)];
    one.attach();
    two.attach();
    assert_eq!(two.find("a"), None);
    let first = one.create("a");
    assert_eq!(two.find("a"), Some(first));
    assert_eq!(two.create("a"), first);
    assert_eq!(one.names().into_iter().collect::<Vec<_>>(), [("a".to_owned(), first)]);
    assert!(two.remove("a"));
    assert!(!two.remove("a"));
    assert!(Directory::is_detached(one.agent, &first).unwrap());
    assert_eq!(one.find("a"), None);
    assert_eq!(one.reap(), 1);
    // Its number still finds it, as somebody holds it.
    let by_serial =
        |view: View<'_>, serial| view.with(|open| open.find_serial(first.index, serial).unwrap());
    assert_eq!(by_serial(two, first.serial), Some(first));
    assert_eq!(by_serial(two, first.serial + 1), None);
    assert_eq!(by_serial(two, 0), None);
    assert_eq!(two.with(|open| open.find_serial(1 << 40, 1).unwrap()), None);
    let second = two.create("a");
    assert_ne!(second.serial, first.serial);
    assert_eq!(one.check(), 2);
    assert!(!two.with(|open| open.remove(&Found { serial: 99, ..second }).unwrap()));
    // The last to give it back is told that there is something to be freed.
    assert!(one.unpin(&first));
    assert_eq!(one.reap(), 1);
    assert!(two.unpin(&first));
    assert_eq!(one.reap(), 0);
    assert_eq!(by_serial(one, first.serial), None);
    assert!(!two.unpin(&second));
    assert_eq!(one.check(), 1);
    // Nobody holds it, but it has a name.
    assert_eq!(one.find("a"), Some(second));
}

#[test]
fn what_has_another_type_is_told_and_not_held() {
    let memory = memory();
    let agents = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let [one, two] = agents.each_ref().map(view);
    one.attach();
    two.attach();
    let found = one.create("a");
    for other in [Spec { kind: 2, ..SPEC }, Spec { fingerprint: 8, type_name: "Other", ..SPEC }] {
        let error = two.with(|open| open.find_as("a", &other)).unwrap_err();
        assert!(error.is_other_type());
        let text = error.to_string();
        assert!(text.contains("Thing") && text.contains(other.type_name), "{text}");
    }
    // `two` has no handle of it, so it is freed when `one` has none.
    one.remove("a");
    assert!(one.unpin(&found));
    assert_eq!(one.reap(), 0);
    assert_eq!(one.check(), 0);
}

#[test]
fn names_of_all_lengths_are_names() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let view = view(&agent);
    view.attach();
    let longest = "ä".repeat(MOST_NAME / 2);
    for name in ["", "1234567", "12345678", &longest] {
        let found = view.create(name);
        assert_eq!(view.find(name), Some(found));
        view.check();
        assert!(view.remove(name));
        view.unpin(&found);
    }
    assert!(view.try_create(&"x".repeat(MOST_NAME + 1)).unwrap_err().is_limit());
    let none = Spec { kind: KIND, fingerprint: 0, type_name: "", bytes: 0 };
    let most = Spec { bytes: u64::MAX, ..none };
    let error = view.with(|open| open.create("most", &most, |_| Ok(()))).unwrap_err();
    assert!(error.is_limit());
    assert_eq!(view.reap(), 0);
    assert_eq!(view.check(), 0);
    let found = view.with(|open| open.create("", &none, |_| Ok(()))).unwrap();
    assert_eq!(view.find(""), Some(found));
    let long_type = "t".repeat(MOST_NAME * 2);
    let long = Spec { type_name: &long_type, ..none };
    let found = view.with(|open| open.create("long", &long, |_| Ok(()))).unwrap();
    let (_, type_name) = view.with(|open| open.names_of(&found)).unwrap();
    assert!(long_type.starts_with(&type_name) && type_name.len() >= 1000);
}

#[test]
fn more_names_than_one_segment_has_come_and_go() {
    let memory = memory_of(200);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let view = view(&agent);
    view.attach();
    for round in 0..3 {
        let all: Vec<_> =
            (0..100).map(|number| view.create(&format!("{round} {number}"))).collect();
        let indices: BTreeSet<_> = all.iter().map(|found| found.index).collect();
        assert_eq!(indices, (0..100).collect());
        assert_eq!(view.check(), 100);
        view.with(|open| {
            for (_, found) in open.all().unwrap() {
                assert!(open.remove(&found).unwrap());
            }
            assert_eq!(open.reap().unwrap(), 100);
        });
        for found in &all {
            view.unpin(found);
        }
        assert_eq!(view.reap(), 0);
        assert_eq!(view.check(), 0);
    }
    assert_eq!(load(&agent, SERIAL), 300);
}

#[test]
fn an_arena_that_is_full_leaves_no_half_object() {
    for chunks in 1..10 {
        let memory = memory_of(chunks);
        let agent = Agent::new(&memory, 0, Fate::Lives);
        let view = view(&agent);
        view.attach();
        let mut made = 0;
        let error = loop {
            match view.try_create(&format!("{made}")) {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(error.is_limit(), "{error}");
        assert_eq!(view.check(), made);
        assert_eq!(load(&agent, TO_FREE), 0);
        if made > 0 {
            let found = view.find("0").unwrap();
            view.remove("0");
            view.unpin(&found);
            view.create("again");
            assert_eq!(view.check(), made);
        }
    }
}

/// What cannot be destroyed at once is not forgotten, and keeps nothing else from being freed.
#[test]
fn what_could_not_be_freed_is_freed_the_next_time() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let whole = view(&agent);
    whole.attach();
    let failing = View { fails: 1, ..whole };
    let make = failing.try_with(|open, things| {
        open.create("a", &SPEC, |found| {
            fill(&agent, things.arena, found)?;
            Err(Error::damaged_at("the content", 1, 1))
        })
    });
    assert!(make.unwrap().unwrap_err().is_damaged());
    assert_eq!(whole.find("a"), None);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        whole.with(|open| open.create("a", &SPEC, |_| panic!("as a caller may")))
    }));
    assert!(panicked.is_err());
    for name in ["b", "c"] {
        let found = whole.create(name);
        whole.remove(name);
        whole.unpin(&found);
    }
    let reaped = View { fails: 1, ..whole }.try_with(|open, _| open.reap()).unwrap();
    assert!(reaped.unwrap_err().is_limit());
    assert_eq!(load(&agent, TO_FREE), 1);
    assert_eq!(whole.reap(), 0);
    assert_eq!(whole.check(), 0);
}

/// The pins of the dead do not count, and whoever comes into their row has none of them.
#[test]
fn pins_are_those_of_members_who_live() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    view(&one).attach();
    view(&two).attach();
    let [a, b] = ["a", "b"].map(|name| view(&one).create(name));
    for name in ["a", "b"] {
        view(&two).find(name).unwrap();
    }
    view(&two).remove("a");
    one.end();
    // The row is taken by one who never attaches here: the bits are still those of the dead.
    let next = Agent::next(&memory, 0, Fate::Lives);
    assert_eq!(view(&two).reap(), 1);
    view(&two).unpin(&a);
    assert_eq!(view(&two).reap(), 0);
    assert_eq!(load(&two, b.block + PINS), 3);
    view(&next).attach();
    view(&next).attach();
    assert_eq!(load(&two, b.block + PINS), 2);
    view(&two).remove("b");
    view(&two).unpin(&b);
    assert_eq!(view(&next).reap(), 0);
    assert_eq!(view(&next).check(), 0);
    let arena = Arena::open(&two, ARENA).unwrap();
    assert!(Directory::at(&two, &arena, DIRECTORY, 512).is_err_and(|error| error.is_damaged()));
}

#[test]
fn whoever_waits_for_a_name_is_told() {
    for point in [None, Some("directory.created"), Some("count.noticed")] {
        let memory = memory();
        let waiter = Agent::new(&memory, 0, Fate::Lives);
        view(&waiter).attach();
        thread::scope(|scope| {
            scope.spawn(|| {
                while memory.asleep() == 0 {
                    thread::yield_now();
                }
                let fate = point.map_or(Fate::Lives, |point| Fate::AtPoint(point, 0));
                let maker = Agent::new(&memory, 1, fate);
                maker.run(|maker| view(maker).create("a"));
            });
            let found = wait_for(&waiter, "the name was there", late(), || {
                let arena = Arena::open(&waiter, ARENA)?;
                let directory = Directory::at(&waiter, &arena, DIRECTORY, 0)?;
                // A maker that has not finished has the lock for a while.
                let look = || view(&waiter).try_with(|open, _| open.find("a"));
                let attempt = directory.look_for(|| look().or_else(patient(look))?)?;
                Ok(match attempt {
                    Attempt::Done(found) => Attempt::Done(found),
                    Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                })
            });
            assert_eq!(found.unwrap().serial, 1);
        });
    }
}

type Looked = Result<Result<Option<Found>, Error>, Error>;

/// Once more, as a maker may have the lock for longer than `soon` on a busy machine.
fn patient(look: impl Fn() -> Looked) -> impl FnOnce(Error) -> Looked {
    move |mut error| {
        for _ in 0..500 {
            assert!(error.is_timeout(), "{error}");
            match look() {
                Ok(found) => return Ok(found),
                Err(next) => error = next,
            }
        }
        Err(error)
    }
}

/// Where all deaths begin. `a` is held by 1, who lives, and by one who died; `b` by nobody; `c` is removed and held
/// by 1; `d` is removed and held by one who died.
struct Scene {
    memory: Arc<Memory>,
    other: Agent,
    held: [Found; 2],
}

fn scene() -> Scene {
    let memory = memory();
    let other = Agent::new(&memory, 1, Fate::Lives);
    let gone = Agent::new(&memory, 0, Fate::Lives);
    view(&other).attach();
    view(&gone).attach();
    let [a, _, c, _] = ["a", "b", "c", "d"].map(|name| view(&gone).create(name));
    for name in ["a", "c"] {
        view(&other).find(name).unwrap();
    }
    for name in ["c", "d"] {
        view(&other).remove(name);
    }
    gone.end();
    Scene { memory, other, held: [a, c] }
}

/// All that an agent can do: it has the row of the dead one.
fn all_of_it(agent: &Agent) {
    let view = view(agent);
    view.attach();
    let a = view.find("a").unwrap();
    let e = view.create("e");
    view.try_with(|open, things| {
        let make = |found: &_| {
            fill(agent, things.arena, found)?;
            Err(Error::damaged_at("the content", 1, 1))
        };
        open.create("f", &SPEC, make).unwrap_err();
    })
    .unwrap();
    view.remove("b");
    view.reap();
    view.remove("e");
    if view.unpin(&e) {
        view.reap();
    }
    view.remove("a");
    view.unpin(&a);
    view.create("a");
}

/// Has an agent do all of it and die, then another one, who repairs, and looks at what they left.
fn kill(first: Fate, second: Fate, death: Death) -> (bool, Agent, Agent) {
    let Scene { memory, other, held } = scene();
    let dying = Agent::next(&memory, 0, first).ending(death);
    let lived = dying.run(all_of_it).is_some();
    let lives_on = (death == Death::Thread).then(|| bits(&dying));
    let repairing = Agent::new(&memory, 2, second);
    repairing.run(|agent| {
        let view = View { lives_on, ..view(agent) };
        let names = view.try_with(|open, _| {
            open.attach(bits(agent)).unwrap();
            open.reap().unwrap();
            open.all().unwrap()
        });
        if death != Death::Stopped {
            names.unwrap();
        }
    });
    // What is held by a living one is as it was, whatever became of its name.
    for found in &held {
        assert_whole(&other, found);
    }
    if death == Death::Stopped && !lived {
        // It waits for the stopped one or not, and never longer than it wants to.
        let error = View { lives_on, ..view(&other) }.try_with(|_, _| ()).err();
        assert!(error.is_none_or(|error| error.is_timeout()));
        Agent::next(&memory, 0, Fate::Lives);
    }
    let view = View { lives_on, ..view(&other) };
    for found in &held {
        let again = view.with(|open| open.find_serial(found.index, found.serial).unwrap());
        assert_eq!(again, Some(*found));
    }
    view.reap();
    view.check();
    let names = view.names();
    let is_there = |name| names.contains_key(name);
    assert!(names.keys().all(|name| ["a", "b", "e"].contains(&name.as_str())), "{names:?}");
    assert!(!lived || is_there("a") && !is_there("b") && !is_there("e"));
    // The old one, or none after it was removed, or a new one.
    assert!(is_there("a") || !is_there("b"));
    for (name, found) in &names {
        assert!(!Directory::is_detached(&other, found).unwrap(), "{name}");
    }
    for found in &held {
        let is_named = names.values().any(|named| named == found);
        assert_eq!(Directory::is_detached(&other, found).unwrap(), !is_named);
    }
    // The next one can do everything.
    let third = Agent::new(&memory, 3, Fate::Lives);
    let next = View { agent: &third, ..view };
    next.attach();
    let new: Vec<_> = ["a", "b", "x"].map(|name| next.create(name)).into();
    next.check();
    next.with(|open| {
        for (_, found) in open.all().unwrap() {
            assert!(open.remove(&found).unwrap());
        }
    });
    for found in &new {
        next.unpin(found);
    }
    for found in &held {
        view.unpin(found);
    }
    let left = View { lives_on: None, ..next };
    if !lived {
        assert_eq!(left.reap(), 0);
        assert_eq!(left.check(), 0);
        assert_eq!(load(&third, TO_FREE), 0);
    }
    (lived, dying, repairing)
}

#[test]
fn whoever_dies_at_any_step_leaves_names_that_are_there_or_not() {
    let (lived, whole, _) = kill(Fate::Lives, Fate::Lives, Death::Process);
    assert!(lived);
    let passed: Vec<_> =
        whole.points().into_iter().filter(|point| point.starts_with("directory")).collect();
    assert_eq!(passed, POINTS);
    for death in [Death::Process, Death::Thread, Death::Stopped] {
        // One who stopped keeps others waiting for some time.
        let apart = if death == Death::Stopped { 23 } else { 1 };
        for step in (0..whole.steps()).step_by(apart) {
            assert!(!kill(Fate::AtStep(step), Fate::Lives, death).0, "{step}");
        }
        for point in whole.points() {
            assert!(!kill(Fate::AtPoint(point, 0), Fate::Lives, death).0, "{point}");
        }
    }
}

const POINTS: [&str; 10] = [
    "directory.created",
    "directory.destroyed",
    "directory.detached",
    "directory.filled",
    "directory.linked",
    "directory.made",
    "directory.released",
    "directory.remove",
    "directory.told",
    "directory.unpinned",
];

/// Whoever repairs may die at each step of that.
#[test]
fn whoever_repairs_may_die_too() {
    for point in POINTS.into_iter().chain(["thing.half", "thing.released", "arena.link.linked"]) {
        let (_, _, second) = kill(Fate::AtPoint(point, 0), Fate::Lives, Death::Process);
        let is_repaired = second.points().contains(&"directory.repair");
        assert_eq!(is_repaired, point != "directory.unpinned", "{point}");
        for step in 0..second.steps() {
            kill(Fate::AtPoint(point, 0), Fate::AtStep(step), Death::Process);
        }
    }
}

/// The only one to be freed, in no count yet.
#[test]
fn what_was_removed_by_a_dead_one_is_counted_by_the_repair() {
    for point in ["directory.detached", "directory.told", "thing.half"] {
        let memory = memory();
        let agent = Agent::new(&memory, 0, Fate::Lives);
        view(&agent).attach();
        let found = view(&agent).create("a");
        view(&agent).unpin(&found);
        let dying = Agent::new(&memory, 1, Fate::AtPoint(point, 0));
        let died = dying.run(|dying| {
            view(dying).remove("a");
            view(dying).create("b");
        });
        assert!(died.is_none());
        assert_eq!(view(&agent).names().len(), 0);
        assert_eq!(view(&agent).check(), 0);
        assert_eq!(load(&agent, TO_FREE), 0);
    }
}

/// A repair is over when the names are whole. What cannot be freed then is left.
#[test]
fn a_repair_does_not_wait_for_what_cannot_be_freed() {
    let Scene { memory, other, .. } = scene();
    let dying = Agent::next(&memory, 0, Fate::AtPoint("thing.half", 0));
    assert!(dying.run(all_of_it).is_none());
    let stopped = Agent::new(&memory, 4, Fate::Lives);
    std::mem::forget(Lock::at(&stopped, ARENA).unwrap().lock().unwrap());
    assert_eq!(view(&other).names().len(), 2);
    assert_eq!(load(&other, TO_FREE), 2);
    stopped.end();
    assert_eq!(view(&other).reap(), 1);
    assert_eq!(view(&other).check(), 3);
}
