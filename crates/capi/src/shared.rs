//! A field of a Python object's native state that shares its content with calls that are under way: who
//! works with the content keeps it, while Python code that runs meanwhile may replace it.

use std::cell::Cell;
use std::rc::Rc;

/// Something or nothing. All-zero is nothing.
pub struct Shared<T>(Cell<*const T>);

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Shared({})", if self.is_set() { "set" } else { "empty" })
    }
}

impl<T> Shared<T> {
    /// Whether there is something.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.0.get().is_null()
    }

    /// What is there.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<Rc<T>> {
        let held = self.0.get();
        if held.is_null() {
            return None;
        }
        // SAFETY: a pointer that is not null came from `Rc::into_raw`, and its count is this field's own.
        unsafe {
            Rc::increment_strong_count(held);
            Some(Rc::from_raw(held))
        }
    }

    /// Puts something, or nothing, in the place of what is there.
    pub fn set(&self, content: Option<Rc<T>>) {
        let old = self.0.replace(content.map_or(std::ptr::null(), Rc::into_raw));
        if !old.is_null() {
            // SAFETY: as in `get`; the field's own count is given up.
            drop(unsafe { Rc::from_raw(old) });
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        self.set(None);
    }
}
