//! A job as bytes, as JSON, and a job that does not cross.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use sk_cereal::{Bulk, Json, Value, internal};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    samples: Bulk<f64>,
    attempts: RefCell<Vec<u8>>,
}

fn main() -> Result<(), sk_cereal::Error> {
    let job = Job {
        name: "mean".to_owned(),
        samples: Bulk(vec![0.5, 1.5, f64::INFINITY]),
        attempts: RefCell::new(vec![1]),
    };

    let bytes = internal::to_vec(&job)?;
    println!("{} bytes", bytes.len());
    let back: Job = internal::from_slice(&bytes)?;
    assert_eq!(back, job);

    println!("{}", Value::of(&job)?.to_json(Json::pretty().sort_keys())?);

    // Somebody holds the cell: the error says where, and nothing is written.
    let held = job.attempts.borrow_mut();
    if let Err(error) = internal::to_vec(&job) {
        println!("{error}");
    }
    drop(held);

    if let Err(error) = internal::from_slice::<Job>(&bytes[..bytes.len() - 4]) {
        println!("{error}");
    }
    Ok(())
}
