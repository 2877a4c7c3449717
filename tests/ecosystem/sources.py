"""Fetches the source archives that have the upstream tests, once, into a cache outside of this
repository. Nothing of them is built or copied here."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib

FOLDER = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Suite:
    """One upstream suite; suites.toml says what the fields mean."""

    name: str
    archive: str
    sha256: str
    arguments: list[str]
    debian: dict[str, str] | None = None
    without: str | None = None

    @property
    def release(self) -> str:
        return self.archive.removesuffix(".tar.gz")


def suites() -> dict[str, Suite]:
    """All suites of suites.toml by name."""
    entries = tomllib.loads((FOLDER / "suites.toml").read_text())
    return {name: Suite(name, **entry) for name, entry in entries.items()}


def cache() -> pathlib.Path:
    """The user's cache folder, the part of it that is ours."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "ferrio"


def folder_of(suite: Suite) -> pathlib.Path:
    """Where the unpacked archive is, after fetching it when it is not there yet."""
    folder = cache() / suite.release
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            unpacked = _unpack(suite, _fetch(suite, pathlib.Path(name)))
            try:
                unpacked.rename(folder)
            except OSError:  # unless another run came first
                if not folder.exists():
                    raise
    return folder


def _unpack(suite: Suite, archive: pathlib.Path) -> pathlib.Path:
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != suite.sha256:
        sys.exit(f"the tests of {suite.name} did not run: {archive.name} has the hash {found}")
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent, filter="data")
    if suite.without is not None:
        shutil.rmtree(archive.parent / suite.release / suite.without)
    return archive.parent / suite.release


def _fetch(suite: Suite, folder: pathlib.Path) -> pathlib.Path:
    if suite.debian is not None:
        return _fetch_with_apt(suite, folder)
    name, _, version = suite.release.rpartition("-")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", name, "--dest", str(folder), f"{name}=={version}"]
    _run(suite, command)
    return folder / suite.archive


def _fetch_with_apt(suite: Suite, folder: pathlib.Path) -> pathlib.Path:
    """Have apt download a source package, with lists of its own: that needs no rights."""
    package, version, suite_name = (suite.debian[key] for key in ("package", "version", "suite"))
    for name in ("parts", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "parts" / "ferrio.sources").write_text(
        f"Types: deb-src\nURIs: {_mirror()}\nSuites: {suite_name}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    apt = ["apt-get", "-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "APT::Sandbox::User="]
    apt += ["-o", f"Dir::Etc::sourceparts={folder}/parts", "-o", f"Dir::State={folder}/state"]
    apt += ["-o", f"Dir::Cache={folder}/cache"]
    _run(suite, [*apt, "update"])
    source = [*apt, "source", "--download-only", "--tar-only", f"{package}={version}"]
    _run(suite, source, cwd=folder)
    (found,) = folder.glob(f"{package}_*.orig.tar.*")
    return found


def _mirror() -> str:
    """The Debian archive that this machine's apt uses."""
    targets = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"]
    output = subprocess.run([*targets, "Identifier: Packages"], capture_output=True, text=True)
    for line in output.stdout.splitlines():
        origin, _, address = line.partition(" ")
        if origin == "Debian" and address.rstrip("/").endswith("/debian"):
            return address.rstrip("/")
    return "http://deb.debian.org/debian"


def _run(suite: Suite, command: list[str], cwd: pathlib.Path | None = None) -> None:
    if status := subprocess.run(command, check=False, cwd=cwd, stdout=sys.stderr).returncode:
        sys.exit(
            f"the tests of {suite.name} did not run: {command[0]}, whose words are above, ended "
            f"with {status} and did not download {suite.archive}, which has them"
        )
