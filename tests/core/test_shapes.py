"""The rules of shape, each alone: what every reader of a stranger's folder takes, and how it names what it does not."""

import pytest

from feature_lazy.core.shapes import ANYTHING, FLAG, NOTHING, NUMBER, OBJECT, SCALAR, TEXT, WHOLE, Items, Record

DEEP = []
for _ in range(40):
    DEEP = [DEEP]
RUN = Record({"id": TEXT, "h": NUMBER}, {"note": TEXT | NOTHING, "seeds": Items(WHOLE)})


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (NUMBER, 1.5),
        (NUMBER, -(2**63)),
        (WHOLE, 2**63 - 1),
        (TEXT, "√hα"),
        (FLAG, False),
        (NOTHING, None),
        (SCALAR, True),
        (Items(TEXT), []),
        (ANYTHING, {"a": [1, None, {"b": "c"}]}),
        (OBJECT, {}),
        (RUN, {"id": "a", "h": 1}),
        (RUN, {"id": "a", "h": 1, "note": None, "seeds": [1, 2]}),
    ],
)
def test_what_fits(shape, value):
    assert shape.misfit(value) == ""


@pytest.mark.parametrize(
    ("shape", "value", "why"),
    [
        (NUMBER, True, "it is not a finite number"),
        (NUMBER, "1", "it is not a finite number"),
        (NUMBER, float("inf"), "it is not a finite number"),
        (NUMBER, float("nan"), "it is not a finite number"),
        (NUMBER, 2**63, "it is not a finite number"),
        (NUMBER, -(10**400), "it is not a finite number"),
        (WHOLE, 1.0, "it is not a whole number"),
        (WHOLE, False, "it is not a whole number"),
        (TEXT, "\ud800", "it is not a text"),
        (TEXT, 1, "it is not a text"),
        (FLAG, 0, "it is not true or false"),
        (NOTHING, "", "it is not null"),
        (SCALAR, [], "it is not null"),
        (Items(TEXT), "text", "it is not a list"),
        (Items(TEXT), ["a", 1], "it[1] is not a text"),
        (ANYTHING, {"a": [float("nan")]}, "it is not a value"),
        (ANYTHING, {"\udfff": 1}, "it is not a value"),
        (ANYTHING, DEEP, "it is not a value"),
        (OBJECT, [], "it is not an object"),
        (OBJECT, {"a": {1, 2}}, "a is not a value"),
        (RUN, {"h": 1}, "it lacks id"),
        (RUN, {"id": "a", "h": 1, "more": 1}, "more is unknown"),
        (RUN, {"id": "a", "h": 1, "seeds": [1, 2.5]}, "seeds[1] is not a whole number"),
        (RUN, {"id": "a", "h": 1, "note": 3}, "note is not"),
        (RUN, {"id": "a", "h": 1, "\ud800": 3}, "a key is not a text"),
        (Record({"run": RUN}), {"run": {"id": 1, "h": 1}}, "run.id is not a text"),
        (Record({"run": RUN}), {"run": None}, "run is not an object"),
    ],
)
def test_what_does_not_is_named(shape, value, why):
    assert shape.misfit(value).startswith(why)
