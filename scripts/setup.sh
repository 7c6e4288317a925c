#!/usr/bin/env bash
# Make a virtual environment and install locked requirements, each file checked by its hashes.
# A larger group holds the smaller ones; asking for a smaller one later keeps the larger.
# usage: setup.sh VENV core|dev|bench
set -euo pipefail
venv=$1 group=$2

[ "$group" = core ] && [ -e "$venv/.dev" ] && group=dev
[ "$group" = dev ] && [ -e "$venv/.bench" ] && group=bench
files=(requirements/build.txt requirements/core.txt)
[ "$group" = core ] || files+=(requirements/dev.txt)
[ "$group" = bench ] && files+=(requirements/bench.txt)

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" && return
        say "There is no Python at $PYTHON, which the variable PYTHON names."
        return 1
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || continue
        command -v "$name"
        return
    done
    say "Seawall needs Python 3.11 to 3.14; none was found. Install one, or name it: make setup PYTHON=/path/to/python3"
    return 1
}

make_venv() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian and Ubuntu keep venv in a package of its own.
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            say "Installing python3-venv, which $python lacks"
            apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2
        else
            say "$python cannot make virtual environments. Install its venv module (Debian: apt install python3-venv)."
            return 1
        fi
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

# One that an interrupted set-up left without uv and pip is of no use.
works() { "$venv/bin/python" -c "$1" 2>/dev/null; }
works 'import pip' || { works '' && [ -x "$venv/bin/uv" ]; } || make_venv
if [ ! -x "$venv/bin/uv" ]; then
    say "Fetching uv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt 2> >(grep -v "^WARNING: Location" >&2)
fi
say "Installing the locked $group dependencies into $venv"
export VIRTUAL_ENV=$PWD/$venv
uv_pip() {
    local errors
    errors=$("$venv/bin/uv" pip "$@" 2>&1) && return
    # A network with a certificate authority of its own is known to the system, not to uv.
    case $errors in
        *certificate*) UV_SYSTEM_CERTS=true "$venv/bin/uv" pip "$@" ;;
        *) say "$errors" && return 1 ;;
    esac
}
uv_pip sync --quiet --compile-bytecode --require-hashes "${files[@]}"
uv_pip install --quiet --no-deps --no-build-isolation --editable .

case $group in
    bench) touch "$venv/.core" "$venv/.dev" "$venv/.bench" ;;
    dev) touch "$venv/.core" "$venv/.dev" ;;
    core) touch "$venv/.core" ;;
esac
