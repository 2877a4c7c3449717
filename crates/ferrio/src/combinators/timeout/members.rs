//! The Python face of `Timeout`, and the functions that make one.

use ferrio_capi::StateOf;
use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{PyTypeInfo, ffi};

use super::{Ending, Phase, TIMEOUT, Timeout, after, arm, enter, exit, expire, handler, new};
use crate::coroutine::{self, Coroutine, Kind, Progress};
use crate::errors;
use crate::names::{self, boolean, none};

static INIT: Signature<1> =
    Signature { format: c"O:Timeout", names: [c"when"], positional: 1, required: 1 };

fn init<'py>(this: &Bound<'py, Timeout>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [when] = INIT.parse_init(&arguments)?;
    super::disarm(this)?;
    let state = this.state();
    state.when.replace(this.py(), when);
    drop(state.task.take(this.py()));
    state.phase.set(Phase::Created);
    Ok(())
}

fn when<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    Ok(this.state().when.get_or_none(this.py()))
}

static RESCHEDULE: Signature<1> =
    Signature { format: c"O:reschedule", names: [c"when"], positional: 1, required: 1 };

fn reschedule<'py>(this: &Bound<'py, Timeout>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [when] = RESCHEDULE.parse(&arguments)?;
    let when = when.map_or_else(|| none(this.py()), Clone::clone);
    match this.state().phase.get() {
        Phase::Active => {}
        Phase::Created => return Err(PyRuntimeError::new_err("Timeout has not been entered")),
        phase => {
            let text = format!("Cannot change state of {} Timeout", phase.name());
            return Err(PyRuntimeError::new_err(text));
        }
    }
    this.state().when.set(when.clone());
    arm(this, &when, None)?;
    Ok(none(this.py()))
}

impl Phase {
    /// The value of the member of stock's enum.
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Finished => "finished",
        }
    }
}

fn has_expired<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    let phase = this.state().phase.get();
    Ok(boolean(this.py(), matches!(phase, Phase::Expiring | Phase::Expired)))
}

fn repr<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    let py = this.py();
    let phase = this.state().phase.get();
    let mut info = String::new();
    if phase == Phase::Active {
        let when = this.state().when.get_or_none(py);
        let when = if when.is_none() { when } else { names::ROUND.get(py)?.call1((when, 3))? };
        info = format!(" when={}", when.str()?);
    }
    Ok(PyString::new(py, &format!("<Timeout [{}]{info}>", phase.name())).into_any())
}

fn on_timeout<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    expire(this)?;
    Ok(none(this.py()))
}

static ENTER: Kind = Kind {
    name: "__aenter__",
    qualified_name: "Timeout.__aenter__",
    start: begin,
    resume: coroutine::never_resumed,
};

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let timeout = coroutine::owner::<Timeout>(this)?;
    enter(&timeout)?;
    Ok(Progress::Return(timeout.into_any()))
}

fn aenter<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    coroutine::new(this, &ENTER).map(Bound::into_any)
}

static EXIT: Kind = Kind {
    name: "__aexit__",
    qualified_name: "Timeout.__aexit__",
    start: end,
    resume: coroutine::never_resumed,
};

fn end<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let timeout = coroutine::owner::<Timeout>(this)?;
    let class = this.state().first.get(py);
    let exception = this.state().second.get_or_none(py);
    let ending = class.as_ref().map(|class| Ending { class, exception: &exception });
    exit(&timeout, ending)?;
    Ok(Progress::Return(none(py)))
}

static EXIT_ARGUMENTS: Signature<3> = Signature {
    format: c"OOO:__aexit__",
    names: [c"exc_type", c"exc_val", c"exc_tb"],
    positional: 3,
    required: 3,
};

fn aexit<'py>(this: &Bound<'py, Timeout>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [class, exception, _] = EXIT_ARGUMENTS.parse(&arguments)?;
    let coroutine = coroutine::new(this, &EXIT)?;
    if let Some(class) = class.filter(|class| !class.is_none()) {
        coroutine.state().first.set(class.clone());
        coroutine.state().second.replace(this.py(), exception.cloned());
    }
    Ok(coroutine.into_any())
}

/// `_state`: a member of stock's enum.
fn state<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    names::TIMEOUT_STATE.get(this.py())?.call1((this.state().phase.get().name(),))
}

fn set_when(this: &Bound<'_, Timeout>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().when.set(value.ok_or_else(errors::cannot_be_deleted)?.clone());
    Ok(())
}

fn task<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    Ok(this.state().task.get_or_none(this.py()))
}

fn cancelling<'py>(this: &Bound<'py, Timeout>) -> Object<'py> {
    Ok(this.state().cancelling.get().into_pyobject(this.py())?.into_any())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .init::<Timeout, _>(init)
        .instance_dict()
        .noargs::<Timeout, _>(c"when", when, c"Return the current deadline.")
        .keywords::<Timeout, _>(c"reschedule(when)", reschedule, c"Reschedule the timeout.")
        .noargs::<Timeout, _>(c"expired", has_expired, c"Is timeout expired during execution?")
        .noargs::<Timeout, _>(c"__aenter__", aenter, c"Begin the timeout.")
        .keywords::<Timeout, _>(c"__aexit__(exc_type, exc_val, exc_tb)", aexit, c"End the timeout.")
        .noargs::<Timeout, _>(c"_on_timeout", on_timeout, c"Cancel the task.")
        .get_set::<Timeout, _, _>(c"_when", when, set_when)
        .get::<Timeout, _>(c"_state", state)
        .get::<Timeout, _>(c"_task", task)
        .get::<Timeout, _>(c"_cancelling", cancelling)
        .get::<Timeout, _>(c"_timeout_handler", handler)
        .unary_slot::<Timeout, _>(ffi::Py_tp_repr, repr)
        .doc(c"Timeout(when)\n--\n\nCancels what takes too long; see asyncio.timeout.");
    let stock = names::TIMEOUT.class(py)?;
    TIMEOUT.create_instead_of(py, c"asyncio.timeouts.Timeout", stock, members.into_slots())?;
    Timeout::type_object(py).setattr("__final__", true)
}

static DELAY: Signature<1> =
    Signature { format: c"O:timeout", names: [c"delay"], positional: 1, required: 1 };

fn timeout<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [delay] = DELAY.parse(&arguments)?;
    let delay = delay.map_or_else(|| none(arguments.py()), Clone::clone);
    after(&delay).map(Bound::into_any)
}

static WHEN: Signature<1> =
    Signature { format: c"O:timeout_at", names: [c"when"], positional: 1, required: 1 };

fn timeout_at<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [when] = WHEN.parse(&arguments)?;
    let when = when.map_or_else(|| none(arguments.py()), Clone::clone);
    new(arguments.py(), when).map(Bound::into_any)
}

/// `ferrio.timeout`.
pub fn timeout_function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::TIMEOUT_FUNCTION.get(py)?, timeout)
}

/// `ferrio.timeout_at`.
pub fn timeout_at_function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::TIMEOUT_AT.get(py)?, timeout_at)
}
