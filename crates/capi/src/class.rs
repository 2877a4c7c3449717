//! A native type that extends a Python class whose layout is known only at run time
//! (`_asyncio.Task`, `asyncio.Handle`): a heap type made from a spec, with our state after the base's
//! fields. Reference: Include/object.h (PyType_FromModuleAndSpec), Doc/c-api/typeobj.rst,
//! Doc/howto/isolating-extensions.rst.
//!
//! Fields: the base's part of an instance stays zeroed unless the class itself writes it; the native
//! state begins as all-zero bytes too, which [`State`] promises to be its empty value.
//! Safety: an object whose type is or derives from `Class<C>`'s type has a `C::State` at
//! `state_offset`; [`Class::create`] sizes the type so, and subclasses only append.
//! Shutdown: the type lives as long as the process. tp_dealloc of an exact instance may keep its
//! memory on the free list; such memory owns nothing.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::definition::{offset_members, slot};
use crate::function::{self, Which};
use crate::native_class::{NativeClass, State, Visit};
#[cfg(not(Py_3_14))]
use crate::nesting;
use crate::tracking::track;
use crate::trampoline::guard;
use crate::{GilCell, Slot, dict};

/// The attribute by which a native class names the Python class that it stands for, without being a
/// subclass of it.
pub const REPLACES: &CStr = c"_ferrio_replaces";

unsafe extern "C" {
    /// Makes an object of memory that has a type: one reference, and what tracemalloc notes. Exported by
    /// every CPython for those who keep memory as we do (Include/cpython/object.h).
    fn _Py_NewReference(object: *mut ffi::PyObject);
}

/// What is fixed about a class: where its state lies and its freed instances.
#[derive(Debug)]
pub struct Class<C> {
    type_object: AtomicPtr<ffi::PyTypeObject>,
    /// Bytes from an instance's start to its state.
    state_offset: AtomicUsize,
    /// Bytes of an exact instance.
    size: AtomicUsize,
    /// Invariant: memory of exact instances, untracked, never finalized, owning nothing but the reference
    /// to their type.
    free: GilCell<Vec<FreeMemory>>,
    marker: PhantomData<fn() -> C>,
}

/// An instance's memory between two lives.
#[derive(Debug)]
struct FreeMemory(*mut ffi::PyObject);

impl<C: NativeClass> Class<C> {
    /// A class that [`Class::create`] has still to make.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            type_object: AtomicPtr::new(std::ptr::null_mut()),
            state_offset: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            free: GilCell::new(Vec::new()),
            marker: PhantomData,
        }
    }

    /// The type object; null before `create`.
    #[inline]
    pub fn type_ptr(&self) -> *mut ffi::PyTypeObject {
        self.type_object.load(Ordering::Relaxed)
    }

    /// The native state of an instance.
    ///
    /// # Safety
    /// `object` is an instance of this class or of a subclass, alive for `'a`.
    #[inline]
    pub unsafe fn state_at<'a>(&self, object: *mut ffi::PyObject) -> &'a C::State {
        let offset = self.state_offset.load(Ordering::Relaxed);
        // SAFETY: the module's safety rule.
        unsafe { &*object.cast::<u8>().add(offset).cast::<C::State>() }
    }

    /// `object` as this class when its type is exactly this one.
    #[inline]
    pub fn cast_exact<'a, 'py>(&self, object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, C>> {
        // SAFETY: reading the type of a live object, then a cast that the comparison proves.
        unsafe {
            (ffi::Py_TYPE(object.as_ptr()) == self.type_ptr()).then(|| object.cast_unchecked::<C>())
        }
    }

    /// The native state of what `slot` holds, when its type is exactly this one.
    #[inline]
    pub fn state_in<'a>(&self, slot: &'a Slot) -> Option<&'a C::State> {
        let object = slot.as_ptr();
        // SAFETY: the slot keeps the object, if any, alive; the comparison proves its class.
        unsafe {
            (!object.is_null() && ffi::Py_TYPE(object) == self.type_ptr())
                .then(|| self.state_at(object))
        }
    }

    /// Whether `object` is no instance of a subclass and has no attributes of its own, so that no Python
    /// code replaces a method of it. For a class whose instances are open.
    #[inline]
    pub fn is_plain<T>(&self, object: &Bound<'_, T>) -> bool {
        dict::is_plain(object, self.type_ptr())
    }

    /// A new instance with an empty state; `__init__` is not called.
    #[inline]
    pub fn alloc<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, C>> {
        let kept = self.free.borrow_mut(py).pop();
        let object = match kept {
            // SAFETY: the list's invariant; `revive` makes it an object again.
            Some(memory) => unsafe { self.revive(memory.0) },
            None => self.alloc_fresh(),
        };
        // SAFETY: an owned instance of our type, or null with MemoryError set.
        unsafe { Bound::from_owned_ptr_or_err(py, object).map(|new| new.cast_into_unchecked()) }
    }

    fn alloc_fresh(&self) -> *mut ffi::PyObject {
        let header = size_of::<ffi::PyObject>();
        let body = self.size.load(Ordering::Relaxed) - header;
        // SAFETY: a ready heap type of that basic size; the header is initialised, the body and the
        // tracking are ours to do before anybody else sees the object.
        unsafe {
            let object: *mut ffi::PyObject = ffi::PyObject_GC_New(self.type_ptr());
            if !object.is_null() {
                object.cast::<u8>().add(header).write_bytes(0, body);
                if C::TRACKED {
                    ffi::PyObject_GC_Track(object.cast());
                }
            }
            object
        }
    }

    /// # Safety
    /// `object` came off the free list.
    unsafe fn revive(&self, object: *mut ffi::PyObject) -> *mut ffi::PyObject {
        let offset = self.state_offset.load(Ordering::Relaxed);
        // SAFETY: exact instances hold a State at the offset, whose empty value is zero; their dict and
        // list of weak references were emptied by tp_dealloc. The type and the reference to it are still
        // there, and the count becomes 1; the GC head was left untracked.
        unsafe {
            object.cast::<u8>().add(offset).cast::<C::State>().write_bytes(0, 1);
            _Py_NewReference(object);
            if C::TRACKED {
                ffi::PyObject_GC_Track(object.cast());
            }
        }
        object
    }

    /// Makes the type, once. `extra` are slots beside the ones every native class has.
    ///
    /// # Errors
    /// RuntimeError when the base's layout cannot be extended, and what CPython raises.
    pub fn create(
        &'static self,
        py: Python<'_>,
        name: &'static CStr,
        base: &Bound<'_, PyType>,
        extra: Vec<ffi::PyType_Slot>,
    ) -> PyResult<()> {
        const { assert!(align_of::<C::State>() <= size_of::<usize>()) };
        if !self.type_ptr().is_null() {
            return Ok(());
        }
        // SAFETY: `base` is a live type object.
        let base_size = unsafe { (*base.as_type_ptr()).tp_basicsize };
        let offset = usize::try_from(base_size)
            .map_err(|_| PyRuntimeError::new_err("the base class has no fixed size"))?
            .next_multiple_of(size_of::<usize>());
        let dict_offset = (offset + size_of::<C::State>()).next_multiple_of(size_of::<usize>());
        let end = if C::OPEN { dict_offset + 2 * size_of::<usize>() } else { dict_offset };
        let size = c_int::try_from(end)
            .map_err(|_| PyRuntimeError::new_err("the base class is too large"))?;
        let mut slots = vec![
            slot(ffi::Py_tp_new, new::<C> as *mut c_void),
            slot(ffi::Py_tp_dealloc, dealloc::<C> as *mut c_void),
            slot(ffi::Py_tp_traverse, traverse::<C> as *mut c_void),
            slot(ffi::Py_tp_clear, clear::<C> as *mut c_void),
        ];
        slots.extend(extra);
        let mut offsets = Vec::new();
        if C::OPEN {
            offsets.push((c"__dictoffset__", dict_offset));
            offsets.push((c"__weaklistoffset__", dict_offset + size_of::<usize>()));
        }
        let mut flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | C::FLAGS;
        flags |= ffi::Py_TPFLAGS_BASETYPE;
        if C::VECTORCALL {
            offsets.push((c"__vectorcalloffset__", offset));
            flags |= ffi::Py_TPFLAGS_HAVE_VECTORCALL;
        }
        slots.push(slot(ffi::Py_tp_members, offset_members(&offsets)));
        slots.push(slot(0, std::ptr::null_mut()));
        let mut spec = ffi::PyType_Spec {
            name: name.as_ptr(),
            basicsize: size,
            itemsize: 0,
            flags: flags as std::ffi::c_uint,
            slots: slots.as_mut_ptr(),
        };
        let bases = PyTuple::new(py, [base])?;
        self.state_offset.store(offset, Ordering::Relaxed);
        self.size.store(end, Ordering::Relaxed);
        // SAFETY: the spec and its slots live through the call; names and tables are 'static.
        let made = unsafe {
            Bound::from_owned_ptr_or_err(
                py,
                ffi::PyType_FromModuleAndSpec(std::ptr::null_mut(), &raw mut spec, bases.as_ptr()),
            )
        }?;
        // The reference is given to the static: the type lives as long as the process.
        self.type_object.store(made.into_ptr().cast(), Ordering::Relaxed);
        Ok(())
    }
}

impl<C: NativeClass> Class<C> {
    /// [`Class::create`] over `object`, and [`Class::stand_for`].
    ///
    /// # Errors
    /// As [`Class::create`].
    pub fn create_instead_of(
        &'static self,
        py: Python<'_>,
        name: &'static CStr,
        replaced: &Bound<'_, PyType>,
        extra: Vec<ffi::PyType_Slot>,
    ) -> PyResult<()> {
        self.create(py, name, &py.get_type::<PyAny>(), extra)?;
        self.stand_for(py, name, replaced)
    }

    /// Takes the name of a special method out of the type, which keeps the method itself.
    ///
    /// # Errors
    /// KeyError when it has no such method.
    pub fn hide(&self, py: Python<'_>, name: &CStr) -> PyResult<()> {
        dict::change_class(&C::type_object(py), name, None)
    }

    /// Has the type, created as `name`, stand for `replaced`, whose words errors about arguments take.
    ///
    /// # Errors
    /// What CPython raises.
    pub fn stand_for(
        &self,
        py: Python<'_>,
        name: &'static CStr,
        replaced: &Bound<'_, PyType>,
    ) -> PyResult<()> {
        let start = name.to_bytes().iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
        // SAFETY: a live heap type that no other thread knows yet; the name lives for ever. CPython's errors
        // take a Python class's name from there, without its module.
        unsafe { (*self.type_ptr()).tp_name = name.as_ptr().add(start) };
        let class = C::type_object(py);
        class.setattr(REPLACES.to_string_lossy().as_ref(), replaced)?;
        function::stand_for_functions(&class, replaced, Which::All)
    }
}

impl<C: NativeClass> Default for Class<C> {
    fn default() -> Self {
        Self::new()
    }
}

unsafe extern "C" fn new<C: NativeClass>(
    subtype: *mut ffi::PyTypeObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    if subtype != C::class().type_ptr() {
        // SAFETY: CPython calls tp_new attached, with a ready subtype of ours, whose base has a base. That
        // one's tp_new is `object`'s, which refuses an abstract class, or a C class's, which asks nothing.
        return unsafe {
            if (*subtype).tp_flags & ffi::Py_TPFLAGS_IS_ABSTRACT == 0 {
                return ffi::PyType_GenericAlloc(subtype, 0);
            }
            let py = Python::assume_attached();
            let nothing = PyTuple::empty(py);
            let make = (*(*C::class().type_ptr()).tp_base).tp_new;
            make.map_or(std::ptr::null_mut(), |make| {
                make(subtype, nothing.as_ptr(), std::ptr::null_mut())
            })
        };
    }
    // SAFETY: tp_new runs attached.
    unsafe {
        guard(std::ptr::null_mut(), |py| {
            let object = C::class().alloc(py)?;
            track(&object);
            Ok(object.into_ptr())
        })
    }
}

unsafe extern "C" fn traverse<C: NativeClass>(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let visit = Visit { visit, arg };
    let all = || {
        // SAFETY: the collector traverses live instances; the type of a heap type's instance is
        // owned by the instance and must be reported.
        unsafe {
            visit.pointer(ffi::Py_TYPE(object).cast())?;
            C::class().state_at(object).traverse(&visit)?;
            C::traverse_base(object, &visit)?;
            dict::traverse_instance(object, C::class().type_ptr(), visit.visit, visit.arg)
        }
    };
    all().err().unwrap_or(0)
}

unsafe extern "C" fn clear<C: NativeClass>(object: *mut ffi::PyObject) -> c_int {
    // SAFETY: tp_clear runs attached, on a live instance.
    unsafe {
        guard(-1, |py| {
            C::clear_base(object, py);
            C::class().state_at(object).clear(py);
            dict::clear_instance(object, C::class().type_ptr());
            Ok(0)
        })
    }
}

/// tp_dealloc. For a Python subclass, subtype_dealloc has run the finalizer and dropped what the
/// subclass added, and leaves the rest, including the type's reference, to us.
unsafe extern "C" fn dealloc<C: NativeClass>(object: *mut ffi::PyObject) {
    // SAFETY: CPython calls tp_dealloc attached, on an instance whose count just became zero.
    unsafe {
        #[cfg(not(Py_3_14))]
        if ffi::Py_TYPE(object) == C::class().type_ptr() && C::may_nest(C::class().state_at(object))
        {
            return nesting::free(Python::assume_attached(), object, free::<C>);
        }
        free::<C>(object);
    }
}

/// # Safety
/// As for tp_dealloc.
#[inline]
unsafe fn free<C: NativeClass>(object: *mut ffi::PyObject) {
    let class = C::class();
    // SAFETY: CPython calls tp_dealloc attached, on an instance whose count just became zero; from
    // here on it belongs to us alone, except while the finalizer runs, which may revive it.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        let exact = kind == class.type_ptr();
        if exact
            && C::needs_finalizer(class.state_at(object))
            && ffi::PyObject_CallFinalizerFromDealloc(object) < 0
        {
            return;
        }
        ffi::PyObject_GC_UnTrack(object.cast());
        dict::clear_weakrefs(object, kind);
        dict::clear_instance(object, class.type_ptr());
        let py = Python::assume_attached();
        C::clear_base(object, py);
        let state = std::ptr::from_ref(class.state_at(object)).cast_mut();
        let finalized = C::KEPT == 0 || C::is_finalized(object, class.state_at(object));
        std::ptr::drop_in_place(state);
        if exact && !finalized && keep(class, py, object) {
            return;
        }
        ((*kind).tp_free.unwrap_or(ffi::PyObject_GC_Del))(object.cast());
        ffi::Py_DECREF(kind.cast());
    }
}

/// Puts dead memory on the free list when there is room. A finalized object is not kept: its mark
/// in the GC head would silence the next life's finalizer.
#[inline]
fn keep<C: NativeClass>(class: &Class<C>, py: Python<'_>, object: *mut ffi::PyObject) -> bool {
    let mut free = class.free.borrow_mut(py);
    if free.len() >= C::KEPT {
        return false;
    }
    free.push(FreeMemory(object));
    true
}
