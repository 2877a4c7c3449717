//! Python properties that are one field of the state.

use pyo3::prelude::*;

use crate::errors;

/// The value that is assigned.
///
/// # Errors
/// AttributeError when the property is deleted.
pub fn given<'py>(value: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    value.cloned().ok_or_else(errors::cannot_be_deleted)
}

/// A property that is one slot of the state, None when it is empty.
macro_rules! slot_property {
    ($members:expr, $class:ty, $name:literal, $($slot:ident).+) => {
        $members.get_set::<$class, _, _>(
            $name,
            |this: &Bound<'_, $class>| Ok(this.state().$($slot).+.get_or_none(this.py())),
            |this: &Bound<'_, $class>, value: Option<&Bound<'_, PyAny>>| {
                let value = $crate::properties::given(value)?;
                let held = Some(value).filter(|value| !value.is_none());
                this.state().$($slot).+.replace(this.py(), held);
                Ok(())
            },
        )
    };
}

/// A property that is one flag of the state.
macro_rules! flag_property {
    ($members:expr, $class:ty, $name:literal, $($flag:ident).+) => {
        $members.get_set::<$class, _, _>(
            $name,
            |this: &Bound<'_, $class>| {
                Ok($crate::names::boolean(this.py(), this.state().$($flag).+.get()))
            },
            |this: &Bound<'_, $class>, value: Option<&Bound<'_, PyAny>>| {
                let value = $crate::properties::given(value)?;
                this.state().$($flag).+.set(value.is_truthy()?);
                Ok(())
            },
        )
    };
}

pub(crate) use {flag_property, slot_property};
