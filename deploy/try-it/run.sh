#!/bin/sh
# The whole deployment on this machine: a coordinator and hospitals A and B, over loopback, in the new folder try-it/.
# mmfed's commands must be on PATH: export PATH="$PWD/.venv/bin:$PATH". Usage: run.sh [FOLDER] [PORT]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir "${1:-try-it}" && cd "${1:-try-it}"
cp "$here/study.toml" .

# the coordinator: keys, a kit a hospital, the study as hospitals approve it
mmfed-server provision A B --address "127.0.0.1:${2:-8443}"
mmfed-server submit study.toml --check

# the hospitals: kit, data, decision, features. A person would edit sites/A/site.toml, and leave out --yes
mkdir sites && cp -r coordinator/kits/A coordinator/kits/B sites/
python "$here/hospitals.py" sites
for site in A B; do
  mmfed-client --site $site check study.json
  mmfed-client --site $site approve study.json --yes --person "Dr. Ada Example"
  mmfed-client --site $site prepare
done

# all take part at once; elsewhere each has a terminal or a service of its own
trap 'kill $started 2>/dev/null || true; wait' EXIT
mmfed-server up > up.log 2>&1 & started=$!
until grep -q '"event": "up"' up.log; do kill -0 $started || { cat up.log; exit 1; }; sleep 1; done
for site in A B; do
  mmfed-client --site $site > $site.log 2>&1 & started="$started $!"
done
mmfed-server submit study.toml --wait 2> run.log || { cat run.log; exit 1; }
mmfed-client --site A predict --list
