//! Both directions of a connection's ciphertext, as OpenSSL sees them. OpenSSL may be at work on another
//! thread without the GIL, so they lie behind a lock, which is never held over Python code.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrio_capi::openssl::Wire;
use ferrio_core::tls::Input;

/// The ciphertext.
#[derive(Debug, Default)]
pub struct Pipe {
    ends: Mutex<Ends>,
    /// How much each end holds, for those who only ask: taking a lock costs more than the answer is worth.
    /// Whoever holds the lock keeps them up to date; while OpenSSL is at work elsewhere they are old at once.
    readable: AtomicUsize,
    unsent: AtomicUsize,
}

#[derive(Debug, Default)]
struct Ends {
    input: Input,
    output: Vec<u8>,
}

impl Pipe {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        // Nothing panics with the lock held but a failed allocation, which ends the process.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_input<R>(&self, change: impl FnOnce(&mut Input) -> R) -> R {
        let mut ends = self.ends();
        let result = change(&mut ends.input);
        self.readable.store(ends.input.len(), Ordering::Relaxed);
        result
    }

    fn change_output<R>(&self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut ends = self.ends();
        let result = change(&mut ends.output);
        self.unsent.store(ends.output.len(), Ordering::Relaxed);
        result
    }

    /// The first `len` bytes of `memory` have come. [`Pipe::take_back`] gives it back.
    pub fn lend(&self, memory: Vec<u8>, len: usize) {
        self.change_input(|input| input.lend(memory, len));
    }

    /// What was lent; what nobody has read of it is kept.
    pub fn take_back(&self) -> Vec<u8> {
        self.change_input(Input::take_back)
    }

    /// A copy of `data` has come.
    pub fn push(&self, data: &[u8]) {
        self.change_input(|input| input.push(data));
    }

    /// What is to be sent, and its memory.
    pub fn take_output(&self) -> Vec<u8> {
        self.change_output(std::mem::take)
    }

    /// Room for so many bytes more to be sent, in memory of `kept` where there was none.
    pub fn make_room(&self, len: usize, kept: impl FnOnce() -> Vec<u8>) {
        self.change_output(|output| {
            if output.capacity() == 0 {
                *output = kept();
            }
            output.reserve(len);
        });
    }
}

impl Wire for Pipe {
    fn read(&self, space: &mut [u8]) -> usize {
        self.change_input(|input| input.read(space))
    }

    fn write(&self, data: &[u8]) {
        self.change_output(|output| output.extend_from_slice(data));
    }

    fn readable(&self) -> usize {
        self.readable.load(Ordering::Relaxed)
    }

    fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }
}
