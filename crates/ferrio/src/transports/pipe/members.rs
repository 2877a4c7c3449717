//! The members that both classes of pipe transports have, and the parameters of their `__init__`.

use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use pyo3::{ffi, intern};

use super::{Parts, PipeCalls, PipeTransport};
use crate::names::{boolean, none};

static INIT: Signature<5> = Signature {
    format: c"OOO|OO:__init__",
    names: [c"loop", c"pipe", c"protocol", c"waiter", c"extra"],
    positional: 5,
    required: 3,
};

impl<'py> Parts<'py> {
    /// The arguments of `__init__`.
    pub fn parse(arguments: InitArguments<'_, 'py>) -> PyResult<Self> {
        let [event_loop, pipe, protocol, waiter, extra] = INIT.parse_init(&arguments)?;
        let py = arguments.py();
        let required = |value: Option<Bound<'py, PyAny>>| value.unwrap_or_else(|| none(py));
        Ok(Self {
            event_loop: required(event_loop),
            pipe: required(pipe),
            protocol: required(protocol),
            waiter,
            extra,
        })
    }
}

static SET_PROTOCOL: Signature<1> =
    Signature { format: c"O:set_protocol", names: [c"protocol"], positional: 1, required: 1 };

static CLOSE: Signature<1> =
    Signature { format: c"|O:_close", names: [c"exc"], positional: 1, required: 0 };

/// The table of a class, to be completed with what is its own.
pub fn table<C: PipeTransport>() -> Members {
    Members::default()
        .unary_slot::<C, _>(ffi::Py_tp_repr, repr)
        .finalize::<C, _>(finalize)
        .instance_dict()
        .keywords::<C, _>(c"set_protocol(protocol)", set_protocol, c"Set a new protocol.")
        .noargs::<C, _>(
            c"get_protocol",
            |this| Ok(this.protocol()),
            c"Return the current protocol.",
        )
        .noargs::<C, _>(
            c"is_closing",
            |this| Ok(boolean(this.py(), this.pipe().is_closing())),
            c"Return True if the transport is closing or closed.",
        )
        .keywords::<C, _>(
            c"_close(exc=None)",
            close,
            c"Close the transport because of an exception.",
        )
        .one::<C, _>(
            c"_call_connection_lost(exc)",
            call_connection_lost,
            c"Tell the protocol the end.",
        )
        .get::<C, _>(c"_loop", |this| Ok(this.event_loop()))
        .get_set::<C, _, _>(c"_pipe", |this| Ok(this.pipe().file(this.py())), assign_pipe)
        .get::<C, _>(c"_fileno", fileno)
        .get_set::<C, _, _>(c"_protocol", |this| Ok(this.protocol()), assign_protocol)
        .get::<C, _>(c"_closing", |this| Ok(boolean(this.py(), this.pipe().is_closing())))
}

fn repr<'py, C: PipeTransport>(this: &Bound<'py, C>) -> Object<'py> {
    C::STOCK.get(this.py())?.getattr(intern!(this.py(), "__repr__"))?.call1((this,))
}

/// CPython: __del__
fn finalize<C: PipeTransport>(this: &Bound<'_, C>) -> PyResult<()> {
    if !this.pipe().is_open() {
        return Ok(());
    }
    let py = this.py();
    C::STOCK.get(py)?.getattr(intern!(py, "__del__"))?.call1((this,)).map(drop)
}

fn set_protocol<'py, C: PipeTransport>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let [protocol] = SET_PROTOCOL.parse(&arguments)?;
    this.pipe().set_protocol(this.py(), protocol.cloned());
    Ok(none(this.py()))
}

fn assign_protocol<'py, C: PipeTransport>(
    this: &Bound<'py, C>,
    protocol: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    this.pipe().set_protocol(this.py(), protocol.cloned());
    Ok(())
}

fn assign_pipe<'py, C: PipeTransport>(
    this: &Bound<'py, C>,
    pipe: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    this.pipe().set_file(this.py(), pipe.cloned());
    Ok(())
}

fn close<'py, C: PipeTransport>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let [exception] = CLOSE.parse(&arguments)?;
    C::close_with(this, exception)?;
    Ok(none(this.py()))
}

fn call_connection_lost<'py, C: PipeTransport>(
    this: &Bound<'py, C>,
    exception: &Bound<'py, PyAny>,
) -> Object<'py> {
    this.lose_connection(exception)?;
    Ok(none(this.py()))
}

fn fileno<'py, C: PipeTransport>(this: &Bound<'py, C>) -> Object<'py> {
    let py = this.py();
    Ok(this.pipe().fileno().map_or_else(|| none(py), |fd| PyInt::new(py, fd).into_any()))
}
