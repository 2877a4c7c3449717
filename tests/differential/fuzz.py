"""Play random programs on stock and on Ferrio for a given time: `make fuzz SECONDS=600`.

Prints each difference as a program that shows it, made as small as hypothesis can, and in the end
how many programs were played. The exit status is 1 when something was found. A run is repeated with
its `--seed`; `--features` keeps to some of grammar.FEATURES. `--against asyncio` compares stock
with itself and must find nothing.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

import engines
import grammar
from hypothesis import HealthCheck, given, seed, settings

BATCH = 400  # programs of one seed
QUIET = list(HealthCheck)


class Different(AssertionError):
    """The engines part on a program."""


def first_difference(pair, number, features=None, batch=BATCH, until=None, derandomize=False):
    """(source, text) of the smallest program found on which the two engines part, or None."""
    found, seen = [], {}

    @settings(
        max_examples=batch,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=QUIET,
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(grammar.programs(features))
    def compare(source):
        if not found and until is not None and time.monotonic() > until:
            return
        if source not in seen:
            seen[source] = pair.difference(source)
        if seen[source] is not None:
            found.append(source)
            raise Different

    try:
        (compare if derandomize else seed(number)(compare))()
    except Different:
        return found[-1], seen[found[-1]]
    return None


def main():
    options = parse()
    if options.jobs > 1:
        return run_side_by_side(options)
    until = time.monotonic() + options.seconds
    numbers = random.Random(options.seed)
    reported = set()
    with engines.Pair(options.against) as pair:
        while time.monotonic() < until:
            number = numbers.getrandbits(32)
            found = first_difference(pair, number, options.features, until=until)
            if found is not None and found[0] not in reported:
                reported.add(found[0])
                print(f"--- seed {number}\n{found[0]}\n{found[1]}\n", flush=True)
    print(
        f"seed {options.seed}: {pair.played} programs, {len(reported)} differences,"
        f" {pair.undecided} on which stock does not agree with itself",
        flush=True,
    )
    return bool(reported)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--features", type=lambda text: text.split(","))
    parser.add_argument("--against", default="ferrio", choices=("ferrio", "asyncio"))
    return parser.parse_args()


def run_side_by_side(options):
    """One process for each job, each with a seed of its own."""
    command = [sys.executable, str(Path(__file__)), "--seconds", str(options.seconds)]
    command += ["--against", options.against]
    if options.features:
        command += ["--features", ",".join(options.features)]
    started = [
        subprocess.Popen([*command, "--seed", str(options.seed + job)])
        for job in range(options.jobs)
    ]
    return max(process.wait() for process in started)


if __name__ == "__main__":
    sys.exit(main())
