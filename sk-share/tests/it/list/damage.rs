//! Words that nobody wrote: errors, and never without end.

use super::*;

/// Any word of the list, its entries and blocks: errors, in a bounded number of steps.
#[test]
fn words_that_nobody_wrote_are_errors() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let mut refused = 0;
    for round in 0..2 {
        run(&agent, &Step::Extend((0..12).map(element_of).collect())).unwrap();
        let end = agent.length();
        let header = TheList::bytes_for(INLINE);
        let words = (0..header).step_by(8).filter(|at| *at != 8).chain((FIRST..end).step_by(8));
        let saved: Vec<(u64, u64)> = (0..8)
            .step_by(8)
            .chain((16..AT).step_by(8))
            .chain((AT + 16..end).step_by(8))
            .map(|at| (at, word(&agent, at)))
            .collect();
        for at in words {
            let whole = word(&agent, at);
            for wrong in [
                1,
                2,
                whole ^ 1,
                whole ^ 0x100,
                whole.wrapping_add(1 << 33),
                u64::MAX,
                u64::MAX - 9,
                1 << 40,
                FIRST,
                at,
            ] {
                if at == 0 && wrong & !1 != 0 && wrong >> 32 == 0 {
                    continue;
                }
                agent.u64(at).unwrap().store(wrong, Ordering::SeqCst);
                let bounded = Agent::new(&memory, 2, Fate::AtStep(60_000)).ending(Death::Stopped);
                let outcome = bounded.run(|agent| {
                    let arena = Arena::open(agent, AT).unwrap();
                    let Ok(list) = List::at(agent, 0, &arena) else { return 1 };
                    let mut bytes = Vec::new();
                    let results = [
                        list.get(3, &mut bytes, soon()).map(drop),
                        list.last(&mut bytes, soon()).map(drop),
                        list.read_all(soon()).map(drop),
                        list.version().map(drop),
                        list.set(1, &[1; 7], soon()).map(drop),
                        list.set(2, &[1; 70], soon()).map(drop),
                        list.push(&[1; 7], soon()).map(drop),
                        list.push_pending(&[1; 70], soon()).map(drop),
                        list.publish(soon()).map(|_| ()),
                        list.pop(&mut bytes, soon()).map(drop),
                        list.truncate(2, soon()),
                        list.blocks(soon()).map(drop),
                        if round == 0 { list.clear(soon()) } else { list.destroy(soon()) },
                    ];
                    results.iter().filter(|result| result.is_err()).count()
                });
                refused += outcome.unwrap_or_else(|| panic!("without end: {at} {wrong:#x}"));
                for (at, whole) in &saved {
                    agent.u64(*at).unwrap().store(*whole, Ordering::SeqCst);
                }
            }
        }
    }
    assert!(refused > 1000, "{refused}");
    let arena = Arena::open(&agent, AT).unwrap();
    for at in [4, 8, 256, u64::MAX, u64::MAX - 7] {
        assert!(List::at(&agent, at, &arena).unwrap_err().is_damaged(), "{at}");
    }
}

/// What a stray store changes in an element is told, and not given.
#[test]
fn a_damaged_element_is_an_error() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    run(&agent, &Step::Extend(vec![vec![1; 16], vec![2; 40]])).unwrap();
    let entry = word(&agent, SEGMENTS).next_multiple_of(32);
    let block = word(&agent, entry + 32 + 8);
    for (index, at) in [(0, entry), (0, entry + 16), (0, entry + 24), (1, entry + 32)]
        .into_iter()
        .chain([0, 8, 16, 48].map(|more| (1, block + more)))
    {
        let whole = word(&agent, at);
        agent.u64(at).unwrap().store(whole ^ 1 << 40, Ordering::SeqCst);
        let mut bytes = Vec::new();
        let error = with(&agent, |list| list.get(index, &mut bytes, soon()).unwrap_err());
        assert!(error.is_damaged(), "{index} {at}");
        assert_eq!(bytes, Vec::<u8>::new());
        agent.u64(at).unwrap().store(whole, Ordering::SeqCst);
    }
    // An element is that of its index.
    let other = word(&agent, entry);
    run(&agent, &Step::Push(vec![1; 16])).unwrap();
    agent.u64(entry + 64).unwrap().store(other, Ordering::SeqCst);
    assert!(with(&agent, |list| list.get(2, &mut Vec::new(), soon()).unwrap_err()).is_damaged());
    for at in [FILLED, APPENDED, LENGTH, EPOCH] {
        agent.u64(at).unwrap();
    }
}
