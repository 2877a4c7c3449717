//! Children started and waited for without a loop: the limit for a loop's subprocesses.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::arguments::Arguments;
use crate::clock::{now_ns, own_cpu_ns, seconds_to_ns};
use crate::{Outcome, say};

/// Starts `--program` for `--seconds`, `--at-once` children at a time, and prints JSON. With
/// `--piped` their stdout comes through a pipe, which is read to its end.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let program: String = arguments.required("program")?;
    let at_once: u64 = arguments.required("at-once")?;
    let duration_ns = seconds_to_ns(arguments.required("seconds")?);
    let is_piped = arguments.has("piped");
    batch(&program, at_once, is_piped)?;
    let (start_ns, cpu_before_ns, mut ended) = (now_ns(), own_cpu_ns(), 0);
    while now_ns() - start_ns < duration_ns {
        batch(&program, at_once, is_piped)?;
        ended += at_once;
    }
    let cpu_s = (own_cpu_ns() - cpu_before_ns) as f64 / 1e9;
    let wall_s = (now_ns() - start_ns) as f64 / 1e9;
    say(&format!(
        "{{\"requests\": {ended}, \"wall_s\": {wall_s}, \"server_cpu_s\": {cpu_s}, \"lost\": 0, \
         \"latency_us\": {{}}}}"
    ))?;
    Ok(())
}

fn batch(program: &str, at_once: u64, is_piped: bool) -> Outcome {
    let stdout = || if is_piped { Stdio::piped() } else { Stdio::inherit() };
    let start = |_| Command::new(program).stdout(stdout()).spawn();
    let children = (0..at_once).map(start).collect::<Result<Vec<Child>, _>>()?;
    for mut child in children {
        if let Some(mut output) = child.stdout.take() {
            output.read_to_end(&mut Vec::new())?;
        }
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("{program} ended with {status}").into());
        }
    }
    Ok(())
}
