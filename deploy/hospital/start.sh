#!/bin/sh
# Take part as one hospital, and start again if the SuperNode ends on its own. Usage: start.sh SITE [SITE-FILE]
# Bad input (exit code 2) is not tried again. Ctrl-C or SIGTERM end it.
set -u
site=$1 file=${2:-sites/$1/site.toml}
trap 'kill "$child" 2>/dev/null; wait "$child"; exit 0' INT TERM
while :; do
  mmfed-client --site "$site" --config "$file" &
  child=$!
  wait "$child"
  code=$?
  [ "$code" -eq 2 ] && exit 2
  echo "mmfed-client ended with exit code $code; again in 10 s" >&2
  sleep 10
done
