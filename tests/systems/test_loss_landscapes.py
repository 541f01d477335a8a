"""Loss landscapes: the criteria beside a dense Hessian's, and their laws on planted sweeps."""

import pytest
import torch

from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.kernels.lanczos import density
from feature_lazy.measure.landscape import plane
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import read
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.loss_landscapes import claim
from tests.conftest import QUICK, TINY
from tests.study.conftest import sweep
from tests.systems.reference import planted, reference

OTHERS = (claim.ends_on_test, claim.ends_on_noisy, claim.negative_on_test, claim.negative_on_noisy)
LAWS = (claim.falls, *OTHERS, claim.along_axes)


def test_equals_central_differences_of_the_gradient():
    known = reference("loss_landscapes")
    net = FullyConnected(3, [known["h"]], scaled(Erf()))
    alpha, f0 = torch.tensor([known["alpha"]], dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64)
    curvature = Curvature(net, known["weights"][None], known["x"], known["y"], Mse(), alpha, f0)
    found = density(curvature.hessian, known["start"][None], len(known["weights"]))
    # Differences are good to step² = 1e-8; K adds roots of λw, also of those that are next to 0.
    assert float(found.ends) == pytest.approx(known["re"], rel=1e-6)
    assert float(found.negativity()) == pytest.approx(known["khn"], rel=1e-3)
    assert float(plane(curvature, "hessian", 1e-3, 3).curvatures[0]) == pytest.approx(known["lambda_1"], rel=1e-4)


def table(*, falls=0.5, test=1.2, noisy=2.0, off=1e-6, monkeypatch=None):
    """Criteria on other patterns over those on training patterns; planted histories are halved by the end."""
    monkeypatch.setattr(claim, "off_axes", lambda run: off)
    columns = []
    for name in claim.WHAT:
        columns += [(f"{name}{end}", lambda h, alpha, r=r: r) for end, r in (("", 1.0), ("_test", test))]
        columns += [(f"{name}_noisy", lambda h, alpha: noisy)]
    found = planted(*columns, widths=(15,), seeds=6)
    for run in found["run"]:
        curve = run.history[claim.ENDS]
        run.history[claim.ENDS] = curve[0] * torch.tensor([1, 0.6, falls]).numpy()
    return found


def verdicts(found):
    return [row.verdict for one in LAWS for row in readings(one, found)]


def test_planted_laws(monkeypatch):
    assert verdicts(table(falls=0.1, monkeypatch=monkeypatch)) == [AGREES] * 6
    wrong = table(falls=0.5, test=0.8, noisy=0.5, off=1e-2, monkeypatch=monkeypatch)
    assert verdicts(wrong)[:5] == [DIFFERS] * 5
    same = table(falls=0.1, test=1.0, noisy=1.0, monkeypatch=monkeypatch)
    assert verdicts(same)[1:5] == [CANNOT_TELL] * 4


def test_a_plane_off_its_eigenvalue_is_told(monkeypatch):
    for off, verdict in ((1e-6, AGREES), (1e-2, DIFFERS)):
        found = table(off=off, monkeypatch=monkeypatch)
        assert [row.verdict for row in readings(claim.along_axes, found)] == [verdict]


def test_axes_of_stored_runs(tiny, tmp_path):
    """Curvature along them is their eigenvalue; a run without weights says nothing."""
    both = ("seed=ensemble", "seed.members=2", "activation=tanh", "loss=mse", "dynamics.t_end=1")
    train_config(tiny(*TINY, *QUICK, *both, "observe.weights=ends"))
    found = [claim.off_axes(run) for run in read(tmp_path / "results")["run"]]
    assert max(found) < 1e-4
    train_config(tiny(*TINY, *QUICK, *both, f"output_dir={tmp_path / 'bare'}"))
    assert all(off != off for off in map(claim.off_axes, read(tmp_path / "bare")["run"]))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_other_sweeps_do_not_hear_of_it(law):
    assert law.name not in {row.name for row in laws(sweep())}
