//! Memory that TLS connections encrypt into. It is full until it is sent, and kept for the next one: what
//! is larger than a kilobyte comes and goes the long way in the C library.

use pyo3::prelude::*;

use super::EventLoop;

/// Memory between two uses.
///
/// Invariant: at most [`MOST`] small pieces, all empty.
#[derive(Debug, Default)]
pub struct Outputs {
    small: Vec<Vec<u8>>,
    large: Vec<u8>,
}

/// Room for a short record. What connections write in one turn may all wait for the end of it.
const SMALL: usize = 2 * 1024;
const MOST: usize = 128;

/// More is given back.
const LARGEST: usize = 1024 * 1024;

impl EventLoop {
    /// Empty memory, perhaps with room for so many bytes.
    pub fn take_output(&self, py: Python<'_>, room: usize) -> Vec<u8> {
        let mut outputs = self.outputs.borrow_mut(py);
        if room <= SMALL {
            return outputs.small.pop().unwrap_or_default();
        }
        std::mem::take(&mut outputs.large)
    }

    /// Memory that is not needed any more.
    pub fn keep_output(&self, py: Python<'_>, mut memory: Vec<u8>) {
        memory.clear();
        let mut outputs = self.outputs.borrow_mut(py);
        match memory.capacity() {
            0 => {}
            1..=SMALL if outputs.small.len() < MOST => outputs.small.push(memory),
            capacity if capacity > SMALL && capacity <= LARGEST => outputs.large = memory,
            _ => {}
        }
    }
}
