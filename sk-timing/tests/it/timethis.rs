//! Functions that are timed by attribute, difficult ones among them: each must compile and behave as
//! it would without.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::panic::catch_unwind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::executor::block_on;
use sk_timing::{ManualClock, Timer, clear_global_timers, global_timer, global_timers, timethis};

use super::ms;

static SHARED: LazyLock<Timer> = LazyLock::new(Timer::new);

/// Global timers are cleared for the whole process, so the tests that count calls take turns.
fn alone<R>(test: impl FnOnce() -> R) -> R {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    test()
}

fn count(name: &str) -> u64 {
    global_timer(&format!("it::timethis::{name}")).count()
}

fn failures(name: &str) -> u64 {
    global_timer(&format!("it::timethis::{name}")).failures()
}

mod difficult {
    //! Signatures and bodies that wrapping breaks easily.

    use super::*;

    #[timethis]
    pub(super) fn plain(n: u32) -> u32 {
        if n == 7 {
            return 0;
        }
        n + 1
    }

    #[timethis]
    pub(super) fn nothing() {}

    #[timethis]
    pub(super) fn question(text: &str) -> Result<i64, Box<dyn Error>> {
        let number: i32 = text.parse()?;
        if number < 0 {
            return Err("negative".into());
        }
        let wide = i64::from(number);
        Ok(wide + i64::from(text.parse::<i32>()?))
    }

    #[timethis]
    pub(super) fn option(text: &str) -> Option<&str> {
        let (_, after) = text.split_once('=')?;
        Some(after)
    }

    #[timethis]
    pub(super) fn longer<'a, 'b: 'a>(a: &'a str, b: &'b str) -> Result<&'a str, ()> {
        if a.len() > b.len() { Ok(a) } else { Ok(b) }
    }

    #[timethis]
    pub(super) fn generic<T, const N: usize>(values: [T; N]) -> Result<Vec<T>, String>
    where
        T: Clone + Debug,
    {
        if N == 0 { Err(format!("{values:?}")) } else { Ok(values.to_vec()) }
    }

    #[timethis]
    pub(super) fn hidden(values: Vec<u32>) -> impl Iterator<Item = u32> + Clone {
        values.into_iter().map(|value| value * 2)
    }

    #[timethis]
    pub(super) fn hidden_result<'a>(
        values: &'a [u32],
        step: u32,
    ) -> Result<impl Iterator<Item = u32> + 'a, String> {
        if step == 0 {
            return Err("no step".to_owned());
        }
        Ok(values.iter().map(move |value| value * step))
    }

    #[timethis]
    pub(super) fn patterns((a, mut b): (u32, u32), [c, ..]: [u32; 3]) -> Result<u32, ()> {
        b += a;
        Ok(b + c)
    }

    #[timethis]
    pub(super) fn first_or_insert(values: &mut Vec<String>) -> Result<&mut String, ()> {
        if values.is_empty() {
            values.push("new".to_owned());
        }
        values.first_mut().ok_or(())
    }

    #[timethis]
    pub(super) fn own_name(guard: u32, timer: u32, returned: u32) -> Result<u32, u32> {
        #![expect(unused_mut, reason = "inner attributes stay inside")]
        const SITE: u32 = 1;
        let mut private = guard + timer + returned;
        Ok(private + SITE)
    }

    #[timethis]
    pub(super) fn recursive(n: u64) -> u64 {
        if n < 2 { 1 } else { n * recursive(n - 1) }
    }

    #[timethis]
    pub(super) fn never(text: &str) -> ! {
        panic!("{text}")
    }

    #[timethis]
    pub(super) extern "C" fn foreign(n: i32) -> i32 {
        n
    }

    /// Drops are told in the order in which they happen.
    pub(super) struct Told(pub(super) &'static str, pub(super) Rc<RefCell<Vec<&'static str>>>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    #[timethis]
    pub(super) fn drops(a: Told, _: Told, b: Told, _c: Told) -> Result<(), ()> {
        let _local = Told("local", Rc::clone(&a.1));
        let _ = &b;
        Ok(())
    }

    /// Each function twice: timed, and as it is.
    macro_rules! twice {
        ($($timed:ident $untimed:ident { $($function:tt)* } ($($parameters:tt)*) ($($output:tt)*) $body:tt)*) => {$(
            #[timethis]
            pub(super) $($function)* $timed($($parameters)*) $($output)* $body

            pub(super) $($function)* $untimed($($parameters)*) $($output)* $body
        )*};
    }

    twice! {
        some_taken some_taken_untimed { fn } (a: Told, mut b: Told, takes: bool) (-> Result<(), ()>) {
            if takes {
                b = a;
            }
            let _ = &mut b;
            Ok(())
        }
        last_first last_first_untimed { fn } (a: Told, b: Told, c: Told) (-> Result<(), ()>) {
            let _ = (&c, &a, &b);
            Ok(())
        }
        both both_untimed { async fn } (a: Told, b: Told) () {
            let _ = (&a, &b);
        }
        three three_untimed { async fn } (a: Told, b: Told, _: Told, mut c: Told) (-> Result<(), ()>) {
            let _local = Told("local", Rc::clone(&a.1));
            let _ = (&mut c, &b);
            Ok(())
        }
        destructured destructured_untimed { fn } ((a, mut b): (Told, Told), c: Told) (-> Result<(), ()>) {
            let _ = (&c, &mut b, &a);
            Ok(())
        }
        destructured_async destructured_async_untimed { async fn }
        ((a, b): (Told, Told), c: Told) (-> usize) {
            c.0.len() + b.0.len() + a.0.len()
        }
    }

    #[expect(dead_code, reason = "of one half only the drop is looked at")]
    pub(super) struct Pair(pub(super) Told, pub(super) Told);

    impl Pair {
        twice! {
            second second_untimed { fn } (mut self, a: Told) (-> Result<(), ()>) {
                let _ = &mut self.1;
                drop(a);
                Ok(())
            }
            second_async second_async_untimed { async fn } (self, a: Told, b: Told) () {
                let _ = (&self.1, &a, &b);
            }
        }
    }

    pub(super) struct Counter<'a, T> {
        pub(super) timer: Timer,
        pub(super) values: &'a mut Vec<T>,
    }

    impl<'a, T: PartialOrd> Counter<'a, T> {
        #[timethis(timer = self.timer)]
        pub(super) fn push(&mut self, value: T) -> Result<&mut Self, &'static str> {
            if self.values.last().is_some_and(|last| *last > value) {
                return Err("not ascending");
            }
            self.values.push(value);
            Ok(self)
        }

        #[timethis(timer = self.timer)]
        pub(super) fn into_values(self) -> &'a mut Vec<T> {
            self.values
        }

        #[timethis]
        pub(super) async fn last(&self) -> Option<&T> {
            self.values.last()
        }
    }

    pub(super) trait Area {
        fn area(&self) -> f64;

        #[timethis(name = "default of a trait")]
        fn twice(&self) -> f64 {
            self.area() * 2.0
        }
    }

    pub(super) struct Square(pub(super) f64);

    impl Area for Square {
        #[timethis]
        #[inline]
        fn area(&self) -> f64 {
            self.0 * self.0
        }
    }

    #[timethis]
    pub(super) async fn fetched(text: &str, pause: Duration) -> Result<u32, Box<dyn Error>> {
        let number = text.parse()?;
        sk_timing::sleep_async(pause).await;
        if number == 0 {
            return Err("zero".into());
        }
        Ok(number)
    }

    #[timethis]
    pub(super) async fn hidden_async<T: Debug>(value: &T) -> Result<impl Debug + '_, String> {
        let text = async { format!("{value:?}") }.await;
        if text.is_empty() {
            return Err(text);
        }
        Ok(text)
    }

    #[timethis]
    pub(super) async fn pending() {
        std::future::pending::<()>().await;
    }
}

/// Rows: TIM-20
#[test]
fn a_timed_function_does_what_it_did() {
    use difficult::*;

    alone(|| {
        assert_eq!((plain(1), plain(7)), (2, 0));
        nothing();
        assert_eq!(question("21").unwrap(), 42);
        assert_eq!(question("x").unwrap_err().to_string(), "invalid digit found in string");
        assert_eq!(question("-1").unwrap_err().to_string(), "negative");
        assert_eq!((option("a=b"), option("a")), (Some("b"), None));
        assert_eq!(longer("a", "bb"), Ok("bb"));
        assert_eq!(generic([1, 2]), Ok(vec![1, 2]));
        assert_eq!(generic::<u8, 0>([]), Err("[]".to_owned()));
        assert_eq!(hidden(vec![1, 2]).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(hidden_result(&[1, 2], 3).unwrap().sum::<u32>(), 9);
        assert!(hidden_result(&[], 0).is_err());
        assert_eq!(patterns((1, 2), [3, 4, 5]), Ok(6));
        let mut values = Vec::new();
        first_or_insert(&mut values).unwrap().push('!');
        assert_eq!(values, ["new!"]);
        assert_eq!(own_name(1, 2, 3), Ok(7));
        assert_eq!(recursive(5), 120);
        assert_eq!(foreign(3), 3);
        assert!(catch_unwind(|| never("always")).is_err());
        assert!((Square(3.0).twice() - 18.0).abs() < 1e-9);
        assert_eq!(block_on(fetched("7", ms(0))).unwrap(), 7);
        assert!(block_on(fetched("x", ms(0))).is_err());
        assert_eq!(format!("{:?}", block_on(hidden_async(&Some(1))).unwrap()), "\"Some(1)\"");
    });
}

/// Rows: TIM-20
#[test]
fn arguments_are_dropped_in_the_order_they_were() {
    fn untimed(a: difficult::Told, _: difficult::Told, b: difficult::Told, _c: difficult::Told) {
        let _local = difficult::Told("local", Rc::clone(&a.1));
        let _ = &b;
    }

    let told = Rc::new(RefCell::new(Vec::new()));
    let tell = |name| difficult::Told(name, Rc::clone(&told));
    untimed(tell("a"), tell("_"), tell("b"), tell("_c"));
    let expected = told.take();
    difficult::drops(tell("a"), tell("_"), tell("b"), tell("_c")).unwrap();
    assert_eq!(*told.borrow(), expected);
}

/// Rows: TIM-20
#[test]
fn arguments_are_dropped_as_without_the_attribute() {
    use difficult::*;

    let told = Rc::new(RefCell::new(Vec::new()));
    let tell = |name| Told(name, Rc::clone(&told));
    macro_rules! alike {
        ($timed:expr, $untimed:expr $(,)?) => {
            let _ = $timed;
            let timed = told.take();
            let _ = $untimed;
            assert_eq!(timed, told.take(), stringify!($timed));
        };
    }

    for takes in [false, true] {
        alike!(
            some_taken(tell("a"), tell("b"), takes),
            some_taken_untimed(tell("a"), tell("b"), takes),
        );
    }
    alike!(
        last_first(tell("a"), tell("b"), tell("c")),
        last_first_untimed(tell("a"), tell("b"), tell("c")),
    );
    block_on(both_untimed(tell("a"), tell("b")));
    assert_eq!(told.take(), ["b", "a"]);
    alike!(block_on(both(tell("a"), tell("b"))), block_on(both_untimed(tell("a"), tell("b"))));
    alike!(
        block_on(three(tell("a"), tell("b"), tell("_"), tell("c"))),
        block_on(three_untimed(tell("a"), tell("b"), tell("_"), tell("c"))),
    );
    alike!(
        destructured((tell("a"), tell("b")), tell("c")),
        destructured_untimed((tell("a"), tell("b")), tell("c")),
    );
    alike!(
        block_on(destructured_async((tell("a"), tell("b")), tell("c"))),
        block_on(destructured_async_untimed((tell("a"), tell("b")), tell("c"))),
    );
    let pair = || Pair(tell("0"), tell("1"));
    alike!(pair().second(tell("a")), pair().second_untimed(tell("a")));
    alike!(
        block_on(pair().second_async(tell("a"), tell("b"))),
        block_on(pair().second_async_untimed(tell("a"), tell("b"))),
    );
}

/// Rows: TIM-20
#[test]
fn a_function_is_timed_under_its_path() {
    alone(|| {
        clear_global_timers();
        difficult::plain(1);
        difficult::plain(7);
        assert_eq!(difficult::recursive(4), 24);
        assert!(difficult::generic([1]).is_ok() && difficult::generic(["a"]).is_ok());
        let mut values = vec![1];
        let counter = difficult::Counter { timer: Timer::new(), values: &mut values };
        assert_eq!(block_on(counter.last()), Some(&1));
        assert_eq!(count("difficult::plain"), 2);
        assert_eq!(count("difficult::recursive"), 4);
        assert_eq!(count("difficult::generic"), 2, "all instances share one timer");
        let names: Vec<String> = global_timers().into_iter().map(|(name, _)| name).collect();
        let of_method = names.iter().find(|name| name.ends_with("last")).unwrap();
        assert!(of_method.contains("Counter"), "{names:?}");
        assert_eq!(global_timer(of_method).count(), 1);
    });
}

#[timethis(timer = SHARED)]
fn first_user() {}

#[timethis(timer = SHARED)]
fn second_user() -> Result<(), ()> {
    Err(())
}

/// Rows: TIM-20
#[test]
fn a_timer_is_ones_own_or_shared() {
    first_user();
    assert!(second_user().is_err());
    first_user();
    assert_eq!((SHARED.count(), SHARED.failures()), (2, 1));

    let mut values = Vec::new();
    let timer = Timer::new();
    let mut counter = difficult::Counter { timer: timer.clone(), values: &mut values };
    assert!(counter.push(1).unwrap().push(2).is_ok());
    assert!(counter.push(1).is_err());
    assert_eq!(*counter.into_values(), [1, 2]);
    assert_eq!((timer.count(), timer.failures()), (3, 1));
}

#[timethis(name = "outer")]
#[timethis(name = "inner", threshold = Duration::from_secs(3_600))]
#[timethis(timer = SHARED_BY_STACK)]
fn stacked(fails: bool) -> std::io::Result<()> {
    if fails { Err(std::io::Error::other("told to")) } else { Ok(()) }
}

static SHARED_BY_STACK: LazyLock<Timer> = LazyLock::new(Timer::new);

/// Rows: TIM-20, TIM-21
#[test]
fn attributes_are_stacked_each_with_a_timer_and_a_threshold() {
    alone(|| {
        clear_global_timers();
        stacked(false).unwrap();
        stacked(true).unwrap_err();
        let (outer, inner) = (global_timer("outer"), global_timer("inner"));
        assert_eq!((outer.count(), outer.failures()), (1, 1));
        assert_eq!((inner.count(), inner.failures()), (0, 1), "no call took an hour");
        assert_eq!((SHARED_BY_STACK.count(), SHARED_BY_STACK.failures()), (1, 1));
    });
}

/// Rows: TIM-20
#[test]
fn an_async_function_is_timed_on_the_wall_and_in_its_polls() {
    alone(|| {
        clear_global_timers();
        block_on(difficult::fetched("7", ms(20))).unwrap();
        let timer = global_timer("it::timethis::difficult::fetched");
        assert_eq!((timer.count(), timer.polling().count()), (1, 1));
        assert!(timer.min().unwrap() >= ms(20));
        assert!(timer.polling().max().unwrap() < timer.max().unwrap());
    });
}

/// Rows: TIM-20
#[test]
fn polling_is_the_time_in_polls_and_nothing_else() {
    #[timethis(timer = timer)]
    async fn polled_twice(timer: &Timer, clock: &ManualClock) {
        clock.advance(ms(3));
        let mut is_second = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut is_second, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        clock.advance(ms(4));
    }

    let (timer, clock) = super::by_hand();
    {
        let mut future = pin!(polled_twice(&timer, &clock));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(future.as_mut().poll(&mut context), Poll::Pending);
        clock.advance(ms(100));
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(()));
    }
    assert_eq!((timer.count(), timer.total()), (1, ms(107)));
    assert_eq!((timer.polling().count(), timer.polling().total()), (1, ms(7)));
}

/// Rows: TIM-21
#[test]
fn below_its_threshold_an_async_function_is_recorded_neither_on_the_wall_nor_in_polls() {
    #[timethis(timer = timer, threshold = ms(5))]
    async fn takes(timer: &Timer, clock: &ManualClock, time: Duration) {
        clock.advance(time);
    }

    let (timer, clock) = super::by_hand();
    block_on(takes(&timer, &clock, ms(4)));
    assert_eq!((timer.count(), timer.polling().count()), (0, 0));
    block_on(takes(&timer, &clock, ms(5)));
    assert_eq!((timer.count(), timer.polling().count()), (1, 1));
}

/// Rows: TIM-27
#[test]
fn an_error_a_panic_and_a_cancelled_future_are_failures() {
    #[timethis(fallible)]
    fn renamed() -> Outcome {
        Err(())
    }
    type Outcome = Result<(), ()>;

    alone(|| {
        clear_global_timers();
        assert!(difficult::question("x").is_err() && difficult::question("1").is_ok());
        assert_eq!((count("difficult::question"), failures("difficult::question")), (1, 1));

        assert!(catch_unwind(|| difficult::never("always")).is_err());
        assert_eq!((count("difficult::never"), failures("difficult::never")), (0, 1));

        assert!(block_on(difficult::fetched("0", ms(0))).is_err());
        let timer = global_timer("it::timethis::difficult::fetched");
        assert_eq!((timer.count(), timer.failures(), timer.polling().count()), (0, 1, 0));

        {
            let mut pending = pin!(difficult::pending());
            let polled = pending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Pending);
        }
        drop(difficult::pending());
        assert_eq!((count("difficult::pending"), failures("difficult::pending")), (0, 1));

        assert!(renamed().is_err());
        let renamed = "an_error_a_panic_and_a_cancelled_future_are_failures::renamed";
        assert_eq!((count(renamed), failures(renamed)), (0, 1));
    });
}

/// Rows: TIM-22
#[test]
fn cleared_timers_begin_anew() {
    alone(|| {
        clear_global_timers();
        difficult::plain(1);
        let held = global_timer("it::timethis::difficult::plain");
        global_timer("by hand").add(ms(1));
        assert_eq!(global_timers().len(), 2);
        clear_global_timers();
        assert!(global_timers().is_empty());
        assert_eq!(held.count(), 0);
        held.add(ms(1));
        assert_eq!(global_timers().len(), 1, "who holds it uses it");
        clear_global_timers();
        difficult::plain(1);
        let listed: Vec<_> = global_timers().into_iter().map(|(name, _)| name).collect();
        assert_eq!(listed, ["it::timethis::difficult::plain"], "a call lists it again");
        assert_eq!(count("difficult::plain"), 1);
        assert!(held.is_same(&global_timer("it::timethis::difficult::plain")));
        assert_eq!(global_timer("by hand").count(), 0);
    });
}

#[test]
fn timed_futures_are_as_send_as_they_were() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    alone(|| {
        assert!(block_on(is_send(difficult::hidden_async(&1))).is_ok());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let task = runtime.spawn(async { difficult::fetched("7", ms(1)).await.is_ok() });
        drop(runtime.block_on(task));
    });
}

mod renamed {
    //! The crate under another name.

    pub(super) mod by_another_name {
        pub(crate) use sk_timing::*;
    }

    #[by_another_name::timethis(crate = by_another_name, name = "renamed")]
    pub(super) fn timed() -> Result<u8, ()> {
        Ok(3)
    }

    #[by_another_name::timethis(crate = by_another_name)]
    pub(super) async fn timed_async() {}
}

#[test]
fn the_crate_may_have_another_name() {
    alone(|| {
        assert_eq!(renamed::timed(), Ok(3));
        block_on(renamed::timed_async());
        assert_eq!(global_timer("renamed").count(), 1);
    });
}
