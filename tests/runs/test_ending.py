"""A run that ends while somebody looks at it: it trains, or is done, whichever of its files were read before."""

import itertools
import os

from feature_lazy.runs.history import History
from feature_lazy.runs.store import Store
from feature_lazy.runs.survey import RunState, survey
from tests.runs.conftest import ARRAYS, DESCRIPTION, HISTORY_ROWS, RUN, SUMMARY
from tests.runs.test_flaky import READS


def look(monkeypatch, root, k):
    """Survey a folder whose only run ends before the k-th answer: its state, and whether it had ended by then."""
    left, inside = k, False
    with Store(root).claim([RUN]) as claims, monkeypatch.context() as patch:
        run = claims.runs[RUN]
        run.begin(DESCRIPTION, History())
        for row in HISTORY_ROWS:
            run.observe(row)

        def counting(real):
            def call(path=".", *arguments, **options):
                nonlocal left, inside
                if not inside and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(root)):
                    left -= 1
                    if left == -1:
                        inside = True
                        run.finish(SUMMARY, ARRAYS, {"wall_seconds": 1.5})
                        inside = False
                return real(path, *arguments, **options)

            return call

        for name in READS:
            patch.setattr(os, name, counting(getattr(os, name)))
        [entry] = survey(root).entries
    return entry.state, left < 0


def test_a_run_that_ends_while_it_is_looked_at(tmp_path, monkeypatch):
    seen = []
    for k in itertools.count():
        state, ended = look(monkeypatch, tmp_path / str(k), k)
        if not ended:
            break
        seen.append(state)
    assert len(seen) > 5
    assert {*seen} == {RunState.DONE, RunState.RUNNING}
    assert seen == sorted(seen)  # it ends the later, the fewer see it
