"""What mkdocs does not do by itself for the site: mkdocs.yml names this file as its hook.

The pages stay ordinary Markdown that reads well in the repository too: links to files outside of
docs/ become their text, the plots are drawn into the page so that they follow its colours,
CHANGELOG.md becomes a page, and the decisions in docs/design are listed in the navigation.
"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
LINK_OUT = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]*)(#[^)]*)?\)")
PLOT = re.compile(r'<img [^>]*src="(?:\.\./)*(plots/[\w-]+\.svg)"[^>]*>')
NATIVE_NAMES = "<!-- a table of native names -->"
CHOOSE_THE_LOOP = {"Runner", "new_event_loop", "run"}
"""Ferrio's own, in Python: the page has an entry for each."""
STREAMS = ("_connection", "_server")
PAGES = {
    "asyncio-future": {"Future", "ensure_future", "wrap_future"},
    "asyncio-eventloop": {"Handle", "TimerHandle", "new_event_loop"},
    "asyncio-queue": {"Queue", "LifoQueue", "PriorityQueue", "QueueShutDown"},
    "asyncio-sync": {"Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "Semaphore"},
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the design decisions under their own titles."""
    decisions = [
        {page.read_text().partition("\n")[0].removeprefix("# "): f"design/{page.name}"}
        for page in sorted((DOCS / "design").glob("*.md"))
    ]
    assert config.nav
    config.nav.append({"Decisions": decisions})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog as a page."""
    changes = (ROOT / "CHANGELOG.md").read_text()
    files.append(File.generated(config, "changelog.md", content=changes))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links that leave docs/ become text, and must name what exists."""
    folder = (DOCS / page.file.src_uri).parent

    def shown(link: re.Match[str]) -> str:
        text, target, _ = link.groups()
        path = (folder / target).resolve()
        if path.is_relative_to(DOCS):
            return link[0]
        if path == ROOT / "CHANGELOG.md":
            return f"[{text}]({'../' * page.file.src_uri.count('/')}changelog.md)"
        if not path.is_relative_to(ROOT) or not path.exists():
            raise PluginError(f"{page.file.src_uri}: {target} does not exist")
        return text if "`" in text else f"`{path.relative_to(ROOT)}`"

    markdown = LINK_OUT.sub(shown, markdown)
    if NATIVE_NAMES in markdown:
        markdown = markdown.replace(NATIVE_NAMES, native_names())
    return markdown


def on_page_content(html: str, **_: Any) -> str:
    """Draw the plots into the page."""
    return PLOT.sub(lambda image: (DOCS / image[1]).read_text(), html)


def native_names() -> str:
    """Every name of asyncio's that Ferrio has natively: what it is, and asyncio's page about it."""
    asyncio, ferrio = (importlib.import_module(name) for name in ("asyncio", "ferrio"))
    lines = ["| name | what it is |", "| --- | --- |"]
    names = set(ferrio.__all__) & set(asyncio.__all__) - CHOOSE_THE_LOOP
    for name in sorted(names, key=str.lower):
        ours = getattr(ferrio, name)
        if ours is not getattr(asyncio, name):
            about = (inspect.getdoc(ours) or "").partition("\n")[0].partition("; see ")[0]
            lines.append(f"| [`{name}`]({manual(name)}) | {about.rstrip('.')} |")
    return "\n".join(lines)


def manual(name: str) -> str:
    """Where Python's manual says what a name of asyncio does."""
    by_default = "asyncio-stream" if "Stream" in name or name.endswith(STREAMS) else "asyncio-task"
    page = next((page for page, names in PAGES.items() if name in names), by_default)
    return f"https://docs.python.org/3/library/{page}.html#asyncio.{name}"
