//! The load generator and the bare servers of `make bench-net`. Not part of the extension.
//!
//! One thread, pinned to the core it is given, over epoll(7). What it measures and prints as JSON
//! is described in benches/README.md.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use arguments::Arguments;

mod address;
mod arguments;
mod clock;
mod hold;
mod latency;
mod load;
mod payload;
mod readiness;
mod serve;
mod server_cpu;
mod slot;
mod spawn;
mod tls;

/// What a subcommand returns; `main` prints the error, and the exit status says that there was one.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: bench-net load --to ADDRESS --connections N --size BYTES --seconds S [--warm-up S]
                      [--reply FILE] [--lines] [--churn] [--tls] [--watch PID] [--core N]
       bench-net serve --at ADDRESS [--file FILE] [--certificate FILE] [--core N]
       bench-net hold --to ADDRESS --connections N [--size BYTES] [--core N]
       bench-net spawn --program FILE --seconds S --at-once N [--piped] [--core N]
ADDRESS is tcp:127.0.0.1:PORT, udp:127.0.0.1:PORT or unix:PATH; port 0 asks for a free one.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr there is nobody to tell; the exit status still says it.
            let _ = writeln!(io::stderr(), "bench-net: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let (command, arguments) = Arguments::of_process()?;
    if let Some(core) = arguments.optional("core")? {
        clock::pin_to_core(core)?;
    }
    match command.as_str() {
        "load" => load::run(&arguments),
        "serve" => serve::run(&arguments),
        "hold" => hold::run(&arguments),
        "spawn" => spawn::run(&arguments),
        _ => Err(USAGE.into()),
    }
}

/// Writes one line to stdout at once, so that whoever started us can read it from a pipe.
fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
