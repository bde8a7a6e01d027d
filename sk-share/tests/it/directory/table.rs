//! Names and pins against a table, with deaths in between.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Find(usize),
    Drop(usize),
    Remove(usize),
    Clear,
    Reap,
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..4).prop_map(Step::Create),
        2 => (0_usize..4).prop_map(Step::Find),
        3 => (0_usize..4).prop_map(Step::Drop),
        3 => (0_usize..4).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        1 => Just(Step::Reap),
        1 => Just(Step::Die),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against a table of who has which name, and who holds what.
    #[test]
    fn names_and_pins_are_those_of_a_table(
        steps in prop::collection::vec((0_u16..3, step(), prop::option::of(0_u32..1500)), 1..40)
    ) {
        let memory = memory();
        let mut agents = [0, 1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
        let watcher = Agent::new(&memory, 14, Fate::Lives);
        let mut named: BTreeMap<String, Found> = BTreeMap::new();
        let mut held = [const { BTreeMap::<u64, Found>::new() }; 3];
        let mut serials = BTreeSet::new();
        for agent in &agents {
            view(agent).attach();
        }
        for (who, step, dies) in steps {
            let row = usize::from(who);
            agents[row].fated(dies.map_or(Fate::Lives, Fate::AtStep));
            let mine = held[row].clone();
            // What it holds afterwards, if it lives.
            let holds = agents[row].run(|agent| {
                let view = view(agent);
                let mut mine = mine;
                match &step {
                    Step::Create(name) => {
                        let found = view.create(NAMES[*name]);
                        mine.insert(found.serial, found);
                    }
                    Step::Find(name) => {
                        mine.extend(view.find(NAMES[*name]).map(|found| (found.serial, found)));
                    }
                    Step::Drop(number) => {
                        if let Some(found) = mine.values().nth(*number).copied() {
                            mine.remove(&found.serial);
                            if view.unpin(&found) {
                                view.reap();
                            }
                        }
                    }
                    Step::Remove(name) => {
                        view.remove(NAMES[*name]);
                    }
                    Step::Clear => view.with(|open| {
                        for (_, found) in open.all().unwrap() {
                            open.remove(&found).unwrap();
                        }
                    }),
                    Step::Reap => {
                        view.reap();
                    }
                    Step::Die => agent.end(),
                }
                mine
            });
            let lives = holds.is_some() && !agents[row].has_ended();
            if lives {
                held[row] = holds.unwrap_or_default();
                agents[row].fated(Fate::Lives);
            } else {
                held[row].clear();
                agents[row] = Agent::next(&memory, who, Fate::Lives);
                view(&agents[row]).attach();
            }
            let now = view(&watcher).names();
            for (name, found) in &now {
                if named.get(name) != Some(found) {
                    prop_assert!(matches!(step, Step::Create(made) if NAMES[made] == name));
                    prop_assert!(serials.insert(found.serial), "a serial was used twice");
                }
            }
            for name in named.keys().filter(|name| !now.contains_key(*name)) {
                match step {
                    Step::Remove(gone) => prop_assert_eq!(NAMES[gone], name),
                    Step::Clear => {}
                    _ => prop_assert!(false, "{} is gone", name),
                }
            }
            if lives {
                match step {
                    Step::Create(name) => prop_assert!(now.contains_key(NAMES[name])),
                    Step::Remove(name) => prop_assert!(!now.contains_key(NAMES[name])),
                    Step::Clear => prop_assert!(now.is_empty()),
                    _ => {}
                }
            }
            named = now;
            // The watcher comes without pins.
            view(&watcher).reap();
            let mut there: BTreeMap<u64, Found> = BTreeMap::new();
            there.extend(held.iter().flatten().map(|(serial, found)| (*serial, *found)));
            for found in there.values() {
                assert_whole(&watcher, found);
                let is_named = named.values().any(|named| named == found);
                prop_assert_eq!(Directory::is_detached(&watcher, found).unwrap(), !is_named);
            }
            there.extend(named.values().map(|found| (found.serial, *found)));
            prop_assert_eq!(view(&watcher).check(), there.len());
        }
    }
}
