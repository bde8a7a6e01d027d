//! Text that nobody wrote: reading ends with an error or with a tree that is written and read to
//! the same tree, in JSON and in internal bytes, within its bounds of memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sk_cereal::{Json, Value, internal};
use sk_cereal_fuzz::{Everything, NODE_OF_JSON, within_bounds};

fuzz_target!(|data: &[u8]| {
    let Ok(tree) = within_bounds(data, NODE_OF_JSON, || Value::from_json(data)) else { return };
    let again = |tree: &Value| Value::from_json(tree.to_json(Json::compact()).unwrap()).unwrap();
    // JSON has fewer forms than the tree, so the first way back may change a form; no other does.
    let settled = again(&tree);
    assert_eq!(again(&settled), settled);
    let pretty = settled.to_json(Json::pretty()).unwrap();
    assert_eq!(Value::from_json(pretty).unwrap(), settled);

    let bytes = internal::to_vec(&tree).unwrap();
    assert_eq!(internal::from_slice::<Value>(&bytes).unwrap(), tree);
    if let Err(error) = tree.to::<Everything>() {
        assert!(!error.to_string().is_empty());
    }
});
