#!/usr/bin/env bash
# Run a command with the cluster of the tests up, and end the cluster whatever happens:
#   slurm/testbed/with.sh COMMAND...
# Its exit status is the command's. A cluster that was up before is used and left up.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

"$here/install.sh"
if ! is_up; then trap '"$here/down.sh"' EXIT; fi
trap 'exit 130' INT
trap 'exit 143' TERM HUP
eval "$("$here/up.sh" || echo exit 1)"
"$@"
