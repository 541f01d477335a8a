"""What is pinned, as command lines; nothing of the project is imported, so its modules may move.

Cases are never changed or taken away: what they train is stored in people's results folders. New ones may be added.
"""

from itertools import chain

SETS = ("mnist", "fashion_mnist", "kmnist", "emnist_letters", "emnist_balanced", "cifar10", "cifar10_colour")
LAWS = ("teacher_student", "stripe", "sparse_parity", "spheres")
SINKS = ("wandb", "jsonl", "tensorboard", "trackio")

PATTERNS = "dataset=custom dataset.target=pinned_code.patterns"
NET = "architecture=custom architecture.target=pinned_code.Net"
CLASSES = "labels=classes loss=cross_entropy"
GREY = "dataset=mnist5k architecture=cnn"
_LESS = "dataset.n_train=40 dataset.n_test=200"
PAIRS = f"labels=pairs labels.minus=[3] labels.plus=[5] {_LESS}"
REGRESSION = "labels=regression loss=mse"
TRACKER = "tracking=custom tracking.target=pinned_code.Tracker"

_sizes = ("dataset.n_train=40", "dataset.n_test=200", "dataset.seed=1")
_images = (*_sizes, f"dataset.classes=[1,2] {_LESS}", "dataset.pca.components=5")
_anything = ("dynamics.max_steps=9", "dynamics.time_budget=9", "dynamics.precision_tol=1e-2")
_flow = (
    *_anything,
    "dynamics.stepper=rk32",
    "dynamics.stepper=rkc2",
    "dynamics.tolerance=1e-3",
    "dynamics.dt_init=0.5",
    "dynamics.dt_floor=1e-9",
    "dynamics.t_end=2",
)
_minibatch = (
    *_anything,
    "dynamics.lr=0.3",
    "dynamics.units=article",
    "dynamics.batch=8",
    "dynamics.batch_seed=1",
    "dynamics.updates=9",
    "dynamics.check_every=3",
)
_several = ("wandb.mode=online", "wandb.project=p", "wandb.entity=e", "wandb.group=g", "wandb.tags=[a]")

OPTIONS = {
    "dataset=digits": _images,
    "dataset=mnist5k": _images,
    "dataset=mnist1d": _images,
    **{f"dataset={name}": (*_images, "dataset.root=elsewhere") for name in SETS},
    **{f"dataset={name}": (*_sizes, "dataset.dim=20") for name in LAWS},
    "dataset=teacher_student ": ("dataset.hidden=3",),
    "dataset=stripe ": ("dataset.interfaces=[0]", "dataset.interfaces=[-0.5,0.25,1]"),
    "dataset=sparse_parity ": ("dataset.order=2",),
    "dataset=spheres ": ("dataset.shells=4",),
    PATTERNS: (*_sizes, "dataset.kwargs={seed:3}", "dataset.kwargs={count:80,seed:1}"),
    "labels=parity": (),
    f"labels=one_vs_rest {_LESS}": ("labels.positive=2",),
    PAIRS: ("labels.minus=[1,2] labels.plus=[4,8]",),
    "labels=random": ("labels.seed=1",),
    REGRESSION: (),
    CLASSES: (),
    "labels=classes loss=mse": ("loss.target=2", "dataset.classes=[1,2,3] dataset.n_train=300 dataset.n_test=201"),
    "architecture=fully_connected": (
        "architecture.depth=2",
        "architecture.bias=0.1",
        "architecture.authors_output_bias=true",
    ),
    GREY: ("architecture.blocks=1", "width=geometric width.growth=2"),
    "dataset=cifar10 architecture=wide_resnet": ("architecture.depth=10", "width.h=2"),
    NET: ("architecture.kwargs={width:5}", "architecture.kwargs={width:${width.h}}"),
    **{f"parametrisation={name}": () for name in ("ntk", "mean_field", "mup", "standard")},
    "activation=softplus": ("activation.beta=2",),
    **{f"activation={name}": () for name in ("relu", "tanh", "erf")},
    "loss=soft_hinge": ("loss.beta=2",),
    "loss=hinge": (),
    "loss=quadratic_hinge": ("loss.margin_tol=0.1",),
    "loss=mse": ("loss.target=1.1", "loss.margin_tol=0.1"),
    "dynamics=gradient_flow": (
        *_flow,
        "dynamics.stepper=article",
        "dynamics.stepper=tangent",
        "dynamics.eps_gradient=1e-3",
        "dynamics.eps_output=0.2",
        "dynamics.controller=smooth",
    ),
    "dynamics=momentum_flow": (*_flow, "dynamics.c=1e-2", "dynamics.kappa=10"),
    "dynamics=frozen_kernel": (*_flow, "dynamics.stepper=tangent", *(f"dynamics.{x}" for x in ("at=end", "time=2"))),
    "dynamics=linearised": (),
    "dynamics=sgd": _minibatch,
    "dynamics=adam": (*_minibatch, "dynamics.eps=1e-6"),
    "alpha=rescaled": ("alpha.value=1e-3", "alpha.value=10"),
    "alpha=raw": ("alpha.value=1", "alpha.value=3"),
    "width=uniform": ("width.h=30",),
    "width=geometric": ("width.h=30", "width.growth=0.5", "width.growth=1.5"),
    "seed=single": ("seed.value=7",),
    "seed=ensemble": ("seed.members=5", "seed.first=4"),
    "observe=log": (
        "observe.per_decade=2",
        "observe.first=1e-2",
        "observe.n_test=100",
        "observe.kernel.probe=0",
        "observe.kernel.every=3",
        "observe.kernel.layers=true",
        "observe.kernel.eigenvalues=4",
        "observe.kernel.final=false",
        "observe.kernel.matrices=true",
    ),
    "observe=times observe.times=[0.1,1]": ("observe.times=[1]", "observe.times=[0.5,1.5,10]"),
    "tracking=none": (),
    **{f"tracking={name}": ("tracking.ensemble=mean",) for name in SINKS},
    "tracking=wandb ": tuple(
        f"tracking.{change.removeprefix('wandb.')}" for change in (*_several, "artifacts=[outputs.safetensors]")
    ),
    "tracking=trackio ": ("tracking.project=p",),
    TRACKER: ("tracking.ensemble=mean", "tracking.kwargs={folder:x}"),
    "tracking=several": (
        "tracking.sinks=[jsonl]",
        "tracking.sinks=[custom] tracking.custom.target=pinned_code.Tracker",
        *(f"tracking.{change}" for change in (*_several, "wandb.artifacts=[outputs.safetensors]")),
        *(f"tracking.{name}.ensemble=mean" for name in SINKS),
        "tracking.trackio.project=p",
        "tracking.custom.ensemble=mean",
        "tracking.custom.kwargs={folder:x}",
    ),
    "": (
        "centred=false",
        "dtype=float32",
        "device=cuda",
        "threads=2",
        "memory_limit=2GiB",
        "checkpoint_every=10",
        "checkpoint_margin=5",
        "output_dir=elsewhere",
    ),
}
"""Every option with what makes it valid → changes of its keys, each once; a space sets an option's own keys apart."""

IDS = {
    " ".join(words): tuple(words)
    for option, changes in OPTIONS.items()
    for words in chain([option.split()], ([*option.split(), *change.split()] for change in changes))
}
"""Name → overrides of all jobs whose run ids are pinned."""

SMALL = (
    "dataset.n_train=20",
    "dataset.n_test=20",
    "width.h=8",
    "observe.per_decade=1",
    "observe.n_test=20",
    "observe.kernel.probe=6",
    "threads=1",
)

COMMAND = (
    "dataset=digits",
    "architecture=fully_connected",
    "dynamics=gradient_flow",
    "alpha.value=1,10",
    "width.h=8",
    "seed=ensemble",
    "tracking=wandb",
    *(one for one in SMALL if not one.startswith("width")),
    "architecture.depth=2",
    "seed.members=2",
    "dynamics.stepper=article",
    "dynamics.eps_gradient=1e-2",
)
"""The command that users send to a cluster, at small size: ``train.py -m hydra/launcher=slurm_gpu`` and these."""
_DEEP = (*SMALL, "architecture.depth=2")
_ENDS = (*_DEEP, "dynamics.t_end=3")
_QUICK = (*_DEEP, "alpha.value=10", "dynamics.stepper=article", "dynamics.eps_gradient=1e-2")
_UPDATES = (*_DEEP, "dynamics.updates=25", "dynamics.batch=6")
DONE = (*_QUICK, "seed.value=3")
STOPPED = (*_ENDS, "seed.value=4")
BUDGET = "dynamics.max_steps=7"
"""Stops ``STOPPED`` on its way."""

SCHEMA1 = (*(one for one in _QUICK if "n_test" not in one), "dataset.n_test=20", "observe.per_decade=2")
SCHEMA1 = (*SCHEMA1, "observe.kernel.probe=10")
"""What the runs of ``tests/data/schema1`` were trained with."""

HISTORIES = {
    "auto": (*_DEEP, "alpha.value=3"),
    "auto, lazy": (*_DEEP, "alpha.value=1e3"),
    "auto, feature": (*_DEEP, "alpha.value=1e-2", "dynamics.t_end=50"),
    "article": _QUICK,
    "article, smooth": (*_QUICK, "dynamics.controller=smooth"),
    "rk32": (*_ENDS, "dynamics.stepper=rk32"),
    "rkc2": (*_ENDS, "dynamics.stepper=rkc2"),
    "tangent": (*_DEEP, "dynamics.stepper=tangent", "alpha.value=100"),
    "momentum_flow": (*_ENDS, "dynamics=momentum_flow", "dynamics.c=0.1"),
    "momentum_flow, rk32": (*_ENDS, "dynamics=momentum_flow", "dynamics.c=0.5", "dynamics.stepper=rk32"),
    "momentum_flow, rkc2": (*_ENDS, "dynamics=momentum_flow", "dynamics.c=0.05", "dynamics.stepper=rkc2"),
    "frozen_kernel, start": (*_DEEP, "dynamics=frozen_kernel"),
    "frozen_kernel, end": (*_DEEP, "dynamics=frozen_kernel", "dynamics.at=end", "alpha.value=10"),
    "frozen_kernel, time": (*_ENDS, "dynamics=frozen_kernel", "dynamics.at=time", "dynamics.time=0.5"),
    "linearised, rk32": (*_ENDS, "dynamics=linearised", "dynamics.stepper=rk32"),
    "sgd": (*_UPDATES, "dynamics=sgd"),
    "sgd, article": (*_UPDATES, "dynamics=sgd", "dynamics.units=article", "dynamics.check_every=2"),
    "adam": (*_UPDATES, "dynamics=adam"),
    "adam, article": (*_UPDATES, "dynamics=adam", "dynamics.units=article", "dynamics.batch_seed=1"),
    "soft_hinge, beta": (*_ENDS, "loss.beta=3"),
    "hinge": (*_UPDATES, "dynamics=sgd", "loss=hinge", "dynamics.lr=0.3"),
    "quadratic_hinge": (*_DEEP, "loss=quadratic_hinge", "alpha.value=10", "loss.margin_tol=0.1"),
    "mse": (*_ENDS, "loss=mse"),
    "mse, target": (*_ENDS, "loss=mse", "loss.target=1.1", "alpha.value=10"),
    "classes, cross_entropy": (*_ENDS, *CLASSES.split()),
    "classes, mse": (*_ENDS, "labels=classes", "loss=mse", "loss.target=2", "observe.kernel.layers=true"),
    "regression": (*_ENDS, *REGRESSION.split(), "alpha.value=10"),
    "pairs": (*PAIRS.split(), *_ENDS),
    "one_vs_rest": (*_ENDS, "labels=one_vs_rest", "dataset.n_train=18", "dataset.n_test=18"),
    "random": (*_ENDS, "labels=random", "labels.seed=2"),
    "softplus, beta": (*_ENDS, "activation.beta=1"),
    **{name: (*_ENDS, f"activation={name}") for name in ("relu", "tanh", "erf")},
    **{name: (*_ENDS, f"parametrisation={name}") for name in ("mean_field", "mup", "standard")},
    "cnn": (*SMALL, *GREY.split(), "width.h=2", "architecture.blocks=1", "dynamics.t_end=1"),
    "wide_resnet": (
        *(*SMALL, "dataset=mnist5k", "dataset.n_train=4", "dataset.n_test=4", "observe.kernel.probe=2"),
        *("architecture=wide_resnet", "architecture.depth=10", "width.h=1", "dynamics=sgd", "dynamics.updates=2"),
    ),
    "bias": (*_ENDS, "architecture.bias=0.1"),
    "bias, authors": (*_ENDS, "architecture.bias=0.1", "architecture.authors_output_bias=true"),
    "own network and data": (*SMALL, *PATTERNS.split(), *NET.split(), "dynamics.t_end=3", "dataset.kwargs={seed:1}"),
    "mnist1d": (*_ENDS, "dataset=mnist1d", "dataset.seed=3"),
    "mnist5k, pca": (*_ENDS, "dataset=mnist5k", "dataset.pca.components=4", "dataset.classes=[3,5]"),
    **{name: (*_ENDS, f"dataset={name}", "dataset.dim=7") for name in LAWS},
    "centred=false": (*_ENDS, "centred=false"),
    "float32": (*_ENDS, "dtype=float32"),
    "kernel": (
        *(*_ENDS, "observe.kernel.layers=true", "observe.kernel.eigenvalues=3"),
        *("observe.kernel.matrices=true", "observe.kernel.every=2"),
    ),
    "times": (*_ENDS, "observe=times", "observe.times=[0.3,1]", "observe.kernel.final=false"),
    "no kernel": (*_ENDS, "observe.kernel.probe=0", "observe.n_test=8"),
    "ensemble": (*_ENDS, "seed=ensemble", "seed.members=2", "seed.first=5"),
    "geometric": (*_ENDS, "width=geometric", "width.growth=1.5"),
    "raw": (*_ENDS, "alpha=raw", "alpha.value=0.3"),
    "stopped": STOPPED,
}
"""Name → overrides of the jobs that are trained."""

BITS = ("article", "auto, lazy", "rkc2", "momentum_flow", "frozen_kernel, time", "adam", "kernel", "ensemble")
BITS = (*BITS, "own network and data", "classes, cross_entropy")
"""Those that ``benchmarks/two_commits.py`` trains."""

TRACKED = {
    "members": (*_QUICK, "tracking=wandb", "tracking.tags=[pinned,small]", "tracking.project=pins"),
    "mean": (*_QUICK, "seed=ensemble", "seed.members=2", "tracking=wandb", "tracking.ensemble=mean"),
}
"""Jobs whose names in W&B are pinned."""
