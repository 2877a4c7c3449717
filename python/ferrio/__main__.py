"""The command: `python -m ferrio PROGRAM`, also installed as `ferrio`.

Everything after the program's name belongs to the program, so options are read by hand.
"""

import platform
import sys

from ferrio import _program
from ferrio._ferrio import build_info
from ferrio._install import install

USAGE = """\
usage: python -m ferrio [-h | -V] PROGRAM [ARGUMENT ...]
       python -m ferrio -m MODULE [ARGUMENT ...]
       python -m ferrio -c CODE [ARGUMENT ...]
"""

HELP = (
    USAGE
    + """
Run an asyncio program on Ferrio's event loop, as python itself would run it.

  PROGRAM        a source file, or a directory or zip archive with a __main__.py,
                 or - for a program read from standard input
  -m MODULE      a module or package
  -c CODE        source text
  -h, --help     show this text
  -V, --version  show the versions of Ferrio and Python

What follows the program's name belongs to the program. The interpreter's own options
stand before -m ferrio: python -X dev -m ferrio PROGRAM
"""
)


def main() -> None:
    """Run the command that `sys.argv` holds."""
    match _split(sys.argv[1:]):
        case ["-h" | "--help", *_]:
            print(HELP, end="")
        case ["-V" | "--version", *_]:
            print(f"ferrio {build_info()['version']} (Python {platform.python_version()})")
        case ["-m" | "-c" as option]:
            _refuse(f"{USAGE}ferrio: {option} needs an argument\n")
        case ["-m", name, *arguments]:
            install()
            _program.run_module(name, arguments)
        case ["-c", source, *arguments]:
            install()
            _program.run_command(source, arguments)
        case ["-", *arguments] if sys.stdin is not None and not sys.stdin.isatty():
            install()
            _program.run_standard_input(arguments)
        case [] | ["-", *_]:
            _refuse(HELP)
        case [option, *_] if option.startswith("-"):
            _refuse(f"{USAGE}ferrio: unknown option {option}\n")
        case [path, *arguments]:
            install()
            _program.run_script(path, arguments)


def _split(arguments: list[str]) -> list[str]:
    """Take `-mMODULE` and `-cCODE` apart, which python's own command line allows."""
    if arguments and arguments[0][:2] in {"-m", "-c"} and arguments[0][2:]:
        return [arguments[0][:2], arguments[0][2:], *arguments[1:]]
    return arguments


def _refuse(text: str) -> None:
    sys.stderr.write(text)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
