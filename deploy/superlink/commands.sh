#!/bin/sh
# What `mmfed-server up` runs, for those who supervise with something else (systemd, a container engine).
# Usage: commands.sh superlink|superexec FOLDER RUNS      FOLDER as written by `mmfed-server provision`
# Both must be restarted whenever they end. Sites are registered once: flwr supernode register keys/A.pub mmfed --name A
set -eu
part=$1 folder=$(cd "$2" && pwd) runs=$3
port=$(sed -n 's/^port = //p' "$folder/coordinator.toml")
export FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1 FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1
export RAY_USAGE_STATS_ENABLED=0 FLWR_SUPEREXEC_TASK_POLL_INTERVAL=0.5
export FLWR_HOME="$folder/flower/$part" MMFED_RUNS="$runs"
mkdir -p "$FLWR_HOME"
case $part in
superlink)
  exec flower-superlink --host 127.0.0.1 --port "$port" \
    --ssl-ca-certfile "$folder/ca.crt" --ssl-certfile "$folder/server.crt" --ssl-keyfile "$folder/server.key" \
    --enable-supernode-auth --database "$folder/flower/state.db" --disable-runtime-dependency-installation \
    --isolation process --superexec-auth-secret-file "$folder/superexec.secret" ;;
superexec)
  exec flower-superexec --runtime-api-address "127.0.0.1:$port" --root-certificates "$folder/ca.crt" \
    --superexec-auth-secret-file "$folder/superexec.secret" ;;
*)
  echo "expected superlink or superexec, got $part" >&2
  exit 2 ;;
esac
