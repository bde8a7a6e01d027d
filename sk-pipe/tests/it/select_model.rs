//! A select beside a model of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use sk_pipe::{Anchor, Key, Nothing, Select, SelectId};

use super::WATCHDOG;
use super::select::{next, small};

#[derive(Debug, Clone)]
enum Step {
    Add,
    Send(usize, u8),
    Close(usize),
    Remove(usize),
    Discard(usize),
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..8_usize;
    let step = prop_oneof![
        2 => Just(Step::Add),
        6 => (at.clone(), any::<u8>()).prop_map(|(at, byte)| Step::Send(at, byte)),
        1 => at.clone().prop_map(Step::Close),
        1 => at.clone().prop_map(Step::Remove),
        1 => at.prop_map(Step::Discard),
        4 => Just(Step::Take),
    ];
    prop::collection::vec(step, 1..80)
}

/// A pipe as it should be.
struct Model {
    key: Key<u8>,
    anchor: Option<Anchor<u8, Nothing>>,
    unread: VecDeque<u8>,
}

/// One turn: what came has to be the next of its pipe, or the end of one of which all was read.
fn take(select: &mut Select<u8>, models: &mut BTreeMap<SelectId, Model>) {
    let (id, outcome) = next(select);
    let model = models.get_mut(&id).unwrap();
    match outcome {
        Ok(byte) => assert_eq!(Some(byte), model.unread.pop_front()),
        Err(error) => {
            assert!(error.is_closed() && model.unread.is_empty() && model.anchor.is_none());
            models.remove(&id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Rows: PIPE-30
    #[test]
    fn it_does_what_a_model_does(steps in steps()) {
        let mut select = Select::<u8>::new();
        let handle = select.handle();
        let mut models = BTreeMap::<SelectId, Model>::new();
        for step in steps {
            let nth = |at: usize| models.keys().nth(at).copied();
            match step {
                Step::Add => {
                    let (anchor, receiver) = small();
                    let key = select.add(receiver, |byte| byte);
                    let model = Model { key, anchor: Some(anchor), unread: VecDeque::new() };
                    prop_assert!(models.insert(key.id(), model).is_none());
                }
                Step::Send(at, byte) => {
                    let Some(model) = nth(at).and_then(|id| models.get_mut(&id)) else { continue };
                    let Some(anchor) = &mut model.anchor else { continue };
                    anchor.send(&byte).timeout(WATCHDOG).wait().unwrap();
                    model.unread.push_back(byte);
                }
                Step::Close(at) => {
                    let Some(model) = nth(at).and_then(|id| models.get_mut(&id)) else { continue };
                    model.anchor = None;
                }
                Step::Remove(at) => {
                    let Some(model) = nth(at).and_then(|id| models.remove(&id)) else { continue };
                    let mut receiver = handle.remove(model.key).unwrap();
                    for byte in model.unread {
                        prop_assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap(), byte);
                    }
                }
                Step::Discard(at) => {
                    let Some(model) = nth(at).and_then(|id| models.remove(&id)) else { continue };
                    prop_assert!(handle.discard(model.key.id()));
                    if let Some(mut anchor) = model.anchor {
                        prop_assert!(anchor.send(&0).wait().unwrap_err().is_closed());
                    }
                }
                Step::Take => {
                    let is_due = |model: &Model| !model.unread.is_empty() || model.anchor.is_none();
                    if models.values().any(is_due) {
                        take(&mut select, &mut models);
                    } else {
                        let nothing = select.recv().timeout(Duration::ZERO).wait();
                        prop_assert!(nothing.unwrap_err().is_timeout());
                    }
                }
            }
            prop_assert_eq!(select.len(), models.len());
        }
        models.values_mut().for_each(|model| model.anchor = None);
        drop(handle);
        while !models.is_empty() {
            take(&mut select, &mut models);
        }
        prop_assert!(select.recv().wait().unwrap_err().is_closed());
    }
}
