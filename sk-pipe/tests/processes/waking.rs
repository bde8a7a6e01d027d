//! Who falls asleep while somebody sends.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use sk_pipe::pair;

use super::program::{Tried, spawn};

/// Whoever sleeps looks again by itself after five seconds, which would hide that nobody woke them.
const BEFORE_THE_NEXT_LOOK: Duration = Duration::from_secs(4);

/// Each answer is followed by another pause, so that one side or the other, thread or task, is about to fall asleep
/// when the message comes. A wake-up that is left out is found; a fence that is left out is too rare a loss for this, and
/// is found by the test beside the fences of sk-share.
///
/// Rows: PIPE-31
pub(crate) fn no_message_comes_between_a_look_and_the_sleep_unheard() -> Tried<()> {
    let (mut anchor, point) = pair::<(u32, Vec<u8>), (u32, usize)>()?;
    let kid = spawn("echoes", &point)?;
    drop(point);
    let mut random = 1_u32;
    for number in 0..40_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (0..random >> 20).for_each(|_| spin_loop());
        anchor.send(&(number, vec![])).wait()?;
        let begin = Instant::now();
        let answer = if number % 4 == 0 {
            block_on(anchor.recv().timeout(BEFORE_THE_NEXT_LOOK))
        } else {
            anchor.recv_timeout(BEFORE_THE_NEXT_LOOK)
        };
        let answer = answer.map_err(|error| {
            format!("message {number} was not answered in {:?}: {error}", begin.elapsed())
        })?;
        assert_eq!(answer, (number, 0));
    }
    anchor.close();
    kid.succeeded()
}
