use tower_rampart::config::{self, LoadShedConfig};

#[derive(Debug, serde::Deserialize)]
struct Config {
    load_shed: LoadShedConfig,
}

fn parse(text: &str) -> Result<LoadShedConfig, String> {
    config::parse::<Config>(text, "x.toml").map(|config| config.load_shed).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_has_its_default() {
    let written = "[load_shed]\nalgorithm = \"gradient2\"\nnever_shed = [\"/healthz\"]\nuntil_head = false\n";
    let whole = parse(written).unwrap();
    assert_eq!(parse("[load_shed]\n").unwrap(), whole);
    assert_eq!(whole.to_layer().unwrap().handle().snapshot().limit, 20);
    for key in ["until_head = true", "never_shed = []", "algorithm = \"aimd\"", "max_limit = 999"] {
        assert_ne!(parse(&format!("[load_shed]\n{key}\n")).unwrap(), whole);
    }
}

/// Where the limit begins need not be said for floor and cap to be.
#[test]
fn the_first_limit_is_within_floor_and_cap() {
    for (bounds, limit) in [("max_limit = 10", 10), ("min_limit = 30", 30), ("initial_limit = 7", 7)] {
        let table = parse(&format!("[load_shed]\n{bounds}\n")).unwrap();
        assert_eq!(table.to_layer().unwrap().handle().snapshot().limit, limit, "{bounds}");
    }
}

#[test]
fn errors_name_line_key_value_and_mend() {
    for (text, error) in [
        (
            "[load_shed]\nmin_limit = 0\n",
            "x.toml:2: load_shed.min_limit: `0` lets nothing through, and nothing is learnt from that; write 1 or more",
        ),
        ("[load_shed]\nmin_limit = 9\nmax_limit = 8\n", "x.toml:3: load_shed.max_limit: `8` is no cap"),
        (
            "[load_shed]\nmax_limit = 8\ninitial_limit = 9\n",
            "x.toml:3: load_shed.initial_limit: `9` is outside of floor and cap",
        ),
        ("[load_shed]\nmin_limit = 1001\n", "x.toml:2: load_shed.min_limit: `1000` is no cap"),
        (
            "[load_shed]\nlatency_limit = \"1s\"\n",
            "x.toml:2: load_shed.latency_limit: `1s` says nothing to `gradient2`; write `algorithm = \"aimd\"`, or leave it out",
        ),
        (
            "[load_shed]\nalgorithm = \"aimd\"\nlatency_limit = \"0s\"\n",
            "x.toml:3: load_shed.latency_limit: `0s` is exceeded by everything",
        ),
        ("[load_shed]\nalgorithm = \"vegas\"\n", "x.toml:2: load_shed.algorithm:"),
        ("[load_shed]\nnever_shed = [\n\"/healthz\",\n\"readyz\",\n]\n", "x.toml:4: load_shed.never_shed: `readyz`"),
        ("[load_shed]\nlimit = 1\n", "x.toml:2: load_shed.limit:"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with(error), "{message}");
    }
}
