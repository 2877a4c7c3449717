//! `Barrier`. CPython: asyncio.locks.Barrier
//!
//! `wait` is native while nothing is replaced. Else it is stock's function, put into the class under
//! another name, as are stock's `reset`, `abort` and the private coroutines that its `wait` awaits: they
//! work on whatever has the attributes.

mod wait;

use std::ffi::c_int;

use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString};
use pyo3::{PyTypeInfo, ffi, intern};

use super::condition::Condition;
use super::count::Count;
use super::waiting;
use crate::errors;
use crate::names::{self, boolean};

static BARRIER: Class<Barrier> = Class::new();

/// `asyncio.Barrier`.
#[derive(Debug)]
pub struct Barrier;

/// The native part of a barrier. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct BarrierState {
    condition: Slot,
    /// `_state`, a member of asyncio's `_BarrierState`.
    state: Slot,
    parties: Count,
    count: Count,
    event_loop: Slot,
}

// SAFETY: empty slots and 0 are all-zero.
unsafe impl State for BarrierState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.parties.traverse(visit)?;
        self.count.traverse(visit)?;
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.parties.clear(py);
        self.count.clear(py);
        for slot in self.slots() {
            drop(slot.take(py));
        }
    }
}

impl BarrierState {
    fn slots(&self) -> [&Slot; 3] {
        [&self.condition, &self.state, &self.event_loop]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Barrier {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        BARRIER.type_ptr()
    }
}

impl DerefToPyAny for Barrier {}

impl NativeClass for Barrier {
    type State = BarrierState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &BARRIER
    }
}

/// What a barrier is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Filling,
    Draining,
    Resetting,
    Broken,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Filling, Self::Draining, Self::Resetting, Self::Broken];

    /// The member of asyncio's enum.
    fn member(self, py: Python<'_>) -> Object<'_> {
        let name = match self {
            Self::Filling => intern!(py, "FILLING"),
            Self::Draining => intern!(py, "DRAINING"),
            Self::Resetting => intern!(py, "RESETTING"),
            Self::Broken => intern!(py, "BROKEN"),
        };
        names::BARRIER_STATE.get(py)?.getattr(name)
    }
}

/// `_state`, when it is a member of asyncio's enum.
fn stage(this: &Bound<'_, Barrier>) -> PyResult<Option<Stage>> {
    for stage in Stage::ALL {
        if this.state().state.is(&stage.member(this.py())?) {
            return Ok(Some(stage));
        }
    }
    Ok(None)
}

fn set_stage(this: &Bound<'_, Barrier>, stage: Stage) -> PyResult<()> {
    this.state().state.set(stage.member(this.py())?);
    Ok(())
}

static INIT: Signature<1> =
    Signature { format: c"O:Barrier", names: [c"parties"], positional: 1, required: 1 };

fn init<'py>(this: &Bound<'py, Barrier>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let py = this.py();
    let [Some(parties)] = INIT.parse_init(&arguments)? else {
        return Err(errors::uninitialized());
    };
    if parties.lt(1)? {
        let least = if cfg!(Py_3_14) { ">= 1" } else { "> 0" };
        return Err(PyValueError::new_err(format!("parties must be {least}")));
    }
    let state = this.state();
    state.condition.set(py.get_type::<Condition>().call0()?);
    state.parties.set(&parties);
    state.count.clear(py);
    set_stage(this, Stage::Filling)
}

fn aexit<'py>(this: &Bound<'py, Barrier>, _: Arguments<'_, 'py>) -> Object<'py> {
    wait::exit(this)
}

fn parties<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    this.state().parties.get(this.py())
}

fn n_waiting<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    match stage(this)? {
        Some(Stage::Filling) => this.state().count.get(this.py()),
        _ => Count::new(0).get(this.py()),
    }
}

fn broken<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    Ok(boolean(this.py(), stage(this)? == Some(Stage::Broken)))
}

fn set_parties(this: &Bound<'_, Barrier>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().parties.set(value.ok_or_else(errors::cannot_be_deleted)?);
    Ok(())
}

fn count<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    this.state().count.get(this.py())
}

fn set_count(this: &Bound<'_, Barrier>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().count.set(value.ok_or_else(errors::cannot_be_deleted)?);
    Ok(())
}

macro_rules! slot_attributes {
    ($($get:ident, $set:ident, $slot:ident;)*) => {
        $(
            fn $get<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
                Ok(this.state().$slot.get_or_none(this.py()))
            }

            fn $set(this: &Bound<'_, Barrier>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
                this.state().$slot.set(value.ok_or_else(errors::cannot_be_deleted)?.clone());
                Ok(())
            }
        )*
    };
}

slot_attributes! {
    condition, set_condition, condition;
    state, set_state, state;
    event_loop, set_event_loop, event_loop;
}

fn get_loop<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    waiting::get_loop(this, &this.state().event_loop)
}

/// CPython: Barrier.__repr__, which goes through the public properties.
fn repr<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    let (py, this) = (this.py(), this.as_any());
    let mut text = this.getattr(intern!(py, "_state"))?.getattr("value")?.str()?.to_string();
    if !this.getattr(intern!(py, "broken"))?.is_truthy()? {
        let waiting = this.getattr(intern!(py, "n_waiting"))?.str()?;
        text += &format!(", waiters:{waiting}/{}", this.getattr(intern!(py, "parties"))?.str()?);
    }
    let plain = py.get_type::<PyAny>().getattr(intern!(py, "__repr__"))?.call1((this,))?;
    let plain = plain.extract::<String>()?;
    let inner = plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default();
    Ok(PyString::new(py, &format!("<{inner} [{text}]>")).into_any())
}

/// Makes the type, after that of Condition.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .init::<Barrier, _>(init)
        .instance_dict()
        .noargs::<Barrier, _>(c"wait", wait::wait, c"Wait for all parties; return a number.")
        .noargs::<Barrier, _>(c"__aenter__", wait::enter, c"Wait for all parties.")
        .keywords::<Barrier, _>(c"__aexit__(*args)", aexit, c"Do nothing.")
        .noargs::<Barrier, _>(
            c"_get_loop",
            get_loop,
            c"The running loop, to which it then belongs.",
        )
        .get::<Barrier, _>(c"parties", parties)
        .get::<Barrier, _>(c"n_waiting", n_waiting)
        .get::<Barrier, _>(c"broken", broken)
        .get_set::<Barrier, _, _>(c"_parties", parties, set_parties)
        .get_set::<Barrier, _, _>(c"_count", count, set_count)
        .get_set::<Barrier, _, _>(c"_cond", condition, set_condition)
        .get_set::<Barrier, _, _>(c"_state", state, set_state)
        .get_set::<Barrier, _, _>(c"_loop", event_loop, set_event_loop)
        .unary_slot::<Barrier, _>(ffi::Py_tp_repr, repr)
        .doc(
            c"Barrier(parties)\n--\n\nA number of tasks wait for one another; see asyncio.Barrier.",
        );
    let stock = names::BARRIER.class(py)?;
    BARRIER.create_instead_of(py, c"asyncio.locks.Barrier", stock, members.into_slots())?;
    let class = Barrier::type_object(py);
    for name in ["reset", "abort", "_block", "_release", "_wait", "_exit"] {
        class.setattr(name, stock.getattr(name)?)?;
    }
    class.setattr(intern!(py, "_stock_wait"), stock.getattr(intern!(py, "wait"))?)
}
