# What a job runs before Python starts, by `setup: [source $FEATURE_LAZY_SOURCE/slurm/env.sh]` in slurm/site.yaml; it is
# frozen with the rest of the source. Jobs start in the folder that the command was given in. Change it for your cluster. Python itself is the one that submitted: its environment
# must lie on a file system that the nodes see.

# module purge && module load cuda        # only if the nodes need it; PyTorch brings its own CUDA

# Caches on the node, not in a home directory with a quota.
scratch=${SCRATCH:-${TMPDIR:-/tmp}}
export TORCHINDUCTOR_CACHE_DIR=$scratch/torchinductor_$USER
export MPLCONFIGDIR=$scratch/matplotlib_$USER

# Data sets that were fetched beforehand: feature-lazy data fetch mnist --root FOLDER
# export FEATURE_LAZY_DATA=/project/data/feature_lazy

# As many threads as the job has cores.
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
