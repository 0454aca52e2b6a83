#!/bin/bash
# One search on several Slurm nodes: Ray's head and the search on the first, a Ray worker on each of the others.
#   sbatch --nodes 3 deploy/slurm.sh --space moe --data /shared/data --storage /shared/results
# Before the time limit Slurm sends SIGTERM: finished epochs are saved, and --resume continues.
#SBATCH --job-name=vision-tuner
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=0
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
set -euo pipefail

port=$((20000 + SLURM_JOB_ID % 20000))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname -i | awk '{print $1}')
# A password for this job alone; nodes that lack it are not let in.
umask 077
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(python -c 'import secrets; print(secrets.token_hex(32))')}

start() { ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" "$@"; }
export -f start
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  bash -c "start --head --node-ip-address=$address --port=$port --dashboard-host=127.0.0.1" &
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  sleep 15
  srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
    bash -c "start --address=$address:$port" &
fi

until ray status --address "$address:$port" > /dev/null 2>&1; do sleep 2; done
exec srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  python -m tuner.search --address "$address:$port" "$@"
