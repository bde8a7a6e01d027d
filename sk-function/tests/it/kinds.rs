//! Functions that give one value or many, at once or later.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use sk_function::{CallId, CancelFlag, Context, Function, FunctionKind, Retry, bind, function};

use crate::operation::{FAR, ms, shared_threads, watched};

#[function]
async fn add(a: u64, b: u64) -> u64 {
    futures::future::ready(()).await;
    a + b
}

#[function]
fn numbers(from: u64, to: u64) -> impl Iterator<Item = u64> {
    from..to
}

#[function]
fn numbers_later(from: u64, to: u64) -> impl Stream<Item = u64> {
    futures::stream::iter(from..to).then(|n| async move {
        futures::future::ready(()).await;
        n
    })
}

/// Rows: FUN-15
#[test]
fn an_async_function_is_awaited_on_any_executor_or_waited_for_without_one() {
    let function = || add::function().positional((1, 2)).unwrap();
    assert_eq!(add::bind().a(1).b(2).execute().wait().unwrap(), 3);
    assert_eq!(function().operation::<u64>().wait().unwrap(), 3);
    assert_eq!(bind(add, (1, 2)).async_operation().wait().unwrap(), 3);
    let awaited = || async move {
        assert_eq!(add::bind().a(1).b(2).execute().await.unwrap(), 3);
        assert_eq!(add::bind().a(1).b(2).operation().await.unwrap(), 3);
        assert_eq!(function().operation::<u64>().await.unwrap(), 3);
        assert_eq!(add(1, 2).await, 3);
        let step = 5;
        assert_eq!(
            bind(move |n: u64| async move { n + step }, (1,)).async_operation().await.unwrap(),
            6
        );
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(awaited());
    futures::executor::block_on(awaited());
}

/// Rows: FUN-15, FUN-28
#[test]
fn an_async_function_is_polled_where_it_is_awaited_and_carried_in_the_background() {
    #[function]
    async fn name() -> Option<String> {
        std::thread::current().name().map(str::to_owned)
    }
    watched(|| {
        let _threads = shared_threads();
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(futures::executor::block_on(name::bind().execute()).unwrap(), here);
        assert_eq!(name::bind().execute().wait().unwrap(), here);
        let there = name::bind().execute().background().wait().unwrap();
        assert_eq!(there.as_deref(), Some("sk-blocking"));
        assert_eq!(futures::executor::block_on(name()), here);
    });
}

/// Rows: FUN-30, FUN-39
#[test]
fn what_blocks_is_carried_by_a_thread_when_it_is_awaited() {
    fn on_a_kept_thread() -> bool {
        std::thread::current().name() == Some("sk-blocking")
    }
    #[function(blocking)]
    fn heavy() -> bool {
        on_a_kept_thread()
    }
    #[function(blocking("read"))]
    async fn heavy_later() -> bool {
        on_a_kept_thread()
    }
    watched(|| {
        let _threads = shared_threads();
        futures::executor::block_on(async {
            assert!(heavy::bind().operation().await.unwrap());
            assert!(heavy::function().operation::<bool>().await.unwrap());
            assert!(bind(on_a_kept_thread, ()).operation().await.unwrap());
            assert!(heavy_later::bind().execute().await.unwrap());
            assert!(heavy_later::function().operation::<bool>().await.unwrap());
            assert!(bind(heavy_later, ()).async_operation().await.unwrap());
            let any: sk_function::AnyFunction<bool> =
                sk_function::IntoFunction::into_function(heavy_later);
            assert!(any.operation(()).await.unwrap());
            assert!(!heavy_later().await);
        });
        assert!(!heavy::bind().execute().unwrap());
        assert!(!heavy());
    });
}

/// Rows: FUN-30
#[test]
fn a_blocking_async_function_blocks_no_executor() {
    #[function(blocking)]
    async fn receive(of: u64) -> u64 {
        GIVEN.lock().unwrap().as_ref().unwrap().recv().unwrap() + of
    }
    static GIVEN: Mutex<Option<mpsc::Receiver<u64>>> = Mutex::new(None);
    watched(|| {
        let _threads = shared_threads();
        let (give, given) = mpsc::channel();
        *GIVEN.lock().unwrap() = Some(given);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(async {
            let second = async { give.send(7).unwrap() };
            tokio::join!(receive::bind().of(1).execute(), second).0
        });
        assert_eq!(outcome.unwrap(), 8);
        give.send(1).unwrap();
        assert_eq!(futures::executor::block_on(receive(1)), 2);
    });
}

/// Rows: FUN-13
#[test]
fn an_iterator_gives_its_values_when_they_are_asked_for() {
    let items = numbers::bind().to(4).from(1).iterate().unwrap();
    assert_eq!(items.map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
    let items = numbers::function().positional((1, 3)).unwrap().iterate::<u64>().unwrap();
    assert_eq!(items.map(Result::unwrap).collect::<Vec<_>>(), [1, 2]);
    static ASKED: AtomicU32 = AtomicU32::new(0);
    #[function]
    fn lazy(most: u32) -> Box<dyn Iterator<Item = u32> + Send> {
        Box::new((0..most).inspect(|_| {
            ASKED.fetch_add(1, Ordering::SeqCst);
        }))
    }
    assert_eq!(lazy::function().kind(), FunctionKind::Iterator);
    let mut items = lazy::bind().most(10).iterate().unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), 0);
    assert_eq!((items.next().unwrap().unwrap(), ASKED.load(Ordering::SeqCst)), (0, 1));
    assert!(format!("{items:?}").contains("it.kinds.lazy"));
    assert_eq!(lazy(2).count(), numbers(0, 2).count());
}

/// Rows: FUN-13
#[test]
fn a_stream_gives_its_values_when_their_futures_are_done() {
    let items = numbers_later::bind().from(1).to(4).stream().unwrap();
    let all: Vec<_> = futures::executor::block_on(items.collect());
    assert_eq!(all.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
    #[function]
    fn boxed(most: u32) -> Pin<Box<dyn Stream<Item = u32> + Send>> {
        futures::stream::iter(0..most).boxed()
    }
    let items = boxed::function().arg("most", 2).unwrap().stream::<u32>().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let all: Vec<_> = runtime.block_on(items.collect());
    assert_eq!(all.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1]);
    drop((boxed(1), numbers_later(1, 2)));
}

/// Rows: FUN-13
#[test]
fn a_panic_is_the_last_item() {
    #[function]
    fn breaks(at: u64) -> impl Iterator<Item = u64> {
        (0..).inspect(move |n| assert!(*n < at, "at {n}"))
    }
    #[function]
    fn breaks_later(at: u64) -> impl Stream<Item = u64> {
        futures::stream::iter(breaks(at))
    }
    #[function]
    fn breaks_at_once(at: u64) -> impl Iterator<Item = u64> {
        assert!(at > 0, "at once");
        0..at
    }
    let items: Vec<_> = breaks::bind().at(2).iterate().unwrap().collect();
    let later: Vec<_> =
        futures::executor::block_on(breaks_later::bind().at(2).stream().unwrap().collect());
    for (items, name) in [(items, "it.kinds.breaks"), (later, "it.kinds.breaks_later")] {
        let [Ok(0), Ok(1), Err(failure)] = &items[..] else { panic!("{items:?}") };
        assert_eq!((failure.message(), failure.function()), (Some("at 2"), Some(name)));
        assert!(failure.is_panic());
    }
    let begin = breaks_at_once::function().arg("at", 0).unwrap().iterate::<u64>();
    let failure = begin.unwrap_err();
    assert_eq!(failure.message(), Some("at once"));
    assert_eq!(failure.function(), Some("it.kinds.breaks_at_once"));
    assert_eq!(breaks_at_once(1).count(), 1);
    drop(breaks_later(1));
}

/// Tells its flag, and whether that was set when it was dropped.
struct Tells(CancelFlag, mpsc::Sender<bool>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.1.send(self.0.is_cancelled()).unwrap();
    }
}

thread_local! {
    static TELL: std::cell::RefCell<Option<mpsc::Sender<bool>>> = const { std::cell::RefCell::new(None) };
}

fn tells() -> Tells {
    let flag = Context::current().unwrap().cancel_flag().clone();
    Tells(flag, TELL.with_borrow(|tell| tell.clone().unwrap()))
}

/// Rows: FUN-13, FUN-46
#[test]
fn items_have_a_context_whose_flag_is_set_before_what_is_left_is_dropped() {
    #[function]
    fn held(most: u64) -> impl Iterator<Item = CallId> {
        let tells = tells();
        (0..most).map(move |_| {
            let context = Context::current().unwrap();
            assert!(context.cancel_flag().is_same(&tells.0) && !context.is_cancelled());
            context.id()
        })
    }
    #[function]
    fn held_later(most: u64) -> impl Stream<Item = CallId> {
        futures::stream::iter(held(most))
    }
    let (tell, told) = mpsc::channel();
    TELL.set(Some(tell));
    let id = CallId::new();
    let mut items = held::bind().most(9).with_id(id).iterate().unwrap();
    assert_eq!((items.next().unwrap().unwrap(), items.next().unwrap().unwrap()), (id, id));
    assert!(told.try_recv().is_err());
    drop(items);
    assert!(told.recv().unwrap());
    let mut items = held_later::bind().most(9).with_id(id).stream().unwrap();
    assert_eq!(futures::executor::block_on(items.next()).unwrap().unwrap(), id);
    drop(items);
    assert!(told.recv().unwrap());
    // At its end nothing is left.
    assert_eq!(held::bind().most(2).iterate().unwrap().count(), 2);
    assert!(told.try_recv().is_ok());
    drop(Context::new().enter(|| held_later(1)));
}

#[test]
fn a_panic_in_the_drop_of_an_iterator_is_an_item_too() {
    struct Panics(u8);
    impl Iterator for Panics {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    #[function]
    fn panics(count: u8) -> impl Iterator<Item = u8> {
        Panics(count)
    }
    let items: Vec<_> = panics::bind().count(1).iterate().unwrap().collect();
    let [Ok(0), Err(failure)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(failure.message(), Some("dropped"));
    assert!(std::panic::catch_unwind(|| drop(panics(0))).is_err());
}

#[test]
fn what_gives_many_takes_no_retry_and_no_limit() {
    let function = || numbers::function().positional((1, 2)).unwrap();
    let refused = [
        function().retry(Retry::new()).iterate::<u64>(),
        function().timeout(FAR).iterate::<u64>(),
        function().attempt_timeout(FAR).iterate::<u64>(),
    ];
    for failure in refused {
        let failure = failure.unwrap_err();
        assert!(!failure.has_started());
        assert_eq!(failure.function(), Some("it.kinds.numbers"));
        assert!(failure.to_string().contains("neither a retry nor a timeout"), "{failure}");
    }
    let later = numbers_later::bind().from(1).to(2).timeout(Duration::MAX).stream();
    assert!(later.unwrap_err().to_string().contains("neither a retry nor a timeout"));
    assert_eq!(function().with_id(CallId::new()).iterate::<u64>().unwrap().count(), 1);
}

#[test]
fn items_of_another_type_are_failures_and_wrong_arguments_none_at_all() {
    let mut items = numbers::function().positional((1, 2)).unwrap().iterate::<String>().unwrap();
    let text = items.next().unwrap().unwrap_err().to_string();
    assert!(text.contains("it gives u64, and alloc::string::String was asked for"), "{text}");
    let wrong = numbers::function().positional((1, "x")).unwrap().iterate::<u64>().unwrap_err();
    assert!(wrong.to_string().contains("argument `to` of it.kinds.numbers"), "{wrong}");
    let wrong = numbers_later::function().positional((1,)).unwrap().stream::<u64>().unwrap_err();
    assert!(wrong.to_string().contains("argument `to`"), "{wrong}");
}

/// Rows: FUN-15, FUN-37
#[test]
fn an_async_call_that_is_dropped_is_cancelled_and_its_future_dropped() {
    #[function]
    async fn endless() {
        let _tells = tells();
        std::future::pending::<()>().await;
    }
    watched(|| {
        let _threads = shared_threads();
        let (tell, told) = mpsc::channel();
        TELL.set(Some(tell));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                outcome = endless::bind().execute() => panic!("{outcome:?}"),
                () = tokio::task::yield_now() => {}
            }
        });
        assert!(told.recv().unwrap());
        let failure = endless::bind().timeout(ms(5)).execute().wait().unwrap_err();
        assert!(failure.is_timeout() && told.recv().unwrap());
        let found = Function::get("it.kinds.endless").unwrap();
        assert!(found.timeout(ms(5)).operation::<()>().wait().unwrap_err().is_timeout());
        assert!(told.recv().unwrap());
        drop(endless());
    });
}
