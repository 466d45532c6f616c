"""What `scontrol show job -d` of Slurm 22.05 prints, with what varies."""

ANSWER = """\
JobId={id} {array}JobName={name}
   UserId=ada(1001) GroupId=ada(1001) MCS_label=N/A
   Priority=4294901755 Nice=0 Account=(null) QOS=(null)
   JobState={state} Reason=None Dependency=(null)
   Requeue=1 Restarts={restarts} BatchFlag=1 Reboot=0 ExitCode=0:0
   DerivedExitCode=0:0
   RunTime=00:00:02 TimeLimit=01:00:00 TimeMin=N/A
   SubmitTime=2026-01-15T08:00:00 EligibleTime=2026-01-15T08:00:00
   AccrueTime=2026-01-15T08:00:00
   StartTime=2026-01-15T08:00:01 EndTime={end} Deadline=N/A
   SuspendTime=None SecsPreSuspend=0 LastSchedEval=2026-01-15T08:00:01 Scheduler=Main
   Partition=main AllocNode:Sid=localhost:25242
   NodeList=n1
   BatchHost=n1
   NumNodes={nodes} NumCPUs=1 NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
   TRES=cpu=1,node=1,billing=1
   JOB_GRES={job_gres}
     Nodes=n1 CPU_IDs=1 Mem=0 GRES={gres}
   MinCPUsNode=1 MinMemoryNode=100M MinTmpDiskNode=0
   Command=/home/ada/j.sh 30
   WorkDir=/home/ada
   TresPerNode=gres:gpu:1
{comment}
"""
NODE = """\
NodeName=n1 Arch=x86_64 CoresPerSocket=16
   CPUAlloc=0 CPUEfctv=16 CPUTot=16 CPULoad=1.76
   Gres={gres}
   NodeAddr=127.0.0.1 NodeHostName=n1 Version=22.05.8
"""
NO_JOB = "slurm_load_jobs error: Invalid job id specified\n"


def answer(job_id="17", **changed):
    values = {
        "id": job_id,
        "array": "",
        "name": "train",
        "state": "RUNNING",
        "restarts": 0,
        "end": "2026-01-15T09:00:01",
        "nodes": 1,
        "job_gres": "gpu:h100:1",
        "gres": "gpu:h100:1(IDX:1)",
        "comment": "",
    }
    return ANSWER.format(**{**values, **changed})


class Scontrol:
    """Answers as scontrol does; `jobs` by id, None for a job that Slurm has forgotten."""

    def __init__(self, gres="gpu:h100:4,shard:h100:16"):
        self.jobs, self.asked, self.fails = {}, [], None
        self.gres = gres

    def __call__(self, words):
        self.asked.append(tuple(words[1:]))
        if self.fails is not None:
            raise self.fails
        if words[2] == "node":
            return 0, NODE.format(gres=self.gres)
        found = self.jobs.get(words[-1])
        return (1, NO_JOB) if found is None else (0, found)
