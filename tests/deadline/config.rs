use tower_rampart::config::{self, TimeoutsConfig};

#[derive(Debug, serde::Deserialize)]
struct Config {
    timeouts: TimeoutsConfig,
}

fn parse(text: &str) -> Result<TimeoutsConfig, String> {
    config::parse::<Config>(text, "x.toml").map(|config| config.timeouts).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_has_its_default() {
    let whole = parse("[timeouts]\nrequest = \"30s\"\nupstream = \"5s\"\n").unwrap();
    assert_eq!(parse("[timeouts]\n").unwrap(), whole);
    assert!(whole.to_deadline_layer().is_ok() && whole.to_try_timeout_layer().is_ok());
    assert_ne!(parse("[timeouts]\nrequest = \"31s\"\n").unwrap(), whole);
}

#[test]
fn errors_name_line_key_value_and_mend() {
    for (text, error) in [
        (
            "[timeouts]\nrequest = \"0s\"\n",
            "x.toml:2: timeouts.request: `0s` lets nothing through; write a time such as `5s`, or leave `[timeouts]` out",
        ),
        ("[timeouts]\n\nupstream = \"soon\"\n", "x.toml:3: timeouts.upstream: `soon` is no duration"),
        ("[timeouts]\nrequests = \"5s\"\n", "x.toml:2: timeouts.requests:"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with(error), "{message}");
    }
}
