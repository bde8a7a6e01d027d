//! The table of functions, within one process.

use sk_cereal::internal;
use sk_function::BuildIdentity;
use sk_function::image::{self, ImageError, Reference};

fn double(x: u64) -> u64 {
    x * 2
}

fn shipped_elsewhere() -> Reference {
    image::ship(&double).unwrap()
}

fn run(reference: Reference, arguments: &[u8]) -> Result<Vec<u8>, sk_function::Failure> {
    let mut result = b"kept".to_vec();
    image::accept(reference).unwrap().run(arguments, &mut result)?;
    assert!(result.starts_with(b"kept"));
    Ok(result.split_off(4))
}

#[test]
fn one_function_has_one_place_wherever_it_is_shipped() {
    let reference = image::ship(&double).unwrap();
    assert_eq!(reference, shipped_elsewhere());
    let code = image::accept(reference).unwrap();
    assert_eq!(code.name(), "it::image::double");
    let result = run(reference, &internal::to_vec(&(21_u64,)).unwrap()).unwrap();
    assert_eq!(internal::from_slice::<u64>(&result).unwrap(), 42);
}

#[test]
fn one_closure_with_two_signatures_has_two_places() {
    fn first<T>(value: T) -> T {
        value
    }
    let number = image::ship::<_, (u8,)>(&first::<u8>).unwrap();
    let text = image::ship::<_, (String,)>(&first::<String>).unwrap();
    assert_ne!(number, text);
    let result = run(text, &internal::to_vec(&("text",)).unwrap()).unwrap();
    assert_eq!(internal::from_slice::<String>(&result).unwrap(), "text");
}

#[test]
fn every_place_holds_a_function_and_no_other_does() {
    let bytes = internal::to_vec(&image::ship(&double).unwrap()).unwrap();
    let at = |place: u32| -> Reference {
        let mut bytes = bytes.clone();
        bytes[8..12].copy_from_slice(&place.to_le_bytes());
        internal::from_slice(&bytes).unwrap()
    };
    let functions = u32::try_from(image::functions()).unwrap();
    assert!(functions >= 4);
    let accepted = (0..functions).filter(|place| image::accept(at(*place)).is_ok()).count();
    assert!(accepted >= 1 && accepted < functions as usize);
    for place in [functions, u32::MAX] {
        let error = image::accept(at(place)).unwrap_err();
        assert_eq!(error, ImageError::NoSuchPlace { place, functions: functions as usize });
        assert!(error.to_string().contains(&format!("function {place} of {functions}")));
    }
}

#[test]
fn arguments_that_do_not_fit_are_a_failure_that_names_the_function() {
    let reference = image::ship(&double).unwrap();
    for arguments in [&b""[..], b"{}", &internal::to_vec("text").unwrap()] {
        let failure = run(reference, arguments).unwrap_err();
        assert!(failure.is_undecodable());
        assert_eq!(failure.function(), Some("it::image::double"));
    }
}

#[test]
fn a_result_that_cannot_be_encoded_is_a_failure_and_leaves_nothing() {
    fn locked(_: ()) -> std::path::PathBuf {
        use std::os::unix::ffi::OsStringExt as _;
        std::ffi::OsString::from_vec(vec![0xff]).into()
    }
    let reference = image::ship(&locked).unwrap();
    let mut result = b"kept".to_vec();
    let code = image::accept(reference).unwrap();
    let failure = code.run(&internal::to_vec(&((),)).unwrap(), &mut result).unwrap_err();
    assert!(failure.to_string().contains("UTF-8"), "{failure}");
    assert_eq!(result, b"kept");
}

#[test]
fn this_build_has_an_identity() {
    let here = BuildIdentity::of_this_process().unwrap();
    assert!(here.to_string().len() >= 16);
    assert_eq!(here.expect(here), Ok(()));
    let bytes = internal::to_vec(here).unwrap();
    assert_eq!(internal::from_slice::<BuildIdentity>(&bytes).unwrap(), *here);
}
