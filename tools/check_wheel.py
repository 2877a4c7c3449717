"""Check what `make wheel` built: it fits any Linux of the last years, is complete, and works.

`python tools/check_wheel.py FOLDER`: the wheel for the running Python in FOLDER is audited, and
installed in a new environment, where examples/tour.py runs on it, as does the command `ferrio`.
Prints one line a finding; exits 1 if any.
"""

import email
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEWEST_LIBC = (2, 28)
LICENCES = {"LICENSE-MIT", "LICENSE-APACHE"}
PROGRAM = """
import asyncio, ferrio, sys
assert sys.prefix in ferrio.__file__, ferrio.__file__
assert ferrio.build_info()["profile"] == "release", ferrio.build_info()

async def main():
    await asyncio.gather(*(ferrio.sleep(0.001) for _ in range(100)))
    return type(asyncio.get_running_loop()).__name__

print(ferrio.run(main()))
"""


def libc_of(wheel: Path) -> tuple[int, int]:
    """The oldest glibc that the wheel runs with, by what its symbols ask for."""
    command = [sys.executable, "-m", "auditwheel", "show", wheel]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tag = re.search(r'platform tag:\s+"manylinux_(\d+)_(\d+)_', said)
    return (int(tag[1]), int(tag[2])) if tag else (99, 99)


def findings_inside(wheel: Path) -> list[str]:
    """What is missing from the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        about = email.message_from_bytes(archive.read(metadata))
    wrong = [
        f"{wheel.name}: no {name} in it"
        for name in ("ferrio/py.typed", "ferrio/_ferrio.pyi", "ferrio/__main__.py")
        if name not in names
    ]
    if about["License-Expression"] != "MIT OR Apache-2.0":
        wrong.append(f"{wheel.name}: its licence is {about['License-Expression']}")
    licences = {Path(name).name for name in names if "/licenses/" in name}
    if not licences >= LICENCES:
        wrong.append(f"{wheel.name}: no licence texts, only {licences}")
    if any(name.startswith(("tests/", "benches/")) for name in names):
        wrong.append(f"{wheel.name}: files that are no part of the package")
    return wrong


def findings_installed(wheel: Path, folder: Path) -> list[str]:
    """What does not work in a new environment that has the wheel and nothing else."""
    venv.create(folder / "env", with_pip=True)
    bin_folder = folder / "env/bin"
    commands: list[list[str | Path]] = [
        [bin_folder / "python", "-m", "pip", "install", "--quiet", "--no-index", wheel],
        [bin_folder / "python", "-W", "error", "-c", PROGRAM],
        [bin_folder / "python", "-m", "ferrio", ROOT / "examples/tour.py"],
        [bin_folder / "ferrio", ROOT / "examples/tour.py"],
        [bin_folder / "ferrio", "--version"],
    ]
    for command in commands:
        ran = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
        if ran.returncode:
            return [f"{' '.join(map(str, command))}:\n{ran.stdout}{ran.stderr}"]
    return []


def main() -> int:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = sorted(Path(sys.argv[1]).resolve().glob(f"ferrio-*-{python}-{python}-*.whl"))
    wrong = [] if wheels else [f"no wheel for {python} in {sys.argv[1]}"]
    for wheel in wheels:
        libc = libc_of(wheel)
        if libc > NEWEST_LIBC:
            wrong.append(f"{wheel.name}: needs glibc {libc[0]}.{libc[1]}")
        wrong += findings_inside(wheel)
        with tempfile.TemporaryDirectory() as folder:
            wrong += findings_installed(wheel, Path(folder))
        print(f"{wheel.name}: glibc {libc[0]}.{libc[1]}, {wheel.stat().st_size / 1e6:.1f} MB")
    print(*wrong, f"wheels: {len(wheels)} files, {len(wrong)} findings", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
