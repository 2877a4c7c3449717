//! Reading and writing the data of one connection. What goes wrong is left for `_ssl` to tell: OpenSSL's
//! error queue stays as it is, and the same call by way of the SSLObject raises the exception.

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use pyo3::prelude::*;

use super::bio::Wire;
use super::library::{Library, Ssl};
use super::{Engine, engine};
use crate::runtime::without_gil;

/// What a call came to.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// So many bytes, at least one.
    Done(usize),
    /// Ciphertext has to come first.
    Again,
    /// The peer has said that it sends no more.
    Closed,
    /// Something else; the queue of errors says what.
    Failed,
}

/// An `SSL*` that reads and writes memory of ours.
///
/// Invariant: `ssl` is alive as long as the object at `owner` is.
#[derive(Debug)]
pub struct Connection {
    ssl: Ssl,
    /// The address of the `_ssl._SSLSocket`.
    owner: usize,
    engine: &'static Engine,
    /// A call on the SSL is under way, here or by way of the SSLObject.
    busy: Cell<bool>,
}

/// SSL_ERROR_WANT_READ, _WANT_WRITE and _ZERO_RETURN of openssl/ssl.h
const WANT_READ: c_int = 2;
const WANT_WRITE: c_int = 3;
const ZERO_RETURN: c_int = 6;

/// SSL_WRITING, SSL_READING and SSL_RECEIVED_SHUTDOWN of openssl/ssl.h
const WRITING: c_int = 2;
const READING: c_int = 3;
const RECEIVED_SHUTDOWN: c_int = 2;

/// SSL_CTRL_CLEAR_MODE and SSL_MODE_RELEASE_BUFFERS of openssl/ssl.h
const CTRL_CLEAR_MODE: c_int = 78;
const MODE_RELEASE_BUFFERS: c_long = 0x10;

/// TLS1_3_VERSION of openssl/tls1.h
const TLS1_3: c_int = 0x0304;

impl Connection {
    /// Has the connection of `socket`, which was made over the two MemoryBIOs and has not begun, use `wire`
    /// instead of them. None when it cannot be; then it stays as it is.
    pub fn adopt(
        socket: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
        wire: Arc<dyn Wire>,
    ) -> Option<Self> {
        let engine = engine(socket.py()).ok()?;
        let ssl = engine.layout.ssl_of(&engine.library, socket, incoming, outgoing)?;
        let bio = engine.method.make(&engine.library, wire)?;
        // SAFETY: an SSL whose object is held, and a new BIO; one reference to it serves for both directions
        // (SSL_set0_rbio(3)), and those to the memory BIOs are given up.
        unsafe { (engine.library.ssl_set_bio)(ssl, bio, bio) };
        let owner = socket.as_ptr() as usize;
        Some(Self { ssl, owner, engine, busy: Cell::new(false) })
    }

    /// Whether a call on the connection is under way, in which this code was called back.
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// A call by way of the SSLObject begins; it ends when the result is dropped.
    pub fn enter(&self) -> Option<Busy<'_>> {
        (!self.busy.replace(true)).then_some(Busy(self))
    }

    /// Decrypts into `space`.
    pub fn read(&self, socket: &Bound<'_, PyAny>, space: &mut [MaybeUninit<u8>]) -> Outcome {
        let len = c_int::try_from(space.len()).unwrap_or(c_int::MAX);
        let start = space.as_mut_ptr().cast::<c_void>();
        // SAFETY: `call` proves the SSL; room for `len` bytes, which OpenSSL only writes.
        self.call(socket, |library| unsafe { (library.ssl_read)(self.ssl, start, len) })
    }

    /// Decrypts into memory that Python code may see while this runs.
    ///
    /// # Safety
    /// There is room for `len` bytes at `start`, which is there as long as the call takes.
    pub unsafe fn read_into(
        &self,
        socket: &Bound<'_, PyAny>,
        start: *mut u8,
        len: usize,
    ) -> Outcome {
        let len = c_int::try_from(len).unwrap_or(c_int::MAX);
        // SAFETY: `call` proves the SSL; the caller's promise.
        self.call(socket, |library| unsafe { (library.ssl_read)(self.ssl, start.cast(), len) })
    }

    /// Encrypts from the beginning of `data`; how much of it may be less than all.
    pub fn write(&self, socket: &Bound<'_, PyAny>, data: &[u8]) -> Outcome {
        let len = c_int::try_from(data.len()).unwrap_or(c_int::MAX);
        let start = data.as_ptr().cast::<c_void>();
        // SAFETY: `call` proves the SSL; `len` bytes are there.
        self.call(socket, |library| unsafe { (library.ssl_write)(self.ssl, start, len) })
    }

    /// Goes on with the handshake, as far as the ciphertext that is there allows. As in the SSLObject's method
    /// the thread is detached meanwhile: callbacks of the context attach it themselves. That method has to
    /// have the last word, on any outcome but [`Outcome::Again`]; what it finds is the same.
    pub fn handshake(&self, socket: &Bound<'_, PyAny>) -> Outcome {
        self.call(socket, |library| {
            // SAFETY: `call` proves the SSL, whose object is held. OpenSSL and the `Wire`, which is Sync, touch no
            // Python object, and the context's callbacks take the GIL.
            unsafe { without_gil(socket.py(), || (library.ssl_do_handshake)(self.ssl)) }
        })
    }

    /// Whether OpenSSL may take more ciphertext at once than the rest of a record, into memory that it has for
    /// one: each record then takes one call of the [`Wire`] and not two. SSL_set_read_ahead(3).
    pub fn set_read_ahead(&self, socket: &Bound<'_, PyAny>, ahead: bool) {
        if self.is_of(socket) {
            // SAFETY: the SSL of a living object.
            unsafe { (self.engine.library.ssl_set_read_ahead)(self.ssl, c_int::from(ahead)) };
        }
    }

    /// Has OpenSSL keep the memory that it takes for a record, one piece of 17 KiB for each direction, until the
    /// end of the connection. SSL_clear_mode(3)
    pub fn keep_buffers(&self, socket: &Bound<'_, PyAny>) {
        if self.is_of(socket) {
            let (call, mode) = (CTRL_CLEAR_MODE, MODE_RELEASE_BUFFERS);
            // SAFETY: the SSL of a living object; this call takes no pointer.
            unsafe { (self.engine.library.ssl_ctrl)(self.ssl, call, mode, ptr::null_mut()) };
        }
    }

    /// Whether the version that was agreed on is 1.3, or a later one.
    pub fn is_tls13(&self, socket: &Bound<'_, PyAny>) -> bool {
        // SAFETY: the SSL of a living object.
        self.is_of(socket) && unsafe { (self.engine.library.ssl_version)(self.ssl) >= TLS1_3 }
    }

    /// Whether OpenSSL holds data that [`Connection::read`] would give without more ciphertext.
    pub fn has_pending(&self, socket: &Bound<'_, PyAny>) -> bool {
        // SAFETY: the SSL of a living object.
        self.is_of(socket) && unsafe { (self.engine.library.ssl_has_pending)(self.ssl) != 0 }
    }

    fn is_of(&self, socket: &Bound<'_, PyAny>) -> bool {
        socket.as_ptr() as usize == self.owner
    }

    fn call(&self, socket: &Bound<'_, PyAny>, work: impl FnOnce(&Library) -> c_int) -> Outcome {
        if !self.is_of(socket) {
            return Outcome::Failed;
        }
        let Some(_busy) = self.enter() else { return Outcome::Again };
        let result = work(&self.engine.library);
        match usize::try_from(result) {
            Ok(count @ 1..) => Outcome::Done(count),
            _ => self.outcome_without_data(result),
        }
    }

    /// What a call came to that gave nothing, asked right after it.
    ///
    /// SSL_get_error(3) looks at the thread's queue of errors first, in which others may have left theirs. A
    /// handshake empties it when it goes on, and a connection that has failed counts as in one: any other says
    /// itself what it waits for, SSL_want(3).
    fn outcome_without_data(&self, result: c_int) -> Outcome {
        let library = &self.engine.library;
        // SAFETY: the SSL of a living object, which these functions do not change.
        unsafe {
            if (library.ssl_in_init)(self.ssl) != 0 {
                return match (library.ssl_get_error)(self.ssl, result) {
                    WANT_READ | WANT_WRITE => Outcome::Again,
                    ZERO_RETURN => Outcome::Closed,
                    _ => Outcome::Failed,
                };
            }
            let closed = (library.ssl_get_shutdown)(self.ssl) & RECEIVED_SHUTDOWN != 0;
            match (library.ssl_want)(self.ssl) {
                READING | WRITING => Outcome::Again,
                _ if closed => Outcome::Closed,
                _ => Outcome::Failed,
            }
        }
    }
}

/// A call on a connection that is under way.
#[derive(Debug)]
pub struct Busy<'a>(&'a Connection);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
    }
}
