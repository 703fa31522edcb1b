# Sourced by every script: where things are. Nothing is ever written into the clone, but for what the web page is built of
# and into (ui/node_modules, ui/dist), which git ignores.
# Override ORZO_CACHE or CARGO_TARGET_DIR to keep them elsewhere.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ORZO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/orzo}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
# Programs that only tests need: statsd clients and the conformance suite.
export ORZO_CLIENTS=${ORZO_CLIENTS:-$cache/clients}
export ORZO_BIN=${ORZO_BIN:-$CARGO_TARGET_DIR/release/orzo}
cd "$root"

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
