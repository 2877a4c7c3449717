"""Reads a suite's list of exceptions: tests that cannot apply to Ferrio, each with its reason.

`[[listed]]` names bound tests that fail on Ferrio for the reason given; one that passes fails the
run. `[[unbound]]` names classes in which no Ferrio object takes part; they are never run.
Both match `module/Class.test` with shell wildcards, in the Python versions given, or in all.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import pathlib
import sys
import tomllib
from collections.abc import Iterable

RUNNING_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclasses.dataclass(frozen=True)
class ReasonedList:
    """Patterns of one kind that hold for the running Python, each with its reason."""

    reasons: dict[str, str]

    def reason_for(self, test_id: str) -> str | None:
        """Why `test_id` is on the list, None when it is not."""
        for pattern, reason in self.reasons.items():
            if fnmatch.fnmatchcase(test_id, pattern):
                return reason
        return None

    def unmatched(self, test_ids: Iterable[str]) -> list[str]:
        """The patterns that match none of `test_ids`: entries to delete."""
        known = list(test_ids)
        return [pattern for pattern in self.reasons if not fnmatch.filter(known, pattern)]


def load(kind: str, path: pathlib.Path) -> ReasonedList:
    """Read the entries of `kind`, `listed` or `unbound`, for the running Python."""
    entries = tomllib.loads(path.read_text()).get(kind, [])
    reasons = {}
    for entry in entries:
        if RUNNING_VERSION in entry.get("versions", [RUNNING_VERSION]):
            reasons.update(dict.fromkeys(entry["tests"], entry["reason"]))
    return ReasonedList(reasons)
