#!/bin/sh
# Prolog and Epilog of slurmd: tells the collector which boards a job got, and when it gave them back.
#
# In: the variables that slurmd sets. Out: one new file in the spool folder, with one line. slurm.conf:
#
#   Prolog=/etc/slurm/tokenergy-hook.sh
#   Epilog=/etc/slurm/tokenergy-hook.sh
#   PrologFlags=Alloc,Contain
#
# From a prolog or epilog of your own, call it by its path; it needs no arguments. It never fails a job:
# whatever happens, it exits with 0, after 5 seconds at most. Put the folder on a local disk. A folder
# that is missing is not made, so a node without a collector needs no other slurm.conf.

PATH=${PATH:-/usr/bin:/bin}
export PATH
spool=${TOKENERGY_SLURM_SPOOL:-/var/spool/tokenergy-slurm}

# The limit is outside of all the work: `timeout` runs this file again, with a word that says so.
if [ "${1:-}" != --within-limit ]; then
  timeout -k 1 4 /bin/sh "$0" --within-limit </dev/null >/dev/null 2>&1
  exit 0
fi

time=$(date +%s.%N) || exit 0
[ -d "$spool" ] || exit 0
case ${SLURM_JOB_ID:-} in '' | *[!0-9]*) exit 0 ;; esac
case ${SLURM_SCRIPT_CONTEXT:-} in
  prolog*) event=prolog ;;
  epilog*) event=epilog ;;
  *) exit 0 ;;
esac

# Sets `line` to itself, a tab and `name=value`. A value with a tab, a line end or another control
# character would be taken for further fields.
add() {
  [ -n "$2" ] || return 0
  value=$2
  case $value in
    *[[:cntrl:]]*) value=$(printf %s "$value" | tr '[:cntrl:]' ' ') ;;
  esac
  line="$line	$1=$value"
}

line="tokenergy-slurm-1	event=$event	time=$time	job=$SLURM_JOB_ID"
add gpus "${SLURM_JOB_GPUS:-}"
add visible "${CUDA_VISIBLE_DEVICES:-}"
add restart "${SLURM_JOB_RESTART_COUNT:-${SLURM_RESTART_COUNT:-}}"
add uid "${SLURM_JOB_UID:-}"
add user "${SLURM_JOB_USER:-}"
add account "${SLURM_JOB_ACCOUNT:-}"
add partition "${SLURM_JOB_PARTITION:-}"
add nodes "${SLURM_JOB_NUM_NODES:-}"
add array_job "${SLURM_ARRAY_JOB_ID:-}"
add array_task "${SLURM_ARRAY_TASK_ID:-}"
add het_job "${SLURM_HET_JOB_ID:-}"
add name "${SLURM_JOB_NAME:-}"
add shards "${SLURM_SHARDS_ON_NODE:-}"
add mps_percent "${CUDA_MPS_ACTIVE_THREAD_PERCENTAGE:-}"
add cluster "${SLURM_CLUSTER_NAME:-}"
add node "${SLURMD_NODENAME:-}"

# Only a file that is not there yet is written (-C), so a link that someone put there is never
# followed; one write makes the line, and the collector leaves a file alone until its line is whole.
umask 027
set -C
printf '%s\tend\n' "$line" > "$spool/$time-$SLURM_JOB_ID-$event-$$.event"
exit 0
