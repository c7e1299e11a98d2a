#!/usr/bin/env bash
# sbatch slurm.sh config.yaml
# Every task of the job trains the same model; submit it again to resume from the last checkpoint.
#SBATCH --job-name=layercli
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail
config=$1
run=runs/${SLURM_JOB_NAME:-layercli}

if [ -z "${SLURM_PROCID:-}" ] || [ -z "${LAYERCLI_TASK:-}" ]; then # the batch script itself: start one task on each node
  export LAYERCLI_TASK=1 LAYERCLI_PORT=$((20000 + SLURM_JOB_ID % 20000))
  exec srun --kill-on-bad-exit=1 bash "$0" "$config"
fi

workers=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:$LAYERCLI_PORT\"/" | paste -sd, -)
export TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
if [ -e "$run/manifest.json" ]; then
  exec layercli train --resume "$run"
else
  exec layercli train "$config" --run-dir "$run"
fi
