#!/bin/sh
# Makes the peers of the benchmark runnable: Portkey's gateway from npm (no install script is run), and nginx, where none
# is on PATH, from Debian's package. The package is unpacked, not installed: no root needed, and no service is started.
# Prints what could not be had; a peer that is missing is left out of the run.
cd "$(dirname "$0")" || exit 1

want=$(cksum < package-lock.json)
if [ "$want" != "$(cat node_modules/.bench-setup 2>/dev/null)" ]; then
  if npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2; then
    echo "$want" > node_modules/.bench-setup
  else
    echo "portkey is left out: \`npm ci\` failed in bench/peers" >&2
  fi
fi

# Under node_modules, which git, the formatter and the linter leave alone.
unpacked=node_modules/.nginx/usr/sbin/nginx
if command -v nginx > /dev/null 2>&1 || [ -x "$unpacked" ]; then
  exit 0
fi
if ! command -v apt-get > /dev/null 2>&1; then
  echo "nginx is left out: install it with the system's package manager, so that \`nginx\` is on PATH" >&2
  exit 0
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
if (cd "$folder" && apt-get download nginx) > "$folder/log" 2>&1; then
  mkdir -p node_modules/.nginx
  for package in "$folder"/nginx_*.deb; do
    dpkg-deb -x "$package" node_modules/.nginx
  done
fi
if ! "$unpacked" -v > "$folder/log.version" 2>&1; then
  cat "$folder"/log* >&2
  echo "nginx is left out: run \`apt-get update\` as root and try again, or \`apt-get install nginx\`" >&2
fi
