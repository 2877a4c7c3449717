//! Memory of other people, which may not be there: the kernel is asked before it is read.
//! Reference: write(2), EFAULT.

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;

use rustix::pipe::{PipeFlags, pipe_with};

unsafe extern "C" {
    fn write(fd: c_int, memory: *const c_void, len: usize) -> isize;
}

const WORD: usize = size_of::<usize>();

/// The words from `address` on, when all of them can be read.
pub(super) fn words_at(address: usize, count: usize) -> Option<Vec<usize>> {
    if address == 0 || !address.is_multiple_of(WORD) || !is_readable(address, count * WORD) {
        return None;
    }
    let start = std::ptr::with_exposed_provenance::<usize>(address);
    // SAFETY: aligned, and the kernel has just read it; the thread stays attached, and who frees memory
    // of `_ssl` and OpenSSL that an object refers to is attached too.
    Some((0..count).map(|index| unsafe { start.add(index).read_volatile() }).collect())
}

/// The words of an object of `size` bytes, the header left out: pairs of offset and content.
pub(super) fn words_of(object: *const c_void, size: usize) -> Vec<(usize, usize)> {
    let first = size_of::<pyo3::ffi::PyObject>();
    let words = words_at(object.expose_provenance(), size / WORD).unwrap_or_default();
    let pairs = words.into_iter().enumerate().map(|(index, word)| (index * WORD, word));
    pairs.filter(|(offset, _)| *offset >= first).collect()
}

/// Whether so many bytes can be read: the kernel copies them into a pipe, and says EFAULT if not.
fn is_readable(address: usize, len: usize) -> bool {
    let Ok((_reader, writer)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
        return false;
    };
    let start = std::ptr::with_exposed_provenance::<c_void>(address);
    // SAFETY: the kernel checks the address; the descriptor is open.
    let written = unsafe { write(writer.as_raw_fd(), start, len) };
    usize::try_from(written) == Ok(len)
}
