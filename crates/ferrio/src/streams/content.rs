//! What a StreamReader was fed and has not given out: `_buffer`.
//!
//! State: empty -> one piece, the bytes object that was fed -> joined, when more comes -> empty again.
//! From the first look of Python on, a bytearray that the program may change.
//! Invariant: of `piece` and `joined` one at most is set; `shown` says that `piece` is a bytearray.
//! Safety: `joined` is out of its cell only while nothing runs that could look at it.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::byte_builder::ByteBuilder;
use ferrio_capi::{Slot, Visit, buffer};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PySequence};

/// What was fed. All-zero is nothing.
pub struct Content {
    piece: Slot,
    /// How many bytes of the piece were given out; 0 for a bytearray.
    start: Cell<usize>,
    joined: Cell<Option<Box<ByteBuilder>>>,
    shown: Cell<bool>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Content(shown: {})", self.shown.get())
    }
}

impl Content {
    /// Whether nothing is there.
    #[inline]
    pub fn is_empty(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.len(py)? == 0)
    }

    /// How many bytes are there.
    #[inline]
    pub fn len(&self, py: Python<'_>) -> PyResult<usize> {
        match self.piece.get(py) {
            None => Ok(self.with_joined(|joined| joined.len())),
            Some(piece) if self.shown.get() => piece.len(),
            Some(piece) => Ok(piece.cast::<PyBytes>()?.as_bytes().len() - self.start.get()),
        }
    }

    /// Lets `work` have what is joined. It runs no Python code.
    #[inline]
    fn with_joined<R: Default>(&self, work: impl FnOnce(&mut ByteBuilder) -> R) -> R {
        let mut joined = self.joined.take();
        let result = joined.as_mut().map_or_else(R::default, |joined| work(joined));
        self.joined.set(joined);
        result
    }

    /// Lets `look` have all of it.
    #[inline]
    pub fn with<R>(&self, py: Python<'_>, look: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
        match self.piece.get(py) {
            Some(piece) if self.shown.get() => buffer::read(&piece, look),
            Some(piece) => Ok(look(&piece.cast::<PyBytes>()?.as_bytes()[self.start.get()..])),
            None => {
                let joined = self.joined.take();
                let result = look(joined.as_ref().map_or(&[], |joined| joined.as_slice()));
                self.joined.set(joined);
                Ok(result)
            }
        }
    }

    /// `_buffer.extend(data)`, for data that is not empty. `expected` is how many bytes somebody waits
    /// for all at once.
    ///
    /// # Errors
    /// TypeError when it holds no bytes; BufferError while the program holds a view of the bytearray.
    #[inline]
    pub fn extend(&self, data: &Bound<'_, PyAny>, expected: usize) -> PyResult<()> {
        if !self.piece.is_set()
            && let Ok(bytes) = data.cast_exact::<PyBytes>()
            && self.with_joined(|joined| joined.len()) == 0
            && bytes.as_bytes().len() >= expected
        {
            self.start.set(0);
            self.piece.set(bytes.clone());
            return Ok(());
        }
        self.join(data, expected)
    }

    fn join(&self, data: &Bound<'_, PyAny>, expected: usize) -> PyResult<()> {
        let py = data.py();
        if !self.shown.get() {
            match buffer::read(data, |more| self.append(py, more, expected)) {
                Err(error) if error.is_instance_of::<PyTypeError>(py) => {}
                done => return done?,
            }
        }
        self.show(py)?.call_method1(intern!(py, "extend"), (data,)).map(drop)
    }

    fn append(&self, py: Python<'_>, more: &[u8], expected: usize) -> PyResult<()> {
        /// Room is made at once for no more than this: it is the peer who says how much will come.
        const MOST: usize = 16 * 1024 * 1024;
        let piece = self.piece.get(py);
        let mut joined = if let Some(joined) = self.joined.take() {
            joined
        } else {
            let held = match &piece {
                Some(piece) => &piece.cast::<PyBytes>()?.as_bytes()[self.start.get()..],
                None => &[],
            };
            let room = (held.len() + more.len()).max(expected.min(MOST));
            let mut joined = ByteBuilder::with_capacity(py, room)?;
            joined.extend(py, held)?;
            Box::new(joined)
        };
        drop(self.piece.take(py));
        let extended = joined.extend(py, more);
        self.joined.set(Some(joined));
        extended
    }

    /// The first `count` bytes, or as many as there are, which are gone then.
    ///
    /// # Errors
    /// MemoryError; BufferError while the program holds a view of the bytearray.
    #[inline]
    pub fn take<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyAny>> {
        if count >= self.len(py)? {
            return self.take_all(py);
        }
        let taken = self.with(py, |content| PyBytes::new(py, &content[..count]))?;
        self.skip(py, count)?;
        Ok(taken.into_any())
    }

    /// All of it, which is gone then.
    ///
    /// # Errors
    /// As [`Content::take`].
    pub fn take_all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.shown.get() {
            let taken = self.with(py, |content| PyBytes::new(py, content))?;
            self.clear(py)?;
            return Ok(taken.into_any());
        }
        if let Some(joined) = self.joined.take() {
            return joined.finish(py);
        }
        match (self.start.get(), self.piece.take(py)) {
            (0, Some(piece)) => Ok(piece),
            (start, Some(piece)) => {
                Ok(PyBytes::new(py, &piece.cast::<PyBytes>()?.as_bytes()[start..]).into_any())
            }
            (_, None) => Ok(PyBytes::new(py, &[]).into_any()),
        }
    }

    /// `del _buffer[:count]`, of not more than there is.
    ///
    /// # Errors
    /// BufferError while the program holds a view of the bytearray.
    pub fn skip(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        match self.piece.get(py) {
            Some(piece) if self.shown.get() => piece.cast::<PySequence>()?.del_slice(0, count),
            Some(_) => {
                self.start.set(self.start.get() + count);
                self.drop_if_empty(py)
            }
            None => {
                self.with_joined(|joined| joined.skip(count));
                self.drop_if_empty(py)
            }
        }
    }

    fn drop_if_empty(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_empty(py)? { self.clear(py) } else { Ok(()) }
    }

    /// `_buffer.clear()`.
    ///
    /// # Errors
    /// BufferError while the program holds a view of the bytearray.
    pub fn clear(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(piece) = self.piece.get(py).filter(|_| self.shown.get()) {
            return piece.call_method0(intern!(py, "clear")).map(drop);
        }
        self.forget(py);
        Ok(())
    }

    /// `_buffer`, which the program may change from now on.
    pub fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(piece) = self.piece.get(py).filter(|_| self.shown.get()) {
            return Ok(piece);
        }
        let shown = self.with(py, |content| PyByteArray::new(py, content))?.into_any();
        self.set(shown.clone())?;
        Ok(shown)
    }

    /// `_buffer = object`.
    ///
    /// # Errors
    /// TypeError when it is no bytearray.
    pub fn set(&self, object: Bound<'_, PyAny>) -> PyResult<()> {
        if !object.is_instance_of::<PyByteArray>() {
            return Err(PyTypeError::new_err("_buffer must be a bytearray"));
        }
        drop(self.joined.take());
        self.start.set(0);
        self.shown.set(true);
        self.piece.set(object);
        Ok(())
    }

    /// Nothing is there, and nobody looks.
    pub fn forget(&self, py: Python<'_>) {
        self.shown.set(false);
        drop(self.joined.take());
        drop(self.piece.take(py));
    }

    /// Reports what is there to the collector.
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.piece)
    }
}
