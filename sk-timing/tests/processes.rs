//! Statistics of two processes, merged.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use sk_cereal::internal;
use sk_timing::{Statistics, Timer};

const CHILD: &str = "SK_TIMING_TEST_CHILD";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let trials = vec![
        Trial::test("times_of_two_processes_are_those_of_one", || {
            times_of_two_processes_are_those_of_one()
        }),
        Trial::test("a_timer_goes_to_a_process_and_comes_back_with_its_times", || {
            a_timer_goes_to_a_process_and_comes_back_with_its_times()
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What the parent sends: a timer to go on with, and where its times begin and how many they are.
type Order = (Timer, u64, u64);

fn child() -> ExitCode {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    let (timer, start, count): Order = internal::from_slice(&bytes).unwrap();
    times(start, count).for_each(|time| timer.add(time));
    timer.add_failure();
    std::io::stdout().write_all(&internal::to_vec(&timer).unwrap()).unwrap();
    ExitCode::SUCCESS
}

fn times(start: u64, count: u64) -> impl Iterator<Item = Duration> {
    (start..start + count).map(|n| Duration::from_nanos(1_000 + n * 7_919 % 100_003))
}

fn run(order: &Order) -> Result<Timer, Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(&internal::to_vec(order)?)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the child ended with {}", output.status).into());
    }
    Ok(internal::from_slice(&output.stdout)?)
}

/// Rows: TIM-28
fn times_of_two_processes_are_those_of_one() -> Result<(), Failed> {
    for count in [100, 3_000, 50_000] {
        let one: Statistics = times(0, 2 * count).collect();
        let mut merged = run(&(Timer::new(), 0, count))?.statistics();
        merged.merge(&run(&(Timer::new(), count, count))?.statistics());
        let figures = |statistics: &Statistics| {
            (
                (statistics.count(), statistics.total(), statistics.mean(), statistics.stdev()),
                (statistics.variance_square_seconds(), statistics.fastest(), statistics.slowest()),
                [50.0, 95.0, 99.0].map(|percentile| statistics.percentile(percentile)),
            )
        };
        assert_eq!(figures(&merged), figures(&one), "{count}");
        assert_eq!(merged.failures(), 2);
    }
    Ok(())
}

fn a_timer_goes_to_a_process_and_comes_back_with_its_times() -> Result<(), Failed> {
    let timer = Timer::builder().name("there and back").build()?;
    times(0, 10).for_each(|time| timer.add(time));
    let back = run(&(timer, 10, 5_000))?;
    let all: Statistics = times(0, 5_010).collect();
    assert_eq!(
        (back.count(), back.total(), back.name()),
        (5_010, all.total(), Some("there and back"))
    );
    Ok(())
}
