//! Which transport owns which descriptor, so that nobody adds a reader beside it.
//! CPython: BaseSelectorEventLoop._transports

use std::os::fd::RawFd;
use std::sync::atomic::Ordering;

use ferrio_capi::{Ref, runtime};
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use super::EventLoop;

/// The owner of a descriptor.
#[derive(Debug)]
pub enum Owner {
    /// A native transport, by its address: it leaves the table before it is freed.
    Native(usize),
    /// A weak reference to another one.
    Weak(Ref),
}

impl EventLoop {
    /// Notes that a native transport owns a descriptor. It must call [`EventLoop::disown_fd`] before it
    /// is freed.
    pub fn own_fd(&self, fd: RawFd, transport: &Bound<'_, PyAny>) {
        let owner = Owner::Native(transport.as_ptr() as usize);
        let old = self.owners.borrow_mut(transport.py()).insert(fd, owner);
        drop(old);
    }

    /// Notes that a transport of any kind owns a descriptor, while it lives.
    ///
    /// # Errors
    /// TypeError when there can be no weak reference to it.
    pub fn own_fd_weakly(&self, fd: RawFd, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(transport)?;
        let owner = Owner::Weak(Ref::new(weak));
        let old = self.owners.borrow_mut(transport.py()).insert(fd, owner);
        drop(old);
        Ok(())
    }

    /// The native transport at `address` no longer owns a descriptor.
    pub fn disown_fd(&self, py: Python<'_>, fd: RawFd, address: usize) {
        self.disowned.fetch_add(1, Ordering::Relaxed);
        let mut owners = self.owners.borrow_mut(py);
        if matches!(owners.get(&fd), Some(Owner::Native(owner)) if *owner == address) {
            owners.remove(&fd);
        }
    }

    /// A number that changes when a native transport gives up its descriptor, which may be the peer of another.
    #[inline]
    pub fn disowned(&self) -> u32 {
        self.disowned.load(Ordering::Relaxed)
    }

    /// Nobody owns a descriptor any more.
    pub fn forget_owner(&self, py: Python<'_>, fd: RawFd) {
        let old = self.owners.borrow_mut(py).remove(&fd);
        drop(old);
    }

    /// The transport that owns a descriptor.
    pub fn owner_of_fd<'py>(&self, py: Python<'py>, fd: RawFd) -> Option<Bound<'py, PyAny>> {
        let owners = self.owners.borrow_mut(py);
        if owners.is_empty() {
            return None;
        }
        let weak = match owners.get(&fd)? {
            // SAFETY: a native transport leaves the table before it is freed.
            Owner::Native(address) => return Some(unsafe { runtime::object_at(py, *address) }),
            Owner::Weak(weak) => weak.bind(py),
        };
        drop(owners);
        weak.cast::<PyWeakrefReference>().ok()?.upgrade()
    }

    /// The descriptors that transports own.
    pub fn owned_fds(&self, py: Python<'_>) -> Vec<RawFd> {
        let fds: Vec<RawFd> = self.owners.borrow_mut(py).keys().copied().collect();
        fds.into_iter().filter(|fd| self.owner_of_fd(py, *fd).is_some()).collect()
    }
}
