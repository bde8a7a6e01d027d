//! The report on the loops of a process.

use sk_cereal::{Value, internal};
use sk_timing::{LoopTimeReport, Statistics, Timer};

use super::ms;

/// Rows: TIM-11
#[test]
fn a_report_tells_of_the_loops_and_is_encodable() {
    let timer = Timer::new();
    (1..=100).rev().for_each(|n| timer.add(ms(n)));
    timer.add_failure();
    let report = timer.loop_time_report("crawl");
    assert_eq!(report.name(), "crawl loop times report");
    assert_eq!((report.count(), report.failures(), report.total()), (100, 1, ms(5_050)));
    assert_eq!(report.mean(), Some(ms(101) / 2));
    assert_eq!((report.p50(), report.p95()), (Some(ms(50)), Some(ms(95))));
    assert_eq!(report.p99(), Some(ms(99)));
    let slowest = report.slowest().unwrap();
    assert_eq!((slowest.index, slowest.time), (0, ms(100)));

    let bytes = internal::to_vec(&report).unwrap();
    assert_eq!(internal::from_slice::<LoopTimeReport>(&bytes).unwrap(), report);
    assert_eq!(Value::of(&report).unwrap().to::<LoopTimeReport>().unwrap(), report);
}

/// Rows: TIM-11
#[test]
fn a_report_has_a_name_of_its_process_or_one_of_its_own() {
    let nothing = Statistics::default();
    let report = nothing.loop_time_report("crawl");
    assert_eq!(report.to_string(), "crawl loop times report\n0 loops in 0ns");
    let report = [4, 2].into_iter().map(ms).collect::<Statistics>().loop_time_report("").named("X");
    assert_eq!(
        report.to_string(),
        "X\n2 loops in 6ms, mean 3ms, p50 2ms, p95 4ms, p99 4ms, slowest 4ms (loop 0)"
    );
}
