"""What a job has left to do, answered from the files alone and without PyTorch."""

from feature_lazy.cells import Cell, cells
from feature_lazy.config import Config
from feature_lazy.runs import Run
from feature_lazy.store import Store


def finished_runs(store: Store, wanted: list[Cell]) -> dict[str, Run]:
    """The complete runs among some cells by run id, each checked in full.

    Raises:
        StoreError: a damaged run; it is named before anything is trained.
    """
    runs = {cell.run_id: store.load(cell.run_id) for cell in wanted if store.is_done(cell.run_id)}
    for run in runs.values():
        run.verify()
    return runs


def pending(config: Config) -> list[Cell]:
    """The cells of a job that are not done.

    Raises:
        StoreError: a damaged run.
    """
    wanted = cells(config)
    done = finished_runs(Store(config.output_dir), wanted)
    return [cell for cell in wanted if cell.run_id not in done]
