//! What both processes have, and the kinds of work that they do with it.

use std::hint::black_box;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sk_share::{
    Plain, Share, Shared, SharedEvent, SharedList, SharedMutex, SharedNumber, SharedQueue,
    SharedRwLock, SharedSemaphore, update_together,
};

use crate::measure::Done;
use crate::raw::{Large, Raw};

/// So long one repetition is.
const REPETITION: Duration = Duration::from_micros(2500);
/// After so many pieces of work somebody looks at the clock.
const BATCH: u64 = 512;
/// So many elements go through a queue, or onto a list, in one repetition.
pub(crate) const ELEMENTS: u64 = 4000;

/// What 64 bytes a plain value or an element has.
pub(crate) type Words = [u64; 8];

/// One that is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) count: u64,
    name: String,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Role {
    NumberAdd,
    RawAdd,
    Update,
    Get,
    MutexIncrement,
    UpdateEncoded,
    GetEncoded,
    Transaction,
    Mutex,
    Semaphore,
    Read,
    ListPush,
    ListPushAtMillion,
    ListPushText,
    MutexPush,
    QueuePush,
    QueuePop,
    QueuePushText,
    QueuePopText,
    QueueTryPush,
    QueueTryPop,
    Sleeper,
    WaitForMutex,
    WaitForUpdate,
    WaitForPthread,
}

impl Role {
    const ALL: [Role; 25] = [
        Role::NumberAdd,
        Role::RawAdd,
        Role::Update,
        Role::Get,
        Role::MutexIncrement,
        Role::UpdateEncoded,
        Role::GetEncoded,
        Role::Transaction,
        Role::Mutex,
        Role::Semaphore,
        Role::Read,
        Role::ListPush,
        Role::ListPushAtMillion,
        Role::ListPushText,
        Role::MutexPush,
        Role::QueuePush,
        Role::QueuePop,
        Role::QueuePushText,
        Role::QueuePopText,
        Role::QueueTryPush,
        Role::QueueTryPop,
        Role::Sleeper,
        Role::WaitForMutex,
        Role::WaitForUpdate,
        Role::WaitForPthread,
    ];

    pub(crate) fn of_number(number: u32) -> Role {
        *Role::ALL.iter().find(|role| **role as u32 == number).unwrap()
    }
}

/// The handles of one process.
pub(crate) struct Things {
    pub(crate) share: Share,
    pub(crate) raw: Raw,
    pub(crate) number: SharedNumber<u64>,
    pub(crate) plain: Shared<Words, Plain>,
    pub(crate) pair: [Shared<Words, Plain>; 2],
    pub(crate) record: Shared<Record>,
    pub(crate) mutex: SharedMutex,
    semaphore: SharedSemaphore,
    rwlock: SharedRwLock,
    pub(crate) list: SharedList<Words, Plain>,
    pub(crate) long: SharedList<Words, Plain>,
    pub(crate) texts: SharedList<String>,
    queue: SharedQueue<Words, Plain>,
    text_queue: SharedQueue<String>,
    /// For sleepers.
    pub(crate) bell: SharedNumber<u64>,
    pub(crate) event: SharedEvent,
}

impl Things {
    /// Those of this share, made by whoever comes first.
    pub(crate) fn of(share: Share, raw: Raw) -> Things {
        let zeros = Words::default();
        let record = Record { count: 0, name: "something that has a name".to_owned() };
        Things {
            raw,
            number: share.number("number", 0).unwrap(),
            plain: share.plain("plain", zeros).unwrap(),
            pair: ["one", "two"].map(|name| share.plain(name, zeros).unwrap()),
            record: share.value("record", record).unwrap(),
            mutex: share.mutex("mutex").unwrap(),
            semaphore: share.semaphore("semaphore", 2).unwrap(),
            rwlock: share.rwlock("rwlock").unwrap(),
            list: share.plain_list("list").unwrap(),
            long: share.plain_list("long").unwrap(),
            texts: share.list("texts").unwrap(),
            queue: share.plain_queue("queue", 1024).unwrap(),
            text_queue: share.queue("text queue", 1024).unwrap(),
            bell: share.number("bell", 0).unwrap(),
            event: share.event("event").unwrap(),
            share,
        }
    }

    /// Does this work: for a while, or until somebody says that it is enough.
    pub(crate) fn work(&self, role: Role, until: Until<'_>) -> Done {
        let lost = nanos_lost();
        let done = self.work_counted(role, until);
        Done { lost: nanos_lost() - lost, ..done }
    }

    fn work_counted(&self, role: Role, until: Until<'_>) -> Done {
        match role {
            Role::NumberAdd => until.repeat(|| _ = black_box(self.number.add(1))),
            Role::RawAdd => {
                let word = self.raw.large(Large::Counter);
                until.repeat(|| _ = black_box(word.fetch_add(1, SeqCst)))
            }
            Role::Update => until.repeat(|| self.plain.update(count).unwrap()),
            Role::Get => until.repeat(|| {
                // The checksum of the value needs all of its words.
                let [first, .., last] = self.plain.get().unwrap();
                assert_eq!(first * 3, last);
            }),
            Role::MutexIncrement => until.repeat(|| self.raw.increment()),
            Role::UpdateEncoded => {
                until.repeat(|| self.record.update(|record| record.count += 1).unwrap())
            }
            Role::GetEncoded => until.repeat(|| _ = black_box(self.record.get().unwrap())),
            Role::Transaction => {
                let [one, two] = &self.pair;
                until.repeat(|| {
                    update_together((one, two), |(one, two)| {
                        count(one);
                        count(two);
                    })
                    .unwrap();
                })
            }
            Role::Mutex => until.repeat(|| drop(self.mutex.lock().wait().unwrap())),
            Role::Semaphore => until.repeat(|| drop(self.semaphore.acquire(1).wait().unwrap())),
            Role::Read => until.repeat(|| drop(self.rwlock.read().wait().unwrap())),
            Role::ListPush => push(&self.list, &Words::default(), 10),
            Role::ListPushAtMillion => push(&self.long, &Words::default(), 1_000_000),
            Role::ListPushText => push(&self.texts, &text(), 10),
            Role::MutexPush => until.repeat(|| self.raw.push(black_box(&Words::default()))),
            Role::QueuePush => timed(|| {
                (0..ELEMENTS).for_each(|number| self.queue.push(&[number; 8]).wait().unwrap());
            }),
            Role::QueuePop => timed(|| {
                for number in 0..ELEMENTS {
                    assert_eq!(self.queue.pop().wait().unwrap(), [number; 8]);
                }
            }),
            Role::QueuePushText => timed(|| {
                let text = text();
                (0..ELEMENTS).for_each(|_| self.text_queue.push(&text).wait().unwrap());
            }),
            Role::QueuePopText => timed(|| {
                for _ in 0..ELEMENTS {
                    assert_eq!(self.text_queue.pop().wait().unwrap().len(), TEXT_BYTES);
                }
            }),
            Role::QueueTryPush => timed(|| {
                for number in 0..ELEMENTS {
                    while !self.queue.try_push(&[number; 8]).unwrap() {
                        std::hint::spin_loop();
                    }
                }
            }),
            Role::QueueTryPop => timed(|| {
                for number in 0..ELEMENTS {
                    let element = loop {
                        match self.queue.try_pop().unwrap() {
                            Some(element) => break element,
                            None => std::hint::spin_loop(),
                        }
                    };
                    assert_eq!(element, [number; 8]);
                }
            }),
            Role::Sleeper => crate::waking::sleep(self),
            Role::WaitForMutex | Role::WaitForUpdate | Role::WaitForPthread => {
                crate::deaths::wait(self, role)
            }
        }
    }
}

/// How long the calling thread could have run and had no processor, as far as the system tells.
fn nanos_lost() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// What an update of a plain value changes: the first and the last word, in a proportion that `Get` checks.
pub(crate) fn count(words: &mut Words) {
    words[0] += 1;
    words[7] += 3;
}

const TEXT_BYTES: usize = 50;

pub(crate) fn text() -> String {
    "t".repeat(TEXT_BYTES)
}

/// Pushes to a list of this length, which it has again afterwards; that part is not measured.
fn push<T: 'static, C: sk_share::Codec<T>>(
    list: &SharedList<T, C>,
    element: &T,
    length: u64,
) -> Done {
    let done = timed(|| {
        for index in 0..ELEMENTS {
            assert_eq!(list.push(element).unwrap(), length + index);
        }
    });
    list.truncate(length).unwrap();
    done
}

/// Work of [`ELEMENTS`] pieces.
fn timed(work: impl FnOnce()) -> Done {
    let begin = Instant::now();
    work();
    Done { count: ELEMENTS, nanos: nanos(begin.elapsed()), lost: 0 }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// How long work goes on.
#[derive(Clone, Copy)]
pub(crate) enum Until<'a> {
    /// For one repetition.
    TimeIsOver,
    /// Until the other process says so.
    Told(&'a AtomicU32),
}

impl Until<'_> {
    fn repeat(self, mut work: impl FnMut()) -> Done {
        let begin = Instant::now();
        let mut count = 0;
        loop {
            for _ in 0..BATCH {
                work();
            }
            count += BATCH;
            let is_over = match self {
                Until::TimeIsOver => begin.elapsed() >= REPETITION,
                Until::Told(word) => word.load(SeqCst) != 0,
            };
            if is_over {
                return Done { count, nanos: nanos(begin.elapsed()), lost: 0 };
            }
        }
    }
}
