"""Writes stock_timers.txt: what stock asyncio fires, and when, for given timers.

Run `python make_stock_timers.py > stock_timers.txt`; every supported interpreter writes the same.
Its lines: `new TITLE`, `push WHEN...` (ids count from 0), `cancel ID...`,
`turn NOW HEAP_LEN FIRED...` (NOW is the end time, so a deadline of NOW is not due).
"""

import asyncio
import random


class Scenario:
    def __init__(self, title):
        print("new", title)
        self.now = 0.0
        self.fired = []
        self.handles = []
        self.line = []
        self.loop = asyncio.SelectorEventLoop()
        self.loop.time = lambda: self.now
        self.loop._clock_resolution = 0.0

    def write(self, act, *words):
        """Joins acts of one kind, to a width that a reader can bear."""
        if self.line and (self.line[0] != act or len(self.line) > 20 or act == "turn"):
            print(*self.line)
            self.line.clear()
        self.line.extend(words if self.line else (act, *words))
        if act == "turn":
            print(*self.line)
            self.line.clear()

    def push(self, when):
        self.write("push", f"{when:g}")
        number = len(self.handles)
        self.handles.append(self.loop.call_at(when, self.fired.append, number))

    def cancel(self, number):
        self.write("cancel", number)
        self.handles[number].cancel()

    def turn(self, now):
        self.now = now
        # Something ready keeps select from sleeping, and from refusing a NaN timeout.
        self.loop.call_soon(int)
        self.loop._run_once()
        self.write("turn", f"{now:g}", len(self.loop._scheduled), *self.fired)
        self.fired.clear()


def ties():
    scenario = Scenario("ties")
    for number in range(40):
        scenario.push(number % 3)
    scenario.turn(1)
    for number in range(20):
        scenario.push(1 + number % 2)
    for now in (2, 3):
        scenario.turn(now)


def ties_with_cancels():
    choice = random.Random(1)
    scenario = Scenario("ties with cancels below the limit of compaction")
    for _ in range(90):
        scenario.push(choice.randrange(8))
    for number in choice.sample(range(90), 60):
        scenario.cancel(number)
    for now in range(10):
        scenario.turn(now)


def compaction():
    choice = random.Random(2)
    scenario = Scenario("compaction reorders ties")
    for _ in range(150):
        scenario.push(choice.randrange(12) / 4)
    for number in choice.sample(range(150), 76):
        scenario.cancel(number)
    for now in range(1, 14):
        scenario.turn(now / 4)


def exactly_half():
    scenario = Scenario("exactly half cancelled is not compacted")
    for number in range(120):
        scenario.push(number % 5)
    for number in range(0, 120, 2):
        scenario.cancel(number)
    for now in range(7):
        scenario.turn(now)


def drift():
    scenario = Scenario("cancelled timers that come due still count towards compaction")
    for number in range(130):
        scenario.push(1 if number < 30 else 5 + number % 3)
    for number in range(1, 30):
        scenario.cancel(number)
    scenario.turn(2)
    for number in range(30, 65):
        scenario.cancel(number)
    for _ in range(10):
        scenario.push(5)
    for now in (3, 6, 7, 8):
        scenario.turn(now)


def odd_values():
    choice = random.Random(3)
    scenario = Scenario("NaN and infinite deadlines")
    values = [float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1.0, 2.0]
    for _ in range(60):
        scenario.push(choice.choice(values))
    for number in choice.sample(range(60), 15):
        scenario.cancel(number)
    for now in (0.0, 1.0, 2.0, 3.0, float("inf")):
        scenario.turn(now)


def large():
    choice = random.Random(4)
    scenario = Scenario("a compacted heap of more than 2500, which C heapifies in another order")
    for _ in range(5400):
        scenario.push(choice.randrange(4))
    for number in choice.sample(range(5400), 2750):
        scenario.cancel(number)
    for now in range(5):
        scenario.turn(now)


def mixed():
    choice = random.Random(5)
    scenario = Scenario("a mix over many turns")
    now = 0
    for _ in range(900):
        act = choice.random()
        if act < 0.6:
            scenario.push(now + choice.randrange(-2, 30) / 2)
        elif act < 0.96 and scenario.handles:
            count = len(scenario.handles)
            scenario.cancel(choice.randrange(max(0, count - 200), count))
        else:
            now += choice.randrange(3)
            scenario.turn(now)
    scenario.turn(now + 100)


for part in (ties, ties_with_cancels, compaction, exactly_half, drift, odd_values, large, mixed):
    part()
