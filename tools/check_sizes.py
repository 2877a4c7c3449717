"""Hold files and functions to their sizes; tests, docs, benches and examples are free.

A file over 400 lines needs its reason in LARGE, one over 800 fails, and so does a function over 70
lines or a tool over 100. Rust is read as rustfmt lays it out: a function ends at the first line
that holds a closing brace at the indentation of its `fn`. A `#[cfg(test)]` module is not counted.
"""

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LIMIT, FILE_MAXIMUM, FUNCTION_MAXIMUM, TOOL_MAXIMUM = 400, 800, 70, 100

# Path -> why this file is better whole. An entry that is no longer needed is a finding too.
LARGE: dict[str, str] = {}

RUST_FN = re.compile(
    r"^( *)(?:pub(?:\([^)]*\))? )?(?:const )?(?:async )?(?:unsafe )?"
    r"(?:extern (?:\"[^\"]*\" )?)?fn (\w+)"
)


def counted_files() -> list[Path]:
    """Source files whose size counts: the crates' src folders, the package, the tools."""
    rust = ROOT.glob("crates/*/src/**/*.rs")
    python = (*ROOT.glob("python/**/*.py"), *ROOT.glob("tools/*.py"), *ROOT.glob("tools/*.sh"))
    return sorted((*rust, *python))


def rust_functions(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function that has a body."""
    for start, line in enumerate(lines):
        if not (match := RUST_FN.match(line)):
            continue
        end_line = f"{match[1]}}}"
        for end in range(start, len(lines)):
            text = lines[end].rstrip()
            if text == end_line or (end == start and text.endswith("}")):
                yield match[2], start + 1, end - start + 1
                break
            if (
                text.endswith(";")
                and text.startswith(match[1])
                and "{" not in "".join(lines[start : end + 1])
            ):
                break


def python_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def measure(path: Path) -> tuple[int, list[tuple[str, int, int]]]:
    """The counted lines of a file, and its functions."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return source.count("\n"), list(python_functions(source))
    if path.suffix == ".rs":
        source = re.split(r"^#\[cfg\((?:all\()?test\b.*\]\nmod ", source, flags=re.MULTILINE)[0]
    lines = source.splitlines()
    return len(lines), list(rust_functions(lines)) if path.suffix == ".rs" else []


def main() -> int:
    wrong, file_sizes, function_sizes = [], {}, []
    for path in counted_files():
        name = path.relative_to(ROOT).as_posix()
        size, functions = measure(path)
        file_sizes[name] = size
        function_sizes += [length for _, _, length in functions]
        limit = TOOL_MAXIMUM if name.startswith("tools/") else FILE_MAXIMUM
        if size > limit or (size > FILE_LIMIT and name not in LARGE):
            wrong.append(
                f"{name}: {size} lines; over {min(limit, FILE_LIMIT)} split it, or fill LARGE"
            )
        wrong += [
            f"{name}:{line}: {function} has {length} lines (most: {FUNCTION_MAXIMUM})"
            for function, line, length in functions
            if length > FUNCTION_MAXIMUM
        ]
    stale = [name for name in LARGE if file_sizes.get(name, 0) <= FILE_LIMIT]
    wrong += [f"tools/check_sizes.py: LARGE lists {name} without need" for name in stale]
    short = sum(length <= 30 for length in function_sizes) / max(1, len(function_sizes))
    middle = statistics.median(file_sizes.values())
    print(*wrong, f"sizes: {len(file_sizes)} files, median {middle:.0f} lines; ", sep="\n", end="")
    print(f"{short:.0%} of {len(function_sizes)} functions within 30 lines; {len(wrong)} findings")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
