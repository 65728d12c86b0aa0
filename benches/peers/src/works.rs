//! What is measured, by whom: one list for instructions and for time.

/// Hands the whole list to a macro: areas, what is done there, and who does it. A name is that of a crate as Cargo.toml has it,
/// and what is particular about it; `no_layer` is the handler alone, whose cost all the others contain.
#[macro_export]
macro_rules! works {
    ($measure:ident) => {
        $measure! {
            security_headers {
                twelve_fields {
                    no_layer: headers::jobs(headers::bare),
                    tower_rampart: headers::jobs(headers::rampart::twelve),
                    tower_helmet: headers::jobs(headers::tower_helmet::twelve),
                    axum_helmet: headers::jobs(headers::axum_helmet::twelve),
                }
                twelve_fields_beside_three {
                    no_layer: headers::jobs(headers::bare_with_three),
                    tower_rampart: headers::jobs(headers::rampart::twelve_beside_three),
                    tower_helmet: headers::jobs(headers::tower_helmet::twelve_beside_three),
                    axum_helmet: headers::jobs(headers::axum_helmet::twelve_beside_three),
                }
                nine_fields {
                    no_layer: headers::jobs(headers::bare),
                    tower_rampart: headers::jobs(headers::rampart::nine),
                    http_security_headers: headers::jobs(headers::security_headers::nine),
                    tower_helmet: headers::jobs(headers::tower_helmet::nine),
                    axum_helmet: headers::jobs(headers::axum_helmet::nine),
                }
                a_page_with_a_nonce {
                    no_layer: headers::jobs(headers::bare),
                    tower_rampart: headers::jobs(headers::rampart::nonce),
                    http_security_headers: headers::jobs(headers::security_headers::nonce),
                }
                api_preset {
                    no_layer: headers::jobs(headers::bare),
                    tower_rampart: headers::jobs(headers::rampart::api),
                }
            }
            rate_limit {
                admitted {
                    no_layer: limits::jobs(limits::bare, limits::Quota::Left),
                    tower_rampart: limits::jobs(limits::rampart::silent, limits::Quota::Left),
                    governor_bare: limits::jobs(limits::governor::check, limits::Quota::Left),
                    tower_governor: limits::jobs(limits::tower_governor::silent, limits::Quota::Left),
                }
                admitted_with_fields {
                    no_layer: limits::jobs(limits::bare, limits::Quota::Left),
                    tower_rampart: limits::jobs(limits::rampart::with_fields, limits::Quota::Left),
                    tower_governor: limits::jobs(limits::tower_governor::with_fields, limits::Quota::Left),
                }
                refused_with_fields {
                    tower_rampart: limits::jobs(limits::rampart::with_fields, limits::Quota::UsedUp),
                    tower_governor: limits::jobs(limits::tower_governor::with_fields, limits::Quota::UsedUp),
                }
            }
            tokens {
                rs256 {
                    tower_rampart_seen_before: tokens::rs256(tokens::rampart_knowing),
                    tower_rampart_new: tokens::rs256(tokens::rampart_anew),
                    tower_oauth2_resource_server: tokens::rs256(tokens::tower_oauth2),
                    jwt_authorizer: tokens::rs256(tokens::jwt_authorizer),
                    aws_lc_rs_signature_alone: tokens::rs256(tokens::bare_signature),
                }
                hs256 {
                    tower_rampart: tokens::hs256(tokens::rampart_secret),
                    tower_rampart_without_its_layer: tokens::hs256(tokens::rampart_secret_alone),
                    jsonwebtoken_decode_alone: tokens::hs256(tokens::bare_decode),
                }
                junk {
                    tower_rampart: tokens::junk(tokens::rampart_knowing),
                    tower_oauth2_resource_server: tokens::junk(tokens::tower_oauth2),
                    jwt_authorizer: tokens::junk(tokens::jwt_authorizer),
                }
            }
            rules {
                one_of_200 {
                    no_layer: rules::bare(),
                    tower_rampart_allowed: rules::rampart_allowed(),
                }
                refused {
                    tower_rampart: rules::rampart_denied(),
                }
            }
            validation {
                a_get {
                    no_layer: bodies::bare(bodies::get),
                    tower_rampart: bodies::rampart(bodies::get),
                    tower_http_length_alone: bodies::tower_http(bodies::get),
                }
                json_of_96_bytes {
                    no_layer: bodies::bare(bodies::post),
                    tower_rampart: bodies::rampart(bodies::post),
                    tower_http_length_alone: bodies::tower_http(bodies::post),
                }
            }
            cache {
                hit {
                    tower_rampart: caches::rampart::hit(),
                    tower_rampart_not_modified: caches::rampart::not_modified(),
                    axum_response_cache: caches::axum_response_cache::hit(),
                    tower_http_cache: caches::tower_http_cache::hit(),
                    http_cache_tower_server: caches::http_cache_tower_server::hit(),
                    handler_without_a_cache: caches::bare(),
                }
            }
            circuit_breaker {
                five_in_a_row {
                    no_layer: breakers::jobs(breakers::bare),
                    tower_rampart: breakers::jobs(breakers::rampart::consecutive),
                    tower_resilience_circuitbreaker: breakers::jobs(breakers::resilience::consecutive),
                }
                the_last_100_calls {
                    no_layer: breakers::jobs(breakers::bare),
                    tower_rampart: breakers::jobs(breakers::rampart::calls),
                    tower_resilience_circuitbreaker: breakers::jobs(breakers::resilience::calls),
                }
                ten_seconds_and_slow_calls {
                    no_layer: breakers::jobs(breakers::bare),
                    tower_rampart: breakers::jobs(breakers::rampart::time_and_slow),
                    tower_resilience_circuitbreaker: breakers::jobs(breakers::resilience::time_and_slow),
                }
                refused_by_an_error {
                    tower_rampart: breakers::jobs(breakers::rampart::refusing_for_an_hour),
                    tower_rampart_until_further_notice: breakers::jobs(breakers::rampart::refusing),
                    tower_resilience_circuitbreaker: breakers::jobs(breakers::resilience::refusing),
                }
            }
            requests_in_flight {
                a_fixed_bound {
                    no_layer: pressure::with_room(pressure::bare),
                    tower_rampart: pressure::with_room(pressure::rampart::bulkhead),
                    tower_rampart_by_key: pressure::with_room(pressure::rampart::bulkhead_by_key),
                    tower_limit: pressure::with_room(pressure::tower_limits::limit),
                    tower_limit_and_load_shed: pressure::with_room(pressure::tower_limits::limit_and_shed),
                    tower_resilience_bulkhead: pressure::with_room(pressure::tower_resilience::bulkhead),
                }
                a_limit_that_finds_itself {
                    no_layer: pressure::with_room(pressure::bare),
                    tower_rampart_gradient2: pressure::with_room(pressure::rampart::gradient2),
                    tower_rampart_aimd: pressure::with_room(pressure::rampart::aimd),
                    tower_resilience_adaptive_gradient2: pressure::with_room(pressure::tower_resilience::gradient2),
                    tower_resilience_adaptive_aimd: pressure::with_room(pressure::tower_resilience::aimd),
                }
                the_clients_throttle {
                    no_layer: pressure::with_room(pressure::bare),
                    tower_rampart: pressure::with_room(pressure::rampart::throttle),
                }
                refused {
                    tower_rampart_bulkhead_error: pressure::full(pressure::rampart::bulkhead_typed),
                    tower_rampart_shed_error: pressure::full(pressure::rampart::gradient2_typed),
                    tower_rampart_bulkhead_answer: pressure::full(pressure::rampart::bulkhead),
                    tower_rampart_shed_answer: pressure::full(pressure::rampart::gradient2),
                    tower_limit_and_load_shed: pressure::full(pressure::tower_limits::limit_and_shed),
                    tower_resilience_bulkhead: pressure::full(pressure::tower_resilience::bulkhead),
                }
            }
            time_and_tries {
                answered_at_once {
                    no_layer: waits::jobs(waits::Handler::quick()),
                    tower_rampart_try_timeout: waits::jobs(waits::rampart::try_timeout(waits::Handler::quick())),
                    tower_rampart_deadline: waits::jobs(waits::rampart::deadline(waits::Handler::quick())),
                    tower_timeout: waits::jobs(waits::tower_own::timeout(waits::Handler::quick())),
                }
                waited_for {
                    no_layer: waits::jobs(waits::Handler::slow()),
                    tower_rampart_try_timeout: waits::jobs(waits::rampart::try_timeout(waits::Handler::slow())),
                    tower_rampart_deadline: waits::jobs(waits::rampart::deadline(waits::Handler::slow())),
                    tower_timeout: waits::jobs(waits::tower_own::timeout(waits::Handler::slow())),
                }
                goes_well {
                    no_layer: waits::jobs(waits::Handler::quick()),
                    tower_rampart_retry: waits::jobs(waits::rampart::retry(waits::Handler::quick())),
                    tower_retry: waits::jobs(waits::tower_own::retry(waits::Handler::quick())),
                }
                fails_twice {
                    no_layer: waits::jobs(waits::Handler::failing()),
                    tower_rampart_retry: waits::jobs(waits::rampart::retry(waits::Handler::failing())),
                    tower_retry: waits::jobs(waits::tower_own::retry(waits::Handler::failing())),
                }
            }
            six_layers_on_axum {
                mounted {
                    no_layer: stack::jobs(stack::bare),
                    tower_rampart_one_stack: stack::jobs(stack::one_stack),
                    tower_rampart_reloadable: stack::jobs(stack::reloadable),
                    tower_rampart_exchanged: stack::jobs(stack::exchanged),
                    tower_rampart_service_builder: stack::jobs(stack::service_builder),
                    tower_rampart_six_calls: stack::jobs(stack::six_calls),
                }
                admitted_token_seen_before {
                    no_layer: whole::no_layer(),
                    tower_rampart: whole::admitted(whole::ours),
                    six_others: whole::admitted(whole::theirs),
                }
                admitted_new_token {
                    no_layer: whole::no_layer(),
                    tower_rampart: whole::admitted_anew(whole::ours),
                    six_others: whole::admitted_anew(whole::theirs),
                }
                answered_by_the_cache {
                    tower_rampart: whole::cached(whole::ours),
                    six_others: whole::cached(whole::theirs),
                }
                no_token {
                    tower_rampart: whole::unknown(whole::ours),
                    six_others: whole::unknown(whole::theirs),
                }
                over_quota {
                    tower_rampart: whole::over_quota(whole::ours),
                    six_others: whole::over_quota(whole::theirs),
                }
            }
        }
    };
}

/// The same of what stands behind feature `roas`.
#[cfg(feature = "roas")]
#[macro_export]
macro_rules! works_with_roas {
    ($measure:ident) => {
        $measure! {
            openapi {
                a_post_of_96_bytes {
                    tower_rampart: openapi::passing(openapi::rampart, openapi::small_poll),
                    roas_http_validator: openapi::passing(openapi::roas, openapi::small_poll),
                }
                a_post_of_1300_bytes {
                    tower_rampart: openapi::passing(openapi::rampart, openapi::large_poll),
                    roas_http_validator: openapi::passing(openapi::roas, openapi::large_poll),
                }
                a_number_in_the_query {
                    tower_rampart: openapi::passing(openapi::rampart, openapi::list),
                    roas_http_validator: openapi::passing(openapi::roas, openapi::list),
                }
                a_uuid_in_the_path {
                    tower_rampart: openapi::passing(openapi::rampart, openapi::read),
                    roas_http_validator: openapi::passing(openapi::roas, openapi::read),
                }
                a_post_with_three_errors {
                    tower_rampart: openapi::refused(openapi::rampart, openapi::wrong_poll),
                    roas_http_validator: openapi::refused(openapi::roas, openapi::wrong_poll),
                }
            }
        }
    };
}
