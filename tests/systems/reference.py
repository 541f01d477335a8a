"""Reference values of the systems, and tables of runs that follow planted laws."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from feature_lazy.study.table import H, X
from tests.conftest import ROOT


def reference(name):
    """What ``tests/data/systems/make.py`` makes, as tensors where it is numbers."""
    found = json.loads((ROOT / "tests" / "data" / "systems" / f"{name}.json").read_text(encoding="utf-8"))
    return {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in found.items()}


def planted(*columns, widths=(64, 256, 1024), alphas=(10.0,), seeds=5, outcome="t_end"):
    """A table of runs; each column is (name, function of h, α and a number of the seed), kept along two times."""
    random = np.random.default_rng(0)
    rows = []
    for alpha in alphas:
        for seed in range(seeds):
            luck = random.normal(0, 0.02)
            for h in widths:
                own = {name: law(h, alpha) * np.exp(luck + random.normal(0, 0.02)) for name, law in columns}
                history = {name: np.array([value, value / 2]) for name, value in own.items()}
                place = {H: h, X: np.sqrt(h) * alpha, "alpha": alpha, "seed": seed, "outcome": outcome}
                rows.append({**place, **own, "run": SimpleNamespace(history=history)})
    return pd.DataFrame(rows)
