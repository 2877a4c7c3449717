//! What is queued, and what waits for a descriptor: handles, the steps of tasks, and the acts of
//! native objects, which need no handle.

use ferrio_capi::{Ref, context};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

/// Something that a native object does when the loop says so: it stands for the handle that stock
/// would have queued, and is shown as that handle where somebody looks.
#[derive(Debug)]
pub struct Act {
    /// Does it. The arguments are the object, and the context in which this is called: that of the
    /// registration with the loop, which it identifies.
    pub run: fn(&Bound<'_, PyAny>, &Bound<'_, PyAny>) -> PyResult<()>,
    /// The callback and the arguments of the handle.
    pub parts: for<'py> fn(&Bound<'py, PyAny>) -> PyResult<CallParts<'py>>,
}

/// A callback and its arguments.
pub type CallParts<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// Who waits for a descriptor.
#[derive(Debug)]
pub enum Watch {
    /// A Handle.
    Handle(Ref),
    /// A native object.
    Act { object: Ref, context: Ref, act: &'static Act },
}

impl Watch {
    /// A watch by `act` of `object` in a copy of the current context, and that context.
    ///
    /// # Errors
    /// MemoryError.
    pub(super) fn by<'py>(
        object: &Bound<'py, PyAny>,
        act: &'static Act,
    ) -> PyResult<(Self, Bound<'py, PyAny>)> {
        let context = context::copy_current(object.py())?;
        let (object, own) = (Ref::new(object.clone()), Ref::new(context.clone()));
        Ok((Self::Act { object, context: own, act }, context))
    }

    /// What is queued when the descriptor is ready.
    #[inline]
    pub fn item(&self, py: Python<'_>) -> Item {
        let copy = |reference: &Ref| Ref::new(reference.bind(py));
        match self {
            Self::Handle(handle) => Item::Handle(copy(handle)),
            Self::Act { object, context, act } => {
                Item::Act { object: copy(object), context: copy(context), act }
            }
        }
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Handle(handle) => visit.call(handle.as_py()),
            Self::Act { object, context, .. } => {
                visit.call(object.as_py())?;
                visit.call(context.as_py())
            }
        }
    }
}

/// One thing that is to be run.
#[derive(Debug)]
pub enum Item {
    /// A Handle, TimerHandle, or anything with a `_run` method.
    Handle(Ref),
    /// A native task takes its next step.
    Step(Ref),
    /// A native task takes its next step by raising this exception in its coroutine.
    Throw { task: Ref, exception: Ref },
    /// A native task takes its next step because this native future is done.
    Wakeup { task: Ref, future: Ref },
    /// A native object does something, in this context.
    Act { object: Ref, context: Ref, act: &'static Act },
    /// A done-callback of a native future, or another callback of one argument.
    Callback { callback: Ref, future: Ref, context: Ref },
    /// What the heap held is due: a TimerHandle or a native sleep.
    Due(Ref),
}

impl Item {
    /// The object that running the item touches first.
    #[inline]
    pub fn target(&self) -> *mut pyo3::ffi::PyObject {
        match self {
            Self::Handle(target) | Self::Due(target) | Self::Step(target) => target.as_ptr(),
            Self::Throw { task, .. } | Self::Wakeup { task, .. } => task.as_ptr(),
            Self::Callback { callback, .. } => callback.as_ptr(),
            Self::Act { object, .. } => object.as_ptr(),
        }
    }

    /// The same item with references of its own.
    pub fn duplicate(&self, py: Python<'_>) -> Self {
        let copy = |reference: &Ref| Ref::new(reference.bind(py));
        match self {
            Self::Handle(handle) => Self::Handle(copy(handle)),
            Self::Step(task) => Self::Step(copy(task)),
            Self::Throw { task, exception } => {
                Self::Throw { task: copy(task), exception: copy(exception) }
            }
            Self::Wakeup { task, future } => {
                Self::Wakeup { task: copy(task), future: copy(future) }
            }
            Self::Callback { callback, future, context } => Self::Callback {
                callback: copy(callback),
                future: copy(future),
                context: copy(context),
            },
            Self::Act { object, context, act } => {
                Self::Act { object: copy(object), context: copy(context), act }
            }
            Self::Due(timer) => Self::Due(copy(timer)),
        }
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let (first, second, third) = match self {
            Self::Handle(handle) | Self::Due(handle) => (handle, None, None),
            Self::Step(task) => (task, None, None),
            Self::Throw { task, exception } => (task, Some(exception), None),
            Self::Wakeup { task, future } => (task, Some(future), None),
            Self::Callback { callback, future, context } => (callback, Some(future), Some(context)),
            Self::Act { object, context, .. } => (object, Some(context), None),
        };
        visit.call(first.as_py())?;
        second.into_iter().chain(third).try_for_each(|reference| visit.call(reference.as_py()))
    }
}
