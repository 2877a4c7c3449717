//! Where `_ssl.MemoryBIO` keeps its `BIO*` and `_ssl._SSLSocket` its `SSL*`. Every word of an object is a
//! candidate; it counts once what it points to is proved to be the thing that is looked for, by OpenSSL's
//! own answers, and those are asked only of memory that has the marks of such a thing.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::library::{Bio, Library};
use super::memory::{words_at, words_of};

/// The two offsets, and the classes for whose instances they hold.
#[derive(Debug)]
pub(super) struct Layout {
    bio_class: Py<PyAny>,
    /// Bytes from an instance's start.
    bio_offset: usize,
    ssl_class: Py<PyAny>,
    ssl_offset: usize,
}

/// Words of a BIO among which its method is, and words of an SSL among which its BIOs are. Both are
/// larger in every OpenSSL 3.
const BIO_WORDS: usize = 8;
const SSL_WORDS: usize = 64;

/// BIO_TYPE_MEM of openssl/bio.h
const MEMORY_TYPE: i32 = 1 | 0x0400;

/// Makes connections to look at, and finds both pointers in each of them.
pub(super) fn locate(py: Python<'_>, library: &Library) -> Result<Layout, String> {
    let server = probe(py, true).map_err(|error| format!("no connection to look at: {error}"))?;
    let client = probe(py, false).map_err(|error| format!("no connection to look at: {error}"))?;
    let bio_offset = find_bio(library, &server.incoming)?;
    let offset = |probe: &Probe<'_>| {
        find_ssl(library, bio_offset, &probe.socket, &probe.incoming, &probe.outgoing)
    };
    let ssl_offset = offset(&server)?;
    if offset(&client)? != ssl_offset {
        return Err("the SSL lies at different places in different connections".to_owned());
    }
    for (probe, is_server) in [(&server, 1), (&client, 0)] {
        // SAFETY: what was found there is an SSL, which the living object owns.
        let answer = unsafe { (library.ssl_is_server)(pointer_in(&probe.socket, ssl_offset)) };
        if answer != is_server {
            return Err("the SSL does not know its side".to_owned());
        }
    }
    Ok(Layout {
        bio_class: server.incoming.get_type().into_any().unbind(),
        bio_offset,
        ssl_class: server.socket.get_type().into_any().unbind(),
        ssl_offset,
    })
}

impl Layout {
    /// The `SSL*` of a connection over two memory BIOs; None unless it is one, with nothing in between.
    pub(super) fn ssl_of(
        &self,
        library: &Library,
        socket: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> Option<Bio> {
        let known = socket.get_type().is(&self.ssl_class)
            && incoming.get_type().is(&self.bio_class)
            && outgoing.get_type().is(&self.bio_class);
        if !known {
            return None;
        }
        // SAFETY: instances of exactly the classes in which the pointers were found.
        unsafe {
            let ssl = pointer_in(socket, self.ssl_offset);
            let reads = (library.ssl_get_rbio)(ssl) == pointer_in(incoming, self.bio_offset);
            let writes = (library.ssl_get_wbio)(ssl) == pointer_in(outgoing, self.bio_offset);
            (reads && writes).then_some(ssl)
        }
    }
}

struct Probe<'py> {
    socket: Bound<'py, PyAny>,
    incoming: Bound<'py, PyAny>,
    outgoing: Bound<'py, PyAny>,
}

fn probe(py: Python<'_>, server_side: bool) -> PyResult<Probe<'_>> {
    let ssl = py.import("ssl")?;
    let side = if server_side { "PROTOCOL_TLS_SERVER" } else { "PROTOCOL_TLS_CLIENT" };
    let context = ssl.call_method1("SSLContext", (ssl.getattr(side)?,))?;
    if !server_side {
        context.setattr("check_hostname", false)?;
    }
    let (incoming, outgoing) = (ssl.call_method0("MemoryBIO")?, ssl.call_method0("MemoryBIO")?);
    let keywords = PyDict::new(py);
    keywords.set_item("server_side", server_side)?;
    let object = context.call_method("wrap_bio", (&incoming, &outgoing), Some(&keywords))?;
    let socket = object.getattr("_sslobj")?;
    if socket.is_none() {
        return Err(PyValueError::new_err("an SSLObject without connection"));
    }
    Ok(Probe { socket, incoming, outgoing })
}

/// The offset of the `BIO*` in a MemoryBIO.
pub(super) fn find_bio(library: &Library, memory_bio: &Bound<'_, PyAny>) -> Result<usize, String> {
    let method_index = method_index(library)?;
    let content = b"counted";
    let is_it = |address: usize, waits: usize| {
        words_at(address, BIO_WORDS).is_some_and(|words| {
            let bio: Bio = std::ptr::with_exposed_provenance_mut(address);
            // SAFETY: the functions are asked of memory only that has the method of memory BIOs in its place.
            unsafe {
                words[method_index] == (library.bio_s_mem)().expose_provenance()
                    && (library.bio_method_type)(bio) == MEMORY_TYPE
                    && (library.bio_ctrl_pending)(bio) == waits
            }
        })
    };
    let pending = |bio: &Bound<'_, PyAny>| bio.getattr("pending")?.extract::<usize>();
    let unusable = |error: PyErr| format!("no MemoryBIO: {error}");
    let before = pending(memory_bio).map_err(unusable)?;
    memory_bio.call_method1("write", (&content[..],)).map_err(unusable)?;
    let after = pending(memory_bio).map_err(unusable)?;
    let candidates = words_of(memory_bio.as_ptr().cast(), size_of_instance(memory_bio));
    let mut found = candidates.into_iter().filter(|(_, address)| is_it(*address, after));
    let offset = found.next().map(|(offset, _)| offset);
    let another = found.next().is_some();
    memory_bio.call_method0("read").map_err(unusable)?;
    match offset {
        Some(offset) if !another && before + content.len() == after => Ok(offset),
        _ => Err("MemoryBIO holds no BIO that can be told".to_owned()),
    }
}

/// The offset of the `SSL*` in a `_SSLSocket` over two MemoryBIOs whose `BIO*` lie at `bio_offset`.
pub(super) fn find_ssl(
    library: &Library,
    bio_offset: usize,
    socket: &Bound<'_, PyAny>,
    incoming: &Bound<'_, PyAny>,
    outgoing: &Bound<'_, PyAny>,
) -> Result<usize, String> {
    for bio in [incoming, outgoing] {
        if bio_offset + size_of::<usize>() > size_of_instance(bio) {
            return Err("a MemoryBIO of another size".to_owned());
        }
    }
    // SAFETY: within both instances, by the check above.
    let (reads, writes) =
        unsafe { (pointer_in(incoming, bio_offset), pointer_in(outgoing, bio_offset)) };
    let pair = [reads.expose_provenance(), writes.expose_provenance()];
    let is_it = |address: usize| {
        words_at(address, SSL_WORDS).is_some_and(|words| {
            let ssl = std::ptr::with_exposed_provenance_mut(address);
            // SAFETY: the functions are asked of memory only that has both BIOs side by side.
            words.windows(2).any(|two| two == pair)
                && unsafe {
                    (library.ssl_get_rbio)(ssl) == reads && (library.ssl_get_wbio)(ssl) == writes
                }
        })
    };
    let candidates = words_of(socket.as_ptr().cast(), size_of_instance(socket));
    let mut found = candidates.into_iter().filter(|(_, address)| is_it(*address));
    match (found.next(), found.next()) {
        (Some((offset, _)), None) => Ok(offset),
        _ => Err("_SSLSocket holds no SSL that can be told".to_owned()),
    }
}

/// Which word of a BIO is its method, seen at one that is made for that.
fn method_index(library: &Library) -> Result<usize, String> {
    // SAFETY: a new BIO, freed after it was looked at.
    let (words, method) = unsafe {
        let method = (library.bio_s_mem)();
        let bio = (library.bio_new)(method);
        if bio.is_null() {
            return Err("OpenSSL makes no BIO".to_owned());
        }
        let words = words_at(bio.expose_provenance(), BIO_WORDS);
        (library.bio_free)(bio);
        (words, method.expose_provenance())
    };
    let index = words.and_then(|words| words.iter().position(|word| *word == method));
    index.ok_or_else(|| "a BIO does not show its method".to_owned())
}

fn size_of_instance(object: &Bound<'_, PyAny>) -> usize {
    // SAFETY: the type of a live object.
    let size = unsafe { (*ffi::Py_TYPE(object.as_ptr())).tp_basicsize };
    usize::try_from(size).unwrap_or(0)
}

/// # Safety
/// The instance has a pointer at that offset.
unsafe fn pointer_in(object: &Bound<'_, PyAny>, offset: usize) -> Bio {
    // SAFETY: the caller's promise.
    unsafe { object.as_ptr().cast::<u8>().add(offset).cast::<Bio>().read() }
}
