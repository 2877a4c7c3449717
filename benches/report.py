"""Plots for the documentation from what runs measured: `make bench-report`.

`--take NAME FILE` keeps of a run's `--json` what a plot shows, as benches/results/NAME.json: small
enough to be committed. Then every kept run becomes docs/plots/NAME.svg: for each row a bar for each
loop, as long as its share of the row's largest.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from loops import LOOP_NAMES, STOCK

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PLOTS = HERE.parent / "docs/plots"
PAGE = HERE.parent / "docs/performance.md"
ABOUT = {True: "CPU time of a request on each loop", False: "Rates as factors of stock asyncio's"}
COLOURS = {"bare": "#9e9e9e", "asyncio": "#8d99ae", "uvloop": "#5c7cfa", "rloop": "#2a9d8f"}
FERRIO_COLOUR = "#e8590c"
WIDTH, NAME_WIDTH, VALUE_WIDTH = 380, 52, 66
BAR, GAP, TITLE, BETWEEN = 9, 4, 22, 14


class Bar(NamedTuple):
    """One loop in one row."""

    loop: str
    value: float
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--take", nargs=2, metavar=("NAME", "FILE"))
    options = parser.parse_args()
    if options.take:
        name, path = options.take
        RESULTS.mkdir(exist_ok=True)
        kept = json.dumps(taken(json.loads(Path(path).read_text())), indent=1)
        (RESULTS / f"{name}.json").write_text(f"{kept}\n")
    PLOTS.mkdir(exist_ok=True)
    for path in sorted(RESULTS.glob("*.json")):
        run = json.loads(path.read_text())
        (PLOTS / f"{path.stem}.svg").write_text(plot(run))
        show(path.stem, run)


def show(name: str, run: dict[str, Any]) -> None:
    """Put the plot into its place in the page, with what was measured where."""
    about = run["environment"]
    versions = ", ".join(f"{loop} {version}" for loop, version in about["loops"].items())
    what = about["date"], about["python"], about["cpu"], versions, f"{about['rounds']} rounds"
    start, end = f"<!-- plot: {name} -->\n", "<!-- end of plot -->"
    before, _, rest = PAGE.read_text().partition(start)
    _, _, after = rest.partition(end)
    image = f"![{ABOUT[is_of_servers(run)]}](plots/{name}.svg)"
    PAGE.write_text(f"{before}{start}{image}\n\n*Measured on {'; '.join(what)}.*\n{end}{after}")


def taken(run: dict[str, Any]) -> dict[str, Any]:
    """Of a run: what was measured where, and for each row the median rate of each loop."""
    rows = [
        {
            "row": row["row"],
            "label": row["label"],
            "rates": {loop: round(of["median"], 1) for loop, of in row["loops"].items()},
        }
        for row in run["summary"]
        if not row["stands_for"]
    ]
    return {"environment": run["environment"], "rows": rows}


def is_of_servers(run: dict[str, Any]) -> bool:
    """Whether the plot shows the CPU time of a request; else it shows rates, of stock's."""
    return "load_core" in run["environment"]


def bars_of(row: dict[str, Any], servers: bool) -> list[Bar]:
    rates = row["rates"]
    order = [loop for loop in ("bare", *LOOP_NAMES) if loop in rates]
    if servers:
        return [Bar(loop, 1 / rates[loop], f"{1e6 / rates[loop]:.1f} µs") for loop in order]
    factors = {loop: rates[loop] / rates[STOCK] for loop in order}
    return [Bar(loop, factor, f"{factor:.2f} x") for loop, factor in factors.items()]


def plot(run: dict[str, Any]) -> str:
    """An SVG that takes its text colour from the page that it is drawn into."""
    servers = is_of_servers(run)
    parts: list[str] = []
    top = 0
    for row in run["rows"]:
        bars = bars_of(row, servers)
        parts.append(text(0, top + 13, escape(row["label"]), size=13, weight=600))
        top += TITLE
        longest = max(bar.value for bar in bars)
        for bar in bars:
            parts += drawn(bar, top, (WIDTH - NAME_WIDTH - VALUE_WIDTH) * bar.value / longest)
            top += BAR + GAP
        top += BETWEEN
    head = (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
        f'role="img" aria-label="{ABOUT[servers]}" font-family="sans-serif">'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def drawn(bar: Bar, top: float, length: float) -> list[str]:
    colour = COLOURS.get(bar.loop, FERRIO_COLOUR)
    place = f'x="{NAME_WIDTH}" y="{top}" width="{max(length, 1):.1f}" height="{BAR}" rx="2"'
    weight = 600 if bar.loop not in COLOURS else 400
    baseline = top + BAR - 1
    return [
        text(0, baseline, bar.loop, size=11, weight=weight),
        f'<rect {place} fill="{colour}"/>',
        text(NAME_WIDTH + length + 6, baseline, bar.text, size=11, weight=weight),
    ]


def text(x: float, y: float, words: str, *, size: int, weight: int) -> str:
    fill = "var(--md-default-fg-color, #555)"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'style="fill: {fill}">{words}</text>'
    )


if __name__ == "__main__":
    main()
