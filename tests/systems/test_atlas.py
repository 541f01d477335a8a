"""The atlas: what is written of the systems comes from their table and from what was measured."""

import re

from benchmarks.atlas import PAGE, PICTURES, load, page, verdict
from feature_lazy.systems.table import LAPTOP, REPLICATION, systems


def test_the_page_comes_from_the_table_and_the_record():
    assert PAGE.read_text(encoding="utf-8") == page(load())


def test_every_system_is_measured_with_its_replication_and_drawn():
    record = load()
    assert set(record) == {system.folder for system in systems()}
    for system in systems():
        entry = record[system.folder]
        assert set(entry) == {LAPTOP, REPLICATION}
        for rows in entry.values():
            # A law that several kinds of runs show has a row for each.
            assert list(dict.fromkeys(row["name"] for row in rows)) == [claim.law for claim in system.laws]
            assert all(re.fullmatch(r"-?\d+\.\d+ ± \d+\.\d+", row["measured"]) for row in rows)
        assert (PICTURES / f"{system.folder}.png").stat().st_size > 5000


def test_what_does_not_come_out_is_said_in_words():
    """Of a law that does not agree in one of the sweeps, or that stands in the place of the paper's; of no other."""
    record = load()
    for system in systems():
        weaker = system.state != "claim" or verdict(record[system.folder]) != "agrees"
        assert bool(system.note) == weaker, system.folder
        assert not system.note or system.note.endswith(".")


def test_verdict_of_several_laws():
    def entry(*verdicts):
        return {LAPTOP: [{"verdict": one} for one in verdicts], REPLICATION: [{"verdict": verdicts[0]}]}

    assert verdict(entry("agrees", "agrees")) == "agrees"
    assert verdict(entry("agrees", "differs")) == "see there"
    assert verdict(None) == "not measured"
