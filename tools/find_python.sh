#!/usr/bin/env bash
# find_python.sh NAME: prints "PATH MINOR SUFFIX" of a CPython that Ferrio serves (for example
# "/usr/bin/python3.13 3.13 .cpython-313-x86_64-linux-gnu.so"), or says in one sentence what is wrong.
#
# NAME is a path, a command or a version. A command on PATH may be a pyenv shim that refuses to run,
# so a candidate counts only when it answers; after PATH come the interpreters that pyenv keeps.
set -u
wanted=${1:?usage: find_python.sh NAME}

fail() {
    echo "$1" >&2
    exit 1
}

answer() {
    "$1" -I -c '
import importlib.util as u, sys, sysconfig as s
print(sys.executable, "%d.%d" % sys.version_info[:2], s.get_config_var("EXT_SUFFIX"),
      sys.implementation.name, s.get_config_var("Py_GIL_DISABLED") or 0,
      int(all(u.find_spec(name) for name in ("venv", "ensurepip"))))' 2>/dev/null
}

if [[ $wanted =~ ^3\.[0-9]+$ ]]; then wanted=python$wanted; fi
candidates=("$wanted")
if [[ $wanted =~ ^python(3\.[0-9]+)$ ]]; then
    shopt -s nullglob
    candidates+=("${PYENV_ROOT:-$HOME/.pyenv}"/versions/"${BASH_REMATCH[1]}".*/bin/python)
fi
for candidate in "${candidates[@]}"; do
    if found=$(answer "$candidate") && [[ -n $found ]]; then break; fi
done
[[ -n $found ]] || fail "Python is missing: '$wanted' does not run here; install CPython 3.11, 3.12, 3.13 or 3.14, or name one with PY="

read -r path minor suffix implementation free_threaded complete <<<"$found"
[[ $implementation == cpython ]] || fail "'$wanted' is $implementation: Ferrio needs CPython; name one with PY="
[[ $minor =~ ^3\.1[1-4]$ ]] || fail "'$wanted' is Python $minor: Ferrio serves 3.11, 3.12, 3.13 and 3.14; name one with PY="
[[ $free_threaded == 0 ]] || fail "'$wanted' is a free-threaded build, which Ferrio does not serve; name another with PY="
[[ $complete == 1 ]] || fail "'$wanted' cannot make virtual environments: install its venv and ensurepip modules (Debian: python$minor-venv)"
echo "$path $minor $suffix"
