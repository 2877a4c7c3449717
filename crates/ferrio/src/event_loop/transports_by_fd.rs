//! `loop._transports`: which transport owns which descriptor, with the face of the WeakValueDictionary
//! that stock has there. asyncio's own code, and transports that are not ours, use it.

use std::os::fd::RawFd;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::loop_state::EventLoop;

/// The transports of a loop by descriptor.
#[pyclass(module = "ferrio._ferrio", frozen, mapping)]
pub struct TransportsByFd {
    event_loop: Py<EventLoop>,
}

impl TransportsByFd {
    /// Those of `event_loop`.
    pub fn new(event_loop: &Bound<'_, EventLoop>) -> Self {
        Self { event_loop: event_loop.clone().unbind() }
    }
}

#[pymethods]
impl TransportsByFd {
    /// Return the transport that owns a descriptor, or the default.
    #[pyo3(signature = (fd, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        fd: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> Option<Bound<'py, PyAny>> {
        let owner =
            fd.extract::<RawFd>().ok().and_then(|fd| self.event_loop.get().owner_of_fd(py, fd));
        owner.or(default)
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        fd: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.get(py, fd, None).ok_or_else(|| PyKeyError::new_err(fd.clone().unbind()))
    }

    fn __setitem__(&self, fd: RawFd, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        self.event_loop.get().own_fd_weakly(fd, transport)
    }

    fn __delitem__(&self, py: Python<'_>, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        self.__getitem__(py, fd)?;
        self.event_loop.get().forget_owner(py, fd.extract()?);
        Ok(())
    }

    fn __contains__(&self, py: Python<'_>, fd: &Bound<'_, PyAny>) -> bool {
        self.get(py, fd, None).is_some()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.event_loop.get().owned_fds(py).len()
    }

    /// Return the descriptors.
    fn keys(&self, py: Python<'_>) -> Vec<RawFd> {
        self.event_loop.get().owned_fds(py)
    }

    /// Return the transports.
    fn values<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        self.items(py).into_iter().map(|(_, transport)| transport).collect()
    }

    /// Return pairs of descriptors and transports.
    fn items<'py>(&self, py: Python<'py>) -> Vec<(RawFd, Bound<'py, PyAny>)> {
        let native = self.event_loop.get();
        let fds = native.owned_fds(py).into_iter();
        fds.filter_map(|fd| Some((fd, native.owner_of_fd(py, fd)?))).collect()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}
