//! Fields of a base class's private C structure, found by looking for an object that is known to be
//! there. Reference: Doc/c-api/structures.rst (an instance is `__basicsize__` bytes).

use std::ffi::c_void;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::Slot;

/// Where, in bytes from the start of `object`, its structure holds a reference to `wanted`; None when
/// it does not, or more than once.
///
/// # Safety
/// The structure consists of pointer-sized words (pointers, or integers that fill such words).
#[must_use]
pub unsafe fn find(object: &Bound<'_, PyAny>, wanted: &Bound<'_, PyAny>) -> Option<usize> {
    let word = size_of::<usize>();
    // SAFETY: reads the type of a live object.
    let size = unsafe { (*ffi::Py_TYPE(object.as_ptr())).tp_basicsize };
    let words = usize::try_from(size).ok()? / word;
    let first = size_of::<ffi::PyObject>() / word;
    let mut found = (first..words).filter(|index| {
        // SAFETY: within the instance, and the caller promises that words can be read there.
        let held = unsafe { object.as_ptr().cast::<usize>().add(*index).read() };
        held == wanted.as_ptr() as usize
    });
    let index = found.next()?;
    found.next().is_none().then_some(index * word)
}

/// The field at `offset`.
///
/// # Safety
/// `object` is alive for `'a` and an instance of the class that `find` looked at, or of a subclass;
/// the field holds an owned reference or null, and whoever else writes it keeps it so.
#[inline]
#[must_use]
pub unsafe fn at<'a>(object: *mut ffi::PyObject, offset: usize) -> &'a Slot {
    // SAFETY: the caller's promise; `Slot` is one possibly null pointer.
    unsafe { &*object.cast::<u8>().add(offset).cast::<Slot>() }
}

/// A copy of the first `size` bytes of an instance.
///
/// # Safety
/// The instance is that large.
#[must_use]
pub unsafe fn bytes(object: &Bound<'_, PyAny>, size: usize) -> Vec<u8> {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(object.as_ptr().cast::<u8>(), size) }.to_vec()
}

/// Writes the byte at `offset`.
///
/// # Safety
/// `object` is alive, and a C field of one byte lies there.
#[inline]
pub unsafe fn set_byte(object: *mut ffi::PyObject, offset: usize, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { object.cast::<u8>().add(offset).write(value) }
}

/// A member of a doubly linked list. CPython: struct llist_node
#[repr(C)]
struct Link {
    next: *mut Self,
    previous: *mut Self,
}

/// Where, in bytes from their start, two objects of one class hold the links of a list in which
/// `second` follows `first`; None when they do not, or more than once.
///
/// # Safety
/// As for [`find`].
#[must_use]
pub unsafe fn find_link(first: &Bound<'_, PyAny>, second: &Bound<'_, PyAny>) -> Option<usize> {
    let word = size_of::<usize>();
    // SAFETY: reads the type of a live object.
    let size = unsafe { (*ffi::Py_TYPE(first.as_ptr())).tp_basicsize };
    let last = usize::try_from(size).ok()?.checked_sub(size_of::<Link>())? / word;
    let address = |object: &Bound<'_, PyAny>, offset| object.as_ptr() as usize + offset;
    let mut found = (size_of::<ffi::PyObject>() / word..=last).filter(|index| {
        let offset = index * word;
        // SAFETY: both words are within the instance, and the caller promises that they can be read.
        let [next, previous] = unsafe {
            [
                first.as_ptr().cast::<usize>().add(*index).read(),
                second.as_ptr().cast::<usize>().add(index + 1).read(),
            ]
        };
        next == address(second, offset) && previous == address(first, offset)
    });
    let index = found.next()?;
    found.next().is_none().then_some(index * word)
}

/// What follows an object in the list that its link at `offset` is in; null when it is in none.
///
/// # Safety
/// `object` is alive and has a link at `offset` ([`find_link`]).
#[inline]
#[must_use]
pub unsafe fn next_link(object: *mut ffi::PyObject, offset: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { (*object.cast::<u8>().add(offset).cast::<Link>()).next.cast() }
}

/// Puts an object that is in no list before `next`; before the head of a list, that is its end.
///
/// # Safety
/// As for [`unlink`], and `next` is a live link or head of a valid list that no other thread touches
/// meanwhile.
#[inline]
pub unsafe fn link_before(object: *mut ffi::PyObject, offset: usize, next: *mut c_void) {
    // SAFETY: the caller's promise; the neighbours of a link in a list are live links.
    unsafe {
        let link = object.cast::<u8>().add(offset).cast::<Link>();
        let next = next.cast::<Link>();
        let previous = (*next).previous;
        link.write(Link { next, previous });
        (*previous).next = link;
        (*next).previous = link;
    }
}

/// Takes an object out of the list that its link at `offset` is in, if it is in one.
///
/// # Safety
/// `object` is not yet freed and has a link at `offset` ([`find_link`]), null or in a valid list that no
/// other thread touches meanwhile.
#[inline]
pub unsafe fn unlink(object: *mut ffi::PyObject, offset: usize) {
    // SAFETY: the caller's promise; the neighbours of a link in a list are live links.
    unsafe {
        let link = object.cast::<u8>().add(offset).cast::<Link>();
        let Link { next, previous } = link.read();
        if next.is_null() {
            return;
        }
        (*previous).next = next;
        (*next).previous = previous;
        link.write(Link { next: std::ptr::null_mut(), previous: std::ptr::null_mut() });
    }
}
