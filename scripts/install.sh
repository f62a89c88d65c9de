#!/bin/sh
# Creates the environment $1; installs the locked packages of $2 and this project into it.
set -eu
venv=$1
lock=$2

if [ -z "${PYTHON:-}" ]; then
    echo "Wireside needs Python 3.11 or newer; install it (Debian: apt-get install python3 python3-venv)." >&2
    exit 1
fi

if [ ! -x "$venv/bin/pip" ]; then
    echo "Making the environment in $venv …"
    if ! "$PYTHON" -m venv --clear "$venv" 2>"${TMPDIR:-/tmp}/wireside-venv.$$"; then
        # Debian has a part of the standard library in a separate package
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq python3-venv
            "$PYTHON" -m venv --clear "$venv"
        else
            cat "${TMPDIR:-/tmp}/wireside-venv.$$" >&2
            echo "Python can't make environments: install its venv package (Debian: apt-get install python3-venv)." >&2
            exit 1
        fi
    fi
    rm -f "${TMPDIR:-/tmp}/wireside-venv.$$"
fi

echo "Installing $lock …"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --no-index --editable .
