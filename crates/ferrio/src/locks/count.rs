//! A number that Python may put anything into that counts (`Semaphore._value`, `Barrier._parties`): an
//! integer while it is one, else the object.

use std::cell::Cell;
use std::cmp::Ordering;
use std::ffi::c_int;

use ferrio_capi::method::Object;
use ferrio_capi::{Slot, Visit};
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// The number. All-zero is 0.
///
/// Invariant: `object` is set only for what is no int of 62 bits; `small` then means nothing.
#[derive(Debug)]
pub struct Count {
    small: Cell<i64>,
    object: Slot,
}

impl Count {
    const LARGEST: i64 = 1 << 61;

    /// A small number.
    pub fn new(number: i64) -> Self {
        Self { small: Cell::new(number), object: Slot::empty() }
    }

    /// The number that an object is.
    pub fn of(value: &Bound<'_, PyAny>) -> Self {
        let count = Self::new(0);
        count.set(value);
        count
    }

    /// Stores an object.
    pub fn set(&self, value: &Bound<'_, PyAny>) {
        let small = value.cast_exact::<PyInt>().ok().and_then(|value| value.extract::<i64>().ok());
        match small.filter(|small| small.unsigned_abs() < Self::LARGEST.unsigned_abs()) {
            Some(small) => {
                self.small.set(small);
                drop(self.object.take(value.py()));
            }
            None => self.object.set(value.clone()),
        }
    }

    /// The number as an object.
    pub fn get<'py>(&self, py: Python<'py>) -> Object<'py> {
        match self.object.get(py) {
            None => Ok(self.small.get().into_pyobject(py)?.into_any()),
            Some(object) => Ok(object),
        }
    }

    /// `self += step`.
    ///
    /// # Errors
    /// What the object's arithmetic raises.
    #[inline]
    pub fn add(&self, py: Python<'_>, step: i64) -> PyResult<()> {
        match self.object.get(py) {
            None => self.small.set(self.small.get() + step),
            Some(object) => self.set(&object.add(step)?),
        }
        Ok(())
    }

    /// `self == number`.
    ///
    /// # Errors
    /// What the object's comparison raises.
    #[inline]
    pub fn is(&self, py: Python<'_>, number: i64) -> PyResult<bool> {
        match self.object.get(py) {
            None => Ok(self.small.get() == number),
            Some(object) => object.eq(number),
        }
    }

    /// `self > number`.
    ///
    /// # Errors
    /// What the object's comparison raises.
    #[inline]
    pub fn exceeds(&self, py: Python<'_>, number: i64) -> PyResult<bool> {
        match self.object.get(py) {
            None => Ok(self.small.get() > number),
            Some(object) => object.gt(number),
        }
    }

    /// `self >= other`.
    ///
    /// # Errors
    /// What the objects' comparison raises.
    #[inline]
    pub fn reaches(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        if self.object.is_set() || other.object.is_set() {
            return self.get(py)?.ge(other.get(py)?);
        }
        Ok(self.small.get().cmp(&other.small.get()) != Ordering::Less)
    }

    /// Reports the object to the collector.
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.object)
    }

    /// Drops the object.
    pub fn clear(&self, py: Python<'_>) {
        self.small.set(0);
        drop(self.object.take(py));
    }
}
