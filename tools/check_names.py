"""Refuse file names that say nothing, and Rust files that do not begin by saying what they are.

Run from anywhere: `python tools/check_names.py`. Prints one line a finding; exits 1 if any.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = re.compile(r"(?:^|_)(?:utils?|helpers?|common|misc|fast|managers?)$")


def tracked_files() -> list[Path]:
    """Files that git tracks or would track, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def findings(path: Path) -> list[str]:
    """What is wrong with one file, as lines to print."""
    wrong = [
        f"{path}: name what it holds, not {part!r}"
        for part in (*path.parent.parts, path.name.partition(".")[0])
        if FORBIDDEN.search(part.lower())
    ]
    if path.suffix == ".rs":
        with (ROOT / path).open(encoding="utf-8") as lines:
            if not next(lines, "").startswith("//! "):
                wrong.append(f"{path}:1: the first line must be //! and say what the file is")
    return wrong


def main() -> int:
    files = tracked_files()
    wrong = [line for path in files for line in findings(path)]
    print(*wrong, f"names: {len(files)} files, {len(wrong)} findings", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
