//! Both directions of a connection's ciphertext, as OpenSSL sees them. OpenSSL may be at work on another
//! thread without the GIL, so they lie behind a lock, which is never held over Python code.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrio_capi::openssl::Wire;
use ferrio_core::tls::Input;

/// The ciphertext.
#[derive(Debug, Default)]
pub struct Pipe(Mutex<Ends>);

#[derive(Debug, Default)]
struct Ends {
    input: Input,
    output: Vec<u8>,
}

impl Pipe {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        // Nothing panics with the lock held but a failed allocation, which ends the process.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first `len` bytes of `memory` have come. [`Pipe::take_back`] gives it back.
    pub fn lend(&self, memory: Vec<u8>, len: usize) {
        self.ends().input.lend(memory, len);
    }

    /// What was lent; what nobody has read of it is kept.
    pub fn take_back(&self) -> Vec<u8> {
        self.ends().input.take_back()
    }

    /// A copy of `data` has come.
    pub fn push(&self, data: &[u8]) {
        self.ends().input.push(data);
    }

    /// What is to be sent.
    pub fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.ends().output)
    }

    /// Whether what is to be sent has memory already.
    pub fn has_memory(&self) -> bool {
        self.ends().output.capacity() > 0
    }

    /// Room for so many bytes more to be sent, in `memory` where there was none.
    pub fn make_room(&self, len: usize, memory: Vec<u8>) {
        let mut ends = self.ends();
        if ends.output.capacity() == 0 {
            ends.output = memory;
        }
        ends.output.reserve(len);
    }
}

impl Wire for Pipe {
    fn read(&self, space: &mut [u8]) -> usize {
        self.ends().input.read(space)
    }

    fn write(&self, data: &[u8]) {
        self.ends().output.extend_from_slice(data);
    }

    fn readable(&self) -> usize {
        self.ends().input.len()
    }

    fn unsent(&self) -> usize {
        self.ends().output.len()
    }
}
