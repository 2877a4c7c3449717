#!/usr/bin/env bash
# python314.sh [DIR]: makes a CPython 3.14 in DIR (/opt/ferrio-py314 unless told), for machines whose
# own archive has none: a small Debian of the unstable suite in a folder of its own, entered with
# `chroot DIR`. Needs root and, once, `apt-get install debootstrap`. It answers at once when DIR is
# complete, and removes nothing but what an interrupted run of its own left behind.
#
# The mirror is the one that this machine's apt uses. The packages hold what `make` needs there, and
# Python's own test package (libpython3.14-testsuite: test.test_asyncio) for tests/conformance.
#
# This repository and the Rust toolchain are mounted inside under their own paths. The last line of
# the output is a command that runs all tests there.
set -euo pipefail
dir=${1:-/opt/ferrio-py314}
root=$(cd "$(dirname "$0")/.." && pwd)
packages=python3.14,python3.14-dev,python3.14-venv,libpython3.14-testsuite,ca-certificates
packages+=,gcc,libc6-dev,make

fail() {
    echo "$1" >&2
    exit 1
}

mirror() {
    # The archive proper, without its security and backports companions.
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Identifier: Packages' |
        sed -n 's|^Debian \(.*/debian\)/*$|\1|p' | head -n 1
}

make_tree() {
    local from=$1
    debootstrap --variant=minbase --include="$packages" sid "$dir" "$from" >"$dir.log" 2>&1 ||
        fail "debootstrap failed: see $dir.log"
    # Snapshots of the archive are older than their lists say they may be.
    echo 'Acquire::Check-Valid-Until "false";' >"$dir/etc/apt/apt.conf.d/99ferrio"
    # pip inside trusts what this machine trusts.
    [[ ! -f /etc/ssl/certs/ca-certificates.crt ]] ||
        cp /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/ca-certificates.crt"
    cp -L /etc/resolv.conf /etc/hosts "$dir/etc/" 2>/dev/null || true
    touch "$dir/.ferrio-complete"
}

mount_into() {
    # A kind of file system or a folder, then the place inside; nothing when it is mounted already.
    if mountpoint -q "$dir$2"; then return; fi
    mkdir -p "$dir$2"
    case $1 in
        proc | sysfs | devpts | tmpfs) mount -t "$1" "$1" "$dir$2" ;;
        *) mount --bind "$1" "$dir$2" ;;
    esac
}

[[ $(id -u) == 0 ]] || fail "python314.sh needs root, for debootstrap and chroot"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
if [[ ! -e $dir/.ferrio-complete ]]; then
    [[ ! -e $dir || -d $dir/debootstrap ]] || fail "$dir exists and is not ours: name another folder"
    rm -rf --one-file-system "$dir"
    from=$(mirror)
    [[ -n $from ]] || fail "apt names no Debian archive: set one up in /etc/apt/sources.list.d"
    make_tree "$from"
fi
mount_into proc /proc
mount_into /dev /dev
mount_into /dev/pts /dev/pts
mount_into tmpfs /dev/shm
shared=$(dirname "$root")/shared # the reference programs of tests/programs
for folder in "$root" "$shared" "${CARGO_HOME:-$HOME/.cargo}" "${RUSTUP_HOME:-$HOME/.rustup}"; do
    if [[ -d $folder ]]; then mount_into "$folder" "$folder"; fi
done
# pip inside takes its certificates from where they were copied to.
echo "chroot $dir env -C $root HOME=$HOME PIP_CERT=/etc/ssl/certs/ca-certificates.crt make test PY=python3.14"
