#!/bin/sh
# Pins every dependency with the hashes of its files. No index address gets in, so that the files install from any index.
# The oldest supported Python must run this: its set of dependencies is the largest one.
set -eu
: "${BIN:=.venv/bin}" "${UPGRADE:=}"

export CUSTOM_COMPILE_COMMAND="make lock"
compile() {
  # shellcheck disable=SC2086 # UPGRADE is empty or one option
  "$BIN/pip-compile" --quiet $UPGRADE --generate-hashes --allow-unsafe --strip-extras \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
    --resolver=backtracking "$@"
}

compile --output-file requirements/run.txt pyproject.toml
compile --extra dev --extra embedded --extra otel --constraint requirements/run.txt --output-file requirements/dev.txt pyproject.toml
