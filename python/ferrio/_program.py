"""Running a program in the place of the interpreter's own __main__, as `python PROGRAM` would.

Relies on the caller being the outermost Python code of the process: what a program raises is left
to the interpreter, which then prints it, picks the exit status and dies of SIGINT where it must.

1. `sys.modules["__main__"]` is a new module, filled as the interpreter fills its own: pickle and
   multiprocessing find a program's functions by that name.
2. `sys.path[0]` is what the interpreter would have put there, unless it runs with a safe path.
3. A traceback starts at the program's first frame: ours are taken off when it is shown.
"""

import builtins
import gc
import io
import linecache
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType


def run_script(path: str, arguments: list[str]) -> None:
    """Run a source file, a compiled file, or a directory or zip archive with a __main__.py."""
    sys.argv[:] = [path, *arguments]
    location = _absolute(path)
    if pkgutil.get_importer(location) is not None:
        _run_container(location)
        return
    _set_first_path(os.path.dirname(os.path.realpath(location)))
    compiled = path.endswith(".pyc")
    loader = SourcelessFileLoader if compiled else SourceFileLoader
    namespace = _new_main(loader("__main__", location), __file__=location, __cached__=None)
    _run_leaving_errors_to_the_interpreter(lambda: exec(_code_of(location), namespace))


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module or package, found as `python -m` finds it."""
    sys.argv[:] = ["-m", *arguments]
    _set_first_path(os.getcwd())
    _new_main(BuiltinImporter)
    _run_as_main(name, alter_argv=True)


def run_command(source: str, arguments: list[str]) -> None:
    """Run source text, as `python -c` does."""
    sys.argv[:] = ["-c", *arguments]
    _run_text(source, "<string>", _new_main(BuiltinImporter))


def run_standard_input(arguments: list[str]) -> None:
    """Run the program that standard input holds, as `python -` does."""
    sys.argv[:] = ["-", *arguments]
    namespace = _new_main(BuiltinImporter, __file__="<stdin>", __cached__=None)
    _run_text(sys.stdin.buffer.read(), "<stdin>", namespace)


def _run_container(location: str) -> None:
    if sys.flags.safe_path:
        sys.path.insert(0, location)
    else:
        sys.path[0] = location
    _new_main(BuiltinImporter)
    _run_as_main("__main__", alter_argv=False)


def _run_as_main(name: str, alter_argv: bool) -> None:
    # Not runpy's public functions: this is what the interpreter itself calls for -m and for a
    # folder, down to the two frames that it shows in a traceback.
    run = runpy._run_module_as_main  # type: ignore[attr-defined]
    _run_leaving_errors_to_the_interpreter(lambda: run(name, alter_argv))


def _run_text(source: str | bytes, name: str, namespace: dict[str, object]) -> None:
    _set_first_path("")
    if sys.version_info >= (3, 13) and isinstance(source, str):
        # From 3.13 on a traceback shows the lines of `-c`. No time stamp: checkcache() keeps it.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    _run_leaving_errors_to_the_interpreter(
        lambda: exec(compile(source, name, "exec", dont_inherit=True), namespace)
    )


def _new_main(loader: object, **names: object) -> dict[str, object]:
    """Put an empty __main__ in place and return its namespace."""
    # CPython: add_main_module
    main = ModuleType("__main__")
    namespace = main.__dict__
    namespace["__loader__"] = loader
    if sys.version_info < (3, 14):
        namespace["__annotations__"] = {}
    namespace["__builtins__"] = builtins
    namespace.update(names)
    sys.modules["__main__"] = main
    return namespace


def _set_first_path(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _absolute(path: str) -> str:
    # CPython: _Py_abspath, which joins and leaves ".." and links as they are
    if os.path.isabs(path):
        return path
    return os.getcwd() if path in {"", "."} else os.path.join(os.getcwd(), path)


def _code_of(location: str) -> CodeType:
    try:
        with io.open_code(location) as file:
            content = file.read()
    except OSError as error:
        reason = f"can't open file {location!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.orig_argv[0]}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    compiled: CodeType | None = pkgutil.read_code(io.BytesIO(content))
    return compiled or compile(content, location, "exec", dont_inherit=True)


def _run_leaving_errors_to_the_interpreter(program: Callable[[], object]) -> None:
    # What our imports left in the youngest generation would bring the program's first collection
    # forward, and with it the finalizers that it runs.
    gc.collect(0)
    try:
        program()
    except SystemExit:
        # The interpreter shows none of it, and lets go of it before it runs what is to run at exit.
        raise
    except BaseException as error:
        _show_without_our_frames(error.__traceback__)
        raise


def _show_without_our_frames(traceback: TracebackType | None) -> None:
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    shown_by = sys.excepthook

    # The error has still to pass our callers, each of which adds its frame: so the traceback is
    # cut at the last moment, when the interpreter asks for it to be shown.
    def excepthook(
        kind: type[BaseException], error: BaseException, _: TracebackType | None
    ) -> None:
        sys.excepthook = shown_by
        sys.last_traceback = traceback
        shown_by(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = excepthook
