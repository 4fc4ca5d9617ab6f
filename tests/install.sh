#!/bin/sh
# Installs the Debian packages named as arguments that are missing, saying which. With sudo when not root; on
# another system it says what to install.
set -eu

missing=
for package in "$@"; do
  # What the package is for may be there without it, built by hand or by another system.
  case $package in
    pkg-config) command -v pkg-config >/dev/null 2>&1 && continue ;;
  esac
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "moonkeep: this is not a Debian system. Install what these Debian packages hold, then go on with" >&2
  echo "  make BUILD=build build/moonkeep   after   mkdir -p build && touch build/.deps build/.test-deps" >&2
  echo "The packages:$missing" >&2
  exit 1
fi

as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "moonkeep: these packages are missing, and only root can install them:$missing" >&2
    echo "  apt-get install$missing" >&2
    exit 1
  fi
  as_root=sudo
fi

echo "moonkeep: installing the missing packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  # shellcheck disable=SC2086 # the names are meant to be split
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}
# An old package list names files that are gone: refresh it when the first try fails.
if ! install; then
  if ! { $as_root apt-get update >"$log" 2>&1 && install; }; then
    cat "$log" >&2
    echo "moonkeep: could not install:$missing" >&2
    exit 1
  fi
fi
