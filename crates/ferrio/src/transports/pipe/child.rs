//! What comes out of a pipe on its way to the protocol. Where the pipe is a child's, two objects of
//! asyncio's lie between: what they do with it is done here.
//! CPython: base_subprocess.ReadSubprocessPipeProto.data_received,
//! BaseSubprocessTransport._pipe_data_received and _call

use ferrio_capi::call::call_method;
use pyo3::intern;
use pyo3::prelude::*;

use crate::names;

/// `protocol.data_received(data)`.
///
/// # Errors
/// The protocol's.
pub fn data_received<'py>(protocol: &Bound<'py, PyAny>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    match running_child(protocol)? {
        Some(transport) => pass_on(protocol, &transport, data),
        None => call_method(protocol, intern!(protocol.py(), "data_received"), [data]).map(drop),
    }
}

/// The transport of the child whose pipe this is, once its pipes are connected and as long as nobody
/// extended either class.
fn running_child<'py>(protocol: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = protocol.py();
    if !protocol.get_type().is(names::READ_SUBPROCESS_PIPE_PROTO.get(py)?) {
        return Ok(None);
    }
    let transport = protocol.getattr(intern!(py, "proc"))?;
    if !transport.get_type().is(names::UNIX_SUBPROCESS_TRANSPORT.get(py)?) {
        return Ok(None);
    }
    let is_connected = transport.getattr(intern!(py, "_pending_calls"))?.is_none();
    Ok(is_connected.then_some(transport))
}

/// The child's protocol gets the data in the next turn, as all that the transport says.
fn pass_on<'py>(
    protocol: &Bound<'py, PyAny>,
    transport: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = protocol.py();
    let fd = protocol.getattr(intern!(py, "fd"))?;
    let of_child = transport.getattr(intern!(py, "_protocol"))?;
    let callback = of_child.getattr(intern!(py, "pipe_data_received"))?;
    let event_loop = transport.getattr(intern!(py, "_loop"))?;
    call_method(&event_loop, intern!(py, "call_soon"), [&callback, &fd, data]).map(drop)
}
