use tower_rampart::config::{self, RetryConfig};

#[derive(Debug, serde::Deserialize)]
struct Config {
    retry: RetryConfig,
}

fn parse(text: &str) -> Result<RetryConfig, String> {
    config::parse::<Config>(text, "x.toml").map(|config| config.retry).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_has_its_default() {
    let whole = parse("[retry]\nattempts = 2\nbudget_percent = 20\n").unwrap();
    assert_eq!(parse("[retry]\n").unwrap(), whole);
    assert_eq!(whole.to_policy().unwrap().budget().left, 10);
    assert_ne!(parse("[retry]\nattempts = 3\n").unwrap(), whole);
}

#[test]
fn errors_name_line_key_value_and_mend() {
    for (text, error) in [
        (
            "[retry]\nattempts = 0\n",
            "x.toml:2: retry.attempts: `0` is no number of tries; write 1 to 16, the first try included",
        ),
        ("[retry]\n\nattempts = 17\n", "x.toml:3: retry.attempts: `17` is no number of tries"),
        ("[retry]\nbudget_percent = 1001\n", "x.toml:2: retry.budget_percent: `1001` is too large a share"),
        (
            "[retry]\nattempts = -1\n",
            "x.toml:2: retry.attempts: `-1` is out of range; write a whole number from 1, without quotes",
        ),
        ("[retry]\nbudget_percent = -1\n", "x.toml:2: retry.budget_percent:"),
        ("[retry]\ntries = 2\n", "x.toml:2: retry.tries:"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with(error), "{message}");
    }
}
