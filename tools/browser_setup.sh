#!/usr/bin/env bash
# What the browser tests need: Chromium and CJK fonts by apt, axe-core by npm. Only what is missing is installed, and what
# cannot be installed is a failure that names it: pages that were not looked at have not passed.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "test-browser: $1" >&2
  exit 1
}

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
# Without a CJK font every Chinese letter is the same empty box, and its width proves nothing.
fc-list ':lang=zh-cn' 2>/dev/null | grep -q . || missing+=(fonts-noto-cjk)
command -v npm >/dev/null || missing+=(npm)

if ((${#missing[@]})); then
  command -v apt-get >/dev/null || fail "missing: ${missing[*]}; there is no apt-get here, install them by your system's means"
  as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || fail "missing: ${missing[*]}; run as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]} ..." >&2
  "${as_root[@]}" apt-get update -qq || fail "apt-get update failed; missing: ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" fontconfig >/dev/null ||
    fail "apt-get could not install: ${missing[*]}"
fi

# The lock names the version and its hash; a second run finds both in place.
if ! cmp -s package-lock.json node_modules/.fenqi-lock; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || fail "npm could not install axe-core"
  cp package-lock.json node_modules/.fenqi-lock
fi
[[ -f node_modules/axe-core/axe.min.js ]] || fail "axe-core is not where it should be: node_modules/axe-core/axe.min.js"
