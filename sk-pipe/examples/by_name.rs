//! Two programs that know nothing of each other but a name and a secret.
//!
//! ```text
//! cargo run --release -p sk-pipe --example by_name
//! ```

use std::process::Command;
use std::time::Duration;

use sk_pipe::{Listener, connect_with};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const NAME: &str = "SK_PIPE_EXAMPLE_NAME";
const SECRET: &[u8] = b"random bytes, read from a file that only you can read";

fn main() -> Result<(), BoxError> {
    // The same program is the server, and its own client.
    if let Ok(name) = std::env::var(NAME) {
        return client(&name);
    }
    let name = format!("sk-pipe-by-name-{}", std::process::id());
    let mut listener = Listener::<usize, String>::builder(&name).key(SECRET).bind()?;
    let mut client = Command::new(std::env::current_exe()?).env(NAME, &name).spawn()?;

    let mut anchor = listener.accept_timeout(Duration::from_secs(10))?;
    while let Ok(word) = anchor.recv().wait() {
        anchor.send(&word.len()).wait()?;
    }
    assert!(client.wait()?.success());
    Ok(())
}

fn client(name: &str) -> Result<(), BoxError> {
    let connecting = connect_with::<String, usize>(name, SECRET);
    let mut point = connecting.timeout(Duration::from_secs(10)).wait()?;
    for word in ["one", "three", "seventeen"] {
        point.send(&word.to_owned()).wait()?;
        println!("{word} has {} letters", point.recv().wait()?);
    }
    Ok(())
}
