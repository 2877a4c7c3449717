//! The connections that a Server counts: `_attach` and `_detach` of asyncio's own Server, past their Python and
//! that of the WeakSet that is there since 3.13. CPython: base_events.Server, _weakrefset.WeakSet

use ferrio_capi::call::call_method;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
#[cfg(Py_3_13)]
use {
    crate::{names, originals::Original},
    ferrio_capi::dict,
    pyo3::types::{PyDict, PyList, PySet, PyWeakrefReference},
};

use super::StreamTransport;

/// The server counts the transport among its connections; since 3.13 it is told which one it is.
///
/// # Errors
/// What `server._attach` raises.
pub fn attach<'py>(
    server: &Bound<'py, PyAny>,
    transport: &Bound<'py, StreamTransport>,
) -> PyResult<()> {
    #[cfg(Py_3_13)]
    if let Some(clients) = Clients::of(server)?
        && clients.serves
    {
        let found = PyWeakrefReference::new_with(transport, &clients.forget)?;
        return clients.references.add(found);
    }
    tell(server, intern!(server.py(), "_attach"), transport)
}

/// The server has one connection less.
///
/// # Errors
/// What `server._detach` raises.
pub fn detach<'py>(
    server: &Bound<'py, PyAny>,
    transport: &Bound<'py, StreamTransport>,
) -> PyResult<()> {
    #[cfg(Py_3_13)]
    if let Some(clients) = Clients::of(server)? {
        clients.references.discard(PyWeakrefReference::new(transport)?)?;
        if clients.references.is_empty() && !clients.serves {
            server.call_method0(intern!(server.py(), "_wakeup"))?;
        }
        return Ok(());
    }
    tell(server, intern!(server.py(), "_detach"), transport)
}

fn tell<'py>(
    server: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    transport: &Bound<'py, StreamTransport>,
) -> PyResult<()> {
    if cfg!(Py_3_13) {
        return call_method(server, name, [transport.as_any()]).map(drop);
    }
    call_method(server, name, []).map(drop)
}

/// What a Server of asyncio's own knows of its connections.
#[cfg(Py_3_13)]
struct Clients<'py> {
    /// The weak references of the set.
    references: Bound<'py, PySet>,
    /// What a reference calls when its connection is gone.
    forget: Bound<'py, PyAny>,
    /// The server has not been closed.
    serves: bool,
}

#[cfg(Py_3_13)]
static SERVER: Original = Original::new(&names::SERVER, &["_attach", "_detach"]);

#[cfg(Py_3_13)]
static WEAK_SET: Original =
    Original::new(&names::WEAK_SET, &["add", "discard", "__len__", "_commit_removals"]);

#[cfg(Py_3_13)]
impl<'py> Clients<'py> {
    /// None for a server of somebody else's, and while somebody iterates over the set.
    fn of(server: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = server.py();
        if !SERVER.is_class_of(server)? {
            return Ok(None);
        }
        let own = dict::of_object(server)?;
        let get = |own: &Bound<'py, PyDict>, name: &Bound<'py, PyString>| own.get_item(name);
        if own.contains(intern!(py, "_attach"))? || own.contains(intern!(py, "_detach"))? {
            return Ok(None);
        }
        let (Some(sockets), Some(clients)) =
            (get(&own, intern!(py, "_sockets"))?, get(&own, intern!(py, "_clients"))?)
        else {
            return Ok(None);
        };
        if !WEAK_SET.is_class_of(&clients)? {
            return Ok(None);
        }
        let set = dict::of_object(&clients)?;
        let (Some(references), Some(forget), Some(pending)) = (
            get(&set, intern!(py, "data"))?,
            get(&set, intern!(py, "_remove"))?,
            get(&set, intern!(py, "_pending_removals"))?,
        ) else {
            return Ok(None);
        };
        let (Ok(references), Ok(pending)) =
            (references.cast_into_exact::<PySet>(), pending.cast_into_exact::<PyList>())
        else {
            return Ok(None);
        };
        let found = Self { references, forget, serves: !sockets.is_none() };
        Ok(pending.is_empty().then_some(found))
    }
}
