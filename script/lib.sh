# What the scripts share. Sourced, not run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools="$top/target/tools"
suites="$top/target/suites"
# The venv comes last: it holds tools for when the machine has none.
export PATH="$PATH:$HOME/.cargo/bin:$tools/bin"

# step NAME COMMAND...: runs a step under a heading and says how long it took.
step() {
  local name=$1 began=$SECONDS status=0
  shift
  printf '\n==== %s\n' "$name"
  "$@" || status=$?
  if [ "$status" -eq 0 ]; then
    printf -- '---- %s: done in %ds\n' "$name" $((SECONDS - began))
  else
    printf -- '---- %s: FAILED with status %d after %ds\n' "$name" "$status" $((SECONDS - began)) >&2
  fi
  return "$status"
}

has() { command -v "$1" >/dev/null 2>&1; }

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The folder with initdb and postgres, newest version first; empty when there is none.
postgres_bin() {
  local dir
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin | sort -rV); do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && { echo "$dir"; return; }
  done
  if has initdb && has postgres; then dirname "$(command -v initdb)"; fi
}
