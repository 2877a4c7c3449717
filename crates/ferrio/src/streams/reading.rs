//! `read` and `readexactly`, and how every reading coroutine waits.
//!
//! Fields of the coroutines: `owner` is the reader; `number` the size that was asked for, or `first` when
//! it is no small int; `first` also the blocks of a `read(-1)`; `second` the future that is waited for, when
//! this coroutine made it itself.

use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, handled};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList};

use super::reader::{self, READER, StreamReader};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names;

static READ: Kind =
    Kind { name: "read", qualified_name: "StreamReader.read", start: read, resume: read_on };

static READ_EXACTLY: Kind = Kind {
    name: "readexactly",
    qualified_name: "StreamReader.readexactly",
    start: read_exactly,
    resume: read_exactly_on,
};

static WAIT_FOR_DATA: Kind = Kind {
    name: "_wait_for_data",
    qualified_name: "StreamReader._wait_for_data",
    start: wait_for_data,
    resume: |this, outcome| end_wait(this).and(outcome.map(Progress::Return)),
};

/// A coroutine comes to `await self._wait_for_data(name)`.
#[inline]
pub fn wait<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
    name: &'static str,
) -> PyResult<Progress<'py>> {
    if !READER.is_plain(reader) {
        let method = intern!(this.py(), "_wait_for_data");
        return awaiting(reader.as_any().call_method1(method, (name,))?);
    }
    let waiter = reader::begin_to_wait(reader, name)?;
    this.state().second.set(waiter.clone());
    awaiting(waiter)
}

/// What follows that await: the reader, or the exception.
///
/// # Errors
/// The outcome's.
#[inline]
pub fn waited<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, StreamReader>> {
    let reader = coroutine::owner::<StreamReader>(this)?;
    if this.state().second.take(this.py()).is_some() {
        reader::end_wait(&reader);
    }
    outcome.map(|_| reader)
}

/// `raise self._exception` if there is one.
#[inline]
pub fn check(reader: &Bound<'_, StreamReader>) -> PyResult<()> {
    reader::check_initialised(reader)?;
    match reader::exception(reader) {
        None => Ok(()),
        Some(exception) => Err(handled::raise_any(&exception)),
    }
}

/// A coroutine returns what it took, after `self._maybe_resume_transport()`.
#[inline]
pub fn give<'py>(
    reader: &Bound<'py, StreamReader>,
    taken: Bound<'py, PyAny>,
) -> PyResult<Progress<'py>> {
    resume_transport(reader)?;
    Ok(Progress::Return(taken))
}

/// `self._maybe_resume_transport()`.
#[inline]
pub fn resume_transport(reader: &Bound<'_, StreamReader>) -> PyResult<()> {
    let name = intern!(reader.py(), "_maybe_resume_transport");
    reader::ask(reader, name, reader::maybe_resume_transport)
}

/// `b""`, returned.
fn nothing(py: Python<'_>) -> Progress<'_> {
    Progress::Return(PyBytes::new(py, &[]).into_any())
}

/// The size that was asked for, below zero for all of it. One that is no small int is in `first`.
fn size(this: &Bound<'_, Coroutine>) -> PyResult<i64> {
    let state = this.state();
    let Some(given) = state.first.take(this.py()) else { return Ok(state.number.get()) };
    let size = if given.lt(0)? {
        -1
    } else if given.eq(0)? {
        0
    } else {
        i64::try_from(index(&given)?).unwrap_or(i64::MAX)
    };
    state.number.set(size);
    Ok(size)
}

/// A size as the end of a slice.
fn index(size: &Bound<'_, PyAny>) -> PyResult<usize> {
    if !size.hasattr(intern!(size.py(), "__index__"))? {
        let text = "slice indices must be integers or None or have an __index__ method";
        return Err(PyTypeError::new_err(text));
    }
    Ok(size.extract().unwrap_or(usize::MAX))
}

fn set_size(this: &Bound<'_, Coroutine>, given: Bound<'_, PyAny>) {
    match given.cast_exact::<PyInt>().map(|number| number.extract::<i64>()) {
        Ok(Ok(number)) => this.state().number.set(number),
        _ => this.state().first.set(given),
    }
}

fn read<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let reader = coroutine::owner::<StreamReader>(this)?;
    check(&reader)?;
    match size(this)? {
        0 => Ok(nothing(py)),
        1.. => read_some(this, &reader),
        _ => {
            this.state().first.set(PyList::empty(py));
            read_blocks(this, &reader)
        }
    }
}

fn read_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    if this.state().number.get() < 0 {
        return read_blocks_on(this, outcome);
    }
    let reader = waited(this, outcome)?;
    take_some(this, &reader)
}

fn read_some<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    if !reader.state().eof.get() && reader.state().content.is_empty(this.py())? {
        return wait(this, reader, "read");
    }
    take_some(this, reader)
}

#[inline]
fn take_some<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    let most = usize::try_from(this.state().number.get()).unwrap_or(usize::MAX);
    let taken = reader.state().content.take(this.py(), most)?;
    give(reader, taken)
}

/// `read(-1)`: blocks of `limit` bytes until the end. Of a reader that somebody extended, what its own
/// `read` gives.
fn read_blocks<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let state = reader.state();
    if !READER.is_plain(reader) {
        let read = intern!(py, "read");
        return awaiting(reader.as_any().call_method1(read, (state.limit.get_or_none(py),))?);
    }
    loop {
        check(reader)?;
        if state.content.is_empty(py)? {
            if !state.eof.get() {
                return wait(this, reader, "read");
            }
            return end_blocks(this, reader);
        }
        take_block(this, reader)?;
    }
}

fn take_block(this: &Bound<'_, Coroutine>, reader: &Bound<'_, StreamReader>) -> PyResult<()> {
    let state = reader.state();
    let block = state.content.take(this.py(), state.limit_bytes.get() as usize)?;
    resume_transport(reader)?;
    blocks(this)?.append(block)
}

/// What the last block, an empty one, does.
fn end_blocks<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    resume_transport(reader)?;
    joined(this)
}

fn blocks<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Bound<'py, PyList>> {
    Ok(this.state().first.get_or_none(this.py()).cast_into::<PyList>()?)
}

fn joined<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let joined = PyBytes::new(py, &[]).call_method1(intern!(py, "join"), (blocks(this)?,))?;
    Ok(Progress::Return(joined))
}

fn read_blocks_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    if this.state().second.is_set() {
        let reader = waited(this, outcome)?;
        if reader.state().content.is_empty(this.py())? {
            return end_blocks(this, &reader);
        }
        take_block(this, &reader)?;
        return read_blocks(this, &reader);
    }
    let block = outcome?;
    if !block.is_truthy()? {
        return joined(this);
    }
    blocks(this)?.append(block)?;
    read_blocks(this, &coroutine::owner::<StreamReader>(this)?)
}

fn read_exactly<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let reader = coroutine::owner::<StreamReader>(this)?;
    let (negative, zero) = match this.state().first.get(py) {
        Some(size) => (size.lt(0)?, size.eq(0)?),
        None => (this.state().number.get() < 0, this.state().number.get() == 0),
    };
    if negative {
        return Err(PyValueError::new_err("readexactly size can not be less than zero"));
    }
    check(&reader)?;
    if zero { Ok(nothing(py)) } else { take_exactly(this, &reader) }
}

fn take_exactly<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let state = reader.state();
    let wanted = usize::try_from(this.state().number.get()).unwrap_or(usize::MAX);
    let len = state.content.len(py)?;
    let size = this.state().first.get(py);
    let is_there = match &size {
        Some(size) => !size.gt(len)?,
        None => len >= wanted,
    };
    if is_there {
        let wanted = match size {
            Some(size) if !size.eq(len)? => index(&size)?,
            Some(_) => len,
            None => wanted,
        };
        return give(reader, state.content.take(py, wanted)?);
    }
    if state.eof.get() {
        let partial = state.content.take_all(py)?;
        let expected =
            size.map_or_else(|| Ok(wanted.into_pyobject(py)?.into_any()), PyResult::Ok)?;
        return Err(incomplete(&partial, expected));
    }
    let progress = wait(this, reader, "readexactly")?;
    state.wanted.set(wanted);
    Ok(progress)
}

fn read_exactly_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let reader = waited(this, outcome)?;
    take_exactly(this, &reader)
}

/// `IncompleteReadError(partial, expected)`.
pub fn incomplete<'py>(partial: &Bound<'py, PyAny>, expected: Bound<'py, PyAny>) -> PyErr {
    let py = partial.py();
    let made = || names::INCOMPLETE_READ_ERROR.get(py)?.call1((partial, expected));
    made().map_or_else(|error| error, |error| handled::raise(py, &error))
}

fn wait_for_data<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let reader = coroutine::owner::<StreamReader>(this)?;
    let name = this.state().first.get_or_none(this.py());
    let name = name.str()?;
    awaiting(reader::begin_to_wait(&reader, name.to_str()?)?)
}

fn end_wait(this: &Bound<'_, Coroutine>) -> PyResult<()> {
    reader::end_wait(&coroutine::owner::<StreamReader>(this)?);
    Ok(())
}

fn named_wait<'py>(this: &Bound<'py, StreamReader>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let name = arguments.named("_wait_for_data", "func_name")?;
    let coroutine = coroutine::new(this, &WAIT_FOR_DATA)?;
    coroutine.state().first.set(name.clone());
    Ok(coroutine.into_any())
}

static READ_ARGUMENTS: Signature<1> =
    Signature { format: c"|O:read", names: [c"n"], positional: 1, required: 0 };

fn start_read<'py>(this: &Bound<'py, StreamReader>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [size] = READ_ARGUMENTS.parse(&arguments)?;
    let coroutine = coroutine::new(this, &READ)?;
    match size {
        Some(size) => set_size(&coroutine, size.clone()),
        None => coroutine.state().number.set(-1),
    }
    Ok(coroutine.into_any())
}

static READ_EXACTLY_ARGUMENTS: Signature<1> =
    Signature { format: c"O:readexactly", names: [c"n"], positional: 1, required: 1 };

fn start_read_exactly<'py>(
    this: &Bound<'py, StreamReader>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let [size] = READ_EXACTLY_ARGUMENTS.parse(&arguments)?;
    let coroutine = coroutine::new(this, &READ_EXACTLY)?;
    if let Some(size) = size {
        set_size(&coroutine, size.clone());
    }
    Ok(coroutine.into_any())
}

pub fn members(members: Members) -> Members {
    members
        .keywords::<StreamReader, _>(
            c"read(n=-1)",
            start_read,
            c"Read up to n bytes, at least one; with n = -1 all until the end.",
        )
        .keywords::<StreamReader, _>(
            c"readexactly(n)",
            start_read_exactly,
            c"Read exactly n bytes, or raise IncompleteReadError at the end.",
        )
        .keywords::<StreamReader, _>(
            c"_wait_for_data(func_name)",
            named_wait,
            c"Wait until something is fed or the end comes.",
        )
}
