"""What a program finds in its __main__, its arguments and its import path."""

import compileall
import os
import sys
import zipfile

import pytest

SHOW_MAIN = """
    import sys

    def shown(value):
        if isinstance(value, (str, type(None), dict)):
            return value
        return getattr(value, "origin", value if isinstance(value, type) else type(value))

    names = {name: shown(value) for name, value in list(globals().items()) if name[:2] == "__"}
    print(names, sys.modules["__main__"].__dict__ is globals(), sys.argv, sys.path, sep="\\n")
"""


@pytest.mark.parametrize("path", ["show.py", "./show.py", "folder/../show.py"])
def test_a_script_has_the_main_module_that_python_gives_it(workshop, path):
    workshop.write("folder/other.py", "")
    workshop.write("show.py", SHOW_MAIN)
    assert "'__file__'" in workshop.run_both(path, "-m", "--help", "x y").out


def test_an_absolute_path_stays_as_it_is(workshop):
    name = workshop.write("show.py", SHOW_MAIN)
    workshop.run_both(str(workshop.folder / name))


def test_the_import_path_begins_with_the_folder_of_the_script(workshop):
    workshop.write("folder/neighbour.py", "print('imported')")
    workshop.write("folder/program.py", "import neighbour, sys; print(sys.path)")
    assert workshop.run_both("folder/program.py").out.startswith("imported")


def test_the_import_path_follows_a_link_to_the_script(workshop):
    workshop.write("real/neighbour.py", "print('imported')")
    workshop.write("real/program.py", "import neighbour, sys; print(sys.path, __file__)")
    os.symlink("real/program.py", workshop.folder / "link.py")
    assert workshop.run_both("link.py").out.startswith("imported")


@pytest.mark.parametrize("arguments", [["show.py"], ["-m", "show"], ["-c", "print(1)"]])
@pytest.mark.parametrize("option", ["-P", "-I"])
def test_a_safe_path_gets_no_folder_put_before_it(workshop, option, arguments):
    workshop.write("show.py", SHOW_MAIN)
    if option == "-I" and os.environ.get("PYTHONPATH"):
        pytest.skip("Ferrio is found through PYTHONPATH, which -I ignores")
    workshop.run_both(*arguments, options=[option])


def test_a_module_is_found_and_named_as_python_does_it(workshop):
    workshop.write("show.py", SHOW_MAIN)
    workshop.run_both("-m", "show", "-c", "x")
    workshop.run_both("-mshow", "-c", "x")


def test_a_package_runs_its_main_after_its_init(workshop):
    workshop.write("package/__init__.py", "import sys; print(__name__, sys.argv)")
    workshop.write("package/__main__.py", SHOW_MAIN)
    assert workshop.run_both("-m", "package", "x").out.startswith("package ['-m', 'x']")


def test_a_folder_and_an_archive_run_their_main(workshop):
    workshop.write("folder/__main__.py", "import neighbour\n" + SHOW_MAIN.replace("\n    ", "\n"))
    workshop.write("folder/neighbour.py", "print('imported')")
    with zipfile.ZipFile(workshop.folder / "archive.zip", "w") as archive:
        for name in ("__main__.py", "neighbour.py"):
            archive.write(workshop.folder / "folder" / name, name)
    for options in ([], ["-P"]):
        assert workshop.run_both("folder", "x", options=options).status == 0
        assert workshop.run_both("archive.zip", "x", options=options).status == 0


def test_a_compiled_file_runs(workshop):
    workshop.write("show.py", SHOW_MAIN)
    compileall.compile_dir(workshop.folder, quiet=1, legacy=True)
    assert workshop.run_both("show.pyc", "x").status == 0


def test_a_command_runs(workshop):
    source = "import sys; print(sorted(globals()), __loader__, sys.argv, sys.path)"
    workshop.run_both("-c", source, "-m", "x")
    workshop.run_both("-c" + source, "x")


def test_standard_input_runs(workshop):
    source = "import sys; print(sorted(globals()), __file__, sys.argv, sys.path)\n1/0\n"
    outcome = workshop.run_both("-", "-m", "x", stdin=source)
    assert outcome.status == 1
    assert "ZeroDivisionError" in outcome.err


def test_pickle_finds_what_the_program_defines(workshop):
    workshop.write(
        "program.py",
        """
        import pickle

        class Point:
            def __init__(self, x): self.x = x

        print(Point.__module__, pickle.loads(pickle.dumps(Point(3))).x)
        """,
    )
    assert workshop.run_both("program.py").out == "__main__ 3\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("arguments", [["program.py"], ["-m", "program"]])
def test_multiprocessing_finds_what_the_program_defines(workshop, method, arguments):
    workshop.write(
        "program.py",
        f"""
        import asyncio, concurrent.futures, multiprocessing

        def double(number):
            return number * 2

        async def main():
            context = multiprocessing.get_context({method!r})
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                print(await asyncio.get_running_loop().run_in_executor(pool, double, 21))

        if __name__ == "__main__":
            asyncio.run(main())
        """,
    )
    outcome = workshop.run_both(*arguments)
    assert outcome.out == "42\n"


def test_source_of_the_program_can_be_read_back(workshop):
    workshop.write(
        "program.py",
        """
        import inspect, __main__

        def function():
            return 1

        print(inspect.getsource(function), __main__.function is function)
        """,
    )
    assert workshop.run_both("program.py").out == "def function():\n    return 1\n True\n"


def test_the_original_arguments_stay_as_they_were_given(workshop):
    workshop.write("program.py", "import sys; print(sys.orig_argv[1:])")
    assert (
        workshop.run("ferrio", "program.py", "x").out
        == str(["-m", "ferrio", "program.py", "x"]) + "\n"
    )


@pytest.mark.parametrize(
    "options", [["-X", "dev"], ["-W", "error"], ["-O"], ["-u"], ["-E", "-s"], ["-X", "utf8=0"]]
)
def test_options_of_the_interpreter_reach_the_program(workshop, options):
    if "-E" in options and os.environ.get("PYTHONPATH"):
        pytest.skip("Ferrio is found through PYTHONPATH, which -E ignores")
    workshop.write(
        "program.py",
        """
        import asyncio, sys, warnings

        async def main():
            print(asyncio.get_running_loop().get_debug())

        asyncio.run(main())
        print(sys.flags, sys.warnoptions, sys._xoptions, __debug__)
        warnings.warn("old", DeprecationWarning)
        """,
    )
    outcome = workshop.run_both("program.py", options=options)
    assert outcome.out.startswith(str("dev" in options))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.last_exc came with 3.12")
def test_an_error_is_left_where_a_debugger_looks_for_it(workshop):
    workshop.write(
        "program.py",
        """
        import atexit, sys, traceback

        @atexit.register
        def look():
            print(repr(sys.last_exc), sys.last_exc is sys.last_value)
            print([frame.name for frame in traceback.extract_tb(sys.last_traceback)])

        raise ValueError("seen")
        """,
    )
    assert workshop.run_both("program.py").out.endswith("['<module>']\n")
