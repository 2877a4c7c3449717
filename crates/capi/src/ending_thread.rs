//! What becomes of a thread that wants the GIL when the interpreter has begun to end. Before 3.14 CPython
//! ends it by `pthread_exit`, for which glibc unwinds its stack, and a frame of Rust on it ends the process.
//! A thread that entered here stops for good instead, as all do since 3.14 (gh-87135); the process
//! ends under it. Reference: glibc's nptl/unwind.c (unwind_stop) and nptl/cleanup_compat.c.

/// Has the current thread stop when it would have to end before the interpreter does. The main thread and
/// those that are joined before never come to that.
#[inline]
pub fn stop_at_exit() {
    #[cfg(all(not(Py_3_14), target_os = "linux", target_env = "gnu"))]
    glibc::stop_at_exit();
}

#[cfg(all(not(Py_3_14), target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::cell::OnceCell;
    use std::ffi::{c_int, c_void};

    use crate::runtime;

    type Routine = extern "C" fn(*mut c_void);

    /// `struct _pthread_cleanup_buffer` of pthread.h.
    #[repr(C)]
    struct Cleanup {
        routine: Option<Routine>,
        argument: *mut c_void,
        cancel_type: c_int,
        previous: *mut Cleanup,
    }

    unsafe extern "C" {
        fn _pthread_cleanup_push(cleanup: *mut Cleanup, routine: Routine, argument: *mut c_void);
    }

    thread_local! {
        /// Freed when the thread has returned from its function, after which nothing unwinds it.
        static CLEANUP: OnceCell<Box<Cleanup>> = const { OnceCell::new() };
    }

    #[inline]
    pub fn stop_at_exit() {
        CLEANUP.with(|cleanup| {
            if cleanup.get().is_none() {
                push(cleanup);
            }
        });
    }

    /// The unwinder calls a routine as soon as it has left the frame that its entry lies in, and asks by
    /// comparing addresses: one on the heap counts as left before the first frame.
    #[cold]
    fn push(cleanup: &OnceCell<Box<Cleanup>>) {
        let null = std::ptr::null_mut();
        let mut made = Box::new(Cleanup {
            routine: None,
            argument: null,
            cancel_type: 0,
            previous: null.cast(),
        });
        // SAFETY: the entry is filled in by the call and stays where it is until the thread is over.
        unsafe { _pthread_cleanup_push(&raw mut *made, stop, null) }
        let _ = cleanup.set(made);
    }

    /// A thread that is ended by whoever made it, while the interpreter lives, is let go.
    extern "C" fn stop(_: *mut c_void) {
        while runtime::has_begun_to_end() {
            std::thread::park();
        }
    }
}
