"""All laws of a sweep through one court: what each needs, what was measured, and the verdict."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import pandas as pd

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.words import meant
from feature_lazy.measure.quantities import who_records
from feature_lazy.study import law as registry
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.joined import joined
from feature_lazy.study.law import ARTICLE, KINDS, Joined, Law
from feature_lazy.study.verdict import CANNOT_TELL, Reading, judged

NEEDS = {"kernel_change": "a kernel change (observe.kernel.probe)", "t_half": "a half-loss time t½"}
"""What a column is called where no run has it."""
CONTRASTS = "What kinds of runs differ in"
JOINED = "Runs that differ in one key"


def laws(table: pd.DataFrame, *, across: str = "") -> list[Reading]:
    """What the sweep says about every law; what its grid cannot show is there too, with what it lacks.

    The ranges of √h·α are those of ``regimes``. A table of several depths or numbers of training patterns
    (``read(…, mixed=("L",))``) has each law for each of them, and those that join them.

    Args:
        table: runs of one kind.
        across: which laws, see ``Law``.
    """
    for column in ("L", "P") if not across else ():
        if column in table and table[column].nunique() > 1:
            groups = table.groupby(column)
            rows = [
                replace(one, name=f"{one.name}, {column} = {value:g}") for value, part in groups for one in laws(part)
            ]
            return [*rows, *laws(table, across=column)]
    return _said([law for law in registry.declared() if law.across == across], table)


def pairs(table: pd.DataFrame) -> list[Reading]:
    """The laws of a whole folder that join runs which differ in one key."""
    return _said([law for law in registry.declared() if isinstance(law.across, Joined)], table)


def _said(chosen: Iterable[Law], table: pd.DataFrame) -> list[Reading]:
    return [row for law in chosen for row in readings(law, table) if not (law.quiet and row.estimate is None)]


contrasts: Callable[[pd.DataFrame], list[Reading]] = partial(laws, across=KINDS)
"""The laws of a whole folder: what its kinds of runs differ in, and what that ought to matter."""


def of_folder(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Reading]]:
    """The laws of each kind of runs by its name (``table.parts``), then ``CONTRASTS`` and ``JOINED`` if any."""
    found = {name: laws(table) for name, table in tables.items()}
    whole = pd.concat(tables.values(), ignore_index=True) if tables else pd.DataFrame()
    more = {CONTRASTS: contrasts(whole), JOINED: pairs(whole)} if tables else {}
    return found | {title: rows for title, rows in more.items() if rows}


def readings(law: Law, table: pd.DataFrame) -> list[Reading]:
    """What one law has to say of a table: nothing, or a reading or several, with its name and its paper.

    A law from outside that fails says so in its reading.
    """
    if law.outcomes:
        table = table[table["outcome"].isin(law.outcomes)]
    if not isinstance(law.across, Joined):
        return _read(law, table)
    return [replace(row, name=row.name + kind) for kind, part in joined(table, law.across) for row in _read(law, part)]


def _read(law: Law, table: pd.DataFrame) -> list[Reading]:
    """What one law has to say of runs, or pairs, of one kind that count."""
    if law.outcomes and table.empty:
        return [_signed(law, _silent(f"needs runs that ended as {' or '.join(law.outcomes)}"))]
    missing = [name for name in law.needs if name not in table or table[name].isna().all()]
    if missing:
        needs = ", ".join(
            NEEDS.get(name, f"the column {name}, which no run has{_how(name, table)}") for name in missing
        )
        return [_signed(law, _silent(f"needs {needs}"))]
    try:
        found = law(table)
        if found is None or isinstance(found, Estimate):
            expected = law.expected if law.expected is not None else float("nan")
            found = judged(expected, found, lacks=law.lacks)
        rows = [found] if isinstance(found, Reading) else list(found)
    except Exception as error:
        if not law.foreign:
            raise
        why = str(error) if isinstance(error, FeatureLazyError) else f"{type(error).__name__}: {error}"
        rows = [replace(_silent(f"could not be measured ({why})"), failed=True)]
    return [_signed(law, row) for row in rows]


def _how(column: str, table: pd.DataFrame) -> str:
    """What to ask for so that runs have a column; of one that nothing records, those that are near it."""
    if recorded := who_records(column):
        return f" (observe/also=[{recorded[1]}])" if recorded[1] else ""
    return "" if column in table else meant(column, table).replace(" Did", ": did")


def _silent(why: str) -> Reading:
    return Reading("–", why, CANNOT_TELL)


def _signed(law: Law, row: Reading) -> Reading:
    where = "; ".join(filter(None, (law.where, row.where)))
    return replace(row, name=row.name or law.name, where=where, paper=law.paper)


def source(row: Reading) -> str:
    """Where a law stands, as a person reads it: with the paper, if that is not the article."""
    return row.where if row.paper == ARTICLE else ", ".join(filter(None, (f"arXiv:{row.paper}", row.where)))
