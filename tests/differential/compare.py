"""Play one program on stock and on Ferrio: `python tests/differential/compare.py program.py`.

Prints the trace, and where the two part, if they do; the exit status says whether.
"""

import sys
from pathlib import Path

import engines


def main(path):
    source = Path(path).read_text(encoding="utf-8")
    with engines.Pair() as pair:
        difference = pair.difference(source)
        _, *traces = pair.stock.play(source)
    for events in traces:
        print(*events, sep="\n")
    print(f"\n{difference or 'no difference'}")
    return bool(difference)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
