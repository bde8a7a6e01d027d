//! Many pipes, a task at each: `cargo run --example asynchronous`.
//! The child answers at fifty points at once. One thread in each process waits for all, however many they are.

use std::process::Command;
use std::time::Duration;

use sk_pipe::share::inherit;
use sk_pipe::{Anchor, Point, pair};
use tokio::task::JoinSet;

const PIPES: u64 = 50;
const QUESTIONS: u64 = 100;
type Tried<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Tried<()> {
    if inherit::is_offered() { child().await } else { parent().await }
}

async fn parent() -> Tried<()> {
    let pipes: Result<Vec<_>, _> = (0..PIPES).map(|_| pair::<u64, u64>()).collect();
    let (anchors, points): (Vec<_>, Vec<_>) = pipes?.into_iter().unzip();
    let mut command = Command::new(std::env::current_exe()?);
    let passed = inherit::pass(&mut command, &points)?;
    let mut child = command.spawn()?;
    drop(passed);

    let tasks: JoinSet<_> = anchors.into_iter().map(ask).collect();
    let sum = tasks.join_all().await.into_iter().sum::<Tried<u64>>()?;
    println!("{PIPES} pipes, {QUESTIONS} questions each: the answers are {sum} in all");
    assert_eq!(sum, PIPES * QUESTIONS * (QUESTIONS - 1));
    // The anchors were dropped, so the child is about to end.
    assert!(tokio::task::spawn_blocking(move || child.wait()).await??.success());
    Ok(())
}

async fn ask(mut anchor: Anchor<u64, u64>) -> Tried<u64> {
    let mut sum = 0;
    for number in 0..QUESTIONS {
        anchor.send(&number).await?;
        sum += anchor.recv().timeout(PATIENCE).await?;
    }
    Ok(sum)
}

async fn child() -> Tried<()> {
    let points = inherit::receive::<Vec<Point<u64, u64>>>()?;
    let tasks: JoinSet<_> = points.into_iter().map(answer).collect();
    tasks.join_all().await.into_iter().collect()
}

async fn answer(mut point: Point<u64, u64>) -> Tried<()> {
    while let Ok(number) = point.recv().await {
        point.send(&(2 * number)).await?;
    }
    Ok(())
}
