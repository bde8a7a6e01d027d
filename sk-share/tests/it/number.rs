//! Numbers against a model, and from several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use proptest::prelude::*;
use sk_share::Share;

use super::patience::{Polled, SHORT, WATCHDOG};

/// What is done to a number: which operation, and by what.
fn steps<T: Arbitrary>() -> impl Strategy<Value = (T, Vec<(u8, T, T, u32)>)> {
    (any::<T>(), proptest::collection::vec((0..30_u8, any::<T>(), any::<T>(), 0..140_u32), 1..40))
}

/// Each operation gives what the model gives, and leaves what the model is then.
macro_rules! integers {
    ($($name:ident: $type:ty;)*) => {$(
        #[test]
        fn $name() {
            let share = Share::new().unwrap();
            let share = &share;
            proptest!(ProptestConfig::with_cases(64), |((first, steps) in steps::<$type>())| {
                share.remove("number").unwrap();
                let mut number = share.number("number", first).unwrap();
                let mut model: $type = first;
                for (operation, a, b, by) in steps {
                    let (given, next): (Option<$type>, $type) = match operation {
                        0 => (Some(number.add(a)), model.wrapping_add(a)),
                        1 => (Some(number.sub(a)), model.wrapping_sub(a)),
                        2 => (Some(number.mul(a)), model.wrapping_mul(a)),
                        3 => (number.div(a), model.checked_div(a).unwrap_or(model)),
                        4 => (number.rem(a), model.checked_rem(a).unwrap_or(model)),
                        5 => (Some(number.neg()), model.wrapping_neg()),
                        6 => (Some(number.max(a)), model.max(a)),
                        7 => (Some(number.min(a)), model.min(a)),
                        8 => (Some(number.and(a)), model & a),
                        9 => (Some(number.or(a)), model | a),
                        10 => (Some(number.xor(a)), model ^ a),
                        11 => (Some(number.not()), !model),
                        12 => (Some(number.shl(by)), model.checked_shl(by).unwrap_or(0)),
                        13 => {
                            let wide = i128::try_from(model).unwrap() >> by.min(127);
                            (Some(number.shr(by)), <$type>::try_from(wide).unwrap())
                        }
                        14 => (Some(number.pow(by % 9)), model.wrapping_pow(by % 9)),
                        15 => (number.checked_add(a), model.checked_add(a).unwrap_or(model)),
                        16 => (number.checked_sub(a), model.checked_sub(a).unwrap_or(model)),
                        17 => (number.checked_mul(a), model.checked_mul(a).unwrap_or(model)),
                        18 => (Some(number.saturating_add(a)), model.saturating_add(a)),
                        19 => (Some(number.saturating_sub(a)), model.saturating_sub(a)),
                        20 => {
                            number.set(a);
                            (None, a)
                        }
                        21 => {
                            prop_assert_eq!(number.swap(a), model);
                            (None, a)
                        }
                        22 => (Some(number.update(|it| it ^ a)), model ^ a),
                        23 => {
                            // What the number is said to be is what it is replaced at.
                            prop_assert_eq!(number.compare_exchange(model, a), Ok(model));
                            (None, a)
                        }
                        24 if b != model => {
                            prop_assert_eq!(number.compare_exchange(b, a), Err(model));
                            (None, model)
                        }
                        25 => {
                            number += a;
                            number -= b;
                            (None, model.wrapping_add(a).wrapping_sub(b))
                        }
                        26 => {
                            number *= a;
                            number &= b;
                            (None, model.wrapping_mul(a) & b)
                        }
                        27 => {
                            number |= a;
                            number ^= b;
                            (None, (model | a) ^ b)
                        }
                        28 => {
                            number <<= by % 3;
                            number >>= by % 2;
                            (None, (model << (by % 3)) >> (by % 2))
                        }
                        _ => (None, model),
                    };
                    let is_refused = match operation {
                        3 => model.checked_div(a).is_none(),
                        4 => model.checked_rem(a).is_none(),
                        15 => model.checked_add(a).is_none(),
                        16 => model.checked_sub(a).is_none(),
                        17 => model.checked_mul(a).is_none(),
                        20 | 21 | 23.. => true,
                        _ => false,
                    };
                    model = next;
                    prop_assert_eq!(given, (!is_refused).then_some(model), "operation {}", operation);
                    prop_assert_eq!(number.get(), model, "after operation {}", operation);
                }
                prop_assert_eq!(share.get_number::<$type>("number").unwrap().get(), model);
            });
        }
    )*};
}

/// One test for each type.
mod as_the_model {
    use super::*;

    integers! {
        a_u8: u8;
        a_u16: u16;
        a_u32: u32;
        a_u64: u64;
        a_usize: usize;
        an_i8: i8;
        an_i16: i16;
        an_i32: i32;
        an_i64: i64;
        an_isize: isize;
    }
}

/// Rows: SHA-46
#[test]
fn floats_do_as_floats_do() {
    let share = Share::new().unwrap();
    let number = share.number("number", 1.5_f64).unwrap();
    let small = share.number("small", 1.5_f32).unwrap();
    assert_eq!((number.add(2.0), small.add(2.0)), (3.5, 3.5));
    assert_eq!((number.sub(0.5), small.sub(0.5)), (3.0, 3.0));
    assert_eq!((number.mul(-2.0), small.mul(-2.0)), (-6.0, -6.0));
    assert_eq!((number.div(4.0), small.div(4.0)), (Some(-1.5), Some(-1.5)));
    assert_eq!((number.rem(1.0), small.rem(1.0)), (Some(-0.5), Some(-0.5)));
    assert_eq!((number.neg(), small.neg()), (0.5, 0.5));
    assert_eq!((number.max(0.75), small.min(0.25)), (0.75, 0.25));
    assert_eq!((number.min(0.8), small.max(0.1)), (0.75, 0.25));
    assert_eq!(number.div(0.0), Some(f64::INFINITY));
    assert_eq!(number.update(|_| f64::NAN).to_bits(), f64::NAN.to_bits());
    // By its bits, or NaN could never be replaced.
    assert!(number.compare_exchange(f64::NAN, 0.0).is_ok());
    assert_eq!(number.compare_exchange(-0.0, 1.0), Err(0.0));
    assert_eq!(number.swap(f64::MIN_POSITIVE), 0.0);
    assert_eq!(number.get(), f64::MIN_POSITIVE);
    assert_eq!(small.get(), 0.25);
}

/// Rows: SHA-46
#[test]
fn shifts_beyond_the_bits_leave_none_or_the_sign() {
    let share = Share::new().unwrap();
    let unsigned = share.number("unsigned", u8::MAX).unwrap();
    assert_eq!((unsigned.shr(8), unsigned.swap(255), unsigned.shl(8)), (0, 0, 0));
    let signed = share.number("signed", -5_i64).unwrap();
    assert_eq!((signed.shr(64), signed.shr(u32::MAX), signed.shl(64)), (-1, -1, 0));
    assert_eq!(share.number("positive", 5_i16).unwrap().shr(99), 0);
}

/// Rows: SHA-46
#[test]
fn nothing_is_lost_among_threads() {
    let share = Share::new().unwrap();
    let whole = share.number("whole", 0_u64).unwrap();
    let narrow = share.number("narrow", 0_u8).unwrap();
    let float = share.number("float", 0.0_f64).unwrap();
    let bounded = share.number("bounded", 0_i32).unwrap();
    let turns = share.number("turns", 0_u16).unwrap();
    let most = share.number("most", 0_u32).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (mut whole, narrow, float) = (whole.clone(), narrow.clone(), float.clone());
            let (bounded, turns, most) = (bounded.clone(), turns.clone(), most.clone());
            scope.spawn(move || {
                for turn in 0..1000 {
                    whole += 3;
                    narrow.sub(1);
                    float.add(0.5);
                    bounded.update(|it| if it < 100 { it + 1 } else { it });
                    most.max(thread * 1000 + turn);
                    loop {
                        let seen = turns.get();
                        if turns.compare_exchange(seen, seen.wrapping_add(100)).is_ok() {
                            break;
                        }
                    }
                    // The caller's next read sees its own write.
                    assert!(whole.get() >= 3 * (u64::from(turn) + 1));
                }
            });
        }
    });
    assert_eq!((whole.get(), narrow.get(), float.get()), (12_000, 0_u8.wrapping_sub(160), 2000.0));
    assert_eq!((bounded.get(), most.get()), (100, 3999));
    assert_eq!(u32::from(turns.get()), 400_000 % 65_536);
}

/// Rows: SHA-62
#[test]
fn who_waits_for_a_number_is_told_and_does_not_poll() {
    let share = Share::new().unwrap();
    let number = share.number("number", 0_i32).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let mut waits = Polled::pending(number.wait_until(move |number| {
        counter.fetch_add(1, Ordering::SeqCst);
        number < 0
    }));
    let before = asked.load(Ordering::SeqCst);
    let changes: [fn(&sk_share::SharedNumber<i32>); 6] = [
        |it| it.set(5),
        |it| assert_eq!(it.add(1), 6),
        |it| assert_eq!(it.swap(9), 6),
        |it| assert_eq!(it.checked_mul(2), Some(18)),
        |it| assert_eq!(it.compare_exchange(18, 1), Ok(18)),
        |it| assert_eq!(it.neg(), -1),
    ];
    for (turn, change) in changes.into_iter().enumerate() {
        change(&number);
        waits.is_woken();
        assert_eq!(waits.poll().transpose().unwrap(), (turn == 5).then_some(-1));
    }
    // Twice for each look: before it says that it sleeps, and after.
    assert!(asked.load(Ordering::SeqCst) <= before + 12);
    let began = Instant::now();
    let error = number.wait_until(|it| it == 7).timeout(SHORT).wait().unwrap_err();
    assert!(error.is_timeout() && began.elapsed() >= SHORT);
    let other = number.clone();
    let thread =
        std::thread::spawn(move || other.wait_until(|it| it == 7).timeout(WATCHDOG).wait());
    while number.add(1) < 7 {}
    assert_eq!(thread.join().unwrap().unwrap(), 7);
}
