//! What another process may send: a function, a call, a reference, a failure. Reading it ends with an
//! error or with a value that is as good as any other. What is a function of this program may be run;
//! nothing else ever is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sk_cereal::internal;
use sk_function::image::{self, Reference};
use sk_function::{Call, Failure, Function, Retry, function};

#[function(name = "fuzz.add")]
fn add(left: u32, right: u32, words: Vec<String>) -> u64 {
    u64::from(left) + u64::from(right) + words.len() as u64
}

#[function(name = "fuzz.nothing")]
fn nothing() {}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else { return };
    // A valid beginning, so that runs are not spent on finding it.
    let mut bytes = internal::to_vec(&()).unwrap();
    bytes.truncate(4);
    bytes.extend_from_slice(data);
    match kind % 5 {
        0 => {
            if let Ok(function) = internal::from_slice::<Function>(&bytes) {
                // It is not run: its policy may ask for years of waiting.
                let again = internal::to_vec(&function).unwrap();
                internal::from_slice::<Function>(&again).unwrap();
            }
        }
        1 => {
            if let Ok(call) = internal::from_slice::<Call>(&bytes) {
                match call.function() {
                    Ok(function) => match function.execute::<u64>() {
                        Ok(sum) => assert!(sum <= 2 * u64::from(u32::MAX) + bytes.len() as u64),
                        Err(failure) => assert!(!failure.to_string().is_empty()),
                    },
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
        2 => {
            if let Ok(reference) = internal::from_slice::<Reference>(&bytes) {
                let _ = image::accept(reference).map(|code| code.name());
            }
        }
        3 => {
            if let Ok(failure) = internal::from_slice::<Failure>(&bytes) {
                let again = internal::to_vec(&failure).unwrap();
                assert!(again.len() <= Failure::ENCODED_LIMIT);
                assert_eq!(internal::from_slice::<Failure>(&again).unwrap(), failure);
                assert!(!failure.to_string().is_empty());
            }
        }
        _ => {
            if let Ok(policy) = internal::from_slice::<Retry>(&bytes) {
                internal::to_vec(&policy).unwrap();
            }
        }
    }
});
