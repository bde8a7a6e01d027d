//! Now, from there to here, and not before then.

use std::time::Duration;

use futures::executor::block_on;
use sk_timing::{elapsed, sleep, sleep_async, time};

use super::ms;

/// Rows: TIM-26
#[test]
fn what_has_elapsed_is_positive_in_any_order() {
    let before = time();
    let after = before + ms(5);
    assert_eq!(elapsed(before, after), ms(5));
    assert_eq!(elapsed(after, before), ms(5));
    assert_eq!(elapsed(before, before), Duration::ZERO);
    assert!(time() >= before);
}

/// Rows: TIM-26
#[test]
fn a_sleep_lasts_and_returns_the_time_after() {
    for length in [Duration::ZERO, ms(5)] {
        let before = time();
        let after = sleep(length);
        assert!(elapsed(before, after) >= length && after >= before && after <= time());
        let before = time();
        let after = block_on(sleep_async(length));
        assert!(elapsed(before, after) >= length && after >= before && after <= time());
    }
}

/// Rows: TIM-26
#[test]
fn an_async_sleep_blocks_no_thread() {
    let before = time();
    block_on(async {
        let sleeps = futures::future::join_all((0..100).map(|_| sleep_async(ms(20))));
        let first = futures::future::select(Box::pin(sleeps), Box::pin(sleep_async(Duration::MAX)));
        assert!(matches!(first.await, futures::future::Either::Left(_)));
    });
    assert!(elapsed(before, time()) >= ms(20));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(sleep_async(ms(1)));
}

/// A park that somebody else means to end must not be ended by a sleep, nor the sleep by it.
#[test]
fn a_sleep_leaves_the_thread_s_token_alone() {
    std::thread::current().unpark();
    let before = time();
    assert!(elapsed(before, sleep(ms(5))) >= ms(5));
    std::thread::park();
}
