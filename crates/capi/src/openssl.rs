//! The OpenSSL that the interpreter's `_ssl` is linked to, called straight on the connections that `_ssl`
//! made: data is encrypted and decrypted between our memory and OpenSSL, without Python objects.
//! Reference: Modules/_ssl.c, SSL_read(3), SSL_write(3), BIO_meth_new(3).
//!
//! Nothing is assumed about private structures: [`locate`] proves once where `_ssl`'s objects keep their
//! pointers, and every connection is asked for its BIOs before it is taken over. Where the proof fails,
//! the reason is kept, and the caller uses the public methods of `ssl.SSLObject`.
//!
//! Safety: an `SSL*` is used while the caller holds the `_ssl._SSLSocket` that owns it, attached to the
//! interpreter, and never while another call on it is under way ([`Connection::is_busy`]).

mod bio;
mod connection;
mod library;
mod locate;
mod memory;

use std::sync::OnceLock;

use pyo3::prelude::*;

pub use bio::Wire;
pub use connection::{Busy, Connection, Outcome};

use library::Library;
use locate::Layout;

/// What is needed to talk to OpenSSL.
#[derive(Debug)]
pub(crate) struct Engine {
    library: Library,
    layout: Layout,
    method: bio::Method,
}

static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();

/// The engine; else the reason why there is none. The first call looks for it.
fn engine(py: Python<'_>) -> Result<&'static Engine, &'static str> {
    let found = match ENGINE.get() {
        Some(found) => found,
        // Python code runs in there, so another thread may be first; then its answer counts.
        None => {
            let found = find(py);
            ENGINE.get_or_init(|| found)
        }
    };
    found.as_ref().map_err(String::as_str)
}

fn find(py: Python<'_>) -> Result<Engine, String> {
    let library = library::load(py)?;
    let layout = locate::locate(py, &library)?;
    let method = bio::Method::new(&library).ok_or("OpenSSL makes no BIO method")?;
    Ok(Engine { library, layout, method })
}

/// Why connections cannot be served directly; None when they can.
pub fn reason_against(py: Python<'_>) -> Option<&'static str> {
    engine(py).err()
}

/// Tries the proof on any three objects: the offsets of the pointers to the BIO and to the SSL, else the
/// reason why they do not count.
///
/// # Errors
/// The reason.
pub fn try_locate(
    socket: &Bound<'_, PyAny>,
    incoming: &Bound<'_, PyAny>,
    outgoing: &Bound<'_, PyAny>,
) -> Result<(usize, usize), String> {
    let library = library::load(socket.py())?;
    let bio = locate::find_bio(&library, incoming)?;
    locate::find_ssl(&library, bio, socket, incoming, outgoing).map(|ssl| (bio, ssl))
}
