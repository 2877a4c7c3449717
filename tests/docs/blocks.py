"""The code blocks of a Markdown page, and what it means that one works.

- `python`: a program. It must end well and say nothing on stderr. With `title="name.py"` it is
  saved under that name instead, for a console block that must follow.
- `console`: lines that begin with `$ ` are commands of bash, run in the page's folder; what follows
  up to the next command is all that it prints, stdout and stderr together. `...` stands for any
  text within a line, and for any lines where it has a line to itself.
- `toml`, `json`: must be read by their parsers. With a `title` they are saved as well.
- `text`: a diagram or a message; nothing to run. So is a block without a language.

A comment on the line before a block says what holds for it: `<!-- not run: why -->`,
`<!-- from: 3.12 -->` and `<!-- until: 3.13 -->` (versions of Python, the named one included).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^( *)(`{3,})(\w*)(.*)$")
TITLE = re.compile(r'title="([^"]+)"')
COMMENT = re.compile(r"^ *<!-- (not run|from|until): (.+?) -->$")
BASH = ("bash", "-u", "-c")


@dataclass
class Block:
    """One fenced block."""

    line: int
    """Where it begins in the page."""
    language: str
    title: str | None
    text: str
    comments: dict[str, str] = field(default_factory=dict)

    @property
    def is_for_this_python(self) -> bool:
        first, last = self.comments.get("from", "3.0"), self.comments.get("until", "3.99")
        return _version(first) <= sys.version_info[:2] <= _version(last)

    @property
    def is_run(self) -> bool:
        return "not run" not in self.comments and self.is_for_this_python


def blocks_of(page: str) -> list[Block]:
    """The blocks in their order; a fence that is not closed is an error."""
    found: list[Block] = []
    open_block: Block | None = None
    fence = indent = ""
    comments: dict[str, str] = {}
    lines: list[str] = []
    for number, line in enumerate(page.splitlines(), 1):
        if open_block:
            if line.strip() == fence:
                open_block.text = "".join(f"{each}\n" for each in lines)
                found.append(open_block)
                open_block = None
            else:
                lines.append(line.removeprefix(indent))
        elif comment := COMMENT.match(line):
            comments[comment[1]] = comment[2]
        elif start := FENCE.match(line):
            indent, fence, language, rest = start.groups()
            title = TITLE.search(rest)
            open_block = Block(number, language, title and title[1], "", comments)
            comments, lines = {}, []
        elif line.strip():
            comments = {}
    assert open_block is None, f"the block of line {open_block and open_block.line} has no end"
    return found


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that it prints."""
    commands: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            assert commands, f"a console block begins with a command, not with {line!r}"
            commands[-1][1].append(line)
    return commands


def prints(expected: list[str], printed: str) -> bool:
    """Whether a command printed what the page shows."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
    return re.fullmatch(pattern, printed) is not None


def run_page(page: Path, folder: Path, environment: dict[str, str]) -> list[str]:
    """Run all blocks of a page in a folder; what is wrong, a text for each."""
    wrong: list[str] = []
    blocks = blocks_of(page.read_text())
    for block in blocks:
        complaint = _complaint(block, folder, environment)
        if complaint:
            wrong.append(f"{page.name}:{block.line}: {complaint}")
    commands = "\n".join(block.text for block in blocks if block.language == "console")
    wrong += [
        f"{page.name}:{block.line}: no command of the page uses {block.title}"
        for block in blocks
        if block.title and block.title not in commands
    ]
    return wrong


def _complaint(block: Block, folder: Path, environment: dict[str, str]) -> str | None:
    if not block.is_run:
        return None
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    match block.language:
        case "python" if not block.title:
            return _program_complaint(block.text, folder, environment)
        case "console":
            complaints = (
                _command_complaint(command, expected, folder, environment)
                for command, expected in commands_of(block.text)
            )
            return next((complaint for complaint in complaints if complaint), None)
        case "toml":
            tomllib.loads(block.text)
        case "json":
            json.loads(block.text)
        case "python" | "text" | "":
            pass
        case other:
            return f"nothing says what it means that a block of {other!r} works"
    return None


def _program_complaint(text: str, folder: Path, environment: dict[str, str]) -> str | None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    if ran.returncode or ran.stderr:
        return f"the program ends with {ran.returncode}:\n{ran.stderr}"
    return None


def _command_complaint(
    command: str, expected: list[str], folder: Path, environment: dict[str, str]
) -> str | None:
    ran = subprocess.run(
        [*BASH, command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if prints(expected, ran.stdout):
        return None
    return f"`{command}` printed\n{ran.stdout}"


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
