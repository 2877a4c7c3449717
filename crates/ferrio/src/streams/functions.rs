//! `open_connection`, `start_server` and their forms for Unix sockets.
//!
//! Fields of the coroutines: `owner` is a tuple of the arguments that have a name; `first` a dict of the
//! others, then the reader; `second` the protocol.

use ferrio_capi::StateOf;
use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::protocol::StreamReaderProtocol;
use super::reader::DEFAULT_LIMIT;
use super::{factory, protocol, reader, writer};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::{self, Imported, none};
use crate::running;

/// One of the functions.
struct Form {
    stock: &'static Imported,
    kind: &'static Kind,
    /// Its parameters that have a place, and how many of them must be given.
    parameters: &'static [&'static str],
    required: usize,
}

const fn opening(name: &'static str, start: Start) -> Kind {
    Kind { name, qualified_name: name, start, resume: opened }
}

const fn serving(name: &'static str, start: Start) -> Kind {
    Kind { name, qualified_name: name, start, resume: coroutine::never_resumed }
}

type Start = for<'py> fn(&Bound<'py, Coroutine>) -> PyResult<Progress<'py>>;

static OPEN_CONNECTION: Form = Form {
    stock: &names::OPEN_CONNECTION,
    kind: &const { opening("open_connection", |this| open(this, "create_connection")) },
    parameters: &["host", "port"],
    required: 0,
};

static OPEN_UNIX_CONNECTION: Form = Form {
    stock: &names::OPEN_UNIX_CONNECTION,
    kind: &const { opening("open_unix_connection", |this| open(this, "create_unix_connection")) },
    parameters: &["path"],
    required: 0,
};

static START_SERVER: Form = Form {
    stock: &names::START_SERVER,
    kind: &const { serving("start_server", |this| serve(this, "create_server")) },
    parameters: &["client_connected_cb", "host", "port"],
    required: 1,
};

static START_UNIX_SERVER: Form = Form {
    stock: &names::START_UNIX_SERVER,
    kind: &const { serving("start_unix_server", |this| serve(this, "create_unix_server")) },
    parameters: &["client_connected_cb", "path"],
    required: 1,
};

/// The coroutine of a call. Arguments that do not fit go to stock's function, which has the words.
fn call<'py>(form: &Form, arguments: &Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let (positional, keywords) = arguments.to_objects()?;
    let complain = || form.stock.get(py)?.call(&positional, Some(&keywords));
    if positional.len() > form.parameters.len() {
        return complain();
    }
    let mut values: Vec<Bound<'py, PyAny>> = positional.iter().collect();
    for (place, name) in form.parameters.iter().enumerate() {
        let named = keywords.get_item(name)?;
        if named.is_some() && place < positional.len()
            || named.is_none() && values.len() < form.required
        {
            return complain();
        }
        if place >= positional.len() {
            values.push(named.unwrap_or_else(|| none(py)));
        }
    }
    for name in form.parameters.iter().filter(|name| keywords.contains(name).unwrap_or(false)) {
        keywords.del_item(name)?;
    }
    let this = coroutine::new(&PyTuple::new(py, values)?, form.kind)?;
    this.state().first.set(keywords);
    Ok(this.into_any())
}

/// The named arguments and the keywords; of these, `limit` is taken out.
fn arguments<'py>(
    this: &Bound<'py, Coroutine>,
) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>, Bound<'py, PyAny>)> {
    let py = this.py();
    let positional = this.state().owner.get_or_none(py).cast_into::<PyTuple>()?;
    let keywords = this.state().first.get_or_none(py).cast_into::<PyDict>()?;
    let name = intern!(py, "limit");
    let limit = match keywords.get_item(name)? {
        Some(limit) => {
            keywords.del_item(name)?;
            limit
        }
        None => DEFAULT_LIMIT.into_pyobject(py)?.into_any(),
    };
    Ok((positional, keywords, limit))
}

fn open<'py>(this: &Bound<'py, Coroutine>, method: &str) -> PyResult<Progress<'py>> {
    let py = this.py();
    let event_loop = running::get(py)?;
    let (positional, keywords, limit) = arguments(this)?;
    let reader = reader::new(&limit, &event_loop)?;
    let protocol = protocol::new(&reader, None, &event_loop)?;
    let factory = factory::of_protocol(&protocol)?;
    this.state().first.set(reader);
    this.state().second.set(protocol);
    let connecting = with_first(factory.as_any(), positional.iter())?;
    awaiting(event_loop.call_method(method, connecting, Some(&keywords))?)
}

/// The tuple of `first` and the rest.
fn with_first<'py>(
    first: &Bound<'py, PyAny>,
    rest: impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let all: Vec<_> = std::iter::once(first.clone()).chain(rest).collect();
    PyTuple::new(first.py(), all)
}

fn opened<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let (transport, _) = outcome?.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
    let reader = this.state().first.get_or_none(py);
    let protocol = this.state().second.get_or_none(py).cast_into::<StreamReaderProtocol>()?;
    let writer = writer::new(&protocol, &transport, Some(&reader))?;
    Ok(Progress::Return((reader, writer).into_pyobject(py)?.into_any()))
}

fn serve<'py>(this: &Bound<'py, Coroutine>, method: &str) -> PyResult<Progress<'py>> {
    let event_loop = running::get(this.py())?;
    let (positional, keywords, limit) = arguments(this)?;
    let mut given = positional.iter();
    let client_connected = given.next().unwrap_or_else(|| none(this.py()));
    let factory = factory::of_server(&event_loop, &limit, &client_connected)?;
    let listening = with_first(factory.as_any(), given)?;
    awaiting(event_loop.call_method(method, listening, Some(&keywords))?)
}

/// The functions by their names.
pub fn all(py: Python<'_>) -> PyResult<Vec<(&'static str, Bound<'_, Function>)>> {
    Ok(vec![
        (
            "open_connection",
            function::new(names::OPEN_CONNECTION.get(py)?, |arguments| {
                call(&OPEN_CONNECTION, &arguments)
            })?,
        ),
        (
            "open_unix_connection",
            function::new(names::OPEN_UNIX_CONNECTION.get(py)?, |arguments| {
                call(&OPEN_UNIX_CONNECTION, &arguments)
            })?,
        ),
        (
            "start_server",
            function::new(names::START_SERVER.get(py)?, |arguments| {
                call(&START_SERVER, &arguments)
            })?,
        ),
        (
            "start_unix_server",
            function::new(names::START_UNIX_SERVER.get(py)?, |arguments| {
                call(&START_UNIX_SERVER, &arguments)
            })?,
        ),
    ])
}
