//! The value of a rank among values in no order.

/// How many values are looked at to guess where a rank lies.
const PROBES: usize = 128;

/// Values that are compared before those in between are put aside.
const CHUNK: usize = 64;

/// The value at `rank`, counted from 0, in the order of the values; the last for a rank beyond.
/// `None` without values.
///
/// After Floyd and Rivest: probes tell two values that the one looked for most likely lies between, so
/// that one pass over all is enough, and only what lies between is put in order.
pub(crate) fn select(values: [&[u64]; 2], rank: usize) -> Option<u64> {
    let [first, second] = values;
    let count = first.len() + second.len();
    let rank = rank.min(count.checked_sub(1)?);
    if count > 4 * PROBES
        && let Some(found) = between_probes(values, rank, count)
    {
        return Some(found);
    }
    at_rank(&mut [first, second].concat(), rank)
}

/// `None` if the value does not lie where the probes say, as in one of a hundred calls.
fn between_probes(values: [&[u64]; 2], rank: usize, count: usize) -> Option<u64> {
    let [first, second] = values;
    let mut probes = [0; PROBES];
    let every = first.iter().chain(second).step_by(count / PROBES);
    probes.iter_mut().zip(every).for_each(|(probe, value)| *probe = *value);
    probes.sort_unstable();
    let (guess, margin) = guess(rank, count);
    let low = guess.checked_sub(margin).and_then(|probe| probes.get(probe)).copied().unwrap_or(0);
    let high = probes.get(guess + margin).copied().unwrap_or(u64::MAX);
    let width = high.checked_sub(low)?;

    let mut below = 0;
    let mut between = Vec::with_capacity(count / 2);
    let mut found = [0; CHUNK];
    for chunk in first.chunks(CHUNK).chain(second.chunks(CHUNK)) {
        let mut length = 0;
        // Without branches: which way a value goes cannot be foreseen.
        for value in chunk {
            below += usize::from(*value < low);
            // It stays in bounds: there are no more found than looked at.
            *found.get_mut(length % CHUNK)? = *value;
            length += usize::from(value.wrapping_sub(low) <= width);
        }
        between.extend_from_slice(found.get(..length)?);
    }
    at_rank(&mut between, rank.checked_sub(below)?)
}

/// The probe nearest to the rank, and how far around it the rank most likely lies: two and a half
/// standard deviations of how many probes lie below it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both lie between nothing and the number of probes"
)]
fn guess(rank: usize, count: usize) -> (usize, usize) {
    let share = rank as f64 / count as f64;
    let deviation = (PROBES as f64 * share * (1.0 - share)).sqrt();
    ((PROBES as f64 * share) as usize, (2.5 * deviation) as usize + 2)
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
