"""Sweeps with planted laws for the article's figures: many kinds of runs, stored without training."""

import hashlib
import itertools

import numpy as np

from feature_lazy.runs.store import Store
from tests.runs.conftest import save

Y = np.array([1.0, -1.0] * 8)
FEATURE, LAZY, WEIGHTS, CROSSOVER = -1.5, -1.0, -0.25, 11.0
XS = tuple(10.0 ** np.arange(-3, 6))
FLOW = {"kind": "gradient_flow", "stepper": "auto"}
ARTICLE = {"kind": "gradient_flow", "stepper": "article"}


def plant(root, *, widths=(30, 100, 300), xs=XS, seeds=3, config=None, kernel=True, outcome="converged", **columns):
    """Store runs of one kind: kernel change bends from FEATURE to LAZY at √h·α = 1, Var F is 1/h."""
    config = {
        "dynamics": FLOW,
        "architecture": {"kind": "fully_connected"},
        "loss": {"kind": "soft_hinge", "beta": 20.0},
        **(config or {}),
    }
    kind = {
        **{"dataset": "fashion_mnist", "labels": "parity", "P": 40, "architecture": "fully_connected", "L": 3},
        **{"parametrisation": "ntk", "activation": "softplus", "loss": "soft_hinge"},
        **{"dynamics": config["dynamics"]["kind"], **columns},
    }
    for h, x, seed in itertools.product(widths, xs, range(seeds)):
        _one(root, config, {**kind, "h": h, "alpha": x / h**0.5, "sqrt_h_alpha": x, "seed": seed}, kernel, outcome)
    return root


def _one(root, config, columns, kernel, outcome):
    h, x, seed = columns["h"], columns["sqrt_h_alpha"], columns["seed"]
    name = hashlib.sha256(repr((config, columns)).encode()).hexdigest()[:16]
    rng = np.random.default_rng([h, seed, int(1e6 * config["dynamics"].get("eps_gradient", 0))])
    t_half = 3.3 * min(x, 1.0)
    t = t_half * np.array([0.0, 1e-3, 0.01, 0.1, 1.0, 2.0, 10.0])
    size = {"output/df_rms": t / t_half, "output/f_rms": 1 + t / t_half, "output/alpha_df_rms": x * t / h**0.5}
    loss = {"train/loss": 2.0 ** (-t / t_half)}
    rows = [{"t": float(s), **{k: float(v[i]) for k, v in (size | loss).items()}} for i, s in enumerate(t)]
    summary = {
        **{"outcome": outcome, "t_half": t_half, "train/unfit": 0.0 if outcome == "converged" else 1.0},
        **{"gradients": 100, "weights/change": x ** (LAZY if x > 1 else WEIGHTS) / h**0.5},
        "test/error": 0.05 + 1 / h + 0.01 * (x < 10) + 1e-3 * seed,
        **{f"preactivations/W{layer}/speed": (layer + 1) / x for layer in range(columns["L"] + 1)},
        **({"kernel/change_test": x ** (LAZY if x > 1 else FEATURE) * CROSSOVER} if kernel else {}),
    }
    outputs = {"F_test": Y + rng.standard_normal(len(Y)) / h**0.5, "y_test": Y}
    if config.get("observe", {}).get("kernel", {}).get("matrices"):
        theta = np.outer(Y, Y) + 2
        outputs |= {"theta_start": np.eye(len(Y)) + 1, "theta_end": theta}
    description = {"config": config, "columns": columns, "provenance": {}}
    save(Store(root), run_id=name, description=description, rows=rows, summary=summary, outputs=outputs)


def everything(root):
    """All kinds of runs that the article's figures ask for, in one folder; the first is the kind with most runs."""
    few, mid = (1e-2, 1.0, 1e4), (1e-1, 1e2)
    plant(root)
    plant(root, widths=(10, 20, 40), xs=few)
    plant(root, widths=(10, 20, 40), xs=(1.0,), config={"dynamics": {"kind": "frozen_kernel", "at": "start"}})
    plant(root, widths=(10, 20, 40), xs=mid, P=20, seeds=2, kernel=False)
    plant(root, dataset="mnist", P=60, widths=(30, 100), xs=few, seeds=2)
    plant(root, dataset="mnist pca10", widths=(30,), xs=mid, seeds=2)
    plant(root, dataset="cifar10", widths=(30,), xs=mid, seeds=2)
    for kind in ("fully_connected", "cnn"):
        adam = {"dynamics": {"kind": "adam"}}
        plant(root, dataset="cifar10", widths=(30,), xs=mid, seeds=2, config=adam, architecture=kind, loss="hinge")
    for beta in (20.0, 10.0):
        plant(
            root,
            dataset="emnist_letters",
            widths=(30,),
            xs=mid,
            seeds=2,
            config={"loss": {"kind": "soft_hinge", "beta": beta}},
        )
    plant(root, L=9, widths=(30,), xs=mid, seeds=2)
    for at in ("start", "end"):
        dynamics = {"dynamics": {"kind": "frozen_kernel", "at": at}}
        plant(root, widths=(30, 100), xs=(1e-2,), seeds=2, activation="relu", config=dynamics)
        plant(root, widths=(30, 100), xs=(1e-2,), seeds=2, activation="relu", config=dynamics, architecture="cnn")
    plant(root, widths=(30, 100), xs=XS, seeds=2, activation="relu")
    plant(root, widths=(30, 100), xs=(1e-2,), seeds=2, activation="relu", architecture="cnn")
    plant(
        root,
        widths=(1,),
        xs=(1.0,),
        seeds=1,
        config={"observe": {"kernel": {"matrices": True}}},
        dataset="cifar10_colour",
    )
    for eps in (1e-4, 1e-6):
        plant(root, widths=(30,), xs=few, seeds=2, config={"dynamics": {**ARTICLE, "eps_gradient": eps}})
    plant(root, widths=(30,), xs=mid, seeds=2, config={"centred": False})
    plant(root, widths=(30,), xs=mid, seeds=2, config={"architecture": {"kind": "fully_connected", "bias": 0.1}})
    return root
