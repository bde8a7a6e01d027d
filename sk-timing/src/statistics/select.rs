//! The value of a rank among values in no order.

/// How many values are looked at to guess where a rank lies.
const PROBES: usize = 128;

/// Half the width of the guess, in probes. A rank is missed in one of several hundred calls, which
/// then take three times as long.
const MARGIN: usize = 17;

/// The value at `rank`, counted from 0, in the order of the values; the last for a rank beyond.
/// `None` without values.
///
/// After Floyd and Rivest: probes tell two values that the one looked for most likely lies between, so
/// that one pass over all is enough, and only what lies between is put in order.
pub(crate) fn select(values: [&[u64]; 2], rank: usize) -> Option<u64> {
    let [first, second] = values;
    let count = first.len() + second.len();
    let rank = rank.min(count.checked_sub(1)?);
    let all = || first.iter().chain(second).copied();
    if count > 4 * PROBES
        && let Some(found) = between_probes(values, rank, count)
    {
        return Some(found);
    }
    at_rank(&mut all().collect::<Vec<u64>>(), rank)
}

fn between_probes(values: [&[u64]; 2], rank: usize, count: usize) -> Option<u64> {
    let step = count / PROBES;
    let [first, second] = values;
    let mut probes = [0; PROBES];
    for (probe, value) in probes.iter_mut().zip(first.iter().chain(second).step_by(step)) {
        *probe = *value;
    }
    probes.sort_unstable();
    let guess = (rank * PROBES).checked_div(count)?;
    let low = match guess.checked_sub(MARGIN) {
        Some(probe) => *probes.get(probe)?,
        None => 0,
    };
    let high = probes.get(guess + MARGIN).copied().unwrap_or(u64::MAX);
    let mut below = 0;
    let mut between = vec![0; count];
    let mut length = 0;
    for values in values {
        // Without branches: which way a value goes cannot be foreseen.
        for value in values {
            below += usize::from(*value < low);
            *between.get_mut(length)? = *value;
            length += usize::from(low <= *value && *value <= high);
        }
    }
    let rank = rank.checked_sub(below).filter(|rank| *rank < length)?;
    at_rank(between.get_mut(..length)?, rank)
}

fn at_rank(values: &mut [u64], rank: usize) -> Option<u64> {
    (rank < values.len()).then(|| *values.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rank_is_that_of_the_sorted_values() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for (count, range) in [(1, 10), (513, 4), (4_096, u64::MAX), (5_000, 1_000), (5_000, 1)] {
            let mut values: Vec<u64> = (0..count).map(|_| random() % range).collect();
            for is_sorted in [false, true] {
                let mut sorted = values.clone();
                sorted.sort_unstable();
                if is_sorted {
                    values.clone_from(&sorted);
                }
                let (first, second) = values.split_at(values.len() / 3);
                for (rank, value) in sorted.iter().enumerate().step_by(1 + values.len() / 97) {
                    assert_eq!(select([first, second], rank), Some(*value));
                }
                assert_eq!(select([first, second], usize::MAX), sorted.last().copied());
            }
        }
        assert_eq!(select([&[], &[]], 0), None);
    }
}
