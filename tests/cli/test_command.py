"""The command itself: its help, its own errors, the installed script, and that Ferrio serves."""

import os
import platform
import subprocess
import sys

import pytest

import ferrio

ASK_EVERY_WAY = """
    import asyncio, unittest
    from asyncio import new_event_loop, run

    async def kind():
        return type(asyncio.get_running_loop()).__module__

    class Case(unittest.IsolatedAsyncioTestCase):
        async def test_kind(self):
            print(await kind())

    print(run(kind()))
    with asyncio.Runner() as runner:
        print(runner.run(kind()))
    loop = new_event_loop()
    print(loop.run_until_complete(kind()))
    loop.close()
    unittest.main(argv=["x", "-q"], exit=False)
"""


@pytest.mark.parametrize("arguments", [["program.py"], ["-m", "program"]])
def test_every_usual_way_to_a_loop_gives_a_ferrio_loop(workshop, arguments):
    workshop.write("program.py", ASK_EVERY_WAY)
    assert workshop.run("ferrio", *arguments).out == "ferrio\n" * 4


def test_the_choice_of_the_program_wins(workshop):
    workshop.write(
        "program.py",
        """
        import asyncio, sys

        async def kind():
            return type(asyncio.get_running_loop()).__name__

        if sys.version_info < (3, 14):
            asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
            print(asyncio.run(kind()))
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            print(runner.run(kind()))
        """,
    )
    workshop.run_both("program.py")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_goes_to_standard_output(workshop, option):
    outcome = workshop.run("ferrio", option)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("usage: python -m ferrio ")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_names_ferrio_and_python(workshop, option):
    outcome = workshop.run("ferrio", option)
    version = ferrio.build_info()["version"]
    assert outcome.out == f"ferrio {version} (Python {platform.python_version()})\n"
    assert outcome.status == 0


@pytest.mark.parametrize(
    ("arguments", "last_line"),
    [
        (["-m"], "ferrio: -m needs an argument"),
        (["-c"], "ferrio: -c needs an argument"),
        (["-z", "program.py"], "ferrio: unknown option -z"),
        (["--loop"], "ferrio: unknown option --loop"),
    ],
)
def test_a_wrong_command_is_refused_with_its_usage(workshop, arguments, last_line):
    outcome = workshop.run("ferrio", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("usage: ")
    assert outcome.err.splitlines()[-1] == last_line


def test_no_program_at_all_shows_the_help(workshop):
    outcome = workshop.run("ferrio")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == workshop.run("ferrio", "--help").out


def test_a_terminal_for_standard_input_shows_the_help(workshop):
    terminal, standard_input = os.openpty()
    try:
        process = subprocess.run(
            [sys.executable, "-m", "ferrio", "-"],
            stdin=standard_input,
            capture_output=True,
            text=True,
            timeout=25,
        )
    finally:
        os.close(terminal)
        os.close(standard_input)
    assert process.returncode == 2
    assert process.stderr == workshop.run("ferrio", "--help").out


def test_the_installed_script_runs_a_program_alike(workshop):
    workshop.write("bin/ferrio", "import sys\nfrom ferrio.__main__ import main\nsys.exit(main())\n")
    workshop.write("folder/neighbour.py", "print('imported')")
    workshop.write(
        "folder/program.py",
        "import neighbour, sys\nprint(sys.argv, sys.path)\nraise KeyboardInterrupt\n",
    )
    workshop.write("module.py", "import sys\nprint(sys.argv, sys.path)\n1 / 0\n")
    for arguments in (["folder/program.py", "x"], ["-m", "module"], ["-c", "import sys; sys.path"]):
        through_script = workshop.run("stock", "bin/ferrio", *arguments)
        assert through_script == workshop.run_both(*arguments)
