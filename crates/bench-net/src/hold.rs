//! Connections that do nothing, for the memory of a server that has many.

use std::io::{self, Read};

use crate::address::Address;
use crate::arguments::Arguments;
use crate::{Outcome, say};

/// Makes the connections, says so, and keeps them until stdin ends.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let address: Address = arguments.required("to")?;
    let count: u64 = arguments.required("connections")?;
    let held = (0..count).map(|number| address.connect(number)).collect::<Outcome<Vec<_>>>()?;
    say(&format!("held {}", held.len()))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
