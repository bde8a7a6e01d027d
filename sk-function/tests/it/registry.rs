//! Names of functions.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use sk_function::{Domain, Function, NameError, function, registry};

use crate::operation::watched;

#[function(name = "it.names.tariff")]
fn tariff(weight: u64, zone: u64) -> u64 {
    weight * 10 + zone
}

fn nearest(name: &str) -> Vec<String> {
    match Function::get(name).unwrap_err() {
        NameError::Unknown { nearest, name: asked, known } => {
            assert_eq!(asked, name);
            assert!(known > 0);
            nearest
        }
        other => panic!("{other}"),
    }
}

/// Rows: FUN-04
#[test]
fn a_declared_function_is_found_by_its_path() {
    let found = Function::get("it.names.tariff").unwrap();
    assert_eq!(found.positional((2, 3)).unwrap().execute::<u64>().unwrap(), tariff(2, 3));
    assert!(registry::declared().contains(&"it.names.tariff"));
    assert!(registry::declared().is_sorted());
}

/// Rows: FUN-24
#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    assert_eq!(nearest("it.names.tarif").first().unwrap(), "it.names.tariff");
    assert_eq!(nearest("tariff").first().unwrap(), "it.names.tariff");
    assert_eq!(nearest("other.modules.tariff").first().unwrap(), "it.names.tariff");
    assert!(nearest("it.declared.outer.inner").iter().any(|name| name.ends_with("inner.deep")));
    assert!(nearest("it.names.tarif").len() <= 3);
    assert!(nearest("\u{1f980}\u{1f980}\u{1f980}").is_empty());
    let error = Function::get("it.names.tarif").unwrap_err().to_string();
    assert!(error.starts_with("no function is named `it.names.tarif`; the nearest of "), "{error}");
    assert!(
        error.contains("`it.names.tariff`") && error.contains("use that_crate as _"),
        "{error}"
    );
}

/// Rows: FUN-24
#[test]
fn names_of_any_form_are_looked_up_and_told_of_shortly() {
    let huge = "ä".repeat(1 << 19);
    for name in ["", ".", "..", "@", "it.names.tariff@", "@1", "it.names.tariff@9.9.9", "\0", &huge]
    {
        let error = Function::get(name).unwrap_err();
        assert!(matches!(error, NameError::Unknown { .. }), "{error}");
        assert!(error.to_string().len() < 2_000, "{} bytes", error.to_string().len());
    }
    let found = Function::get(&format!("it.names.tariff@{}", env!("CARGO_PKG_VERSION"))).unwrap();
    assert_eq!(found.name(), "it.names.tariff");
}

#[test]
fn a_name_is_given_once_is_not_empty_and_not_too_long() {
    let full = || tariff::function().positional((1, 1)).unwrap();
    full().register("it.name once").unwrap();
    let error = full().register("it.name once").unwrap_err();
    assert_eq!(error.to_string(), "a function is named `it.name once` already");
    assert!(matches!(full().register("it.names.tariff"), Err(NameError::Taken { .. })));
    assert_eq!(
        full().register("").unwrap_err().to_string(),
        "the name of a function cannot be empty"
    );
    let most = "n".repeat(registry::NAME_LIMIT);
    full().register(&most).unwrap();
    assert_eq!(Function::get(&most).unwrap().execute::<u64>().unwrap(), 11);
    assert!(registry::forget(Domain::External, &most));
    let huge = "ü".repeat(1 << 19);
    let error = full().register(&huge).unwrap_err().to_string();
    assert!(error.starts_with("the name of a function has at most 1024 bytes, not the 1048576 of"));
    assert!(error.len() < 1_000);
    full().register("Gebühr für übermorgen 🦀").unwrap();
    assert_eq!(Function::get("Gebühr für übermorgen 🦀").unwrap().execute::<u64>().unwrap(), 11);
    assert_eq!(nearest("Gebuhr fur übermorgen 🦀")[0], "Gebühr für übermorgen 🦀");
}

/// Rows: FUN-09, FUN-12
#[test]
fn one_callable_has_several_names_with_other_arguments_each() {
    #[function]
    fn price(base: u64, factor: u64) -> u64 {
        base * factor
    }
    assert_eq!(price::function().names(), [""; 0]);
    price::function().register("it.price").unwrap();
    price::function().arg("base", 3).unwrap().register("it.price.three").unwrap();
    price::bind().factor(4).base(5).register("it.price.twenty").unwrap();
    let names = ["it.price", "it.price.three", "it.price.twenty"];
    assert_eq!(price::function().names(), names);
    assert_eq!(Function::of(price).names(), names);
    assert_eq!(Function::get("it.price.twenty").unwrap().names(), names);
    assert_eq!(
        tariff::function().names().iter().filter(|name| names.contains(&&***name)).count(),
        0
    );
    let three = Function::get("it.price.three").unwrap().arg("factor", 7).unwrap();
    assert_eq!(three.execute::<u64>().unwrap(), 21);
    assert_eq!(Function::get("it.price.twenty").unwrap().execute::<u64>().unwrap(), price(5, 4));
    assert!(Function::get("it.price").unwrap().execute::<u64>().is_err());

    let closure = |a: u64| a + 1;
    Function::of(closure).positional((1,)).unwrap().register("it.closure.one").unwrap();
    Function::of(closure).register("it.closure").unwrap();
    assert_eq!(Function::of(closure).names(), ["it.closure", "it.closure.one"]);
    assert!(Function::of(|a: u64| a + 1).names().is_empty());
    let all = registry::names(Domain::External);
    assert!(all.is_sorted() && all.iter().any(|name| name == "it.closure.one"));
}

/// Rows: FUN-12
#[test]
fn to_register_runs_nothing() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[function]
    fn counted(by: u32) -> u32 {
        RUNS.fetch_add(by, Ordering::SeqCst)
    }
    counted::bind().by(2).register("it.counted").unwrap();
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
    Function::get("it.counted").unwrap().execute::<u32>().unwrap();
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
}

/// Rows: FUN-11
#[test]
fn register_and_execute_runs_now_and_repeats_the_same_call_later() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[function]
    fn shift(by: u32, note: String) -> String {
        RUNS.fetch_add(by, Ordering::SeqCst);
        note
    }
    let first = shift::bind().by(3).note("one".to_owned()).register_and_execute("it.shift");
    assert_eq!((first.unwrap(), RUNS.load(Ordering::SeqCst)), ("one".to_owned(), 3));
    let again = Function::get("it.shift").unwrap();
    assert_eq!(again.clone().execute::<String>().unwrap(), "one");
    assert_eq!(again.execute::<String>().unwrap(), "one");
    assert_eq!(RUNS.load(Ordering::SeqCst), 9);
    // A name that is taken: nothing runs.
    let taken = shift::bind().by(100).note(String::new()).register_and_execute("it.shift");
    assert!(taken.unwrap_err().to_string().contains("is named `it.shift` already"));
    let function = shift::function().positional((100, "")).unwrap();
    let failure = function.clone().register_and_execute::<String>("it.shift").unwrap_err();
    assert!(!failure.has_started() && failure.is_error_of::<NameError>(), "{failure}");
    assert_eq!(RUNS.load(Ordering::SeqCst), 9);
    assert_eq!(function.register_and_execute::<String>("it.shift again").unwrap(), "");
    assert_eq!(RUNS.load(Ordering::SeqCst), 109);
    assert_eq!(shift::function().names(), ["it.shift", "it.shift again"]);
}

/// Rows: FUN-10
#[test]
fn a_function_registers_itself_at_its_first_call_exactly_once() {
    #[function(autoreg)]
    fn it_registers_itself(a: u64) -> u64 {
        a + 1
    }
    assert!(it_registers_itself::function().names().is_empty());
    assert!(Function::get("it_registers_itself").is_err());
    watched(|| {
        let start = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let start = Arc::clone(&start);
                std::thread::spawn(move || {
                    start.wait();
                    it_registers_itself(n)
                })
            })
            .collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>(), 10);
    });
    assert_eq!(it_registers_itself::function().names(), ["it_registers_itself"]);
    let found = Function::get("it_registers_itself").unwrap();
    assert!(found.arguments().is_empty());
    assert_eq!(found.positional((1,)).unwrap().execute::<u64>().unwrap(), 2);
    // Forgotten, it stays so: only the first call registers.
    assert!(registry::forget(Domain::External, "it_registers_itself"));
    assert_eq!(it_registers_itself(1), 2);
    assert!(Function::get("it_registers_itself").is_err());
}

/// Rows: FUN-10
#[test]
fn it_registers_itself_whichever_way_it_is_called() {
    #[function(autoreg = "it.auto.bound")]
    fn bound() {}
    #[function(autoreg = "it.auto.async")]
    async fn later() {}
    #[function(autoreg = "it.auto.many")]
    fn many() -> impl Iterator<Item = u8> {
        0..2
    }
    #[function(autoreg = "it.names.tariff")]
    fn taken() -> u8 {
        3
    }
    bound::bind().execute().unwrap();
    let future = later();
    assert!(later::function().names().is_empty());
    futures::executor::block_on(future);
    assert_eq!(many::function().iterate::<u8>().unwrap().count(), 2);
    for name in ["it.auto.bound", "it.auto.async", "it.auto.many"] {
        assert!(Function::get(name).is_ok(), "{name}");
    }
    // A name that is taken keeps the function from nothing.
    assert_eq!((taken(), taken::bind().execute().unwrap()), (3, 3));
    assert_eq!(Function::get("it.names.tariff").unwrap().name(), "it.names.tariff");
}

#[test]
fn domains_do_not_see_each_other_and_all_see_what_is_global() {
    let gives = |n: u64| Function::of(|n: u64| n).positional((n,)).unwrap();
    let find =
        |domain| Function::get_in(domain, "it.domain").ok().map(|f| f.execute::<u64>().unwrap());
    let [global, internal, external] = [Domain::Global, Domain::Internal, Domain::External];
    gives(1).register_in(internal, "it.domain").unwrap();
    assert_eq!([find(global), find(internal), find(external)], [None, Some(1), None]);
    gives(2).register_in(global, "it.domain").unwrap();
    assert_eq!([find(global), find(internal), find(external)], [Some(2), Some(1), Some(2)]);
    gives(3).register("it.domain").unwrap();
    assert_eq!([find(global), find(internal), find(external)], [Some(2), Some(1), Some(3)]);
    assert!(gives(4).register_in(internal, "it.domain").is_err());
    // Declared functions are the program's.
    assert!(Function::get_in(internal, "it.names.tariff").is_err());
    assert!(Function::get_in(global, "it.names.tariff").is_err());
    assert_eq!(Function::get_in(external, "it.names.tariff").unwrap().name(), "it.names.tariff");
    gives(5).register_in(internal, "it.secret of a layer").unwrap();
    assert!(!nearest("it.secret of a laye").contains(&"it.secret of a layer".to_owned()));
    assert_eq!(registry::names(internal).iter().filter(|name| *name == "it.domain").count(), 1);
    for domain in [global, internal, external] {
        assert!(registry::forget(domain, "it.domain"));
        assert!(!registry::forget(domain, "it.domain"));
    }
    assert_eq!([find(global), find(internal), find(external)], [None; 3]);
}

#[test]
fn what_was_found_stays_what_it_is_when_its_name_is_forgotten() {
    let text = Arc::new("kept".to_owned());
    let held = Arc::clone(&text);
    Function::local(move || held.len() as u64).register("it.forgotten").unwrap();
    let found = Function::get("it.forgotten").unwrap();
    assert!(registry::forget(Domain::External, "it.forgotten"));
    assert_eq!(found.clone().execute::<u64>().unwrap(), 4);
    drop(found);
    assert_eq!(Arc::strong_count(&text), 1);
}

#[test]
fn a_name_that_its_own_drop_looks_up_does_not_block() {
    struct Looks;
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(Function::get("it.looks").is_err() || Function::get("it.names.tariff").is_ok());
            registry::forget(Domain::External, "it.looks too");
        }
    }
    watched(|| {
        let function = |looks: Looks| {
            Function::local(move || {
                let _ = &looks;
                1_u64
            })
        };
        function(Looks).register("it.looks").unwrap();
        assert!(function(Looks).register("it.looks").is_err());
        assert!(registry::forget(Domain::External, "it.looks"));
    });
}

/// Rows: FUN-24
#[test]
fn a_path_that_two_claim_is_nobodys() {
    mod one {
        #[sk_function::function(name = "it.names.claimed")]
        pub(super) fn claimed() -> u8 {
            1
        }
    }
    mod other {
        #[sk_function::function(name = "it.names.claimed")]
        pub(super) fn claimed() -> u8 {
            2
        }
    }
    assert_eq!(one::claimed() + other::claimed(), 3);
    // Here they run; by their name nobody does.
    assert_eq!(one::claimed::bind().execute().unwrap(), 1);
    let error = Function::get("it.names.claimed").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, NameError::TwoDefinitions { .. }), "{text}");
    assert_eq!(text.matches("registry.rs:").count(), 2, "{text}");
    let sent = sk_cereal::internal::to_vec(&one::claimed::function()).unwrap_err().to_string();
    assert!(sent.contains("two functions are declared as `it.names.claimed`"), "{sent}");
    let checked = registry::check().unwrap_err();
    assert!(matches!(checked, NameError::TwoDefinitions { path: "it.names.claimed", .. }));
}

/// Rows: FUN-04
#[test]
fn a_name_that_says_a_version_is_the_declared_function_and_cannot_be_taken() {
    #[function(name = "it.registry.versioned")]
    fn versioned() -> u8 {
        1
    }
    let version = versioned::declaration().version();
    let name = format!("it.registry.versioned@{version}");
    assert_eq!(Function::get(&name).unwrap().execute::<u8>(), Ok(1));
    let taken = Function::of(|| 2_u8).register(&name).unwrap_err();
    assert_eq!(taken, NameError::Taken { name: name.clone() });
    let error = Function::get("it.registry.versioned@99.0.0").unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

/// Rows: FUN-11
#[test]
fn what_cannot_run_does_not_take_a_name() {
    let call = || tariff::function().arg("weight", 2).unwrap();
    let failure = call().register_and_execute::<u64>("it.names.later").unwrap_err();
    assert!(failure.to_string().contains("argument `zone`"), "{failure}");
    let wrong = call().arg("zone", "x").unwrap();
    let failure = wrong.register_and_execute::<u64>("it.names.later").unwrap_err();
    assert!(failure.to_string().contains("`zone`") && !failure.has_started(), "{failure}");
    let right = call().arg("zone", 1).unwrap();
    assert_eq!(right.register_and_execute::<u64>("it.names.later"), Ok(21));
}

#[test]
fn a_long_name_that_nobody_has_is_not_compared_with_others() {
    let error = Function::get(&"it.names.tariff".repeat(100)).unwrap_err();
    let NameError::Unknown { nearest, known, .. } = &error else { panic!("{error}") };
    assert!(nearest.is_empty() && *known > 0);
    assert!(error.to_string().len() < 600, "{error}");
}
