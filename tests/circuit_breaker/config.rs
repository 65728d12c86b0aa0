//! The table, and what it says of mistakes.

use tower_rampart::config::{self, CircuitBreakerConfig};

#[derive(Debug, serde::Deserialize)]
struct Config {
    circuit_breaker: CircuitBreakerConfig,
}

fn parse(lines: &str) -> Result<CircuitBreakerConfig, String> {
    config::parse::<Config>(&format!("[circuit_breaker]\n{lines}\n"), "x.toml")
        .map(|config| config.circuit_breaker)
        .map_err(|error| error.to_string())
}

#[test]
fn errors_name_line_key_value_as_written_and_mend() {
    for (lines, error) in [
        (
            "open_for = \"90s\"",
            "x.toml:2: circuit_breaker.open_for: `90s` is longer than `max_open`, which is 60s unless it is said; \
             write a shorter `open_for`, or a longer `max_open` beside it",
        ),
        (
            "open_for = \"900s\"\nmax_open = \"120s\"",
            "x.toml:3: circuit_breaker.max_open: `120s` is shorter than `open_for`; \
             write a longer `max_open`, or a shorter `open_for`",
        ),
        (
            "\nmax_open = \"500ms\"",
            "x.toml:3: circuit_breaker.max_open: `500ms` is shorter than `open_for`, which is 1s unless it is said; \
             write a longer `max_open`, or a shorter `open_for`",
        ),
        ("window = \"90ms\"", "x.toml:2: circuit_breaker.window: `90ms` is no time to judge by; write 100ms to 1d"),
        (
            "probe_lease = \"2d\"",
            "x.toml:2: circuit_breaker.probe_lease: `2d` is too short or too long; write 1ms to 1d",
        ),
        ("slow_call = \"0ms\"", "x.toml:2: circuit_breaker.slow_call: `0ms` makes every call slow; write a longer one"),
        (
            "min_calls = 101",
            "x.toml:2: circuit_breaker.min_calls: `101` is more than the window ever holds; \
             write no more than `window`, which is 100 unless it is said",
        ),
        (
            "window = 10\nmin_calls = 11",
            "x.toml:3: circuit_breaker.min_calls: `11` is more than the window ever holds; write no more than `window`",
        ),
        (
            "probes_needed = 4",
            "x.toml:2: circuit_breaker.probes_needed: `4` cannot succeed; \
             write 1 up to `probes`, which is 3 unless it is said",
        ),
        ("probes = 0", "x.toml:2: circuit_breaker.probes: `0` is no number of probes; write 1 to 16"),
    ] {
        assert_eq!(parse(lines).unwrap_err(), error);
    }
}

/// What zero is refused for says of a negative number where numbers begin.
#[test]
fn numbers_that_begin_at_one_say_so() {
    for key in ["probes", "probes_needed", "min_calls", "consecutive_failures"] {
        for (value, breach) in [("-1", "is out of range"), ("\"3\"", "is text"), ("5000000000", "is out of range")] {
            assert_eq!(
                parse(&format!("{key} = {value}")).unwrap_err(),
                format!(
                    "x.toml:2: circuit_breaker.{key}: `{}` {breach}; write a whole number from 1, without quotes",
                    value.trim_matches('"')
                ),
            );
        }
        assert!(!parse(&format!("{key} = 0")).unwrap_err().contains("from"), "{key}");
        parse(&format!("{key} = 1")).unwrap();
    }
}

#[test]
fn what_is_said_is_what_it_is_otherwise() {
    let said = parse(
        "window = 100\nfailure_rate = 0.5\nslow_call = \"2s\"\nslow_rate = 0.8\nopen_for = \"1s\"\n\
         max_open = \"60s\"\njitter = 0.2\nprobes = 3\nprobe_lease = \"5s\"\nramp_up = \"0s\"\nmode = \"enforce\"",
    );
    let described =
        |config: CircuitBreakerConfig| format!("{:?}", config.to_builder("x").build().unwrap().handle().snapshot());
    assert_eq!(described(said.unwrap()), described(CircuitBreakerConfig::default()));
    parse("open_for = \"90s\"\nmax_open = \"90s\"").unwrap();
}
