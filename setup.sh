#!/bin/sh
# Builds .venv, the course's own Python environment; `make setup` runs it, and so do `make lab` and `make test`.
#
# A finished .venv holds a stamp that names its folder and the pyproject.toml that it was built from. Where the stamp
# still fits, there is nothing to do. Where pyproject.toml has changed, what changed is installed. Where the stamp is
# missing (an interrupted run) or names another folder (a moved one), .venv is built anew: a package that was being
# written when a run was stopped looks installed and isn't.
#
#   PYTHON=/path/to/python3.11   use this Python
#   DISK_GB=0                    try even if the disk looks too small
set -eu
cd "$(dirname "$0")"

UV="uv==0.13.8"
GIGABYTES=${DISK_GB:-8}
stamp=.venv/.complete
wanted="$(pwd) $(cksum < pyproject.toml)"

say() { printf '%s\n' "$*"; }
stop() { printf '\nSetup stopped: %s\n' "$1" >&2; shift; for line; do printf '  %s\n' "$line" >&2; done; exit 1; }

version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

# d2l 1.0.3 asks for exactly numpy 1.23.5 and scipy 1.10.1, which exist for no Python after 3.11.
find_python() {
    if [ "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.11 python3 python; fi
    found=
    for name; do
        version=$(version_of "$name") || continue
        case $version in
            3.11.*) python=$name; return ;;
        esac
        found="$found${found:+, }$name is $version"
    done
    stop "the course needs Python 3.11; looked for $*, found: ${found:-nothing that runs}." \
        "Debian 12:   apt install python3.11 python3.11-venv" \
        "macOS:       brew install python@3.11" \
        "anywhere:    uv python install 3.11, or conda: conda env create -f environment.yml" \
        "Then run make again. PYTHON=/path/to/python3.11 points to one that is not on the PATH."
}

check_venv_module() {
    "$python" -c 'import venv, ensurepip' 2>/dev/null || stop \
        "$python ($version) has no working venv module, which .venv is made with." \
        "Debian and Ubuntu keep it in a package of its own: apt install python3.11-venv"
}

check_disk() {  # check_disk FOLDER WHAT
    free=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge "$GIGABYTES" ] || stop \
        "$2 needs about $GIGABYTES GB of free disk, and $1 has $free GB." \
        "Free some space, or run make with DISK_GB=0 to try all the same."
}

unreachable() {
    stop "the package index could not be reached, so nothing was installed; the message above has the details." \
        "Is this machine online? Behind a proxy, set HTTPS_PROXY; with a mirror, set PIP_INDEX_URL (and UV_DEFAULT_INDEX where it differs)." \
        "Then run make again; what was downloaded is kept."
}

present=$(cat $stamp 2>/dev/null || true)
[ -x .venv/bin/python ] && [ -x .venv/bin/uv ] || present=  # such as after an upgrade of the system's Python
[ "$present" != "$wanted" ] || exit 0
case $present in
    "$(pwd) "*) fresh= ;;
    *) fresh=yes ;;
esac
rm -f $stamp

if [ "$fresh" ]; then
    find_python
    check_venv_module
    say "Setting up .venv with Python $version: PyTorch, d2l, JupyterLab, nbgrader and what they need."
    say "About 6 GB on disk; it takes from half a minute (packages already downloaded once) to some minutes (slow line)."
    rm -rf .venv
    check_disk "$(pwd)" "the environment"
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 "$UV" || unreachable
else
    say "pyproject.toml has changed: bringing .venv up to date (seconds, or minutes if a large package changed)."
fi

# uv doesn't read pip's configuration: hand on the mirror that pip was told to use.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    mirror=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$mirror" ] || export UV_DEFAULT_INDEX="$mirror"
fi

# uv unpacks into its cache and links from there: on another file system the cache takes as much again.
cache=$(.venv/bin/uv cache dir)
mkdir -p "$cache"
[ -z "$fresh" ] || check_disk "$cache" "uv's cache of packages"

if ! .venv/bin/uv pip install --python .venv/bin/python --compile-bytecode -e '.[test]'; then
    .venv/bin/uv pip install --python .venv/bin/python --dry-run --reinstall --no-deps --no-cache --quiet "$UV" 2>/dev/null || unreachable
    stop "uv could not install the packages; its message above says why." \
        "Free space here: $(df -Pk . | awk 'NR == 2 { printf "%.1f GB", $4 / 1048576 }'). When it is mended, run make again; what was downloaded is kept."
fi

# JupyterLab's question about its news would lie over the lessons; the news themselves need a network.
mkdir -p .venv/etc/jupyter/labconfig
printf '%s\n' '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' > .venv/etc/jupyter/labconfig/page_config.json

printf '%s\n' "$wanted" > $stamp
say "The environment is ready in .venv."
