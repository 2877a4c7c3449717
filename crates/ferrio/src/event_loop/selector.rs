//! `loop._selector`: what asyncio's inherited code asks a selector (which interests a descriptor
//! has), answered from the loop's own table.

use std::os::fd::RawFd;
use std::time::Duration;

use ferrio_capi::{Ref, dict, runtime};
use ferrio_core::reactor::Timeout;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyTypeInfo, PyVisit, intern};

use super::{debug, poll};
use crate::errors;
use crate::loop_state::{EventLoop, Watch, set};
use crate::names;

/// A selector over a loop's interests. Its name is the one that asyncio logs.
/// A program may assign to its attributes, as to those of one of Python: the loop then polls through its
/// `select`.
#[pyclass(module = "ferrio._ferrio", frozen, dict)]
pub struct EpollSelector {
    event_loop: Py<EventLoop>,
}

#[pymethods]
impl EpollSelector {
    #[new]
    fn new(event_loop: Py<EventLoop>) -> Self {
        Self { event_loop }
    }

    fn __setattr__(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        dict::generic_setattr(slf.as_any(), name, Some(value))?;
        note_attributes(slf)
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        dict::generic_setattr(slf.as_any(), name, None)?;
        note_attributes(slf)
    }

    /// Return a mapping of file objects and descriptors to selectors.SelectorKey.
    fn get_map<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        names::SELECTOR_MAPPING.get(slf.py())?.call1((slf,))
    }

    /// What the mapping asks for a file object's descriptor.
    #[staticmethod]
    fn _fileobj_lookup(fileobj: &Bound<'_, PyAny>) -> PyResult<RawFd> {
        descriptor(fileobj)
    }

    /// What the mapping shows: the keys by descriptor.
    #[getter]
    fn _fd_to_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
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
    fn get_key<'py>(
        &self,
        py: Python<'py>,
        fileobj: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fd = descriptor(fileobj)?;
        self.key(py, fd)?.ok_or_else(|| {
            let text = fileobj.repr().map(|text| text.to_string()).unwrap_or_default();
            PyKeyError::new_err(format!("{text} is not registered"))
        })
    }

    /// Return the descriptor of the epoll instance, or -1 when the loop is closed.
    fn fileno(&self, py: Python<'_>) -> RawFd {
        self.event_loop.get().poller.borrow_mut(py).as_ref().map_or(-1, |poller| poller.epoll_fd())
    }

    /// Register a file object for asyncio's (reader, writer) pair of handles. Raises ValueError for
    /// events other than EVENT_READ and EVENT_WRITE, KeyError when it is registered already.
    #[pyo3(signature = (fileobj, events, data=None))]
    fn register<'py>(
        &self,
        py: Python<'py>,
        fileobj: &Bound<'py, PyAny>,
        events: u32,
        data: Option<HandlePair<'py>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let fd = descriptor(fileobj)?;
        if events == 0 || events & !(EVENT_READ | EVENT_WRITE) != 0 {
            return Err(PyValueError::new_err(format!("Invalid events: {events}")));
        }
        if self.key(py, fd)?.is_some() {
            let text = format!("{} (FD {fd}) is already registered", fileobj.repr()?);
            return Err(PyKeyError::new_err(text));
        }
        self.watch(py, fd, events, data)?;
        self.key(py, fd)
    }

    /// Change the events and the pair of handles of a registered file object.
    #[pyo3(signature = (fileobj, events, data=None))]
    fn modify<'py>(
        &self,
        py: Python<'py>,
        fileobj: &Bound<'py, PyAny>,
        events: u32,
        data: Option<HandlePair<'py>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.get_key(py, fileobj)?;
        let fd = descriptor(fileobj)?;
        self.watch(py, fd, events, data)?;
        self.key(py, fd)
    }

    /// Unregister a file object; return its key. Raises KeyError when it is not registered.
    fn unregister<'py>(
        &self,
        py: Python<'py>,
        fileobj: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let key = self.get_key(py, fileobj)?;
        self.watch(py, descriptor(fileobj)?, 0, None)?;
        Ok(key)
    }

    /// Wait until a registered file object is ready, `timeout` seconds at most (None: for ever);
    /// return a list of (key, events).
    #[pyo3(signature = (timeout=None))]
    fn select<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, u32)>> {
        let timeout = match timeout {
            None => Timeout::Forever,
            Some(seconds) if seconds > 0.0 => {
                let limit = seconds.min(ferrio_core::turn::MAX_SELECT_TIMEOUT);
                Timeout::For(Duration::from_secs_f64(limit))
            }
            Some(_) => Timeout::Zero,
        };
        self.event_loop.get().run_before_poll(py);
        let mut ready = Vec::new();
        for event in poll::wait(py, self.event_loop.get(), timeout)? {
            let mask =
                u32::from(event.readable) * EVENT_READ + u32::from(event.writable) * EVENT_WRITE;
            if let Some(key) = self.key(py, event.fd)? {
                if let Some(fd) = runtime::borrow_fd(event.fd) {
                    // The caller calls handles. A closed descriptor is told of no more, as on stock.
                    let _ = self.event_loop.get().keep_watch_armed(py, fd);
                }
                let mask = mask & key.getattr("events")?.extract::<u32>()?;
                ready.push((key, mask));
            }
        }
        Ok(ready)
    }

    /// Nothing: the loop closes its descriptors itself.
    fn close(&self) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}

/// `selectors.EVENT_READ` and `selectors.EVENT_WRITE`.
const EVENT_READ: u32 = 1;
const EVENT_WRITE: u32 = 2;

/// What asyncio registers: the handle of the reader and that of the writer, or None.
type HandlePair<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// Whether the reactor may be polled past `selector`: it is ours, and no attribute was assigned.
pub fn is_plain(selector: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(EpollSelector::is_exact_type_of(selector)
        && selector.getattr(intern!(selector.py(), "__dict__"))?.is_empty()?)
}

/// Says to the loop whether it may poll past its selector.
fn note_attributes(slf: &Bound<'_, EpollSelector>) -> PyResult<()> {
    let event_loop = slf.get().event_loop.bind(slf.py());
    if event_loop.getattr(intern!(slf.py(), "_selector"))?.is(slf) {
        set(&event_loop.get().selector_replaced, !is_plain(slf)?);
    }
    Ok(())
}

fn descriptor(fileobj: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    names::FILEOBJ_TO_FD.get(fileobj.py())?.call1((fileobj,))?.extract()
}

impl EpollSelector {
    /// Makes the table's entry for `fd` what `events` and `data` say.
    fn watch(
        &self,
        py: Python<'_>,
        fd: RawFd,
        events: u32,
        data: Option<HandlePair<'_>>,
    ) -> PyResult<()> {
        let native = self.event_loop.get();
        let (reader, writer) = data.unwrap_or((None, None));
        let watch = |handle| Watch::Handle(Ref::new(handle));
        let reader = reader.filter(|_| events & EVENT_READ != 0).map(watch);
        let writer = writer.filter(|_| events & EVENT_WRITE != 0).map(watch);
        let poller = native.poller.borrow_mut(py).clone();
        let (Some(poller), Some(source)) = (poller, runtime::borrow_fd(fd)) else {
            return Err(errors::loop_closed());
        };
        let replaced = {
            let mut interests = native.interests.borrow_mut(py);
            let old_reader = match reader {
                Some(reader) => interests.set_reader(&poller, source, reader),
                None => interests.remove_reader(&poller, source),
            };
            let old_writer = match writer {
                Some(writer) => interests.set_writer(&poller, source, writer),
                None => interests.remove_writer(&poller, source),
            };
            (old_reader, old_writer, interests.take_lost())
        };
        let (old_reader, old_writer, lost) = replaced;
        drop(lost);
        drop(old_reader.map_err(|error| errors::os_error(py, &error))?);
        drop(old_writer.map_err(|error| errors::os_error(py, &error))?);
        Ok(())
    }

    fn key<'py>(&self, py: Python<'py>, fd: RawFd) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (reader, writer) = {
            let interests = self.event_loop.get().interests.borrow_mut(py);
            if interests.events_of(fd).is_none() {
                return Ok(None);
            }
            let item = |watch: &Watch| watch.item(py);
            (interests.reader(fd).map(item), interests.writer(fd).map(item))
        };
        let event_loop = self.event_loop.bind(py);
        let handle = |item| debug::handle_of(event_loop, item);
        let (reader, writer) = (reader.map(handle).transpose()?, writer.map(handle).transpose()?);
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
