//! Passes PyO3's interpreter flags (`Py_3_12`, `Py_3_13`, ...) on to this crate.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
