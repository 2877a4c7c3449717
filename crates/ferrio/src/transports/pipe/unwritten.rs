//! What a write pipe transport has still to write: the caller's own bytes objects, and copies of what
//! may change. Relies on `core::write_buf`. An empty buffer allocates nothing.
//!
//! Safety: the buffer is taken out while it is used, and nothing that could run Python code is called
//! or dropped before it is back.

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;

use ferrio_capi::buffer::BytesRef;
use ferrio_core::pipe;
use ferrio_core::write_buf::WriteBuf;

/// The bytes in order. All-zero is empty.
#[derive(Default)]
pub struct Unwritten(Cell<Option<Box<WriteBuf<Chunk>>>>);

impl std::fmt::Debug for Unwritten {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Unwritten({} bytes)", self.len())
    }
}

/// Something that waits to be written.
#[derive(Debug)]
enum Chunk {
    /// The caller's own bytes object.
    Kept(BytesRef),
    /// A copy of what may change.
    Copied(Vec<u8>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes.as_ref(),
            Self::Copied(bytes) => bytes,
        }
    }
}

impl Unwritten {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.look(WriteBuf::len)
    }

    /// A copy of them.
    pub fn to_vec(&self) -> Vec<u8> {
        self.look(WriteBuf::to_vec)
    }

    fn look<R>(&self, look: impl FnOnce(&WriteBuf<Chunk>) -> R) -> R {
        let buffer = self.0.take();
        let result = look(buffer.as_deref().unwrap_or(&WriteBuf::new()));
        self.0.set(buffer);
        result
    }

    /// Adds a bytes object, of which the first bytes are written already.
    pub fn push_bytes(&self, bytes: BytesRef, written: usize) {
        self.push(Chunk::Kept(bytes), written);
    }

    /// Adds a copy of something that may change.
    pub fn push_copy(&self, bytes: Vec<u8>) {
        self.push(Chunk::Copied(bytes), 0);
    }

    fn push(&self, chunk: Chunk, written: usize) {
        let mut buffer = self.0.take().unwrap_or_default();
        let empty = buffer.push(chunk, written);
        self.0.set(Some(buffer));
        drop(empty);
    }

    /// Drops everything; says how many bytes that were.
    pub fn discard(&self) -> usize {
        self.0.take().map_or(0, |buffer| buffer.len())
    }

    /// Writes what fits in one system call; says whether all is written.
    ///
    /// # Errors
    /// As writev(2); `WouldBlock` when nothing fits.
    pub fn flush(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let Some(mut buffer) = self.0.take() else { return Ok(true) };
        let outcome = {
            let mut pieces = Vec::new();
            buffer.slices(&mut pieces, pipe::MOST_PIECES);
            pipe::write_vectored(fd, &pieces)
        };
        let written = outcome.as_ref().ok().map(|count| buffer.advance(*count));
        let done = buffer.is_empty();
        if !done {
            self.0.set(Some(buffer));
        }
        drop(written);
        outcome.map(|_| done)
    }
}
