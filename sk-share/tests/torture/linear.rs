//! Random histories of three processes, compared with one after another.
//!
//! Each process notes when a call began and when it had returned, by one count for all. A history is linear if its calls
//! can be put in an order in which no call comes before one that had returned when it began, and in which each gives
//! what it gives if all happen one after another.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sk_share::{Share, Shared, SharedList, SharedNumber, SharedQueue, inherit};

use super::program::{Kid, Tried, spawn};

const PROCESSES: usize = 3;
const CALLS: u64 = 8;

/// What is called, and what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Call {
    Get(u32),
    Set(u32),
    /// Adds to the value, and gives what it was.
    Update(u32, u32),
    Push(u32),
    Pop(Option<u32>),
    Enqueue(u32, bool),
    Dequeue(Option<u32>),
    Add(u32, u32),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Event {
    began: u64,
    returned: u64,
    call: Call,
}

/// One after another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Model {
    value: u32,
    number: u32,
    list: Vec<u32>,
    queue: std::collections::VecDeque<u32>,
}

const CAPACITY: usize = 2;

impl Model {
    /// Whether the call can give this now; if so, what comes of it.
    fn after(&self, call: Call) -> Option<Model> {
        let mut next = self.clone();
        let fits = match call {
            Call::Get(found) => self.value == found,
            Call::Set(value) => {
                next.value = value;
                true
            }
            Call::Update(by, before) => {
                next.value = self.value.wrapping_add(by);
                self.value == before
            }
            Call::Push(element) => {
                next.list.push(element);
                true
            }
            Call::Pop(found) => next.list.pop() == found,
            Call::Enqueue(element, is_pushed) => {
                if is_pushed {
                    next.queue.push_back(element);
                }
                is_pushed == (self.queue.len() < CAPACITY)
            }
            Call::Dequeue(found) => next.queue.pop_front() == found,
            Call::Add(by, sum) => {
                next.number = self.number.wrapping_add(by);
                next.number == sum
            }
        };
        fits.then_some(next)
    }
}

/// Whether there is such an order. `left` has the calls of each process that are still to be put.
fn is_linear(model: &Model, left: &[&[Event]], refuted: &mut HashSet<(Model, Vec<usize>)>) -> bool {
    if left.iter().all(|events| events.is_empty()) {
        return true;
    }
    let lengths = left.iter().map(|events| events.len()).collect();
    if !refuted.insert((model.clone(), lengths)) {
        return false;
    }
    let first_return = left.iter().filter_map(|events| events.first()).map(|event| event.returned);
    let first_return = first_return.min().unwrap_or(u64::MAX);
    (0..left.len()).any(|process| {
        let Some((event, rest)) = left[process].split_first() else { return false };
        if event.began > first_return {
            return false;
        }
        let Some(next) = model.after(event.call) else { return false };
        let mut left = left.to_vec();
        left[process] = rest;
        is_linear(&next, &left, refuted)
    })
}

/// What all work on.
struct Board {
    clock: SharedNumber<u64>,
    value: Shared<u32>,
    number: SharedNumber<u32>,
    list: SharedList<u32>,
    queue: SharedQueue<u32>,
    ready: SharedNumber<u64>,
    looked_at: SharedNumber<u64>,
}

impl Board {
    fn of(share: &Share) -> Tried<Board> {
        Ok(Board {
            clock: share.number("clock", 0)?,
            value: share.value("value", 0)?,
            number: share.number("number", 0)?,
            list: share.list("list")?,
            queue: share.queue("queue", CAPACITY as u64)?,
            ready: share.number("ready", 0)?,
            looked_at: share.number("looked at", 0)?,
        })
    }

    fn call(&self, which: u64, element: u32) -> Tried<Call> {
        Ok(match which % 8 {
            0 => Call::Get(self.value.get()?),
            1 => {
                self.value.set(&element)?;
                Call::Set(element)
            }
            2 => Call::Update(
                element,
                self.value.update(|value| {
                    let before = *value;
                    *value = value.wrapping_add(element);
                    before
                })?,
            ),
            3 => {
                self.list.push(&element)?;
                Call::Push(element)
            }
            4 => Call::Pop(self.list.pop()?),
            5 => Call::Enqueue(element, self.queue.try_push(&element)?),
            6 => Call::Dequeue(self.queue.try_pop()?),
            _ => Call::Add(element, self.number.add(element)),
        })
    }
}

/// Numbers that look random and are the same each time.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// One of the processes: its calls of each round, all begun at once.
pub(crate) fn lives() -> Tried<()> {
    let (share, process, rounds): (Share, u64, u64) = inherit::receive()?;
    let board = Board::of(&share)?;
    let mut state = process + 1;
    for round in 0..rounds {
        let mut events = Vec::new();
        // Awake and at once, or there is nothing to be interleaved.
        board.ready.add(1);
        while board.ready.get() < (round + 1) * (PROCESSES as u64 + 1) {
            std::hint::spin_loop();
        }
        for _ in 0..CALLS {
            let (which, element) = (next(&mut state), u32::try_from(next(&mut state) % 1000)?);
            let began = board.clock.add(1);
            // On a machine with few processors calls are at once only if somebody stands aside.
            if next(&mut state).is_multiple_of(3) {
                std::thread::yield_now();
            }
            let call = board.call(which, element)?;
            events.push(Event { began, returned: board.clock.add(1), call });
        }
        share.put(&format!("history {process}"), &(round, events))?;
        board.looked_at.wait_until(move |looked_at| looked_at > round).wait()?;
    }
    Ok(())
}

/// Rows: SHA-07
pub(crate) fn of_three_processes() -> Tried<()> {
    let rounds = 300;
    let share = Share::new()?;
    let board = Board::of(&share)?;
    let kids = (0..PROCESSES as u64)
        .map(|process| spawn("lives", &(share.clone(), process, rounds)))
        .collect::<Tried<Vec<Kid>>>()?;
    let mut model = Model::default();
    let mut mixed = 0;
    for round in 0..rounds {
        let all = (round + 1) * (PROCESSES as u64 + 1);
        board
            .ready
            .wait_until(move |ready| ready >= all - 1)
            .timeout(super::program::WATCHDOG)
            .wait()?;
        board.ready.add(1);
        let mut histories = Vec::new();
        for process in 0..PROCESSES {
            let history =
                share.value(&format!("history {process}"), (u64::MAX, Vec::<Event>::new()))?;
            let wait = history.wait_until(move |(of, _)| *of == round);
            histories.push(wait.timeout(super::program::WATCHDOG).wait()?.1);
        }
        let left: Vec<&[Event]> = histories.iter().map(Vec::as_slice).collect();
        let starts = model.clone();
        assert!(
            is_linear(&starts, &left, &mut HashSet::new()),
            "from {starts:?} no order explains {histories:#?}"
        );
        let overlap =
            |one: &Event, two: &Event| one.began < two.returned && two.began < one.returned;
        let [first, second, ..] = &histories[..] else { return Err("two histories".into()) };
        mixed += u64::from(first.iter().any(|one| second.iter().any(|two| overlap(one, two))));
        model = Model {
            value: board.value.get()?,
            number: board.number.get(),
            list: board.list.to_vec()?,
            queue: drained(&board)?,
        };
        board.looked_at.add(1);
    }
    for kid in kids {
        kid.succeeded()?;
    }
    assert!(mixed > rounds / 20, "{mixed} of {rounds} rounds were mixed");
    println!("{mixed} of {rounds} histories had calls at once");
    Ok(())
}

/// What is in the queue, which is as it was.
fn drained(board: &Board) -> Tried<std::collections::VecDeque<u32>> {
    let mut all = std::collections::VecDeque::new();
    while let Some(element) = board.queue.try_pop()? {
        all.push_back(element);
    }
    for element in &all {
        board.queue.try_push(element)?;
    }
    Ok(all)
}
