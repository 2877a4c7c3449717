//! A `RefCell` that a shared Python object may hold: the token proves that the thread is attached,
//! and on a GIL build one thread is attached at a time. Reference: Doc/c-api/init.rst ("Thread State
//! and the Global Interpreter Lock").

use std::cell::{RefCell, RefMut};

use pyo3::Python;

#[cfg(Py_GIL_DISABLED)]
compile_error!("Ferrio makes no claim about free-threaded builds: GilCell relies on the GIL");

/// Interior mutability guarded by the GIL and, against re-entry, by `RefCell`'s flag.
///
/// Never hold a borrow over anything that may run Python code, dropping an object included.
#[derive(Debug, Default)]
pub struct GilCell<T>(RefCell<T>);

// SAFETY: `borrow_mut` asks for a token, so only the one attached thread reaches the contents; a
// borrow that is kept while the GIL is given up makes the other thread's borrow panic, not race.
unsafe impl<T> Sync for GilCell<T> {}
// SAFETY: the contents are dropped with their Python object, by a thread that is attached.
unsafe impl<T> Send for GilCell<T> {}

impl<T> GilCell<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Borrows the contents.
    ///
    /// # Panics
    /// When they are borrowed already, which is a bug of this crate's user.
    #[inline]
    pub fn borrow_mut(&self, _py: Python<'_>) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }

    /// Shows the contents to the garbage collector, which runs attached but holds no token; nothing
    /// is shown while they are borrowed (the collector then leaves the object alone, which is safe).
    pub fn inspect<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.try_borrow().ok().map(|contents| look(&contents))
    }
}
