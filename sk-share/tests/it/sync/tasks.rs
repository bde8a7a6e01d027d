//! The same looks, driven by futures: a thread sleeps for each, and some are dropped on the way.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Scope, Thread};

use sk_share::ground::{Attempt, Ground, Lease, Semaphore, Waiting, Woken, wake_another};

use super::super::support::{Agent, Fate, late};
use super::{AT, memory};

/// A sleep that a thread has in place of a task.
#[derive(Default)]
struct Slept {
    is_gone: AtomicBool,
    is_over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Permits for the process.
struct Acquire<'s, 'e> {
    agent: &'s Agent,
    semaphore: &'s Semaphore<'s, Agent>,
    count: u32,
    waiting: Waiting,
    slept: Option<Arc<Slept>>,
    is_done: bool,
    scope: &'s Scope<'s, 'e>,
}

impl Future for Acquire<'_, '_> {
    type Output = Lease;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Lease> {
        let task = &mut *self;
        if let Some(slept) = &task.slept {
            *slept.waker.lock().unwrap() = Some(context.waker().clone());
            if !slept.is_over.load(SeqCst) {
                return Poll::Pending;
            }
        }
        let process = task.agent.my_process().unwrap();
        match task.semaphore.attempt(process, task.count, &mut task.waiting).unwrap() {
            Attempt::Done(lease) => {
                task.is_done = true;
                Poll::Ready(lease)
            }
            Attempt::Sleep(sleep) => {
                let slept = Arc::new(Slept::default());
                *slept.waker.lock().unwrap() = Some(context.waker().clone());
                task.slept = Some(Arc::clone(&slept));
                let agent = task.agent;
                task.scope.spawn(move || {
                    assert_eq!(
                        agent.wait(&sleep, late()).unwrap(),
                        Woken::Look,
                        "a wake-up was lost"
                    );
                    if slept.is_gone.load(SeqCst) {
                        wake_another(agent, &sleep).unwrap();
                    }
                    slept.is_over.store(true, SeqCst);
                    if let Some(waker) = slept.waker.lock().unwrap().take() {
                        waker.wake();
                    }
                });
                Poll::Pending
            }
        }
    }
}

impl Drop for Acquire<'_, '_> {
    fn drop(&mut self) {
        if !self.is_done {
            if let Some(slept) = &self.slept {
                slept.is_gone.store(true, SeqCst);
            }
            let process = self.agent.my_process().unwrap();
            self.semaphore.pass_on(process, &mut self.waiting).unwrap();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until it is done, or so often.
fn drive<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    for poll in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if poll + 1 < polls {
            thread::park();
        }
    }
    None
}

#[test]
fn tasks_that_are_dropped_while_they_wait_take_nothing_with_them() {
    for _ in 0..10 {
        tasks_come_and_go();
    }
}

fn tasks_come_and_go() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let semaphore = Semaphore::create(&agent, AT, 2).unwrap();
    let (held, running) = (AtomicI64::new(0), AtomicI64::new(4));
    let last = Agent::new(&memory, 1, Fate::Lives);
    thread::scope(|scope| {
        for number in 0..4_u32 {
            let (agent, semaphore, held, running) = (&agent, &semaphore, &held, &running);
            let (last, process) = (&last, agent.my_process().unwrap());
            scope.spawn(move || {
                for round in 0..60 {
                    let count = (number + round) % 2 + 1;
                    let (waiting, slept) = (Waiting::default(), None);
                    let task =
                        Acquire { agent, semaphore, count, waiting, slept, is_done: false, scope };
                    // Two of three are given up after some polls, if they are not done by then.
                    let polls = [1, 2, u32::MAX][(round % 3) as usize];
                    let Some(lease) = drive(task, polls) else { continue };
                    assert!(held.fetch_add(count.into(), SeqCst) + i64::from(count) <= 2);
                    thread::yield_now();
                    held.fetch_sub(count.into(), SeqCst);
                    semaphore.give_back(process, lease).unwrap();
                }
                if running.fetch_sub(1, SeqCst) == 1 {
                    drop(Semaphore::at(last, AT).unwrap().acquire_until(2, late()).unwrap());
                    // Threads that still sleep for tasks that are gone.
                    last.end();
                }
            });
        }
    });
    assert_eq!(semaphore.available().unwrap(), 2);
}
