#!/usr/bin/env bash
# Start a SLURM cluster for the tests on this machine; README.md says what it is. Prints the line to evaluate:
#   eval "$(slurm/testbed/up.sh)"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

registered() { sacctmgr -n -P show cluster format=cluster,controlport | grep -q '^feature_lazy_testbed|[1-9]'; }
finish() {
  echo "testbed: SLURM is up in $run; $here/down.sh ends it" >&2
  echo "export SLURM_CONF=$SLURM_CONF"
  exit 0
}

[ -z "$(missing)" ] || fail "no $(missing) here; run $here/install.sh"
mkdir -p "$run"
[ -O "$run" ] || fail "$run belongs to somebody else; name another folder by SLURM_TESTBED_DIR"
run=$(cd "$run" && pwd)
export SLURM_CONF=$run/slurm.conf
if is_up; then finish; fi
if [ -e "$SLURM_CONF" ]; then
  "$here/down.sh" # what is left of a start that failed or was killed
elif [ -n "$(ls -A "$run")" ]; then
  fail "$run holds other files; name an empty folder by SLURM_TESTBED_DIR"
fi

# Daemons cannot be told an address to listen on: they take the one that the host name stands for.
host=$(hostname -s)
address=$(getent ahostsv4 "$host" | awk 'NR == 1 { print $1 }')
[ -n "$address" ] || fail "host name $host has no address; add the line '127.0.1.1 $host' to /etc/hosts"
case $address in
127.*) ;;
*) echo "testbed: host name $host stands for $address, so the daemons listen there and not on loopback" >&2 ;;
esac
for offset in 0 1 2 3; do
  if (: >"/dev/tcp/$address/$((port + offset))") 2>/dev/null; then
    fail "port $((port + offset)) is in use; name the first of four free ports by SLURM_TESTBED_PORT"
  fi
done

rm -rf "${run:?}"/*
chmod 755 "$run"
mkdir -p "$run"/{state,log,dev} "${nodes[@]/#/$run/spool/}"
mkdir -m 700 "$run/db"
touch "$SLURM_CONF" # from here on down.sh knows this folder
trap 'status=$?; trap - EXIT; stop_all; echo "testbed: not started; logs are in $run/log" >&2; exit $status' EXIT
trap 'exit 130' INT TERM HUP

# Control groups of version 1, where this user may make some: a job over its memory then ends OUT_OF_MEMORY, and
# signals reach the task alone. Otherwise processes are followed by their parents: it ends FAILED.
probe=feature_lazy_probe_$$
if mkdir "/sys/fs/cgroup/freezer/$probe" "/sys/fs/cgroup/memory/$probe" 2>/dev/null; then
  PROCTRACK=proctrack/cgroup TASK=task/cgroup GATHER=jobacct_gather/cgroup GATHER_PARAMETERS=
else
  PROCTRACK=proctrack/linuxproc TASK=task/none GATHER=jobacct_gather/linux
  GATHER_PARAMETERS=JobAcctGatherParams=OverMemoryKill
fi
rmdir "/sys/fs/cgroup/freezer/$probe" "/sys/fs/cgroup/memory/$probe" 2>/dev/null || true
cat >"$run/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainRAMSpace=yes
CONF

# SLURM sets CUDA_VISIBLE_DEVICES only for character devices: twins of /dev/null, or what everybody has.
if mknod "$run/dev/gpu0" c 1 3 2>/dev/null && mknod "$run/dev/gpu1" c 1 3 2>/dev/null; then
  gpus="$run/dev/gpu[0-1]"
else
  gpus='/dev/tty[0-1]'
fi
echo "NodeName=${nodes[0]},${nodes[1]} Name=gpu File=$gpus" >"$run/gres.conf"

fill() { # TEMPLATE: with the values of this start
  sed -e "s|@USER@|$(id -un)|g; s|@HOST@|$host|g; s|@ADDRESS@|$address|g; s|@RUN@|$run|g" \
    -e "s|@PORT_SLURMCTLD@|$port|; s|@PORT_SLURMDBD@|$((port + 1))|" \
    -e "s|@PORT_NODE1@|$((port + 2))|g; s|@PORT_NODE2@|$((port + 3))|g" \
    -e "s|@PROCTRACK@|$PROCTRACK|; s|@TASK@|$TASK|; s|@GATHER@|$GATHER|; s|@GATHER_PARAMETERS@|$GATHER_PARAMETERS|" "$1"
}
(umask 077 && fill "$here/slurmdbd.conf" >"$run/slurmdbd.conf")
fill "$here/slurm.conf" >"$SLURM_CONF"

head -c 1024 /dev/urandom >"$run/munge.key"
chmod 600 "$run/munge.key"
launch munged munged --foreground --socket="$run/munge.socket" --key-file="$run/munge.key" \
  --pid-file="$run/munged.own.pid" --log-file="$run/log/munged.log" --seed-file="$run/munge.seed"

# The data base has no port: its socket lies in a folder that nobody else may enter.
database=(mariadbd --no-defaults --user="$(id -un)" --datadir="$run/db" --innodb-buffer-pool-size=32M
  --innodb-log-file-size=4M --innodb-flush-log-at-trx-commit=0)
tables=/usr/share/mysql
{
  printf 'create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @skip_auth_anonymous=1;\n'
  cat "$tables/mysql_system_tables.sql" "$tables/mysql_system_tables_data.sql"
} | "${database[@]}" --bootstrap >"$run/log/tables.out" 2>&1
launch mariadbd "${database[@]}" --socket="$run/db/socket" --skip-networking --skip-log-bin --performance-schema=OFF \
  --innodb-lock-wait-timeout=900
wait_for 30 test -S "$run/db/socket" || fail "the data base did not start"

MYSQL_UNIX_PORT=$run/db/socket launch slurmdbd slurmdbd -D
wait_for 30 sacctmgr -n show cluster || fail "slurmdbd did not start"
launch slurmctld slurmctld -D
wait_for 30 answers || fail "slurmctld did not start"
for node in "${nodes[@]}"; do launch "slurmd@$node" slurmd -D -N "$node"; done
wait_for 30 ready || fail "the nodes did not come up"
wait_for 30 registered || fail "slurmctld did not reach slurmdbd"
touch "$run/up"
trap - EXIT
finish
