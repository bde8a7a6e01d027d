//! Words of a directory that nobody wrote.

use super::*;

/// Any one word of it: an error or none, never a panic or an endless loop.
#[test]
fn words_that_nobody_wrote_are_errors() {
    let mut refused = 0;
    for number in 0.. {
        for damage in 0..8 {
            let Some(errors) = damaged(number, damage) else {
                assert!(refused > 100, "{refused}");
                return;
            };
            refused += errors;
        }
    }
}

type Look<'l> = dyn Fn(&Open<'_, '_, Agent, Things<'_>>) -> Result<(), Error> + 'l;

/// Damages the word of this number, and does all that there is to do. Says how often that was refused.
fn damaged(number: usize, damage: u32) -> Option<u32> {
    let Scene { memory, other, held } = scene();
    let agent = Agent::next(&memory, 0, Fate::Lives);
    view(&agent).attach();
    view(&agent).find("b").unwrap();
    let segment = load(&agent, SEGMENTS);
    let mut places: Vec<u64> = (SERIAL..200).step_by(8).filter(|at| *at != 32).collect();
    places.extend((segment..segment + 5 * 32).step_by(8));
    for found in view(&other).with(|open| open.blocks().unwrap().1) {
        let words = (found.block..found.block + 176).step_by(8);
        places.extend(words.filter(|at| ![8, 48].contains(&(at - found.block))));
    }
    let at = *places.get(number)?;
    let whole = load(&agent, at);
    let wrongs =
        [0, 1, whole ^ 1, whole ^ 32, whole.wrapping_add(1 << 33), u64::MAX, held[0].block, at];
    let wrong = wrongs[usize::try_from(damage).unwrap()];
    store(&agent, at, wrong);
    let mut refused = 0;
    let view = view(&agent);
    let mut look = |work: &Look<'_>| {
        if let Err(error) = view.try_with(|open, _| work(open)).and_then(|result| result) {
            let is_told = error.is_damaged() || error.is_other_type() || error.is_limit();
            assert!(is_told || error.is_busy(), "{at} {wrong} {error}");
            refused += 1;
        }
    };
    look(&|open| open.attach(9 << 32));
    look(&|open| open.find("a").map(drop));
    look(&|open| open.find_as("b", &SPEC).map(drop));
    look(&|open| open.all().map(drop));
    look(&|open| open.blocks().map(drop));
    look(&|open| open.find_serial(held[0].index, held[0].serial).map(drop));
    look(&|open| open.create("new", &SPEC, |_| Ok(())).map(drop));
    look(&|open| open.remove(&held[0]).map(drop));
    look(&|open| open.reap().map(drop));
    let dies = Agent::new(&memory, 5, Fate::AtPoint("directory.remove", 0));
    dies.run(|dies| {
        let view = View { agent: dies, ..view };
        let remove = |open: &Open<'_, '_, Agent, Things<'_>>| {
            open.all()?.first().map_or(Ok(false), |(_, found)| open.remove(found))
        };
        // It dies there if it gets there.
        let _ = view.try_with(|open, _| remove(open));
    });
    look(&|open| open.reap().map(drop));
    look(&|open| open.all().map(drop));
    Some(refused)
}
