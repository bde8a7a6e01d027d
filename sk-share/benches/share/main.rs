//! What shares cost beside the least that could do the same: an instruction on a mapped word, a robust mutex of the C
//! library in a mapping, a futex. Peers and limits run in the same run, in turn with what is held against them.
//!
//! "Contended" is two processes, each on a processor of its own, that do the same without rest.

mod deaths;
mod measure;
mod memory;
mod partner;
mod raw;
mod things;
mod waking;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use measure::{Group, Tally, metric};
use partner::Partner;
use raw::{Large, Raw};
use sk_share::Share;
use things::{Role, Things, Words};

fn main() {
    if let Some((kind, things)) = partner::received() {
        if kind == "partner" {
            Partner::main(&things);
        }
        deaths::hold(&things, &kind).expect("a child that holds something");
        return;
    }
    // Names of sections, or none for all.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |section: &str| wanted.is_empty() || wanted.iter().any(|it| it == section);
    // Before this thread is pinned: those that a share starts are not.
    if is_wanted("memory") {
        memory::show();
    }
    let things = Things::of(Share::new().unwrap(), Raw::create());
    let both = partner::processors();
    let [mine, other] = both;
    let partner = Partner::start(&things, other);
    partner::pin(&[mine]);
    let sections: [(&str, &dyn Fn()); 6] = [
        ("numbers", &|| numbers(&things, &partner)),
        ("values", &|| values(&things, &partner)),
        ("locks", &|| locks(&things, &partner)),
        ("collections", &|| collections(&things, &partner)),
        ("waking", &|| waking::compare(&things, &partner)),
        ("deaths", &|| {
            deaths::check_stopped_writer(&things, both);
            deaths::compare(&things, &partner, both);
        }),
    ];
    for (section, run) in sections {
        if is_wanted(section) {
            run();
        }
    }
}

fn done(tally: &Tally, role: Role) -> u64 {
    tally.get(&role).copied().unwrap_or(0)
}

fn numbers(things: &Things, partner: &Partner) {
    let tally = Group::default()
        .alone("number.raw.alone", Role::RawAdd)
        .alone("number.add.alone", Role::NumberAdd)
        .contended("number.raw.contended", Role::RawAdd)
        .contended("number.add.contended", Role::NumberAdd)
        .run(things, partner);
    assert_eq!(things.number.get(), done(&tally, Role::NumberAdd));
    assert_eq!(things.raw.large(Large::Counter).load(SeqCst), done(&tally, Role::RawAdd));
}

fn values(things: &Things, partner: &Partner) {
    let tally = Group::default()
        .alone("value.mutex.alone", Role::MutexIncrement)
        .alone("value.update.alone", Role::Update)
        .alone("value.get.alone", Role::Get)
        .alone("value.encoded.update", Role::UpdateEncoded)
        .alone("value.encoded.get", Role::GetEncoded)
        .alone("value.transaction_of_two", Role::Transaction)
        .contended("value.mutex.contended", Role::MutexIncrement)
        .contended("value.update.contended", Role::Update)
        .under("value.get.under_a_writer", Role::Get, Role::Update)
        .run(things, partner);
    let updates = done(&tally, Role::Update);
    assert_eq!(things.plain.get().unwrap(), [updates, 0, 0, 0, 0, 0, 0, 3 * updates]);
    assert_eq!(things.raw.guarded(), done(&tally, Role::MutexIncrement));
    assert_eq!(things.record.get().unwrap().count, done(&tally, Role::UpdateEncoded));
    for value in &things.pair {
        assert_eq!(value.get().unwrap()[0], done(&tally, Role::Transaction));
    }
}

fn locks(things: &Things, partner: &Partner) {
    let before = things.raw.guarded();
    let tally = Group::default()
        .alone("lock.pthread.alone", Role::MutexIncrement)
        .alone("lock.mutex.alone", Role::Mutex)
        .alone("lock.semaphore.alone", Role::Semaphore)
        .alone("lock.rwlock_read.alone", Role::Read)
        .contended("lock.pthread.contended", Role::MutexIncrement)
        .contended("lock.mutex.contended", Role::Mutex)
        .contended("lock.semaphore.contended", Role::Semaphore)
        .contended("lock.rwlock_read.contended", Role::Read)
        .run(things, partner);
    assert_eq!(things.raw.guarded() - before, done(&tally, Role::MutexIncrement));
}

fn collections(things: &Things, partner: &Partner) {
    let begin = Instant::now();
    for _ in 0..1_000_000 {
        things.long.push(&Words::default()).unwrap();
    }
    metric("list.push.growing_to_a_million", things::nanos(begin.elapsed()) as f64 / 1e6, "ns");
    things.list.extend(&[Words::default(); 10]).unwrap();
    things.texts.extend(&vec![things::text(); 10]).unwrap();
    let before = things.raw.guarded();
    let tally = Group::default()
        .alone("list.mutex_and_copy", Role::MutexPush)
        .alone("list.push.at_ten", Role::ListPush)
        .alone("list.push.at_a_million", Role::ListPushAtMillion)
        .alone("list.push.text", Role::ListPushText)
        .contended("queue.mutex_and_copy", Role::MutexPush)
        .through("queue.push_pop", Role::QueuePush, Role::QueuePop)
        .through("queue.try_push_pop", Role::QueueTryPush, Role::QueueTryPop)
        .through("queue.push_pop.text", Role::QueuePushText, Role::QueuePopText)
        .run(things, partner);
    assert_eq!(things.raw.guarded() - before, done(&tally, Role::MutexPush));
    assert_eq!(things.list.len().unwrap(), 10);
    assert_eq!(things.long.len().unwrap(), 1_000_000);
}
