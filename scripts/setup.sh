#!/bin/sh
# Set-up for every npm command: installs the locked dependencies when they are missing or the lock file changed.
# `start` needs only the runtime ones; `test` needs all.
set -e
mode=$1
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"
stamp=node_modules/.sanctum-setup
want=$(cksum < package-lock.json)
have=$(cat "$stamp" 2>/dev/null || true)
if [ "$have" = "all $want" ] || { [ "$mode" = start ] && [ "$have" = "start $want" ]; }; then
  exit 0
fi
if [ "$mode" = start ]; then
  echo "sanctum: first start, installing dependencies (once)" >&2
  npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  echo "start $want" > "$stamp"
else
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  echo "all $want" > "$stamp"
fi
