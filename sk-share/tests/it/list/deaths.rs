//! A death at every step and every named point of every operation.

use super::*;

/// A scene before, the step that somebody dies in, and how it dies.
fn die(before: &[Step], step: &Step, fate: Fate, death: Death) -> Option<Agent> {
    let memory = memory();
    let other = Agent::new(&memory, 1, Fate::Lives);
    let mut model = Model::default();
    for step in before {
        run(&other, step).unwrap();
        model.apply(step);
    }
    let mut after = model.clone();
    after.apply(step);
    let seen = with(&other, |list| list.version().unwrap());
    // So that somebody is to be woken.
    let attempt = with(&other, |list| list.look_for_change(seen).unwrap());
    assert!(matches!(attempt, Attempt::Sleep(_)));
    let agent = Agent::new(&memory, 0, fate).ending(death);
    let lived = agent.run(|agent| run(agent, step).unwrap()).is_some();
    // Without waiting for anybody.
    let found = all(&other);
    let is_after = found == after.seen;
    assert!(is_after || !lived && found == model.seen, "{step:?} {fate:?} {found:?}");
    if model.seen != after.seen {
        // Whoever watches sees a change as soon as a reader does.
        let version = with(&other, |list| list.version().unwrap());
        assert!(!is_after || version != seen, "{step:?} {fate:?}");
    }
    if death != Death::Stopped {
        check(&other);
        assert_eq!(all(&other), found, "{step:?} {fate:?}");
        // What is pending is all there or not at all.
        let options = [(&model, !lived && found == model.seen), (&after, found == after.seen)];
        let options = options.map(|(state, may_be)| {
            let mut state = state.clone();
            state.apply(&Step::Publish);
            may_be.then_some(state.seen)
        });
        run(&other, &Step::Publish).unwrap();
        let found = all(&other);
        assert!(options.contains(&Some(found.clone())), "{step:?} {fate:?} {found:?}");
        run(&other, &Step::Push(vec![9; 30])).unwrap();
        assert_eq!(all(&other)[..found.len()], found);
        run(&other, &Step::Set(0, vec![8; 2])).unwrap();
        let rest = all(&other).into_iter().skip(1);
        assert!(rest.zip(found.iter().skip(1)).all(|(now, before)| now == *before));
        run(&other, &Step::Pop).unwrap();
        check(&other);
        destroy(&other);
    }
    lived.then_some(agent)
}

fn scenes() -> Vec<(Vec<Step>, Step)> {
    let some = |count: usize| vec![Step::Extend((0..count).map(element_of).collect())];
    let mut pending = some(3);
    pending.push(Step::Pending(vec![vec![1; 5], vec![2; 50]]));
    vec![
        (some(3), Step::Push(vec![5; 10])),
        (some(3), Step::Push(vec![5; 60])),
        // With another segment.
        (some(8), Step::Push(vec![5; 10])),
        (some(6), Step::Extend(vec![vec![1], vec![2; 40], vec![3; 90], vec![4; 2]])),
        (some(3), Step::Pop),
        (some(4), Step::Pop),
        (some(9), Step::Pop),
        (some(26), Step::Truncate(2)),
        (some(9), Step::Clear),
        (some(3), Step::Set(1, vec![7; 12])),
        (some(3), Step::Set(1, vec![7; 60])),
        (some(3), Step::Set(2, vec![7; 12])),
        (some(3), Step::Set(2, vec![7; 41])),
        (some(3), Step::Update(0, 3)),
        (some(3), Step::Pending(vec![vec![7; 41], vec![1]])),
        (pending.clone(), Step::Publish),
        (pending.clone(), Step::Push(vec![1; 3])),
        (pending.clone(), Step::Pending(vec![vec![1; 3]])),
        (pending, Step::Set(1, vec![3; 3])),
    ]
}

#[test]
fn whoever_dies_or_stops_at_any_step_leaves_the_list_before_or_after() {
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
    let passed: Vec<_> = passed.into_iter().filter(|point| point.starts_with("list")).collect();
    assert_eq!(
        passed,
        [
            "list.link.begin",
            "list.link.committed",
            "list.link.done",
            "list.link.intended",
            "list.link.linked",
            "list.publish.begin",
            "list.publish.committed",
            "list.push.appended",
            "list.push.committed",
            "list.push.filled",
            "list.push.written",
            "list.read.begin",
            "list.read.look",
            "list.segment.added",
            "list.segment.released",
            "list.set.committed",
            "list.set.copied",
            "list.set.done",
            "list.set.intended",
            "list.shorten.begin",
            "list.shorten.committed",
            "list.shorten.counted",
            "list.trim.done",
            "list.trim.released",
        ]
    );
}

/// Has one die at a point, and then one who comes after it; gives the second if it lived.
fn repair(
    before: &[Step],
    step: &Step,
    point: &'static str,
    fate: Fate,
    ends: bool,
) -> Option<Agent> {
    let memory = memory();
    let third = Agent::new(&memory, 2, Fate::Lives);
    for step in before {
        run(&third, step).unwrap();
    }
    let first = Agent::new(&memory, 0, Fate::AtPoint(point, 0));
    if first.run(|agent| run(agent, step).unwrap()).is_some() {
        return None;
    }
    let found = all(&third);
    let second = Agent::new(&memory, 1, fate);
    let lived = second.run(|agent| {
        if ends {
            with(agent, |list| list.destroy(soon()).unwrap());
        } else {
            run(agent, &Step::Set(0, found.first().cloned().unwrap_or_default())).unwrap();
        }
    });
    if !ends {
        assert_eq!(all(&third), found);
    }
    check(&third);
    if !ends {
        assert_eq!(all(&third), found);
    }
    destroy(&third);
    lived.map(|()| second)
}

/// Whoever repairs may die as well, and whoever destroys.
#[test]
fn whoever_dies_while_it_repairs_or_destroys_is_followed_by_another() {
    let mut passed = BTreeSet::new();
    for (before, step) in scenes() {
        for point in [
            "list.link.linked",
            "list.link.begin",
            "list.set.committed",
            "list.shorten.committed",
            "list.push.filled",
            "list.push.written",
            "list.segment.added",
        ] {
            for is_last in [false, true] {
                let Some(whole) = repair(&before, &step, point, Fate::Lives, is_last) else {
                    // Not on the way of this step.
                    continue;
                };
                passed.extend(whole.points());
                for number in 0..whole.steps() {
                    repair(&before, &step, point, Fate::AtStep(number), is_last);
                }
            }
        }
        let end = |fate: Fate| {
            let memory = memory();
            let [second, third] =
                [(1, fate), (2, Fate::Lives)].map(|(index, fate)| Agent::new(&memory, index, fate));
            for step in &before {
                run(&third, step).unwrap();
            }
            let first = Agent::new(&memory, 0, Fate::AtPoint("list.set.committed", 0));
            let _ = first.run(|agent| run(agent, &step).unwrap());
            let lived =
                second.run(|agent| with(agent, |list| list.destroy(soon()).unwrap())).is_some();
            check(&third);
            destroy(&third);
            lived.then_some(second)
        };
        let whole = end(Fate::Lives).unwrap();
        passed.extend(whole.points());
        for number in 0..whole.steps() {
            assert!(end(Fate::AtStep(number)).is_none());
        }
    }
    for point in ["list.repair.begin", "list.repair.counted", "list.finish.begin"] {
        assert!(passed.contains(point), "{point}");
    }
}

/// A list that nobody need wait for.
#[test]
fn a_reader_waits_for_nobody_who_stopped() {
    for (before, step) in scenes() {
        let memory = memory();
        let other = Agent::new(&memory, 1, Fate::Lives);
        for step in &before {
            run(&other, step).unwrap();
        }
        let lock = Lock::at(&other, 0).unwrap();
        std::mem::forget(lock.lock().unwrap());
        let agent = Agent::new(&memory, 0, Fate::Lives);
        all(&agent);
        let error = run(&agent, &step).unwrap_err();
        assert!(error.is_timeout());
    }
}
