//! A list of live objects that does not keep them alive: what a WeakSet would be, without a weak
//! reference object for each member. The members take themselves off before they die.

use pyo3::ffi;
use pyo3::prelude::*;

/// Objects by place. Places of members that left are used again.
#[derive(Debug)]
pub struct WeakList {
    places: Vec<Place>,
    /// The place that was freed last, the head of a chain through `Place::Free`.
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
enum Place {
    Taken(*mut ffi::PyObject),
    Free(Option<u32>),
}

impl WeakList {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: Vec::new(), free: None, len: 0 }
    }

    /// Adds an object and says where.
    ///
    /// # Safety
    /// The object must be removed from that place before its memory is freed.
    #[inline]
    pub unsafe fn insert(&mut self, object: &Bound<'_, PyAny>) -> u32 {
        self.len += 1;
        let taken = Place::Taken(object.as_ptr());
        match self.free {
            Some(place) => {
                let old = std::mem::replace(&mut self.places[place as usize], taken);
                self.free = if let Place::Free(next) = old { next } else { None };
                place
            }
            None => {
                self.places.push(taken);
                u32::try_from(self.places.len() - 1).expect("memory ends before 2**32 tasks")
            }
        }
    }

    /// Removes the object at `place`, which `insert` gave.
    #[inline]
    pub fn remove(&mut self, place: u32) {
        self.places[place as usize] = Place::Free(self.free);
        self.free = Some(place);
        self.len -= 1;
        if self.len == 0 {
            self.places.clear();
            self.free = None;
            self.places.shrink_to(64);
        }
    }

    /// New references to all members that are not being freed at this moment.
    #[must_use]
    pub fn members<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        let taken = self.places.iter().filter_map(|place| match place {
            Place::Taken(object) => Some(*object),
            Place::Free(_) => None,
        });
        // SAFETY: a member's memory is there (`insert`'s contract); one whose count is zero is on
        // its way out and must not be revived.
        taken
            .filter(|object| unsafe { ffi::Py_REFCNT(*object) } > 0)
            .map(|object| unsafe { Bound::from_borrowed_ptr(py, object) })
            .collect()
    }
}

impl Default for WeakList {
    fn default() -> Self {
        Self::new()
    }
}
