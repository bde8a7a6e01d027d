//! Prints what is registered in it, what each of them gives when it is called by its name, and
//! what a child of the same program makes of functions that its parent sends.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use jobs as _;
use jobs_two as _;
use sk_cereal::internal;
use sk_function::{Function, function, registry};

mod inner {
    use sk_function::function;

    #[function]
    fn own(n: u64) -> u64 {
        n + 5
    }
}

#[function]
fn main_own(n: u64) -> u64 {
    n + 7
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).is_some_and(|argument| argument == "child") {
        return child();
    }
    for path in registry::declared() {
        println!("declared {path}");
    }
    println!("check {:?}", registry::check());
    for name in [
        "app.inner.own",
        "app.main_own",
        "jobs.former",
        "jobs.newer",
        "jobs.twins.left",
        "jobs.twins.right",
        "jobs.within_a_generic_one",
        "twins.renamed",
    ] {
        let function = Function::get(name)?.arg("n", 10)?;
        println!("called {} {}", function.name(), function.execute::<u64>()?);
    }
    let hidden = Function::get("jobs.private.hidden")?.arg("text", "four")?;
    println!("called {} {}", hidden.name(), hidden.execute::<usize>()?);
    let later = Function::get("jobs.private.deeper.later")?.arg("n", 10)?;
    println!("called {} {}", later.name(), later.operation::<u64>().wait()?);
    let many = Function::get("jobs.private.deeper.many")?.arg("to", 3)?;
    let items = many.iterate::<u64>()?.collect::<Result<Vec<_>, _>>()?;
    println!("iterated {items:?}");
    for version in ["1.0.0", "2.0.0"] {
        let area = Function::get(&format!("jobs.area@{version}"))?.positional((2.0, 3.0))?;
        println!("called {} of {version} {}", area.name(), area.execute::<f64>()?);
    }
    for name in ["jobs.area", "lonely.forgotten", "jobs.area@3.0.0", "former"] {
        match Function::get(name) {
            Ok(function) => println!("found {}", function.name()),
            Err(error) => println!("refused {error}"),
        }
    }
    parent()
}

/// Functions that were declared, of both versions, one of the table, and one within another.
fn parent() -> Result<(), Box<dyn Error>> {
    let both = |version| -> Result<Function, Box<dyn Error>> {
        Ok(Function::get(&format!("jobs.area@{version}"))?.positional((2.0, 3.0))?)
    };
    let whole = vec![
        Function::get("jobs.twins.right")?.arg("n", 20)?,
        Function::get("app.inner.own")?.arg("n", 20)?,
        Function::of(|n: u64| n * 3).positional((20_u64,))?,
        by_value(),
    ];
    let parts = vec![both("1.0.0")?, both("2.0.0")?];
    let bytes = internal::to_vec(&(whole, parts))?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("child")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("the child has no input")?.write_all(&bytes)?;
    let output = child.wait_with_output()?;
    print!("{}", String::from_utf8(output.stdout)?);
    if output.status.success() { Ok(()) } else { Err("the child failed".into()) }
}

/// What stands beside a function makes it a value.
fn by_value() -> Function {
    main_own::bind().n(20).function().unwrap()
}

fn child() -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let (whole, parts): (Vec<Function>, Vec<Function>) = internal::from_slice(&bytes)?;
    for function in whole {
        println!("child {}", function.execute::<u64>()?);
    }
    for function in parts {
        println!("child {}", function.execute::<f64>()?);
    }
    Ok(())
}
