# Shared by the scripts beside it: they source it, and then stand in the project's directory.

case ${TODOKE_HOME:-} in
    '' | /*) ;;
    *) export TODOKE_HOME="$PWD/$TODOKE_HOME" ;; # meant from where the person stands
esac
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

PYTHON=.venv/bin/python

fail() {
    printf 'script/%s: %s\n' "$(basename -- "$0")" "$1" >&2
    exit 1
}

# Makes .venv and installs what is missing. Usage: setup [--dev]
# Needs no network when nothing changed. One at a time, where the system has flock.
setup() {
    exec 9<script/lib.sh
    if command -v flock >/dev/null; then flock 9; fi
    ensure_venv
    if [ "${1:-}" = --dev ]; then
        install_once requirements-dev.txt requirements.txt
    fi
    install_once requirements.txt
    exec 9<&-
}

# Keeps an environment whose interpreter works and is new enough; replaces any other.
ensure_venv() {
    is_new_enough "$PYTHON" || make_venv
}

make_venv() {
    local python
    python=$(find_python)
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv || fail "could not make a virtual environment (on Debian: apt-get install python3-venv)."
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    fail "needs Python 3.11 or newer, and found $(python3 --version 2>/dev/null || echo 'no Python at all')."
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

has_pip() {
    "$PYTHON" -m pip --version >/dev/null 2>&1
}

# Installs requirements files, unless the same contents were installed before. A stamp is left only by success.
install_once() {
    local stamp=.venv/.installed-$1 wanted
    wanted=$(cat -- "$@" | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing $1"
        has_pip || "$PYTHON" -m ensurepip --default-pip >/dev/null 2>&1 || true
        has_pip || make_venv # it was cut short, or broken later
        "$PYTHON" -m pip install --quiet --disable-pip-version-check "${@/#/--requirement=}" ||
            fail "pip could not install $1; see above."
        printf '%s\n' "$wanted" >"$stamp"
    fi
}
