"""Programs on which Ferrio once did something else than stock, most of them found by `make fuzz`.

Each file of `programs` is one, as small as it was made. `python tests/differential/compare.py FILE`
shows its trace. `# Since 3.12` in its first line keeps it from older versions.
"""

import re
import sys
from pathlib import Path

import engines
import pytest

PROGRAMS = sorted((Path(__file__).resolve().parent / "programs").glob("*.py"))


@pytest.fixture(scope="module")
def pair():
    """Stock and Ferrio, one process each for all programs."""
    with engines.Pair() as pair:
        yield pair


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_has_the_trace_that_it_has_on_stock(pair, path):
    source = path.read_text(encoding="utf-8")
    since = re.search(r"Since 3\.(\d+)", source.partition("\n")[0])
    if since and sys.version_info < (3, int(since[1])):
        pytest.skip(since[0])
    difference = pair.difference(source)
    assert difference is None, difference
    assert pair.undecided == 0
    _, trace, _ = pair.stock.play(source)
    assert len(trace) > 2
