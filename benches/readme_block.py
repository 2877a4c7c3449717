"""The parts of benches/README.md that runs write: one marked block for each script."""

from __future__ import annotations

import sys
from pathlib import Path

README = Path(__file__).parent / "README.md"


def write_block(script: str, text: str) -> None:
    """Replace what stands between the two marks of the script."""
    start = f"<!-- {script} --write-readme replaces what follows -->"
    end = f"<!-- end of what {script} --write-readme replaces -->"
    before, found, rest = README.read_text().partition(start)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        sys.exit(f"{README} lacks the marked block of {script}.")
    README.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")
