//! The functions of the very libssl and libcrypto that `_ssl` is linked to. The interpreter loads `_ssl`
//! with RTLD_LOCAL, so they are found through its handle: dlsym(3) searches a handle's dependencies.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong, c_void};

use pyo3::prelude::*;

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_LAZY: c_int = 1;
/// Gives a handle only of what is loaded already.
const RTLD_NOLOAD: c_int = 4;

/// OpenSSL 3.0.0; before it nothing here was tried.
const OLDEST: c_ulong = 0x3000_0000;

/// A connection of OpenSSL.
pub(super) type Ssl = *mut c_void;
/// Where OpenSSL reads from and writes to.
pub(super) type Bio = *mut c_void;
pub(super) type BioMethod = *mut c_void;

pub(super) type BioRead = unsafe extern "C" fn(Bio, *mut c_char, c_int) -> c_int;
pub(super) type BioWrite = unsafe extern "C" fn(Bio, *const c_char, c_int) -> c_int;
pub(super) type BioCtrl = unsafe extern "C" fn(Bio, c_int, c_long, *mut c_void) -> c_long;
pub(super) type BioDestroy = unsafe extern "C" fn(Bio) -> c_int;

macro_rules! library {
    ($($field:ident = $name:literal: fn($($arg:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions.
        #[derive(Debug)]
        pub(super) struct Library {
            $(pub(super) $field: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        impl Library {
            /// # Safety
            /// The names stand for OpenSSL's functions, which have these types in every OpenSSL 3.
            unsafe fn of(handle: *mut c_void) -> Result<Self, String> {
                Ok(Self {
                    // SAFETY: the caller's promise; a function pointer that is not null.
                    $($field: unsafe {
                        std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn($($arg),*) $(-> $result)?,
                        >(symbol(handle, $name)?)
                    },)*
                })
            }
        }
    };
}

library! {
    version_num = c"OpenSSL_version_num": fn() -> c_ulong;
    ssl_read = c"SSL_read": fn(Ssl, *mut c_void, c_int) -> c_int;
    ssl_write = c"SSL_write": fn(Ssl, *const c_void, c_int) -> c_int;
    ssl_do_handshake = c"SSL_do_handshake": fn(Ssl) -> c_int;
    ssl_get_error = c"SSL_get_error": fn(Ssl, c_int) -> c_int;
    ssl_want = c"SSL_want": fn(Ssl) -> c_int;
    ssl_get_shutdown = c"SSL_get_shutdown": fn(Ssl) -> c_int;
    ssl_in_init = c"SSL_in_init": fn(Ssl) -> c_int;
    ssl_has_pending = c"SSL_has_pending": fn(Ssl) -> c_int;
    ssl_get_rbio = c"SSL_get_rbio": fn(Ssl) -> Bio;
    ssl_get_wbio = c"SSL_get_wbio": fn(Ssl) -> Bio;
    ssl_set_bio = c"SSL_set_bio": fn(Ssl, Bio, Bio);
    ssl_set_read_ahead = c"SSL_set_read_ahead": fn(Ssl, c_int);
    ssl_ctrl = c"SSL_ctrl": fn(Ssl, c_int, c_long, *mut c_void) -> c_long;
    ssl_version = c"SSL_version": fn(Ssl) -> c_int;
    ssl_is_server = c"SSL_is_server": fn(Ssl) -> c_int;
    bio_new = c"BIO_new": fn(BioMethod) -> Bio;
    bio_free = c"BIO_free": fn(Bio) -> c_int;
    bio_s_mem = c"BIO_s_mem": fn() -> BioMethod;
    bio_method_type = c"BIO_method_type": fn(Bio) -> c_int;
    bio_ctrl_pending = c"BIO_ctrl_pending": fn(Bio) -> usize;
    bio_get_new_index = c"BIO_get_new_index": fn() -> c_int;
    bio_meth_new = c"BIO_meth_new": fn(c_int, *const c_char) -> BioMethod;
    bio_meth_set_read = c"BIO_meth_set_read": fn(BioMethod, BioRead) -> c_int;
    bio_meth_set_write = c"BIO_meth_set_write": fn(BioMethod, BioWrite) -> c_int;
    bio_meth_set_ctrl = c"BIO_meth_set_ctrl": fn(BioMethod, BioCtrl) -> c_int;
    bio_meth_set_destroy = c"BIO_meth_set_destroy": fn(BioMethod, BioDestroy) -> c_int;
    bio_set_data = c"BIO_set_data": fn(Bio, *mut c_void);
    bio_get_data = c"BIO_get_data": fn(Bio) -> *mut c_void;
    bio_set_init = c"BIO_set_init": fn(Bio, c_int);
    bio_set_flags = c"BIO_set_flags": fn(Bio, c_int);
    bio_clear_flags = c"BIO_clear_flags": fn(Bio, c_int);
}

/// # Safety
/// The handle comes from dlopen.
unsafe fn symbol(handle: *mut c_void, name: &CStr) -> Result<*mut c_void, String> {
    // SAFETY: the caller's promise, and a C string.
    let found = unsafe { dlsym(handle, name.as_ptr()) };
    if found.is_null() {
        return Err(format!("_ssl's OpenSSL has no {}", name.to_string_lossy()));
    }
    Ok(found)
}

/// The functions of the loaded OpenSSL; else the reason why they are not to be had.
pub(super) fn load(py: Python<'_>) -> Result<Library, String> {
    let file = py
        .import("_ssl")
        .and_then(|module| module.getattr("__file__"))
        .and_then(|file| file.extract::<String>())
        .map_err(|_| "_ssl is no file of its own".to_owned())?;
    let name = CString::new(file).map_err(|_| "_ssl has no proper file name".to_owned())?;
    // SAFETY: a C string; nothing is loaded that is not loaded already. The handle is kept for ever.
    let library = unsafe {
        let handle = dlopen(name.as_ptr(), RTLD_LAZY | RTLD_NOLOAD);
        if handle.is_null() {
            return Err("_ssl is not loaded from its file".to_owned());
        }
        Library::of(handle)?
    };
    // SAFETY: a function without arguments.
    let version = unsafe { (library.version_num)() };
    if version < OLDEST {
        return Err(format!("OpenSSL {version:#x} is older than 3.0"));
    }
    Ok(library)
}
