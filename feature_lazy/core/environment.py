"""What is recorded of the environment of a process: an allow-list, so that no secret ever is."""

import os

ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_CLUSTER_NAME",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_ID",
    "SLURM_JOB_NAME",
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_NODELIST",
    "SLURM_RESTART_COUNT",
)
"""The only environment variables that are ever recorded: none of them holds a secret."""


def environment() -> dict[str, str]:
    """The environment variables that say where a process ran."""
    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
