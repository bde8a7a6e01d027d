//! A list beside a vector, with deaths at random.

use proptest::prelude::*;

use super::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..=16),
        2 => prop::collection::vec(any::<u8>(), 17..120)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let several = || prop::collection::vec(bytes(), 0..10);
    prop_oneof![
        6 => bytes().prop_map(Step::Push),
        2 => several().prop_map(Step::Extend),
        2 => several().prop_map(Step::Pending),
        2 => Just(Step::Publish),
        3 => Just(Step::Pop),
        6 => (0_u64..24, bytes()).prop_map(|(index, bytes)| Step::Set(index, bytes)),
        2 => (0_u64..24, any::<u8>()).prop_map(|(index, byte)| Step::Update(index, byte)),
        1 => (0_u64..24).prop_map(Step::Truncate),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Against a vector: what died happened whole or not at all.
    #[test]
    fn a_list_is_a_vector(
        steps in prop::collection::vec((0_u16..3, step(), prop::option::of(0_u32..250)), 1..50)
    ) {
        let memory = memory();
        let mut agents = [0, 1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
        let watcher = Agent::new(&memory, 14, Fate::Lives);
        let mut model = Model::default();
        for (who, step, dies) in steps {
            let agent = &mut agents[usize::from(who)];
            agent.fated(dies.map_or(Fate::Lives, Fate::AtStep));
            let mut after = model.clone();
            after.apply(&step);
            let result = agent.run(|agent| run(agent, &step));
            if result.is_none() {
                *agent = Agent::next(&memory, who, Fate::Lives);
            }
            match &result {
                Some(Err(error)) => prop_assert!(error.is_busy() || error.is_limit(), "{}", error),
                Some(Ok(())) => model = after,
                None => {
                    let appended = word(&watcher, APPENDED).saturating_sub(word(&watcher, LENGTH));
                    let pending = after.pending.len() as u64;
                    if all(&watcher) == after.seen && appended == pending {
                        model = after;
                    }
                }
            }
            prop_assert_eq!(&all(&watcher), &model.seen);
            check(&watcher);
            prop_assert_eq!(&all(&watcher), &model.seen);
        }
        run(&watcher, &Step::Publish).unwrap();
        model.apply(&Step::Publish);
        prop_assert_eq!(all(&watcher), model.seen);
        destroy(&watcher);
    }
}
