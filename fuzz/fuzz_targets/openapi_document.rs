//! Whatever a document says, it is compiled or refused, without a panic; what is taken makes a layer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_rampart::validate::{OpenApi, Validate, ValidateResponses};

fuzz_target!(|input: (bool, &str)| {
    let (is_yaml, text) = input;
    let read = if is_yaml { OpenApi::from_yaml(text) } else { OpenApi::from_json(text) };
    if let Ok(api) = read {
        let _ = Validate::new().add_openapi(api.clone()).build();
        let _ = ValidateResponses::new(api).build();
    }
});
