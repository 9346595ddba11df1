#!/bin/sh
# Tests the keychain source against a real Secret Service: a gnome-keyring of its own, in a session bus of its own, with an
# empty home. Debian; as root it installs what is missing. Last line: `N passed, N failed`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)

if [ "${1:-}" != inside ]; then
  if ! command -v gnome-keyring-daemon >/dev/null || ! command -v dbus-run-session >/dev/null ||
    ! command -v dbus-send >/dev/null || ! command -v secret-tool >/dev/null; then
    if [ "$(id -u)" != 0 ]; then
      echo "keychain.sh: needs gnome-keyring, dbus and libsecret-tools; install them or run this as root" >&2
      exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gnome-keyring dbus libsecret-tools >/dev/null
  fi
  home=$(mktemp -d)
  trap 'rm -rf "$home"' EXIT
  mkdir -p -m 700 "$home/run" "$home/data/keyrings"
  # No display and no bus of the caller: nothing here may reach the person's own keyring, and no dialog can open.
  env -i PATH="$PATH" HOME="$home" XDG_DATA_HOME="$home/data" XDG_RUNTIME_DIR="$home/run" \
    dbus-run-session -- sh "$0" inside 2>"$home/stderr" || {
    status=$?
    cat "$home/stderr" >&2
    exit "$status"
  }
  exit 0
fi

# The first one on the bus must be this: a daemon that the bus starts by itself has no unlocked collection.
printf %s "test password" | gnome-keyring-daemon --unlock --components=secrets >/dev/null
exec sh "$root/bin/bun" "$root/src/layers/vault/keychain-source.keyring.ts"
