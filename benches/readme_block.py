"""The parts of benches/README.md, and of other pages, that runs write: a marked block each."""

from __future__ import annotations

import sys
from pathlib import Path

README = Path(__file__).parent / "README.md"


def write_block(script: str, text: str, page: Path = README) -> None:
    """Replace what stands between the two marks of the script."""
    start = f"<!-- {script} --write-readme replaces what follows -->"
    end = f"<!-- end of what {script} --write-readme replaces -->"
    before, found, rest = page.read_text().partition(start)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        sys.exit(f"{page} lacks the marked block of {script}.")
    page.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")
