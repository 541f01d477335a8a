"""The wheel in an environment and a folder that have nothing of the checkout: it trains, draws and reports."""

import os
import subprocess
import zipfile

from tests.conftest import QUICK, ROOT, TINY

SWEEP = ("-m", "alpha.value=1,100", "width.h=4,8", "seed=ensemble", "seed.members=2", "output_dir=results")
JOB = tuple(one for one in (*TINY, *QUICK) if not one.startswith(("alpha", "width")))


def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"feature_lazy", "hydra_plugins"}
    conf = {name.removeprefix("feature_lazy/conf/") for name in names if name.startswith("feature_lazy/conf/")}
    files = {str(path.relative_to(ROOT / "conf")) for path in (ROOT / "conf").rglob("*.yaml")}
    assert conf == files
    for name in ("systems.yaml", "ntk/experiment.yaml", "linear_models/experiment.yaml"):
        assert f"feature_lazy/systems/{name}" in names


def test_it_trains_draws_and_reports_in_an_empty_folder(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def call(*arguments, status=0):
        command = [str(installed / "feature-lazy"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    where = [str(installed / "python"), "-c", "import feature_lazy; print(feature_lazy.__file__)"]
    home = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert str(ROOT) not in home
    assert "loss=mse" in call("train", "--help", "loss=mse")
    call("train", *SWEEP[:1], *JOB, *SWEEP[1:])
    assert "8 runs in 4 jobs, 8 runs already done" in call("train", *SWEEP[:1], *JOB, *SWEEP[1:])
    assert "done" in call("status", "results")
    assert "feature-lazy reproduce ntk" in call("systems")
    assert "size=huge: ntk has the sizes laptop, paper" in call("reproduce", "ntk", "size=huge", status=1)
    call("figures", "results")
    assert list((tmp_path / "results" / "figures").glob("*.png"))
    call("report", "results")
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert "vega" in page
    assert "kernel change ‖Θ − Θ₀‖/‖Θ₀‖" in page
