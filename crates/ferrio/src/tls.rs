//! TLS: the protocol between a transport and an application, and the transport that the application
//! sees. What asyncio's module `sslproto` holds. CPython: Lib/asyncio/sslproto.py
//!
//! Phases, flow control and the order of ciphertext are decided in `ferrio_core::tls`. The user's
//! SSLContext makes the SSLObject, which does handshakes and shutdowns; data goes straight to its
//! OpenSSL where `ferrio_capi::openssl` can prove where that is, else through the SSLObject as well.

mod ending;
mod engine;
mod errors;
mod flow;
mod handshake;
mod making;
mod members;
mod methods;
mod pipe;
mod protocol;
mod reading;
mod stock;
pub mod transport;
mod transport_methods;
mod wrapping;
mod writing;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;

pub use engine::{locate, path, set_engine};
pub use making::{Parameters, new};
pub use protocol::SSLProtocol;
pub use transport_methods::write_data;

use crate::transports::stream::direct::{self, TlsReceiver};

/// Makes the types and adds them to the module.
///
/// # Errors
/// What the making of the types raises.
pub fn create(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    methods::create(py)?;
    transport_methods::create(py)?;
    direct::set_tls_receiver(TlsReceiver {
        serves: |protocol| protocol::as_plain(protocol).is_some(),
        receive: reading::receive,
    });
    module.add("SSLProtocol", SSLProtocol::type_object(py))?;
    module.add("_SSLProtocolTransport", transport::SSLProtocolTransport::type_object(py))
}
