use tower_rampart::config::{self, BulkheadConfig};

#[derive(Debug, serde::Deserialize)]
struct Config {
    bulkhead: BulkheadConfig,
}

fn parse(text: &str) -> Result<BulkheadConfig, String> {
    config::parse::<Config>(text, "x.toml").map(|config| config.bulkhead).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_has_its_default() {
    let whole = parse("[bulkhead]\nmax_concurrent = 256\nmax_queued = 64\nmax_wait = \"100ms\"\n").unwrap();
    assert_eq!(parse("[bulkhead]\n").unwrap(), whole);
    let snapshot = whole.to_layer("upstream").unwrap().handle().snapshot();
    assert_eq!((snapshot.max_concurrent, snapshot.max_queued), (256, 64));
    assert_ne!(parse("[bulkhead]\nmax_wait = \"0s\"\n").unwrap(), whole);
}

#[test]
fn errors_name_line_key_value_and_mend() {
    for (text, error) in [
        (
            "[bulkhead]\nmax_concurrent = 0\n",
            "x.toml:2: bulkhead.max_concurrent: `0` lets nothing through; write 1 to 2147483648",
        ),
        ("[bulkhead]\nmax_concurrent = 2147483649\n", "x.toml:2: bulkhead.max_concurrent: `2147483649` bounds nothing"),
        (
            "[bulkhead]\nmax_concurrent = 1\nmax_queued = 2147483649\n",
            "x.toml:3: bulkhead.max_queued: `2147483649` bounds nothing",
        ),
        ("[bulkhead]\n\nmax_wait = \"soon\"\n", "x.toml:3: bulkhead.max_wait: `soon` is no duration"),
        ("[bulkhead]\nmax_waiting = 1\n", "x.toml:2: bulkhead.max_waiting:"),
        (
            "[bulkhead]\nmax_concurrent = -1\n",
            "x.toml:2: bulkhead.max_concurrent: `-1` is out of range; write a whole number from 1, without quotes",
        ),
        ("[bulkhead]\nmax_queued = -1\n", "x.toml:2: bulkhead.max_queued: `-1`"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with(error), "{message}");
    }
}
