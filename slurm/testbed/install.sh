#!/usr/bin/env bash
# Install what the cluster of the tests needs from Debian's packages, where it is missing. Nothing of it is started.
set -euo pipefail
. "$(dirname "$0")/common.sh"

host=$(hostname -s)
if ! getent ahostsv4 "$host" >/dev/null; then
  [ -w /etc/hosts ] || fail "host name $host has no address; as root, add the line '127.0.1.1 $host' to /etc/hosts"
  echo "127.0.1.1 $host" >>/etc/hosts
fi
if [ -z "$(missing)" ]; then exit 0; fi
packages=(slurmctld slurmd slurm-client munge slurmdbd mariadb-server-core)
command -v apt-get >/dev/null || fail "no $(missing) and no apt-get here; install SLURM with slurmdbd, munge and MariaDB"
[ "$(id -u)" = 0 ] || fail "no $(missing) here; as root: apt-get install --no-install-recommends ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { apt-get install -y -qq --no-install-recommends "${packages[@]}"; }
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2 && return 1; }; }
# Lists of packages may be missing or old: then they are brought here, and it is tried once more.
install >"$log" 2>&1 || { quietly apt-get update -qq && quietly install; } || fail "apt-get could not install SLURM"
[ -z "$(missing)" ] || fail "installed, and still there is no $(missing)"
