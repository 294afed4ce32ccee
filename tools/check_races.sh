#!/usr/bin/env bash
# Train in teams under GCC's thread sanitizer; fail if it reports a race in our modules.
#
#     tools/check_races.sh            a minute or two; needs the extra test and GCC with libtsan
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$repo"
cp -r pyproject.toml setup.py README.md LICENSE src tests tools "$work"
cd "$work"
find src \( -name "*.so" -o -name "*.c" \) -delete
CBACKPROP_SANITIZE=thread python setup.py -q build_ext --inplace

# libgomp is not instrumented: what it hands to the threads of a region (the arguments of run_team)
# seems to race. Only there: workers are other functions, and threads.h says where regions begin.
echo 'race_top:^run_team._omp_fn' > suppressions
export LD_PRELOAD PYTHONPATH=src OPENBLAS_NUM_THREADS=1
export TSAN_OPTIONS="suppressions=$work/suppressions log_path=$work/report exitcode=0"
LD_PRELOAD=$(gcc -print-file-name=libtsan.so)
# Programs that tests start would need as long again: those tests stay out.
chosen="teams or softmax_and_large or crowded or with_and_without or in_four_threads"
chosen="$chosen or backprop_and_evaluate or two_networks or handler_that or threads_leave_the_bits"
python -m pytest -q -rf -p no:cacheprovider tests/core/test_threads.py tests/network/test_interrupt.py \
    tests/core/test_sparse.py -k "$chosen"
unset LD_PRELOAD
if compgen -G "report.*" > /dev/null; then
    cat report.*
    exit 1
fi
echo "no races"
