//! `cargo run -p poll-api`

use std::process::ExitCode;

fn main() -> ExitCode {
    poll_api::main()
}
