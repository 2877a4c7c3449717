//! Whether timers may be set past Python.

use std::sync::atomic::Ordering;

use ferrio_capi::dict;
use pyo3::prelude::*;

use super::{EventLoop, get};

impl EventLoop {
    /// Whether timers may be put into the heap past `call_later`, `call_at` and `time`. Who runs the
    /// turns in the loop's place finds in `_scheduled` only what they made. When the loop's class has
    /// changed since the flags were found, it is through them: `call_later` finds the flags anew.
    #[inline]
    pub fn times_natively(slf: &Bound<'_, Self>) -> bool {
        let native = slf.get();
        let version = dict::class_version_of(slf.as_any());
        version != 0
            && version == native.class_version.load(Ordering::Relaxed)
            && native.times_past_python()
    }

    fn times_past_python(&self) -> bool {
        !(get(&self.call_later_overridden)
            || get(&self.call_at_overridden)
            || get(&self.run_once_overridden)
            || get(&self.time_overridden))
    }
}
