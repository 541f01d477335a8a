"""Training on a SLURM cluster: what a job runs, how jobs are packed and submitted, and what SLURM says of them.

``snapshot`` freezes the source, ``packing`` deals cells out to jobs and arrays, ``submit`` hands them to submitit,
``task`` is what runs in a job, ``submissions`` remembers which job trains which run, ``queue`` asks SLURM, and
``follow`` waits; ``campaign`` is all of it in order. The launcher in ``hydra_plugins`` and the commands ``status``,
``retry`` and ``cancel`` stand on these.
"""
