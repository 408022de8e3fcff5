#!/usr/bin/env bash
# Every lint, all of them even when one fails, so that one run shows everything there is to do.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=()

check() {
  local name=$1
  shift
  local said
  if ! said=$("$@" 2>&1); then
    failed+=("$name")
    printf '== %s\n%s\n' "$name" "$said" >&2
  fi
}

check "format (make format writes it)" $bin/ruff format --check --quiet .
check "ruff" $bin/ruff check --quiet .
check "types of the engine" $bin/mypy
check "arrows of the engine" $bin/lint-imports --no-cache
check "purity of the engine, one clock" $bin/python tools/lint_engine.py
check "texts and templates" $bin/python tools/lint_text.py
check "schema" $bin/python tools/lint_schema.py

if ((${#failed[@]})); then
  printf 'lint: %d failed:' "${#failed[@]}" >&2
  printf ' [%s]' "${failed[@]}" >&2
  printf '\n' >&2
  exit 1
fi
echo "lint: clean" >&2
