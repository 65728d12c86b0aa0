use proptest::prelude::*;

use super::*;

fn grpc(text: &str) -> Option<Duration> {
    TimeoutField::grpc().parse(text.as_bytes())
}

const X: HeaderName = HeaderName::from_static("x-timeout");

/// gRPC over HTTP/2, "Requests": `TimeoutValue` is of at most eight digits, `TimeoutUnit` one of H M S m u n.
#[test]
fn grpcs_grammar() {
    for (text, nanos) in [
        ("1n", 1),
        ("1u", 1_000),
        ("1m", 1_000_000),
        ("1S", 1_000_000_000),
        ("1M", 60_000_000_000),
        ("1H", 3_600_000_000_000),
        ("0S", 0),
        ("00000007m", 7_000_000),
        ("99999999H", 99_999_999 * 3_600_000_000_000),
    ] {
        assert_eq!(grpc(text).map(|timeout| timeout.as_nanos()), Some(nanos), "{text}");
    }
    for text in [
        "",
        "S",
        "1",
        "1s",
        "1h",
        "1N",
        "1ms",
        "123456789S",
        "000000001S",
        "+1S",
        "-1S",
        "1.5S",
        " 1S",
        "1S ",
        "1 S",
        "0x1S",
        "١S",
        "1\u{b5}",
    ] {
        assert_eq!(grpc(text), None, "{text}");
    }
}

#[test]
fn milliseconds_and_seconds() {
    let millis = |text: &str| TimeoutField::milliseconds(X).parse(text.as_bytes());
    assert_eq!(millis("1500"), Some(Duration::from_millis(1500)));
    assert_eq!(millis("99999999999"), Some(Duration::from_millis(99_999_999_999)));
    for text in ["", "1.5", "1500ms", "-1", "100000000000"] {
        assert_eq!(millis(text), None, "{text}");
    }
    let seconds = |text: &str| TimeoutField::seconds(X).parse(text.as_bytes());
    assert_eq!(seconds("3"), Some(Duration::from_secs(3)));
    assert_eq!(seconds("0.25"), Some(Duration::from_millis(250)));
    assert_eq!(seconds("1.000000001"), Some(Duration::new(1, 1)));
    for text in ["", ".", "1.", ".5", "1.0000000001", "1.5.5", "1,5", "-1", "1e3", "inf", "100000000000"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[test]
fn a_second_line_is_a_fault() {
    let mut headers = HeaderMap::new();
    assert_eq!(TimeoutField::grpc().read(&headers), Ok(None));
    headers.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
    assert_eq!(TimeoutField::grpc().read(&headers), Ok(Some(Duration::from_secs(1))));
    headers.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
    assert_eq!(TimeoutField::grpc().read(&headers), Err(Malformed));
}

#[test]
fn what_is_left_is_never_written_as_zero() {
    let (grpc, millis, seconds) = (TimeoutField::grpc(), TimeoutField::milliseconds(X), TimeoutField::seconds(X));
    assert_eq!(grpc.write(Duration::ZERO), None);
    assert_eq!(grpc.write(Duration::from_nanos(1)).unwrap(), "1n");
    assert_eq!(grpc.write(Duration::from_nanos(99_999_999)).unwrap(), "99999999n");
    assert_eq!(grpc.write(Duration::from_nanos(100_000_999)).unwrap(), "100000u");
    assert_eq!(grpc.write(Duration::MAX).unwrap(), "99999999H");
    for field in [millis.clone(), seconds.clone()] {
        assert_eq!(field.write(Duration::from_nanos(999_999)), None);
    }
    assert_eq!(millis.write(Duration::from_micros(1999)).unwrap(), "1");
    assert_eq!(seconds.write(Duration::from_micros(1999)).unwrap(), "0.001");
    assert_eq!(seconds.write(Duration::from_micros(2_000_999)).unwrap(), "2");
}

/// The grammar again, the slow way.
fn naive_grpc(text: &str) -> Option<u128> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    let of = [
        ('n', 1),
        ('u', 1_000),
        ('m', 1_000_000),
        ('S', 1_000_000_000),
        ('M', 60_000_000_000),
        ('H', 3_600_000_000_000),
    ];
    let (_, nanos) = of.into_iter().find(|(letter, _)| *letter == unit)?;
    let fits = (1..=8).contains(&number.chars().count()) && number.chars().all(|digit| "0123456789".contains(digit));
    fits.then(|| number.parse::<u128>().unwrap() * nanos)
}

fn lefts() -> impl Strategy<Value = Duration> {
    // Of all magnitudes alike.
    (0_u32..80, any::<u64>()).prop_map(|(bits, noise)| {
        let nanos = (1_u128 << bits) + u128::from(noise) % (1_u128 << bits);
        Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_text_is_read_as_the_grammar_says(text in "[0-9 +.a-zA-Z-]{0,11}") {
        prop_assert_eq!(grpc(&text).map(|timeout| timeout.as_nanos()), naive_grpc(&text));
    }

    #[test]
    fn numbers_too(number in "[0-9]{0,10}", unit in "[HMSmunhs]") {
        let text = number + &unit;
        prop_assert_eq!(grpc(&text).map(|timeout| timeout.as_nanos()), naive_grpc(&text));
    }

    /// However many servers hand it on, the time never grows, and loses a hundred-thousandth at most each time.
    #[test]
    fn what_is_written_is_read_again_and_never_more(left in lefts()) {
        let most = Duration::from_secs(99_999_999 * 3600);
        for field in [TimeoutField::grpc(), TimeoutField::milliseconds(X), TimeoutField::seconds(X)] {
            let Some(written) = field.write(left) else {
                prop_assert!(left < Duration::from_millis(1));
                continue;
            };
            let read = field.parse(written.as_bytes()).expect("its own grammar");
            prop_assert!(!read.is_zero() && read <= left);
            if field == TimeoutField::grpc() && left < most {
                // A minute of hours is the coarsest step there is.
                prop_assert!(left - read <= left / 10_000, "{:?} became {:?}", left, read);
            }
            prop_assert_eq!(field.write(read), Some(written));
        }
    }
}
