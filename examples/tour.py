"""Crawl a small web site that this program serves to itself, on whatever loop it is run on.

    python examples/tour.py                 one crawl, on asyncio's loop
    python -m ferrio examples/tour.py       the same on Ferrio
    python examples/tour.py --compare       both in turn, several rounds, one table

Nothing here knows of Ferrio except `--compare`, which starts the second command. The crawler is
what such programs usually are: workers in a TaskGroup around a Queue, a timeout around every
request, a token bucket for the part of the site that asks for it, and a progress line.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import hashlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator

LINK = re.compile(rb'href="([^"]+)"')
REQUEST_TIMEOUT = 0.5
SLOW_ANSWER = 0.02
ARCHIVE_REQUESTS_PER_SECOND = 400


class Site:
    """A web site of `pages` numbered pages, and of a few addresses that misbehave.

    /page/N      links to two pages further down the tree, and to some of the others
    /old/N       redirects to /page/N
    /archive/N   wants no more than ARCHIVE_REQUESTS_PER_SECOND
    /slow/N      takes SLOW_ANSWER seconds
    /stuck       never answers
    all others   404
    """

    def __init__(self, pages: int) -> None:
        self.pages = pages

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, until its other end closes it."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                kind, _, number = head.split(b" ", 2)[1].decode()[1:].partition("/")
                if kind == "stuck":
                    await reader.read()
                    break
                if kind == "slow":
                    await asyncio.sleep(SLOW_ANSWER)
                writer.write(self.answer(kind, number))
                await writer.drain()
        writer.close()

    def answer(self, kind: str, number: str) -> bytes:
        if not number.isdecimal() or int(number) >= self.pages:
            return response("404 Not Found", "<h1>There is no such page</h1>")
        match kind:
            case "page":
                return response("200 OK", self.page(int(number)))
            case "old":
                return response("301 Moved Permanently", "", f"Location: /page/{number}\r\n")
            case "archive" | "slow":
                return response("200 OK", f"<h1>{kind} {number}</h1>" + "<p>text</p>" * 50)
            case _:
                return response("404 Not Found", "<h1>There is no such section</h1>")

    def page(self, number: int) -> str:
        links = [f"/page/{number * 2 + 1}", f"/page/{number * 2 + 2}"]
        links = [link for link in links if int(link[6:]) < self.pages]
        links += [f"/page/{(number * 7 + step) % self.pages}" for step in range(3)]
        if number == 0:
            links.append("/stuck")
        if number % 10 == 0:
            links.append(f"/old/{number * 3 % self.pages}")
        if number % 200 == 0:
            links.append(f"/archive/{number}")
        if number % 400 == 0:
            links += [f"/slow/{number}", f"/page/{number}/missing"]
        items = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
        return f"<h1>Page {number}</h1><ul>{items}</ul>" + "<p>Some words to read.</p>" * 20


def response(status: str, body: str, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return (head + body).encode()


@contextlib.asynccontextmanager
async def served(site: Site) -> AsyncIterator[tuple[str, int]]:
    """Serve the site on a free port of loopback, and give its address."""
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


class RateLimit:
    """A token bucket: `burst` at once, then `per_second`, in the order of asking."""

    def __init__(self, per_second: float, burst: int) -> None:
        self.per_second = per_second
        self.burst = burst
        self.tokens = float(burst)
        self.filled_at = time.monotonic()
        self.turn = asyncio.Lock()

    async def take(self) -> None:
        async with self.turn:
            self.fill()
            while self.tokens < 1:
                await asyncio.sleep((1 - self.tokens) / self.per_second)
                self.fill()
            self.tokens -= 1

    def fill(self) -> None:
        now = time.monotonic()
        gained = (now - self.filled_at) * self.per_second
        self.tokens = min(self.burst, self.tokens + gained)
        self.filled_at = now


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    location: str | None
    body: bytes


class Connection:
    """One kept connection to the site, opened when it is first needed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Answer:
        """Fetch one path. After a timeout the connection is of no use and is given up."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                if self.streams is None:
                    self.streams = await asyncio.open_connection(*self.address)
                reader, writer = self.streams
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                status, *lines = head.decode().rstrip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers["Content-Length"]))
                return Answer(int(status.split(" ")[1]), headers.get("Location"), body)
        except TimeoutError:
            await self.close()
            raise

    async def close(self) -> None:
        if self.streams is not None:
            _, writer = self.streams
            self.streams = None
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class Crawler:
    """Workers that follow every link of a site once."""

    def __init__(self, address: tuple[str, int], start: str) -> None:
        self.address = address
        self.found = {start}
        self.frontier: asyncio.Queue[str] = asyncio.Queue()
        self.frontier.put_nowait(start)
        self.archive_limit = RateLimit(ARCHIVE_REQUESTS_PER_SECOND, burst=20)
        self.outcomes: dict[str, str] = {}
        self.bytes_read = 0

    async def crawl(self, workers: int) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.work(), name=f"worker {n}") for n in range(workers)]
            if sys.stderr.isatty():
                tasks.append(group.create_task(self.show_progress(), name="progress"))
            await self.frontier.join()
            for task in tasks:
                task.cancel()

    async def work(self) -> None:
        connection = Connection(self.address)
        try:
            while True:
                path = await self.frontier.get()
                try:
                    self.outcomes[path] = await self.visit(connection, path)
                finally:
                    self.frontier.task_done()
        finally:
            await connection.close()

    async def visit(self, connection: Connection, path: str) -> str:
        if path.startswith("/archive/"):
            await self.archive_limit.take()
        try:
            answer = await connection.get(path)
        except TimeoutError:
            return "timed out"
        self.bytes_read += len(answer.body)
        if answer.location is not None:
            self.follow(answer.location)
        for link in LINK.findall(answer.body):
            self.follow(link.decode())
        return str(answer.status)

    def follow(self, path: str) -> None:
        if path not in self.found:
            self.found.add(path)
            self.frontier.put_nowait(path)

    async def show_progress(self) -> None:
        try:
            while True:
                line = f"{len(self.outcomes)} fetched, {self.frontier.qsize()} waiting"
                print(f"\r{line:40}", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(0.1)
        finally:
            print(f"\r{'':40}\r", end="", file=sys.stderr, flush=True)

    def summary(self) -> dict[str, object]:
        """What was found: the same for every crawl of the same site."""
        listing = "\n".join(f"{path} {self.outcomes[path]}" for path in sorted(self.outcomes))
        return {
            "addresses": len(self.outcomes),
            "outcomes": dict(sorted(Counter(self.outcomes.values()).items())),
            "bytes": self.bytes_read,
            "digest": hashlib.sha256(listing.encode()).hexdigest()[:12],
        }


async def tour(pages: int, workers: int) -> dict[str, object]:
    """Serve the site, crawl it, and report what was found and what it cost."""
    async with served(Site(pages)) as address:
        wall, cpu = time.perf_counter(), time.process_time()
        crawler = Crawler(address, "/page/0")
        await crawler.crawl(workers)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    loop = type(asyncio.get_running_loop())
    return {
        "loop": f"{loop.__module__}.{loop.__name__}",
        "found": crawler.summary(),
        "wall": wall,
        "cpu": cpu,
    }


def show(report: dict) -> None:
    found = report["found"]
    print(f"loop       {report['loop']}")
    print(f"addresses  {found['addresses']}, {found['bytes']} bytes, digest {found['digest']}")
    for outcome, count in found["outcomes"].items():
        print(f"           {count:6} x {outcome}")
    rate = found["addresses"] / report["wall"]
    print(f"time       {report['wall']:.2f} s, CPU {report['cpu']:.2f} s, {rate:.0f} pages/s")


def compare(arguments: argparse.Namespace) -> int:
    """Crawl on asyncio and on Ferrio in turn; print one table of medians."""
    options = [f"--pages={arguments.pages}", f"--workers={arguments.workers}", "--json"]
    commands = {
        "asyncio": [sys.executable, __file__, *options],
        "ferrio": [sys.executable, "-m", "ferrio", __file__, *options],
    }
    reports: dict[str, list[dict]] = {name: [] for name in commands}
    for number in range(1, arguments.rounds + 1):
        for name, command in commands.items():
            if sys.stderr.isatty():
                line = f"round {number} of {arguments.rounds}, {name}"
                print(f"\r{line:40}\r", end="", file=sys.stderr, flush=True)
            process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if process.returncode:
                print(f"the crawl on {name} ended with status {process.returncode}")
                return 1
            reports[name].append(json.loads(process.stdout))
    return table(reports)


def table(reports: dict[str, list[dict]]) -> int:
    found = reports["asyncio"][0]["found"]
    for name, rounds in reports.items():
        if different := [report["found"] for report in rounds if report["found"] != found]:
            print(f"{name} found {different[0]}\nasyncio found {found}")
            return 1
    print(f"Each loop found the same {found['addresses']} addresses: {found['outcomes']}")
    print(f"Medians of {len(reports['asyncio'])} rounds:\n")
    print(f"{'':10}{'wall, s':>10}{'CPU, s':>10}{'pages/s':>10}{'factor':>10}")
    base = statistics.median(report["wall"] for report in reports["asyncio"])
    for name, rounds in reports.items():
        wall = statistics.median(report["wall"] for report in rounds)
        cpu = statistics.median(report["cpu"] for report in rounds)
        rate = found["addresses"] / wall
        print(f"{name:10}{wall:10.2f}{cpu:10.2f}{rate:10.0f}{base / wall:9.2f}x")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Crawl a web site that this program serves.")
    parser.add_argument("--pages", type=int, default=40000, help="pages of the site")
    parser.add_argument("--workers", type=int, default=32, help="requests at a time")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of --compare")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--compare", action="store_true", help="crawl on asyncio and on Ferrio")
    output.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()
    if arguments.compare:
        return compare(arguments)
    report = asyncio.run(tour(arguments.pages, arguments.workers))
    if arguments.json:
        print(json.dumps(report))
    else:
        show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
