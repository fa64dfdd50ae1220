#!/usr/bin/env bash
# Asks the admin API everything that its document allows, and much that it does not (https://schemathesis.readthedocs.io).
#
#   TOROUTER_BIN=target/debug/torouter tests/admin/schemathesis.sh
#
# It is installed under target/schemathesis, anew when its pins change. The asking takes at most a minute.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/schemathesis
binary=$(realpath -m "${TOROUTER_BIN:-$root/target/debug/torouter}")
[ -x "$binary" ] || { echo "no program at $binary: set TOROUTER_BIN" >&2; exit 2; }
mkdir -p "$work"

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -y -q --no-install-recommends python3-venv
fi
sum=$(sha256sum <"$here/requirements.txt")
if [ "$(cat "$work/stamp" 2>/dev/null)" != "$sum" ] || ! "$work/venv/bin/python" -c 'import schemathesis' 2>/dev/null; then
    rm -rf "$work/venv" "$work/stamp"
    python3 -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    echo "$sum" >"$work/stamp"
fi

gateway=
folder=$(mktemp -d)
stop() {
    if [ -n "$gateway" ]; then
        kill "$gateway" 2>/dev/null || true
        wait "$gateway" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

read -r port admin < <(python3 -c '
import socket
both = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in both))')
cat >"$folder/torouter.toml" <<TOML
[server]
listen = ["127.0.0.1:$port"]
admin = "127.0.0.1:$admin"
drain_timeout = "1s"
[admin]
token = { value = "schemathesis" }
[store]
url = "sqlite:$folder/torouter.db"
[[channels]]
name = "none"
platform = "openai"
base_url = "http://127.0.0.1:1"
api_key = { value = "none" }
[[groups]]
name = "default"
channels = ["none"]
[[keys]]
name = "fixed"
group = "default"
secret = { value = "sk-fixed-0001" }
TOML
"$binary" serve --config "$folder/torouter.toml" >"$folder/log" 2>&1 &
gateway=$!
url=http://127.0.0.1:$admin
"$work/venv/bin/python" - "$url/healthz" <<'PY' || { tail -n 20 "$folder/log" >&2; exit 3; }
import sys, time, urllib.request

end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=5)
        sys.exit(0)
    except OSError:
        time.sleep(0.05)
sys.exit("the gateway did not start")
PY

failed=0
cd "$folder"
NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 timeout 60 "$work/venv/bin/schemathesis" --config-file /dev/null run "$url/openapi.json" \
    -H "Authorization: Bearer schemathesis" --max-examples 30 --seed 5 || failed=1
if ! kill -0 "$gateway" 2>/dev/null || grep -q "panicked at" "$folder/log"; then
    echo "the gateway did not take it:" >&2
    tail -n 20 "$folder/log" >&2
    failed=1
fi
exit $failed
