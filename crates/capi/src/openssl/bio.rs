//! A BIO over memory of ours, in the place of the memory BIOs of a connection. It belongs to the SSL.
//! OpenSSL may read and write it while the interpreter's `_ssl` has given up the GIL, so what lies behind
//! it is shared between threads and touches no Python object. Reference: BIO_meth_new(3), BIO_ctrl(3).

use std::ffi::{c_char, c_int, c_long, c_void};
use std::sync::{Arc, OnceLock};

use super::library::{Bio, BioMethod, Library};

/// What a connection reads its ciphertext from and writes it to. None of it panics.
pub trait Wire: Send + Sync {
    /// Takes out what comes next; how much there was.
    fn read(&self, space: &mut [u8]) -> usize;
    /// Adds what is to be sent.
    fn write(&self, data: &[u8]);
    /// Bytes that can be read.
    fn readable(&self) -> usize;
    /// Bytes that wait to be sent.
    fn unsent(&self) -> usize;
}

/// The functions that the callbacks below need; they get a BIO and nothing else.
#[derive(Clone, Copy)]
struct Callbacks {
    get_data: unsafe extern "C" fn(Bio) -> *mut c_void,
    set_flags: unsafe extern "C" fn(Bio, c_int),
    clear_flags: unsafe extern "C" fn(Bio, c_int),
}

static CALLBACKS: OnceLock<Callbacks> = OnceLock::new();

/// The kind of BIO, made once; it lives for ever.
#[derive(Debug)]
pub(super) struct Method(BioMethod);

// SAFETY: OpenSSL only reads a method that is made.
unsafe impl Send for Method {}
// SAFETY: the same.
unsafe impl Sync for Method {}

/// BIO_TYPE_SOURCE_SINK, BIO_FLAGS_READ and BIO_FLAGS_SHOULD_RETRY of openssl/bio.h
const SOURCE_SINK: c_int = 0x0400;
const READ: c_int = 0x01;
const RETRY_MARKS: c_int = 0x0f;
const SHOULD_RETRY: c_int = 0x08;

/// BIO_CTRL_PENDING, _FLUSH, _DUP and _WPENDING.
const PENDING: c_int = 10;
const FLUSH: c_int = 11;
const DUP: c_int = 12;
const WRITE_PENDING: c_int = 13;

impl Method {
    /// Makes the method; None when OpenSSL has no memory.
    pub(super) fn new(library: &Library) -> Option<Self> {
        CALLBACKS.get_or_init(|| Callbacks {
            get_data: library.bio_get_data,
            set_flags: library.bio_set_flags,
            clear_flags: library.bio_clear_flags,
        });
        // SAFETY: a new method gets its functions, which have the types that it asks for.
        unsafe {
            let kind = (library.bio_get_new_index)() | SOURCE_SINK;
            let method = (library.bio_meth_new)(kind, c"ferrio".as_ptr());
            if method.is_null() {
                return None;
            }
            (library.bio_meth_set_read)(method, read);
            (library.bio_meth_set_write)(method, write);
            (library.bio_meth_set_ctrl)(method, control);
            (library.bio_meth_set_destroy)(method, destroy);
            Some(Self(method))
        }
    }

    /// A BIO over `wire`, which it keeps as long as it lives.
    pub(super) fn make(&self, library: &Library, wire: Arc<dyn Wire>) -> Option<Bio> {
        // SAFETY: a new BIO of our method gets what its functions expect to find.
        unsafe {
            let bio = (library.bio_new)(self.0);
            if bio.is_null() {
                return None;
            }
            (library.bio_set_data)(bio, Box::into_raw(Box::new(wire)).cast());
            (library.bio_set_init)(bio, 1);
            Some(bio)
        }
    }
}

/// What lies behind a BIO of ours.
///
/// # Safety
/// The BIO was made by [`Method::make`] and is alive for `'a`.
unsafe fn wire_of<'a>(callbacks: Callbacks, bio: Bio) -> Option<&'a Arc<dyn Wire>> {
    // SAFETY: the caller's promise; until `make` has set it the data is null.
    unsafe { (callbacks.get_data)(bio).cast::<Arc<dyn Wire>>().as_ref() }
}

unsafe extern "C" fn read(bio: Bio, space: *mut c_char, len: c_int) -> c_int {
    let (Some(callbacks), Ok(len @ 1..)) = (CALLBACKS.get().copied(), usize::try_from(len)) else {
        return 0;
    };
    // SAFETY: OpenSSL calls with a live BIO of our method and room for `len` bytes, which it does not read
    // before they are written.
    unsafe {
        let Some(wire) = wire_of(callbacks, bio) else { return -1 };
        (callbacks.clear_flags)(bio, RETRY_MARKS);
        let space = std::slice::from_raw_parts_mut(space.cast::<u8>(), len);
        match wire.read(space) {
            0 => {
                (callbacks.set_flags)(bio, READ | SHOULD_RETRY);
                -1
            }
            count => count as c_int,
        }
    }
}

unsafe extern "C" fn write(bio: Bio, data: *const c_char, len: c_int) -> c_int {
    let (Some(callbacks), Ok(count @ 1..)) = (CALLBACKS.get().copied(), usize::try_from(len))
    else {
        return 0;
    };
    // SAFETY: OpenSSL calls with a live BIO of our method and `len` bytes.
    unsafe {
        let Some(wire) = wire_of(callbacks, bio) else { return -1 };
        (callbacks.clear_flags)(bio, RETRY_MARKS);
        wire.write(std::slice::from_raw_parts(data.cast::<u8>(), count));
    }
    len
}

unsafe extern "C" fn control(bio: Bio, command: c_int, _: c_long, _: *mut c_void) -> c_long {
    let amount: fn(&dyn Wire) -> usize = match command {
        FLUSH | DUP => return 1,
        PENDING => |wire| wire.readable(),
        WRITE_PENDING => |wire| wire.unsent(),
        // OpenSSL asks for much that only sockets have.
        _ => return 0,
    };
    let Some(callbacks) = CALLBACKS.get().copied() else { return 0 };
    // SAFETY: OpenSSL calls with a live BIO of our method.
    let Some(wire) = (unsafe { wire_of(callbacks, bio) }) else { return 0 };
    c_long::try_from(amount(&**wire)).unwrap_or(c_long::MAX)
}

unsafe extern "C" fn destroy(bio: Bio) -> c_int {
    let Some(callbacks) = CALLBACKS.get().copied() else { return 0 };
    // SAFETY: the last use of a BIO of our method: what `make` has put there comes out again.
    unsafe {
        let data = (callbacks.get_data)(bio).cast::<Arc<dyn Wire>>();
        if !data.is_null() {
            drop(Box::from_raw(data));
        }
    }
    1
}
