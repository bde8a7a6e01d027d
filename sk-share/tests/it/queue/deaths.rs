//! A death at every step and every named point of every operation.

use super::*;

/// What a queue was and would be, and one who dies in between.
fn die(before: &[Step], step: &Step, fate: Fate, death: Death) -> Option<Agent> {
    const CAPACITY: u64 = 4;
    let memory = memory(CAPACITY);
    let other = Agent::new(&memory, 1, Fate::Lives);
    let mut model = Model::default();
    for step in before {
        run(&other, step).unwrap();
        model.apply(step, CAPACITY);
    }
    let mut after = model.clone();
    after.apply(step, CAPACITY);
    // So that somebody is to be woken.
    for at in [76, 204] {
        other.u32(at).unwrap().fetch_or(1, Ordering::SeqCst);
    }
    let agent = Agent::new(&memory, 0, fate).ending(death);
    let lived = agent.run(|agent| run(agent, step).unwrap()).is_some();
    let found = len(&other);
    let may_be = [(!lived, model), (true, after)]
        .into_iter()
        .filter(|(may_be, state)| *may_be && state.seen.len() as u64 == found)
        .map(|(_, state)| state);
    let may_be: Vec<_> = may_be.collect();
    assert!(!may_be.is_empty(), "{step:?} {fate:?} {found}");
    if death == Death::Stopped {
        return lived.then_some(agent);
    }
    check(&other);
    let found = [Step::Publish, Step::Publish].map(|step| {
        let found = pop_all(&other);
        run(&other, &step).unwrap();
        found
    });
    let is_it = |state: &Model| [&state.seen, &state.pending] == [&found[0], &found[1]];
    assert!(may_be.iter().any(is_it), "{step:?} {fate:?} {found:?}");
    // All room is there again.
    for seed in 0..4 {
        assert!(push(&other, &element(seed)), "{step:?} {fate:?}");
    }
    assert!(!push(&other, &[1]));
    check(&other);
    assert_eq!(pop_all(&other), (0..4).map(element).collect::<VecDeque<_>>());
    assert_eq!(check(&other), 1);
    push(&other, &[1; 30]);
    destroy(&other);
    lived.then_some(agent)
}

fn scenes() -> Vec<(Vec<Step>, Step)> {
    let long = || Step::Push(vec![1; 40]);
    let short = || Step::Push(vec![2; 4]);
    let pending = || Step::Pending(vec![3; 50]);
    vec![
        (vec![short()], Step::Push(vec![5; 9])),
        (vec![short()], Step::Push(vec![5; 90])),
        (vec![short(), long(), long(), Step::Pop, Step::Pop, short()], Step::Push(vec![5; 60])),
        (vec![short(), long()], Step::Pop),
        (vec![long(), short()], Step::Pop),
        (vec![long(), short()], Step::Peek),
        (vec![], Step::Pop),
        (vec![long(), pending()], Step::Pending(vec![4; 60])),
        (vec![long(), pending()], Step::Pending(vec![4; 6])),
        (vec![long(), pending()], Step::Push(vec![4; 6])),
        (vec![long(), pending(), pending()], Step::Publish),
        (vec![long(), long(), long(), long()], Step::Push(vec![5; 9])),
    ]
}

#[test]
fn whoever_dies_or_stops_at_any_step_leaves_the_queue_before_or_after() {
    let mut passed = BTreeSet::new();
    for (before, step) in scenes() {
        let whole = die(&before, &step, Fate::Lives, Death::Process).unwrap();
        passed.extend(whole.points());
        for death in [Death::Process, Death::Thread, Death::Stopped] {
            for point in whole.points() {
                assert!(die(&before, &step, Fate::AtPoint(point, 0), death).is_none(), "{point}");
            }
            for number in 0..whole.steps() {
                assert!(die(&before, &step, Fate::AtStep(number), death).is_none());
            }
        }
    }
    let passed: Vec<_> = passed.into_iter().filter(|point| point.starts_with("queue")).collect();
    assert_eq!(
        passed,
        [
            "queue.pop.committed",
            "queue.pop.copied",
            "queue.pop.freed",
            "queue.pop.released",
            "queue.publish.begin",
            "queue.publish.committed",
            "queue.push.appended",
            "queue.push.committed",
            "queue.push.filled",
            "queue.push.written",
        ]
    );
}

/// One dies in the middle, then whoever comes next, at each of its steps.
#[test]
fn whoever_dies_in_the_place_of_another_is_followed_by_a_third() {
    let mut passed = BTreeSet::new();
    for point in ["queue.pop.committed", "queue.pop.released", "arena.link.linked"] {
        for next in [Step::Pop, Step::Push(vec![6; 5]), Step::Push(vec![6; 70])] {
            let scene = |fate: Fate| {
                let memory = memory(4);
                let third = Agent::new(&memory, 2, Fate::Lives);
                let count = if point == "arena.link.linked" { 3 } else { 4 };
                for number in 0..count {
                    push(&third, &[number; 30]);
                }
                let first = Agent::new(&memory, 0, Fate::AtPoint(point, 0));
                let step = if count == 3 { Step::Push(vec![9; 30]) } else { Step::Pop };
                assert!(first.run(|agent| run(agent, &step).unwrap()).is_none());
                let before = len(&third);
                let second = Agent::new(&memory, 1, fate);
                let lived = second.run(|agent| run(agent, &next).unwrap()).is_some();
                let after = len(&third);
                assert!(after.abs_diff(before) <= 1 && (!lived || after != before));
                check(&third);
                let popped = pop_all(&third);
                assert_eq!(popped.len() as u64, after);
                let numbers: Vec<_> = popped.iter().map(|bytes| bytes[0]).collect();
                assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
                check(&third);
                for seed in 0..4 {
                    assert!(push(&third, &element(seed)));
                }
                destroy(&third);
                lived.then_some(second)
            };
            let whole = scene(Fate::Lives).unwrap();
            passed.extend(whole.points());
            for number in 0..whole.steps() {
                assert!(scene(Fate::AtStep(number)).is_none());
            }
        }
    }
    assert!(passed.contains("queue.trim.released"));
}

#[test]
fn whoever_dies_while_it_makes_or_destroys_a_queue_leaves_what_can_be_destroyed() {
    let mut passed = BTreeSet::new();
    let scene = |is_made: bool, fate: Fate| {
        let memory = if is_made { memory(4) } else { empty() };
        let other = Agent::new(&memory, 1, Fate::Lives);
        if is_made {
            for seed in 0..4 {
                push(&other, &element(seed));
            }
            pop(&other);
            with(&other, |queue| queue.push_pending(&[1; 50], soon()).unwrap());
        }
        let agent = Agent::new(&memory, 0, fate);
        let lived = agent.run(|agent| {
            let arena = Arena::open(agent, AT).unwrap();
            if is_made {
                with(agent, |queue| queue.destroy(soon()).unwrap());
            } else {
                Queue::create(agent, 0, &arena, INLINE, 4, soon()).unwrap();
            }
        });
        let arena = Arena::open(&other, AT).unwrap();
        match Queue::at(&other, 0, &arena) {
            Ok(_) => {
                check(&other);
                destroy(&other);
            }
            Err(error) => assert!(error.is_damaged() && !is_made),
        }
        assert!(arena.check(soon()).unwrap().used.is_empty());
        lived.map(|()| agent)
    };
    for is_made in [false, true] {
        let whole = scene(is_made, Fate::Lives).unwrap();
        passed.extend(whole.points());
        for number in 0..whole.steps() {
            assert!(scene(is_made, Fate::AtStep(number)).is_none());
        }
    }
    for point in [
        "queue.create.described",
        "queue.create.linked",
        "queue.destroy.begin",
        "queue.destroy.freed",
        "queue.destroy.done",
    ] {
        assert!(passed.contains(point), "{point}");
    }
}
