#!/usr/bin/env bash
# End the cluster that up.sh started: its jobs first, then its daemons, by their process ids and names.
set -uo pipefail
. "$(dirname "$0")/common.sh"

[ -e "$SLURM_CONF" ] || exit 0
quiet() { [ -z "$(timeout 10 squeue -h)" ]; }
if answers; then
  timeout 10 scancel --user="$(id -un)" 2>/dev/null
  timeout 10 scancel --user="$(id -un)" --signal=KILL --full 2>/dev/null
  wait_for 10 quiet
fi
stop_all
