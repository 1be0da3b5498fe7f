# Sourced with $root set: `environment` sees to it that $root/.venv fits the lock, `environment dev` both locks, and makes it if not.
# Whether it fits is told without starting Python, so that ccterm starts at once.

complain() {
    printf 'ccterm: %s\n' "$*" >&2
    exit 3
}

# made-with is written last of all: the interpreter, this directory, and paths that must still be there.
fits() {
    venv=$root/.venv
    [ -r "$venv/made-with" ] || return 1
    for lock in "$@"; do
        cmp -s "$root/$lock" "$venv/$lock" || return 1
    done
    {
        IFS= read -r python && [ -x "$python" ] || return 1
        IFS= read -r home && [ "$home" = "$root" ] || return 1
        while IFS= read -r path; do
            [ -e "$venv/$path" ] || return 1
        done
    } <"$venv/made-with"
}

# Prints PATH without this environment, which may be active: its Python would vanish while it makes the next one.
path_outside() {
    (
        set -f
        IFS=:
        kept=
        for directory in $PATH; do
            [ "$directory" = "$root/.venv/bin" ] || kept=$kept:$directory
        done
        printf '%s' "${kept#:}"
    )
}

find_python() {
    outside=$(path_outside)
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        python=$(PATH=$outside command -v "$candidate") || continue
        if "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            return
        fi
    done
    found=$(python3 -V 2>/dev/null) || found="no python3"
    complain "it needs Python 3.11 or newer and found $found on PATH; install a newer one (apt install python3.11-venv, brew install python)"
}

environment() {
    if [ "${1-}" = dev ]; then
        set -- requirements.lock requirements-dev.lock
    else
        set -- requirements.lock
    fi
    if ! fits "$@"; then
        find_python
        "$python" -I "$root/scripts/environment.py" "$root" "$@" || exit
    fi
}
