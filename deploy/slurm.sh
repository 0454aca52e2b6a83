#!/bin/bash
# One search on several Slurm nodes: Ray's head and the search on the first, a Ray worker on each of the others.
#   sbatch --nodes 3 deploy/slurm.sh --space moe --data /shared/data --storage /shared/results
# Before the time limit Slurm sends SIGTERM to this script, which passes it to the search: finished epochs are saved,
# and --resume continues. `scancel --batch --signal=TERM JOB` does the same.
#SBATCH --job-name=vision-tuner
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=0
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

# srun does not take it over from sbatch.
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
patience=300
port=$((20000 + SLURM_JOB_ID % 20000))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname -i | awk '{print $1}')
# A token for this job alone; nodes that lack it are not let in.
umask 077
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(python -c 'import secrets; print(secrets.token_hex(32))')}

# Slurm kills 30 s after SIGTERM, which Ray would otherwise spend waiting.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
# Ray on all nodes in a folder that no other user can open; Ray opens its own, one below, to all. The name is short: the
# path of a socket has at most 107 bytes.
folder=$(mktemp -u /tmp/ray-XXXXXX)
export folder
start() {
  mkdir -p -m 700 "$folder"
  if ! [ -O "$folder" ]; then
    echo "$folder on $(hostname) belongs to another user." >&2
    return 1
  fi
  trap 'rm -rf "$folder"' EXIT
  # Removed when Ray has ended, not before.
  trap : TERM
  ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" "$@"
}
export -f start

nodes_up() { ray status --address "$address:$port" 2> /dev/null | grep -c ' node_' || true; }
# A worker gives up where the port answers, but the node behind it is not up yet.
head_is_up() { (: < "/dev/tcp/$address/$port") 2> /dev/null && [ "$(nodes_up)" -ge 1 ]; }
all_nodes_are_up() { [ "$(nodes_up)" -eq "$SLURM_JOB_NUM_NODES" ]; }

# Until the command succeeds; false after $patience seconds. Without Ray's head the job ends.
wait_until() {
  local end=$((SECONDS + patience))
  until "$@"; do
    if ! kill -0 "$ray_head" 2> /dev/null; then
      echo "Ray's head on $head has ended; its messages are above." >&2
      exit 1
    fi
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 1
  done
}

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  bash -c "start --head --temp-dir=$folder/r --node-ip-address=$address --port=$port --dashboard-host=127.0.0.1 \
    --dashboard-port=$((port + 20000))" &
ray_head=$!
if ! wait_until head_is_up; then
  echo "Ray's head on $head is not up at $address:$port after $patience seconds." >&2
  exit 1
fi
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
    bash -c "start --address=$address:$port" &
fi
if ! wait_until all_nodes_are_up; then
  echo "$(nodes_up) of $SLURM_JOB_NUM_NODES nodes are up after $patience seconds; the search starts with these." >&2
fi

# Not a step: signals to the steps reach Ray alone, and this one is for the search alone.
python -m tuner.search --address "$address:$port" "$@" &
search=$!
trap 'kill -TERM "$search" 2> /dev/null || true' TERM
# A signal ends a wait before the search has ended.
while kill -0 "$search" 2> /dev/null; do wait "$search" || true; done
# Its status is that of the job; Slurm then ends Ray on all nodes.
wait "$search"
