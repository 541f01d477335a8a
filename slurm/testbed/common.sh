# Read by up.sh and down.sh: where the cluster of the tests lives, and how to end what was started there.
PATH=$PATH:/usr/sbin:/sbin # the daemons' folder, which a user's or CI's path may lack
temporary=/dev/shm # in memory, where it has room for a data base
if ! [ -w "$temporary" ] || [ "$(df --output=size -k "$temporary" | tail -n 1)" -lt 262144 ]; then
  temporary=${TMPDIR:-/tmp}
fi
run=${SLURM_TESTBED_DIR:-$temporary/feature_lazy_testbed_$(id -u)}
port=${SLURM_TESTBED_PORT:-16817} # the first of four
# Control groups are called after their node: two clusters on one machine must not share a name.
nodes=("testbed$((port + 2))" "testbed$((port + 3))")
export SLURM_CONF=$run/slurm.conf

fail() {
  echo "testbed: $*" >&2
  exit 1
}

wait_for() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt "$end" ] || return 1
    sleep 0.1
  done
}

missing() { # the first command of the cluster that is not here
  local command
  for command in munged slurmctld slurmd slurmdbd mariadbd sbatch sacct; do
    command -v "$command" >/dev/null || { echo "$command" && return; }
  done
}

answers() { timeout 10 scontrol ping 2>/dev/null | grep -q 'is UP'; }

ready() { [ "$(sinfo -h -N -p main -t idle,mixed,allocated,completing -o %N | wc -l)" = ${#nodes[@]} ]; }

is_up() { [ -e "$run/up" ] && answers && ready; }

# A zombie counts as gone: whoever is process 1 here may reap late, or never.
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

launch() { # NAME COMMAND...: a daemon in the background, its process id in NAME.pid
  local name=$1
  shift
  setsid "$@" >>"$run/log/$name.out" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
}

running() { # NAME: process id of a daemon, if it is one still and not another process under its old id
  local id
  id=$(cat "$run/$1.pid" 2>/dev/null) && [ -n "$id" ] || return 1
  ! gone "$id" && [ "$(cat "/proc/$id/comm" 2>/dev/null)" = "${1%@*}" ] && echo "$id"
}

stop() { # NAME
  local id
  id=$(running "$1") || return 0
  kill "$id" 2>/dev/null || return 0
  wait_for 5 gone "$id" || kill -9 "$id" 2>/dev/null || true
}

cgroups() { # the daemons' control groups, deepest first
  local node
  for node in "${nodes[@]}"; do
    find /sys/fs/cgroup -maxdepth 2 -type d -name "slurm_$node" -exec find {} -depth -type d \; 2>/dev/null
  done
}

stop_jobs() { # kill what jobs left behind where no slurmctld could cancel them
  local group id process
  for group in $(cgroups); do
    for id in $(cat "$group/cgroup.procs" 2>/dev/null); do kill -9 "$id" 2>/dev/null; done
  done
  for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm" 2>/dev/null)" = slurmstepd ] || continue
    cat "$process/environ" 2>/dev/null | tr '\0' '\n' | grep -qxF "SLURM_CONF=$SLURM_CONF" || continue
    id=${process#/proc/}
    for id in $(cat "$process/task/$id/children" 2>/dev/null) "$id"; do kill -9 "$id" 2>/dev/null; done
  done
  return 0
}

stop_all() {
  local name node
  for node in "${nodes[@]}"; do stop "slurmd@$node"; done
  stop_jobs
  for name in slurmctld slurmdbd mariadbd munged; do stop "$name"; done
  cgroups | while read -r group; do rmdir "$group" 2>/dev/null; done
  rm -f "$run/up"
}
