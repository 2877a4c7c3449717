//! Socket addresses: the kernel's form, and the tuples, names and bytes that the `socket` module shows.
//! Internet and Unix addresses are converted here; of any other family, and of what needs a look-up or
//! an error message, the socket object knows more: the functions answer None, and the caller calls the
//! method of the socket. Reference: Modules/socketmodule.c (makesockaddr, getsockaddrarg).

use std::ffi::{CStr, OsString, c_char, c_int, c_void};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::str::FromStr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
pub use rustix::net::{AddressFamily, SocketAddrAny};
use rustix::net::{SocketAddrUnix, getpeername, getsockname};

/// The address that a socket is bound to, as `sock.getsockname()` shows it. None: ask the socket.
#[must_use]
pub fn local(py: Python<'_>, socket: impl AsFd) -> Option<Bound<'_, PyAny>> {
    to_object(py, Some(&getsockname(socket).ok()?))
}

/// The address that a socket is connected to, as `sock.getpeername()` shows it. None: ask the socket,
/// which may be not connected.
#[must_use]
pub fn peer(py: Python<'_>, socket: impl AsFd) -> Option<Bound<'_, PyAny>> {
    to_object(py, Some(&getpeername(socket).ok()??))
}

/// What `accept` and `recvfrom` of a socket object give for an address; no address is Python's None.
/// None (Rust's): only the socket object knows, or memory ran out.
#[must_use]
pub fn to_object<'py>(
    py: Python<'py>,
    address: Option<&SocketAddrAny>,
) -> Option<Bound<'py, PyAny>> {
    let Some(address) = address else {
        return Some(py.None().into_bound(py));
    };
    match address.address_family() {
        AddressFamily::UNIX => unix(py, address),
        _ => internet_object(py, &internet(address)?),
    }
}

/// An Internet address in the form of the standard library, which is smaller. None for others.
#[inline]
#[must_use]
pub fn internet(address: &SocketAddrAny) -> Option<SocketAddr> {
    match address.address_family() {
        AddressFamily::INET => SocketAddrV4::try_from(address.clone()).ok().map(SocketAddr::V4),
        AddressFamily::INET6 => SocketAddrV6::try_from(address.clone()).ok().map(SocketAddr::V6),
        _ => None,
    }
}

/// The tuple that a socket object gives for an Internet address. None: memory ran out.
#[must_use]
pub fn internet_object<'py>(py: Python<'py>, address: &SocketAddr) -> Option<Bound<'py, PyAny>> {
    match address {
        SocketAddr::V4(address) => inet(py, *address),
        SocketAddr::V6(address) => inet6(py, address),
    }
}

/// The address that an object stands for on a socket of that family, as `bind`, `connect` and `sendto`
/// of a socket object take it. None: only the socket object knows, or it refuses.
#[must_use]
pub fn from_object(family: AddressFamily, object: &Bound<'_, PyAny>) -> Option<SocketAddrAny> {
    match family {
        AddressFamily::INET => {
            let (host, port, rest) = host_and_port(object)?;
            rest.is_empty().then(|| SocketAddrV4::new(host, port).into())
        }
        AddressFamily::INET6 => {
            let (host, port, rest) = host_and_port(object)?;
            let number = |index| match rest.get::<usize>(index) {
                Some(value) => value.cast_exact::<PyInt>().ok()?.extract::<u32>().ok(),
                None => Some(0),
            };
            let (flow, scope) = (number(0)?, number(1)?);
            let fits = flow <= MOST_FLOW && rest.len() <= 2;
            fits.then(|| SocketAddrV6::new(host, port, flow, scope).into())
        }
        AddressFamily::UNIX => unix_from_object(object),
        _ => None,
    }
}

/// Bytes of a Unix address before the path, and of the path.
const SUN_PATH: usize = 2;
const SUN_PATH_LEN: usize = 108;

/// The largest flow label and traffic class. CPython: getsockaddrarg
const MOST_FLOW: u32 = 0xfffff;

/// The host, the port and the rest of a plain tuple.
fn host_and_port<'a, 'py, H: FromStr>(
    object: &'a Bound<'py, PyAny>,
) -> Option<(H, u16, &'a [Bound<'py, PyAny>])> {
    let items = object.cast_exact::<PyTuple>().ok()?.as_slice();
    let [host, port, rest @ ..] = items else { return None };
    let host = host.cast_exact::<PyString>().ok()?.to_str().ok()?.parse().ok()?;
    let port = port.cast_exact::<PyInt>().ok()?.extract().ok()?;
    Some((host, port, rest))
}

fn inet(py: Python<'_>, address: SocketAddrV4) -> Option<Bound<'_, PyAny>> {
    let mut text = [0; 15];
    let length = write_ipv4(&mut text, *address.ip());
    let host = PyString::from_bytes(py, &text[..length]).ok()?.into_any();
    let port = PyInt::new(py, address.port()).into_any();
    Some(PyTuple::new(py, [host, port]).ok()?.into_any())
}

/// Writes the four numbers; returns how many bytes they take. The formatter of the standard library
/// needs twice the time of the rest of a datagram's address.
fn write_ipv4(text: &mut [u8; 15], address: Ipv4Addr) -> usize {
    let mut length = 0;
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    length
}

fn inet6<'py>(py: Python<'py>, address: &SocketAddrV6) -> Option<Bound<'py, PyAny>> {
    let mut text = [0_u8; INET6_ADDRSTRLEN];
    let octets = address.ip().octets();
    // SAFETY: inet_ntop reads 16 bytes and writes at most the given number, the closing NUL included.
    let written = unsafe {
        inet_ntop(
            c_int::from(AddressFamily::INET6.as_raw()),
            octets.as_ptr().cast(),
            text.as_mut_ptr().cast(),
            INET6_ADDRSTRLEN as u32,
        )
    };
    if written.is_null() {
        return None;
    }
    let host = CStr::from_bytes_until_nul(&text).ok()?.to_bytes();
    let items = [
        PyString::from_bytes(py, host).ok()?.into_any(),
        PyInt::new(py, address.port()).into_any(),
        PyInt::new(py, address.flowinfo()).into_any(),
        PyInt::new(py, address.scope_id()).into_any(),
    ];
    Some(PyTuple::new(py, items).ok()?.into_any())
}

const INET6_ADDRSTRLEN: usize = 46;

unsafe extern "C" {
    /// arpa/inet.h. The C library writes some addresses in another way than Rust's does (`::0.0.1.2`).
    fn inet_ntop(
        family: c_int,
        address: *const c_void,
        text: *mut c_char,
        size: u32,
    ) -> *const c_char;
}

/// The kernel counts the NUL behind a path; a name in the abstract namespace begins with one.
fn unix<'py>(py: Python<'py>, address: &SocketAddrAny) -> Option<Bound<'py, PyAny>> {
    // SAFETY: so many bytes of the address are initialised.
    let bytes: &[u8] =
        unsafe { std::slice::from_raw_parts(address.as_ptr().cast(), address.addr_len() as usize) };
    let name = &bytes[SUN_PATH..];
    if name.first() == Some(&0) {
        return Some(PyBytes::new(py, name).into_any());
    }
    let path = name.split(|byte| *byte == 0).next()?;
    // SAFETY: the bytes are read during the call; the result is a new reference or null.
    unsafe {
        let (start, length) = (path.as_ptr().cast(), path.len() as ffi::Py_ssize_t);
        let text = ffi::PyUnicode_DecodeFSDefaultAndSize(start, length);
        Bound::from_owned_ptr_or_err(py, text).ok()
    }
}

fn unix_from_object(object: &Bound<'_, PyAny>) -> Option<SocketAddrAny> {
    let path = if let Ok(text) = object.cast_exact::<PyString>() {
        text.extract::<OsString>().ok()?.into_vec()
    } else {
        object.cast_exact::<PyBytes>().ok()?.as_bytes().to_vec()
    };
    let address = match path.as_slice() {
        // An empty name has the kernel choose one.
        [] => SocketAddrUnix::new_unnamed(),
        [0, name @ ..] => SocketAddrUnix::new_abstract_name(name).ok()?,
        path if path.len() < SUN_PATH_LEN => SocketAddrUnix::new(path).ok()?,
        _ => return None,
    };
    Some(address.into())
}
