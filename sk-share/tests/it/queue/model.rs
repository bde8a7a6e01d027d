//! A queue beside a deque, with deaths at random.

use proptest::prelude::*;

use super::*;

fn step() -> impl Strategy<Value = Step> {
    let bytes = || {
        prop_oneof![
            3 => prop::collection::vec(any::<u8>(), 0..=16),
            2 => prop::collection::vec(any::<u8>(), 17..120)
        ]
    };
    prop_oneof![
        5 => bytes().prop_map(Step::Push),
        2 => bytes().prop_map(Step::Pending),
        1 => Just(Step::Publish),
        5 => Just(Step::Pop),
        1 => Just(Step::Peek),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Against a deque: what died happened whole or not at all.
    #[test]
    fn a_queue_is_a_deque(
        capacity in 1_u64..8,
        steps in prop::collection::vec((0_u16..3, step(), prop::option::of(0_u32..150)), 1..60)
    ) {
        let memory = memory(capacity);
        let mut agents = [0, 1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
        let watcher = Agent::new(&memory, 14, Fate::Lives);
        let mut model = Model::default();
        for (who, step, dies) in steps {
            let agent = &mut agents[usize::from(who)];
            agent.fated(dies.map_or(Fate::Lives, Fate::AtStep));
            let mut after = model.clone();
            after.apply(&step, capacity);
            let lived = agent.run(|agent| run(agent, &step).unwrap()).is_some();
            if !lived {
                *agent = Agent::next(&memory, who, Fate::Lives);
            }
            let [tail, appended] = [128, 88].map(|at| word(&watcher, at));
            let found = (len(&watcher), appended.saturating_sub(tail));
            let is_it = |state: &Model| (state.seen.len() as u64, state.pending.len() as u64) == found;
            if lived || is_it(&after) {
                model = after;
            }
            prop_assert!(is_it(&model), "{:?} {:?}", found, model);
            check(&watcher);
        }
        prop_assert_eq!(pop_all(&watcher), model.seen);
        run(&watcher, &Step::Publish).unwrap();
        prop_assert_eq!(pop_all(&watcher), model.pending);
        destroy(&watcher);
    }
}
