"""Every code block of the documentation works: programs run, commands print what the page shows."""

import os
import sys
from pathlib import Path

import pytest
from blocks import blocks_of, run_page

ROOT = Path(__file__).parents[2]
WITH_THE_TOOLS_THEMSELVES = ROOT / "docs" / "adoption.md"  # tests/ecosystem/test_adoption.py
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {WITH_THE_TOOLS_THEMSELVES})]


@pytest.fixture
def environment(tmp_path):
    """That of a user whose environment is activated; nothing changes what Python prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "HOME": str(tmp_path), "NO_COLOR": "1", "PYTHON_COLORS": "0"}


@pytest.mark.timeout(120)  # a page is many programs
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_work(page, tmp_path, environment):
    folder = tmp_path / "page"
    folder.mkdir()
    assert run_page(page, folder, environment) == []


def test_a_block_that_is_not_run_says_why_and_they_are_few():
    blocks = [block for page in PAGES for block in blocks_of(page.read_text())]
    left_out = [block for block in blocks if "not run" in block.comments]
    assert all(len(block.comments["not run"].split()) > 3 for block in left_out)
    assert len(left_out) * 10 < len(blocks)


def run_text(text, tmp_path, environment):
    page = tmp_path / "page.md"
    page.write_text(text)
    return run_page(page, tmp_path, environment)


def block(language, text, comment=""):
    return f"{comment}\n```{language}\n{text}\n```\n"


@pytest.mark.parametrize(
    "text",
    [
        block("python", "assert 1 + 1 == 3"),
        block("python", "import sys; print('a complaint', file=sys.stderr)"),
        block("python", "import warnings; warnings.warn('old')"),
        block('python title="unused.py"', "pass"),
        block("console", "$ echo one\ntwo"),
        block("console", "$ echo one; echo two\none"),
        block("console", "$ true\nsomething"),
        block("rust", "fn main() {}"),
    ],
)
def test_a_block_that_does_not_work_is_found(text, tmp_path, environment):
    assert len(run_text(text, tmp_path, environment)) == 1


@pytest.mark.parametrize(
    "text",
    [
        block("python", "print('it works')"),
        block("python", "import nothing", comment="<!-- from: 3.99 -->"),
        block("python", "import nothing", comment="<!-- not run: it could never work -->"),
        block('python title="a.py"', "print(1)\nprint(2)\nprint(3)")
        + block("console", "$ python a.py\n1\n...\n$ python a.py | head -1\n1"),
        block("console", "$ echo took 0.123 s\ntook ... s"),
        block("text", "no program"),
    ],
)
def test_a_block_that_works_passes(text, tmp_path, environment):
    assert run_text(text, tmp_path, environment) == []
