//! A server whose requests are timed, on several threads, and whose figures are printed at the end.

use std::thread;
use std::time::Duration;

use sk_timing::{Progress, Timer, TimerError, clear_global_timers, global_timers, sleep, timethis};

#[timethis(name = "request")]
fn handle(request: u64) -> Result<u64, String> {
    if request % 10 == 9 {
        return Err(format!("request {request} is bad"));
    }
    sleep(Duration::from_micros(200 + request % 7 * 50));
    Ok(request)
}

fn main() -> Result<(), TimerError> {
    let progress = Progress::builder().total(200).label("requests").start();
    let batches = Timer::new();
    thread::scope(|scope| {
        for worker in 0..4 {
            let (progress, batches) = (&progress, &batches);
            scope.spawn(move || {
                let _timed = batches.time_this();
                for request in 0..50 {
                    if let Err(error) = handle(worker * 50 + request) {
                        eprintln!("{error}");
                    }
                    progress.advance(1);
                }
            });
        }
    });
    progress.finish();

    for (name, timer) in global_timers() {
        println!("{}", timer.loop_time_report(&name));
    }
    println!("half of the batches took at most {:?}", batches.percentile(50.0)?);
    clear_global_timers();
    Ok(())
}
