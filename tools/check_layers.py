"""Check who imports whom: crates, modules of crates/ferrio, and the raw C API.

Crates: ferrio-core knows neither pyo3 nor the others; ferrio-capi may use pyo3; ferrio uses both.
Modules of crates/ferrio use strictly lower steps of ORDER; neighbours do not see each other.
`pyo3::ffi` is for ferrio-capi, and for the files of crates/ferrio that docs/unsafe.md names.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDER = """names < errors running originals < deque handles properties < loop_state < futures
    < tasks < coroutine < locks < queues < combinators < transports < tls < dns < event_loop
    < streams < lib"""
RANK = {name: rank for rank, step in enumerate(ORDER.split("<")) for name in step.split()}
CRATES = {
    "capi": {"pyo3", "pyo3-build-config"},
    **{name: set() for name in ("core", "bench-net")},
    "ferrio": {"pyo3", "pyo3-build-config", "ferrio-core", "ferrio-capi"},
}
GUARDED = {"pyo3", "pyo3-ffi", "pyo3-build-config", "ferrio-core", "ferrio-capi", "ferrio"}
COMMENT = re.compile(r"//[^\n]*")
PATH = re.compile(r"\b(crate|super(?:::super)*)::(\{|\w+)")
RAW_API = re.compile(r"\bffi\b|\bpyo3_ffi\b")


def dependencies(manifest: dict) -> Iterator[str]:
    """Names of everything a manifest depends on, for any target."""
    for table in (manifest, *manifest.get("target", {}).values()):
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            yield from table.get(kind, {})


def check_crates() -> Iterator[str]:
    for path in sorted(ROOT.glob("crates/*/Cargo.toml")):
        allowed = CRATES.get(path.parent.name)
        if allowed is None:
            yield f"{path.relative_to(ROOT)}: an unknown crate; say in CRATES what it may use"
            continue
        used = set(dependencies(tomllib.loads(path.read_text()))) & GUARDED
        yield from (f"{path.relative_to(ROOT)}: may not use {name}" for name in used - allowed)
    if "#![forbid(unsafe_code)]" not in (ROOT / "crates/core/src/lib.rs").read_text():
        yield "crates/core/src/lib.rs: must say #![forbid(unsafe_code)]"


def opened_names(text: str, start: int) -> Iterator[str]:
    """First names of each item in the brace group that begins at `start`."""
    depth, first = 0, False
    for token in re.finditer(r"[{},]|\w+", text[start:]):
        if token[0] == "{":
            depth, first = depth + 1, depth == 0
        elif token[0] == "}":
            depth -= 1
            if not depth:
                return
        elif token[0] == ",":
            first = depth == 1
        elif first:
            first = False
            yield token[0]


def used_modules(text: str, depth: int) -> Iterator[tuple[int, str]]:
    """Line and name of each top-level module that a file `depth` modules below the root uses."""
    for match in PATH.finditer(text):
        if match[1] != "crate" and match[1].count("super") != depth:
            continue
        line = text.count("\n", 0, match.start()) + 1
        names = opened_names(text, match.start(2)) if match[2] == "{" else (match[2],)
        yield from ((line, name) for name in names)


def check_modules() -> Iterator[str]:
    source, excused = ROOT / "crates/ferrio/src", (ROOT / "docs/unsafe.md").read_text()
    for path in sorted(source.rglob("*.rs")):
        place, name = path.relative_to(source).with_suffix(""), path.relative_to(ROOT).as_posix()
        module, text = place.parts[0], COMMENT.sub("", path.read_text())
        if module not in RANK:
            yield f"{name}: module {module} has no place in ORDER (tools/check_layers.py)"
            continue
        depth = len(place.parts) - (place.name == "mod")
        for line, used in used_modules(text, depth if module != "lib" else 0):
            if used in RANK and used != module and RANK[used] >= RANK[module]:
                yield f"{name}:{line}: {module} may not use {used}, which is not below it"
        if (found := RAW_API.search(text)) and name not in excused:
            line = text.count("\n", 0, found.start()) + 1
            yield f"{name}:{line}: pyo3::ffi is for crates/capi; else list it in docs/unsafe.md"


def main() -> int:
    wrong = [*check_crates(), *check_modules()]
    print(*wrong, f"layers: {len(wrong)} findings", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
