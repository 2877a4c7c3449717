//! `loop._selector`: what asyncio's inherited code asks a selector (which interests a descriptor
//! has), answered from the loop's own table.

use std::os::fd::RawFd;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::loop_state::EventLoop;
use crate::names;

/// A read-only selector over a loop's interests. Its name is the one that asyncio logs.
#[pyclass(module = "ferrio._ferrio", frozen)]
pub struct EpollSelector {
    event_loop: Py<EventLoop>,
}

#[pymethods]
impl EpollSelector {
    #[new]
    fn new(event_loop: Py<EventLoop>) -> Self {
        Self { event_loop }
    }

    /// Return a mapping of file descriptors to selectors.SelectorKey.
    fn get_map<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let map = PyDict::new(py);
        let fds: Vec<RawFd> = {
            let interests = self.event_loop.get().interests.borrow_mut(py);
            interests.iter().map(|(fd, _, _)| fd).collect()
        };
        for fd in fds {
            if let Some(key) = self.key(py, fd)? {
                map.set_item(fd, key)?;
            }
        }
        Ok(map)
    }

    /// Return the key of a registered file object. Raises KeyError when it is not registered.
    fn get_key<'py>(&self, py: Python<'py>, fileobj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let fd: RawFd = names::FILEOBJ_TO_FD.get(py)?.call1((fileobj,))?.extract()?;
        self.key(py, fd)?.ok_or_else(|| {
            let text = fileobj.repr().map(|text| text.to_string()).unwrap_or_default();
            PyKeyError::new_err(format!("{text} is not registered"))
        })
    }

    /// Return the descriptor of the epoll instance, or -1 when the loop is closed.
    fn fileno(&self, py: Python<'_>) -> RawFd {
        self.event_loop.get().poller.borrow_mut(py).as_ref().map_or(-1, |poller| poller.epoll_fd())
    }

    /// Nothing: the loop closes its descriptors itself.
    fn close(&self) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}

impl EpollSelector {
    fn key<'py>(&self, py: Python<'py>, fd: RawFd) -> PyResult<Option<Bound<'py, PyAny>>> {
        const EVENT_READ: u8 = 1;
        const EVENT_WRITE: u8 = 2;
        let (reader, writer) = {
            let interests = self.event_loop.get().interests.borrow_mut(py);
            if interests.events_of(fd).is_none() {
                return Ok(None);
            }
            let bind = |handle: &ferrio_capi::Ref| handle.bind(py);
            (interests.reader(fd).map(bind), interests.writer(fd).map(bind))
        };
        let mut events = 0;
        if reader.is_some() {
            events |= EVENT_READ;
        }
        if writer.is_some() {
            events |= EVENT_WRITE;
        }
        let data = PyTuple::new(py, [reader, writer])?;
        names::SELECTOR_KEY.get(py)?.call1((fd, fd, events, data)).map(Some)
    }
}
