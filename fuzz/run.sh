#!/bin/sh
# Runs each target for some seconds, from the seeds on. What is found stays in `corpus` and `artifacts`, neither of which
# is kept in the repository.
#
#     fuzz/run.sh [SECONDS] [TARGET...]
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- sse_frames peek read_chat read_responses read_anthropic read_gemini \
    answer_chat answer_responses answer_anthropic answer_gemini

# The compiler's own coverage for libFuzzer, as cargo-fuzz sets it, without a sanitizer: there is no unsafe code here
# for one to watch, and a stable compiler has none.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
export RUSTFLAGS
# With a target named, build scripts and macros are built without those flags.
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
CARGO_TARGET_DIR=$target_dir ${CARGO:-cargo} build --release --target "$host" --bins

failed=0
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "== $target, $seconds s"
    "$target_dir/$host/release/$target" "corpus/$target" "seeds/$target" \
        -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" -max_len=16384 -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 || { echo "!! $target failed"; failed=1; }
done
exit "$failed"
