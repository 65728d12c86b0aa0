//! What is left of a server that is asked for five times what it can do. No criterion: a simulation, which prints a table
//! that is the same on every machine.

#[path = "../tests/load_shed/simulation.rs"]
mod simulation;

use simulation::{Guard, Phase, Server, simulate};

fn main() {
    let server = Server::TWENTY;
    let (half, five_times) = (server.capacity() / 2.0, server.capacity() * 5.0);
    println!("20 workers, 50 ms a request, clients wait 500 ms; 400 requests a second are all that it can do\n");
    println!("| before the server | load | in time | goodput | late | shed | mean latency | limit |");
    println!("|---|---|---|---|---|---|---|---|");
    let phases = [
        ("half, 20 s", Phase { rate: half, seconds: 20 }),
        ("five times, 60 s", Phase { rate: five_times, seconds: 60 }),
        ("half, 20 s", Phase { rate: half, seconds: 20 }),
    ];
    for (name, guard) in [
        ("nothing", Guard::Nothing),
        ("a limit of 20, as somebody knew", Guard::Fixed(20)),
        ("a limit of 500, as somebody guessed", Guard::Fixed(500)),
        ("AIMD, 167 ms", Guard::Aimd),
        ("Gradient2", Guard::Gradient2),
    ] {
        let tallies = simulate(server, guard, &phases.map(|(_, phase)| phase));
        for ((load, _), tally) in phases.iter().zip(tallies) {
            println!(
                "| {name} | {load} | {} | {:.1} % | {} | {} | {:.0} ms | {} |",
                tally.in_time,
                tally.goodput(&server) * 100.0,
                tally.late,
                tally.shed,
                tally.latency().as_secs_f64() * 1000.0,
                tally.limit
            );
        }
    }
}
