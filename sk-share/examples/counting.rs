//! Two processes count; one of them is killed in the middle, again and again.
//!
//! What a process had counted when it was killed is counted, nobody waits for the dead, and nothing is left of them.
//!
//! ```text
//! cargo run --release -p sk-share --example counting
//! ```

use std::process::{Child, Command};
use std::time::Duration;

use sk_share::{Share, Shared, SharedNumber, inherit};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How often one is killed.
const KILLS: u32 = 20;

/// How long it counts before that.
const LIFE: Duration = Duration::from_millis(20);

fn main() -> Result<(), BoxError> {
    // The same program is parent and child.
    if inherit::is_offered() {
        return count();
    }
    let share = Share::new()?;
    let noted = share.value("noted", 0_u64)?;
    let before = share.number("before", 0_u64)?;
    let after = share.number("after", 0_u64)?;

    let mut command = Command::new(std::env::current_exe()?);
    let passed = inherit::pass(&mut command, &share)?;
    let start = |command: &mut Command| command.spawn();
    let mut steady = start(&mut command)?;
    for _ in 0..KILLS {
        let mut victim = start(&mut command)?;
        std::thread::sleep(LIFE);
        end(&mut victim)?;
    }
    end(&mut steady)?;
    drop(passed);

    let (noted, before, after) = (noted.get()?, before.get(), after.get());
    println!("{before} times somebody was about to count, {noted} are counted, {after} said so");
    // Each process that was killed was in the middle of one count at most.
    let processes = u64::from(KILLS) + 1;
    assert!(after <= noted && noted <= before && before <= after + processes);
    assert_eq!(share.check(None)?, [""; 0], "the books of the memory do not balance");
    println!("{processes} processes killed, nothing lost, nothing left");
    Ok(())
}

/// What a child does until it is killed.
fn count() -> Result<(), BoxError> {
    let share: Share = inherit::receive()?;
    let noted: Shared<u64> = share.get("noted")?;
    let before: SharedNumber<u64> = share.get_number("before")?;
    let after: SharedNumber<u64> = share.get_number("after")?;
    loop {
        before.add(1);
        noted.update(|noted| *noted += 1)?;
        after.add(1);
    }
}

/// SIGKILL, in the middle of whatever it does.
fn end(child: &mut Child) -> Result<(), BoxError> {
    child.kill()?;
    child.wait()?;
    Ok(())
}
