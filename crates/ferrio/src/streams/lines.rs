//! `readuntil`, `readline` and `async for`: reading up to a separator.
//!
//! Fields of the coroutines: `owner` is the reader; `first` the separator, or several in a tuple, empty
//! for a newline; `number` the place before which no separator begins, or [`ASKED`]; `second` as in
//! `reading`.

use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, buffer, handled};
use ferrio_core::separators::{self, Found};
use pyo3::exceptions::{PyStopAsyncIteration, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyTuple};

use super::reader::{READER, StreamReader};
use super::reading::{check, give, incomplete, resume_transport, wait, waited};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::names::{self, none};

static READ_UNTIL: Kind = Kind {
    name: "readuntil",
    qualified_name: "StreamReader.readuntil",
    start: read_until,
    resume: |this, outcome| {
        let reader = waited(this, outcome)?;
        until(this, &reader)
    },
};

static READ_LINE: Kind = Kind {
    name: "readline",
    qualified_name: "StreamReader.readline",
    start: read_line,
    resume: read_line_on,
};

static NEXT: Kind = Kind {
    name: "__anext__",
    qualified_name: "StreamReader.__anext__",
    start: next_line,
    resume: next_line_on,
};

/// In `number`: what is awaited is what a method of the reader gave that somebody may have replaced.
const ASKED: i64 = -1;

/// What a look for a separator comes to.
enum Outcome<'py> {
    /// The bytes with the separator.
    Taken(Bound<'py, PyAny>),
    /// The end came first; all that was left.
    Partial(Bound<'py, PyAny>),
    /// The limit came first: what LimitOverrunError says, and its `consumed`.
    Overrun(&'static str, usize),
    Wait,
}

const NOT_FOUND: &str = "Separator is not found, and chunk exceed the limit";
const TOO_LONG: &str = "Separator is found, but chunk is longer than limit";

/// One look for the separators from `number` on.
fn look<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Outcome<'py>> {
    let py = this.py();
    let state = reader.state();
    let limit = state.limit_bytes.get();
    let offset = usize::try_from(this.state().number.get()).unwrap_or_default();
    let separator = this.state().first.get(py);
    let searched = if has_room(separator.as_ref(), state.content.len(py)?, offset)? {
        with_separators(separator.as_ref(), |separators| {
            state.content.with(py, |content| search(content, offset, separators))
        })??
    } else {
        Searched::TooShort
    };
    let offset = match searched {
        Searched::Found(found) if found.start as f64 > limit => {
            return Ok(Outcome::Overrun(TOO_LONG, found.start));
        }
        Searched::Found(found) => {
            let taken = state.content.take(py, found.end)?;
            return Ok(Outcome::Taken(taken));
        }
        Searched::Nothing { offset } if offset as f64 > limit => {
            return Ok(Outcome::Overrun(NOT_FOUND, offset));
        }
        Searched::Nothing { offset } => offset,
        Searched::TooShort => offset,
    };
    if state.eof.get() {
        return state.content.take_all(py).map(Outcome::Partial);
    }
    this.state().number.set(i64::try_from(offset).unwrap_or(i64::MAX));
    Ok(Outcome::Wait)
}

enum Searched {
    Found(Found),
    /// No separator begins before `offset`.
    Nothing {
        offset: usize,
    },
    /// Not even the shortest separator has room.
    TooShort,
}

/// `separators` come shortest first.
#[inline]
fn search(content: &[u8], offset: usize, separators: &[&[u8]]) -> Searched {
    match separators::find_any(content, offset, separators) {
        Some(found) => Searched::Found(found),
        None => {
            let longest = separators.last().map_or(0, |separator| separator.len());
            Searched::Nothing { offset: (content.len() + 1).saturating_sub(longest) }
        }
    }
}

/// Lets `work` have the separators, shortest first.
#[inline]
fn with_separators<R>(
    given: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&[&[u8]]) -> R,
) -> PyResult<R> {
    match given.map(|given| (given, given.cast_exact::<PyBytes>())) {
        None => Ok(work(&[b"\n"])),
        Some((_, Ok(bytes))) => Ok(work(&[bytes.as_bytes()])),
        Some((given, Err(_))) => with_other_separators(given, work),
    }
}

fn with_other_separators<R>(
    given: &Bound<'_, PyAny>,
    work: impl FnOnce(&[&[u8]]) -> R,
) -> PyResult<R> {
    let copies = listed(given)?.iter().map(copied).collect::<PyResult<Vec<_>>>()?;
    let mut separators: Vec<&[u8]> = copies.iter().map(Vec::as_slice).collect();
    separators.sort_by_key(|separator| separator.len());
    Ok(work(&separators))
}

/// From 3.13 on a tuple is several separators.
fn listed<'py>(given: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match given.cast::<PyTuple>() {
        Ok(several) if cfg!(Py_3_13) => Ok(several.iter().collect()),
        _ => Ok(vec![given.clone()]),
    }
}

fn copied(separator: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    buffer::read(separator, <[u8]>::to_vec).or_else(|error| {
        if !error.is_instance_of::<PyTypeError>(separator.py()) {
            return Err(error);
        }
        // bytearray has the words for what cannot be looked for.
        let empty = PyByteArray::new(separator.py(), &[]);
        empty.call_method1(intern!(separator.py(), "find"), (separator, 0))?;
        Err(error)
    })
}

/// Whether the shortest separator fits between `offset` and the end.
#[inline]
fn has_room(given: Option<&Bound<'_, PyAny>>, len: usize, offset: usize) -> PyResult<bool> {
    let shortest = match given {
        None => 1,
        Some(given) => shortest(given)?.unwrap_or(usize::MAX),
    };
    Ok(len >= offset.saturating_add(shortest))
}

/// The length of the shortest separator.
fn shortest(given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if let Ok(bytes) = given.cast_exact::<PyBytes>() {
        return Ok(Some(bytes.as_bytes().len()));
    }
    let lengths = listed(given)?.iter().map(|one| one.len()).collect::<PyResult<Vec<_>>>()?;
    Ok(lengths.into_iter().min())
}

/// Checks the separators of `readuntil`.
fn check_separators(given: &Bound<'_, PyAny>) -> PyResult<()> {
    match shortest(given)? {
        None => Err(PyValueError::new_err("Separator should contain at least one element")),
        Some(0) => Err(PyValueError::new_err("Separator should be at least one-byte string")),
        Some(_) => Ok(()),
    }
}

fn read_until<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    if let Some(separator) = this.state().first.get(this.py()) {
        check_separators(&separator)?;
    }
    let reader = coroutine::owner::<StreamReader>(this)?;
    check(&reader)?;
    until(this, &reader)
}

fn until<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    match look(this, reader)? {
        Outcome::Taken(taken) => give(reader, taken),
        Outcome::Wait => wait(this, reader, "readuntil"),
        Outcome::Partial(partial) => Err(incomplete(&partial, none(this.py()))),
        Outcome::Overrun(text, consumed) => Err(overrun(this.py(), text, consumed)),
    }
}

/// `LimitOverrunError(text, consumed)`.
fn overrun(py: Python<'_>, text: &str, consumed: usize) -> PyErr {
    let made = || names::LIMIT_OVERRUN_ERROR.get(py)?.call1((text, consumed));
    made().map_or_else(|error| error, |error| handled::raise(py, &error))
}

fn read_line<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let reader = coroutine::owner::<StreamReader>(this)?;
    if READER.is_plain(&reader) {
        check(&reader)?;
        return line(this, &reader);
    }
    this.state().number.set(ASKED);
    awaiting(reader.as_any().call_method1(intern!(this.py(), "readuntil"), (newline(this.py()),))?)
}

fn newline(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, b"\n")
}

#[inline]
fn line<'py>(
    this: &Bound<'py, Coroutine>,
    reader: &Bound<'py, StreamReader>,
) -> PyResult<Progress<'py>> {
    match look(this, reader)? {
        Outcome::Taken(taken) => give(reader, taken),
        Outcome::Wait => wait(this, reader, "readuntil"),
        Outcome::Partial(partial) => Ok(Progress::Return(partial)),
        Outcome::Overrun(text, consumed) => {
            let error = overrun(this.py(), text, consumed);
            Err(line_too_long(reader, error, consumed))
        }
    }
}

fn read_line_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    if this.state().number.get() != ASKED {
        let reader = waited(this, outcome)?;
        return line(this, &reader);
    }
    let error = match outcome {
        Ok(line) => return Ok(Progress::Return(line)),
        Err(error) => error,
    };
    if error.is_instance(py, names::INCOMPLETE_READ_ERROR.get(py)?) {
        return error.value(py).getattr("partial").map(Progress::Return);
    }
    if error.is_instance(py, names::LIMIT_OVERRUN_ERROR.get(py)?) {
        let consumed = error.value(py).getattr("consumed")?.extract()?;
        let reader = coroutine::owner::<StreamReader>(this)?;
        return Err(line_too_long(&reader, error, consumed));
    }
    Err(error)
}

/// What `readline` does about a LimitOverrunError: the line goes if its end is there, else everything.
#[cold]
fn line_too_long(reader: &Bound<'_, StreamReader>, error: PyErr, consumed: usize) -> PyErr {
    let py = reader.py();
    let content = &reader.state().content;
    let drop_line = || -> PyResult<()> {
        let ends = content.with(py, |content| content.get(consumed) == Some(&b'\n'))?;
        if ends {
            content.skip(py, consumed + 1)?
        } else {
            content.clear(py)?
        }
        resume_transport(reader)?;
        let text = error.value(py).getattr("args")?.get_item(0)?;
        Err(PyValueError::new_err(text.unbind()))
    };
    let dropped = drop_line();
    errors::after_handling(py, error, dropped)
}

fn next_line<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let reader = coroutine::owner::<StreamReader>(this)?;
    if READER.is_plain(&reader) {
        return read_line(this).and_then(unless_at_end);
    }
    this.state().number.set(ASKED);
    awaiting(reader.as_any().call_method0(intern!(this.py(), "readline"))?)
}

fn next_line_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    if this.state().number.get() == ASKED {
        return outcome.map(Progress::Return).and_then(unless_at_end);
    }
    read_line_on(this, outcome).and_then(unless_at_end)
}

/// An empty line is the end of the loop.
fn unless_at_end(progress: Progress<'_>) -> PyResult<Progress<'_>> {
    let Progress::Return(line) = &progress else { return Ok(progress) };
    let ends = match line.cast_exact::<PyBytes>() {
        Ok(line) => line.as_bytes().is_empty(),
        Err(_) => line.eq(PyBytes::new(line.py(), &[]))?,
    };
    if ends { Err(PyStopAsyncIteration::new_err(())) } else { Ok(progress) }
}

static READ_UNTIL_ARGUMENTS: Signature<1> =
    Signature { format: c"|O:readuntil", names: [c"separator"], positional: 1, required: 0 };

fn start_read_until<'py>(
    this: &Bound<'py, StreamReader>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let [separator] = READ_UNTIL_ARGUMENTS.parse(&arguments)?;
    let coroutine = coroutine::new(this, &READ_UNTIL)?;
    coroutine.state().first.replace(this.py(), separator.cloned());
    Ok(coroutine.into_any())
}

fn start_read_line<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    coroutine::new(this, &READ_LINE).map(Bound::into_any)
}

fn itself<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(this.as_any().clone())
}

fn next<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    coroutine::new(this, &NEXT).map(Bound::into_any)
}

pub fn members(members: Members) -> Members {
    members
        .keywords::<StreamReader, _>(
            c"readuntil(separator=b'\\n')",
            start_read_until,
            c"Read up to and with the separator, of a tuple the one that ends first.",
        )
        .noargs::<StreamReader, _>(
            c"readline",
            start_read_line,
            c"Read a line with its newline; what is left, when the end comes first.",
        )
        .unary_slot::<StreamReader, _>(ffi::Py_am_aiter, itself)
        .unary_slot::<StreamReader, _>(ffi::Py_am_anext, next)
}
