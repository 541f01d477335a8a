"""Which α a boundary search asks for, and how sure its answer is, on curves whose crossing is known."""

import math

import numpy as np
import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.boundary import Ask, Found, Lost, Target, decide
from feature_lazy.launch.boundary.crossing import half_width, members

STAR = 11.4
TARGET = Target(level=1.0, low=1.0, high=1e3, resolution=0.2)
GRID = 1 + math.ceil(math.log(1e3) / 0.2)


def bend(u):
    """Exponent −1 in the lazy regime and −1.5 in the other, as on digits; 0 at u = ln(α/α*) = 0."""
    return -u + 0.5 * (np.logaddexp(0, -(u + 1)) - np.logaddexp(0, -1))


CURVES = {
    "bend": bend,
    "straight": lambda u: -u,
    "flat far away": lambda u: -3 * np.tanh(u),
    "steep far away": lambda u: -u - u**3 / 4,
    "one-sided": lambda u: 1 - np.exp(u),
    "corner": lambda u: -u - 2 * (np.logaddexp(0, 3 * (u - 0.3)) - np.logaddexp(0, -0.9)) / 3,
}


def noiseless(curve, star=STAR):
    """Two seeds as far on one side as on the other, by nearly nothing."""
    return lambda alpha: curve(np.log(alpha / star)) + np.array([-1e-9, 1e-9])


def noisy(random, seeds=5, sd=0.1):
    """Seeds that differ in height and slope, and from run to run, as networks that share w₀ do."""
    height, tilt = sd * random.standard_normal(seeds), sd / 10 * random.standard_normal(seeds)
    return lambda alpha: bend(u := np.log(alpha / STAR)) + height + tilt * u + sd / 20 * random.standard_normal(seeds)


def search(curve, target=TARGET, points=(), rounds=40):
    """Ask until there is an answer: the answer, and all points."""
    points = dict(points)
    for _ in range(rounds):
        state = decide(points, target)
        if not isinstance(state, Ask):
            return state, points
        points |= {alpha: curve(alpha) for alpha in state.alphas}
    pytest.fail("no end")


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("star", [1.001, 3.3, STAR, 700.0])
def test_every_curve_is_crossed_with_few_points(name, star):
    found, points = search(noiseless(CURVES[name], star))
    assert isinstance(found, Found)
    assert found.error <= TARGET.resolution / 2
    # Of nearly nothing, the error of the error may be as much.
    assert abs(math.log(found.alpha / star)) <= found.error + TARGET.resolution / 100
    # Where the curve is nearly straight, a tenth of the grid and the bracket; else at most two bisections.
    assert len(points) <= (4 if name in ("bend", "straight") else 2 * math.log2(GRID) + 2)


def test_jump_is_found_by_halving():
    def jump(u):
        return np.where(u < 0, 1e-3 - u * 1e-3, -8 - u)  # a line through both sides crosses next to one of them

    _, points = search(noiseless(jump, 500.0), Target(1.0, 1.0, 1e3, 0.02))
    assert len(points) <= 2 * math.log2(math.log(1e3) / 0.02)  # two steps for each halving


def test_boundary_of_the_article_takes_a_tenth_of_the_grid():
    counts = [len(search(noiseless(bend, star))[1]) for star in np.geomspace(3, 300, 50)]
    assert np.mean(counts) <= GRID / 7
    fine = Target(level=1.0, low=1.0, high=1e3, resolution=0.05)
    counts = [len(search(noiseless(bend, star), fine)[1]) for star in np.geomspace(3, 300, 50)]
    assert max(counts) <= (1 + math.log(1e3) / 0.05) / 10


def test_interval_holds_the_crossing_in_95_of_100_searches():
    random = np.random.default_rng(0)
    found = [search(noisy(random))[0] for _ in range(600)]
    inside = np.mean([abs(math.log(one.alpha / STAR)) <= one.error for one in found])
    # 0.95 ± 3 standard deviations of a mean of 600; above by what the interpolation may add, a quarter at most.
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / 600) <= inside <= 0.99
    assert np.mean([one.error for one in found]) <= 1.25 * np.mean([one.seeds for one in found])


def test_more_alpha_are_not_asked_for_where_only_seeds_would_help():
    found, points = search(noisy(np.random.default_rng(1), sd=1.0))
    assert 2 * found.error > TARGET.resolution
    assert len(points) <= 6
    n = members(found, TARGET)
    # That many seeds, as far apart as these: what is between them is the factor of half_width.
    many = np.resize(found.shifts, n) * found.shifts.std(ddof=1) / np.resize(found.shifts, n).std(ddof=1)
    assert half_width(many) + found.bend <= TARGET.resolution / 2


@pytest.mark.parametrize("star", [0.02, 4e4])
def test_bracket_that_misses_the_crossing_is_left_a_decade_at_a_time(star):
    found, points = search(noiseless(bend, star))
    assert isinstance(found, Found)
    assert abs(math.log(found.alpha / star)) <= found.error
    assert min(points) > star / 10 or min(points) == TARGET.low
    assert max(points) < star * 10 or max(points) == TARGET.high


@pytest.mark.parametrize(("star", "side", "key", "last"), [(1e-5, "below", "low", 1e-3), (1e8, "above", "high", 1e6)])
def test_crossing_out_of_reach_is_named(star, side, key, last):
    lost, points = search(noiseless(bend, star))
    assert isinstance(lost, Lost)
    assert last in points
    assert f"it is {side} the level at every α that was tried" in lost.why
    assert f"at alpha.value={last:.4g}; set another hydra.sweeper.{key}" in lost.why


def test_curve_that_rises_is_named():
    lost, _ = search(lambda alpha: -noiseless(bend)(alpha))
    assert isinstance(lost, Lost)
    assert "it does not fall from low to high" in lost.why
    assert "at alpha.value=1 and" in lost.why
    assert "at 1000" in lost.why


def test_noise_beside_the_level_is_no_rise():
    rows = {1.0: [2, 2.1], 10.0: [-0.01, 0.009], 11.0: [0.01, -0.009], 100.0: [-2, -2.1]}
    assert not isinstance(decide({a: np.array(y) for a, y in rows.items()}, TARGET), Lost)


def test_what_is_known_is_used_first():
    curve = noiseless(bend)
    known = {alpha: curve(alpha) for alpha in (5.0, 9.0, 20.0)}
    _, points = search(curve, points=known)
    assert not {TARGET.low, TARGET.high} & set(points)
    assert decide({5.0: curve(5.0)}, TARGET) == Ask((TARGET.high,))
    assert decide({50.0: curve(50.0)}, TARGET) == Ask((TARGET.low,))
    assert decide({2e4: curve(2e4), 3e4: curve(3e4)}, TARGET) == Ask((TARGET.low,))
    assert decide({0.5: curve(0.5)}, TARGET) == Ask((TARGET.high,))


def test_interrupted_search_asks_for_the_same_again():
    curve, target = noiseless(CURVES["one-sided"], 30.0), Target(1.0, 1.0, 1e3, 0.01)
    end, points = search(curve, target)
    order = list(points)
    assert len(order) >= 5
    for n in range(2, len(order)):
        assert decide(dict(list(points.items())[:n]), target) == Ask((order[n],))
        again, _ = search(curve, target, list(points.items())[:n])
        assert (again.alpha, again.error) == (end.alpha, end.error)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"level": 0.0}, r"hydra\.sweeper\.level=0\.0: must be greater than 0"),
        ({"low": math.nan}, r"hydra\.sweeper\.low=nan: must be greater than 0"),
        ({"high": math.inf}, r"hydra\.sweeper\.high=inf: must be greater than 0, and finite"),
        ({"resolution": -0.1}, r"hydra\.sweeper\.resolution=-0\.1"),
        ({"low": 10.0, "high": 10.0}, r"hydra\.sweeper\.low=10\.0: must be less than hydra\.sweeper\.high=10\.0"),
    ],
)
def test_numbers_that_make_no_search_are_refused(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Target(**{"level": 1.0, "low": 1.0, "high": 1e3, "resolution": 0.2, **change})
