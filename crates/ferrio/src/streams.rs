//! Streams: `StreamReader`, `StreamWriter`, the protocol between them and a transport, and the functions
//! that open connections and servers. What asyncio's module `streams` holds, and the protocol of its
//! module `subprocess`.
//!
//! A transport of ours hands what it reads to a protocol of ours without a call through Python
//! (`transports::stream::direct`), and a read that finds its bytes makes no future.

mod content;
mod draining;
mod factory;
mod flow_control;
mod functions;
mod lines;
mod protocol;
mod protocol_members;
mod reader;
mod reader_members;
mod reading;
mod serving;
mod subprocess;
mod transport_calls;
mod writer;
mod writer_members;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;

use crate::transports::stream::direct;

/// Makes the types and adds them and the functions to the module.
pub fn create(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    factory::create(py)?;
    reader_members::create(py)?;
    protocol_members::create(py)?;
    writer_members::create(py)?;
    subprocess::create(py)?;
    direct::set_receive(|protocol, data| {
        protocol::as_plain(protocol).map(|plain| protocol::receive(plain, data))
    });
    module.add("StreamReader", reader::StreamReader::type_object(py))?;
    module.add("StreamReaderProtocol", protocol::StreamReaderProtocol::type_object(py))?;
    module.add("StreamWriter", writer::StreamWriter::type_object(py))?;
    module
        .add("SubprocessStreamProtocol", subprocess::SubprocessStreamProtocol::type_object(py))?;
    functions::all(py)?.into_iter().try_for_each(|(name, function)| module.add(name, function))
}
