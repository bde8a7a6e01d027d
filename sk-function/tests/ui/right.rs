//! Programs that the compiler takes: another name of the crate, private modules, and one `use` for
//! a function and what binds its arguments.

extern crate sk_function as renamed;

mod house {
    /// Nobody outside names it.
    mod cellar {
        #[renamed::function(crate = renamed, idempotent)]
        pub(super) fn depth(steps: u64) -> u64 {
            steps * 20
        }

        #[renamed::function(crate = ::renamed)]
        fn hidden() -> &'static str {
            "hidden"
        }

        pub(super) fn through_private() -> &'static str {
            hidden::bind().execute().unwrap()
        }
    }

    pub(crate) fn depth_of(steps: u64) -> u64 {
        cellar::depth::bind().steps(steps).execute().unwrap()
    }

    pub(crate) fn through_private() -> &'static str {
        cellar::through_private()
    }

    #[renamed::function(crate = renamed)]
    pub(crate) fn area(width: f64, height: f64) -> f64 {
        width * height
    }
}

use house::area;

fn main() {
    assert_eq!(area(2.0, 3.0), 6.0);
    assert_eq!(area::bind().height(3.0).width(2.0).execute().unwrap(), 6.0);
    assert_eq!(renamed::magic!(area(2.0, height = 3.0)).execute().unwrap(), 6.0);
    assert_eq!(renamed::magic!(house::area(2.0, 3.0)).execute().unwrap(), 6.0);
    assert_eq!(house::depth_of(3), 60);
    assert_eq!(house::through_private(), "hidden");

    // A function within a function is found by its own name.
    #[renamed::function(crate = renamed)]
    fn inner(n: u64) -> u64 {
        n + 1
    }
    assert_eq!(inner::bind().n(1).execute().unwrap(), 2);

    let paths = renamed::registry::declared();
    for end in ["house.cellar.depth", "house.cellar.hidden", "house.area", ".inner"] {
        assert!(paths.iter().any(|path| path.ends_with(end)), "{end} is not in {paths:?}");
    }
    assert_eq!(renamed::registry::check(), Ok(4));
}
