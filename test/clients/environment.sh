# Sourced by the `run` of each folder: the pinned packages, and runners that count.
# shellcheck shell=bash

clients=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$(readlink -f "$clients/../..")
results=$root/build/clients
python=$results/venv/bin/python
node_needed=18 # node --test, and what the official clients ask for
passed=0 failed=0 skipped=0

note() { printf '== %s\n' "$*" >&2; }

# A virtual environment with exactly what requirements.txt names; made anew when that changes.
prepare_python() {
  local wanted=$clients/requirements.txt
  if ! cmp -s "$wanted" "$results/venv/requirements.txt"; then
    note "installing the Python clients"
    rm -rf "$results/venv"
    mkdir -p "$results"
    python3 -m venv "$results/venv"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$wanted"
    "$python" -m pip check --disable-pip-version-check >/dev/null
    cp "$wanted" "$results/venv/requirements.txt"
  fi
}

# Exactly what package-lock.json names; no package's own scripts are run. Not under `set -e` when its
# status is asked for, so each step says itself that it failed.
prepare_javascript() {
  local lock=$clients/package-lock.json installed=$clients/node_modules/.drover-lock.json major
  if ! command -v npm >/dev/null || ! major=$(node --version | sed -nE 's/^v([0-9]+)\..*/\1/p'); then
    note "the JavaScript clients need node and npm; install nodejs $node_needed or newer"
    return 1
  fi
  if ((${major:-0} < node_needed)); then
    note "node $(node --version) is too old: the JavaScript clients need $node_needed or newer"
    return 1
  fi
  if grep -q '"resolved"' "$lock"; then
    note "package-lock.json names a registry host; renew it in its own folder, beside .npmrc"
    return 1
  fi
  if ! cmp -s "$lock" "$installed"; then
    note "installing the JavaScript clients"
    npm --prefix "$clients" ci --ignore-scripts --silent || return 1
    cp "$lock" "$installed"
  fi
}

# run_pytest NAME FOLDER [ARGUMENTS]: counts what ran into passed and failed.
run_pytest() {
  local report=$results/$1.xml folder=$2 status=0
  shift 2
  rm -f "$report"
  (cd "$folder" && PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest --junitxml="$report" "$@") ||
    status=$?
  count_pytest "$report"
  return "$status"
}

count_pytest() {
  local tests bad left_out
  if [[ ! -s $1 ]]; then
    failed=$((failed + 1))
    return
  fi
  tests=$(attribute tests "$1")
  bad=$(($(attribute failures "$1") + $(attribute errors "$1")))
  left_out=$(attribute skipped "$1")
  passed=$((passed + tests - bad - left_out))
  skipped=$((skipped + left_out))
  failed=$((failed + bad))
}

attribute() { sed -nE "0,/<testsuite /s/.*<testsuite [^>]* $1=\"([0-9]+)\".*/\1/p" "$2" | head -n 1; }

# run_node FILE: JavaScript tests, beside a fleet of their own.
run_node() {
  local log=$results/${1##*/}.log status=0 good bad
  "$python" -B "$clients/fleet.py" --instances 2 node --test --test-reporter=tap "$1" \
    >"$log" 2>&1 || status=$?
  good=$(sed -nE 's/^# pass ([0-9]+)$/\1/p' "$log")
  bad=$(sed -nE 's/^# fail ([0-9]+)$/\1/p' "$log")
  passed=$((passed + ${good:-0}))
  failed=$((failed + ${bad:-1}))
  if ((status)); then
    cat "$log"
  else
    printf '%s: %s passed\n' "${1##*/}" "${good:-0}"
  fi
  return "$status"
}

# Every JavaScript test. Clients that cannot be installed are one failure, which hides no other.
run_javascript() {
  local file status=0
  if ! prepare_javascript; then
    failed=$((failed + 1))
    return 1
  fi
  for file in "$clients"/javascript/*.test.mjs; do
    run_node "$file" || status=1
  done
  return "$status"
}

say_counts() {
  ((skipped == 0)) || note "$skipped skipped, counted neither way; pytest -rs says why"
  printf '%d passed, %d failed\n' "$passed" "$failed"
}
