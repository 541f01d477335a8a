"""The report in a real browser: the marks are there, a click shows a cell, and nothing is asked of any network."""

import math
import re

import pytest

from feature_lazy.runs.reading import ERROR
from feature_lazy.study.laws import laws
from feature_lazy.study.report import write_report
from feature_lazy.study.table import read
from feature_lazy.study.verdict import CANNOT_TELL
from tests.study.chromium import Browser, needs_chromium
from tests.study.stored_sweeps import BOUNDARY, XS, ask, columns, name, plant, planted_error

pytestmark = needs_chromium
WIDTHS = (30, 100)
PHASES = ("phase/kernel", "phase/error", "phase/best")
HOSTILE = "</script><script>window.taken = 1</script><img src=x onerror='window.taken = 2'>"


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_report(plant(tmp_path_factory.mktemp("planted")))


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    return browser


def marks(chart, kind):
    return f"[data-chart='{chart}'] .mark-{kind} path"


def labels(browser, chart, kind):
    """What a reader of the screen hears of some marks, in their order."""
    return browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.ariaLabel ?? '')", marks(chart, kind)
    )


def cell_marks(browser, chart):
    """The numbers, among the rectangles of a chart, of those that are cells, and what is said of them."""
    return {i: label for i, label in enumerate(labels(browser, chart, "rect")) if "width h: " in label}


def pick(browser, h, x):
    """Click a cell of the first phase diagram."""
    wanted = re.compile(rf"width h: {h}; √h·α: {x:g};")
    at = [i for i, label in cell_marks(browser, "phase/kernel").items() if wanted.search(label)]
    browser.find(marks("phase/kernel", "rect"))[at[0]].click()


def test_nothing_is_wrong_and_nothing_is_asked_for(opened, page):
    assert opened.messages() == []
    assert not opened.find("#trouble")[0].is_displayed()
    # The icon is an empty data address.
    assert [url for url in opened.requests() if not url.startswith("data:")] == [page.as_uri()]


def test_the_policy_lets_nothing_out(opened):
    opened.run("window.refused = false; fetch('https://example.org/').catch(() => { window.refused = true })")
    opened.until("window.refused")
    assert any("Content Security Policy" in message for message in opened.messages())
    assert not any("example.org" in url for url in opened.requests())


def test_every_cell_has_its_mark_in_every_phase_diagram(opened):
    for chart in PHASES:
        # One more is the frame of the chosen cell.
        assert len(cell_marks(opened, chart)) == len(WIDTHS) * len(XS) + 1
        assert opened.count(marks(chart, "line")) == 2  # the boundary and its halo
    assert opened.text("[data-chart='phase/best']").count("★") == len(WIDTHS)


def test_kernel_change_is_red_above_one_blue_below_and_white_at_one(opened):
    fills = opened.run(
        "return [...document.querySelectorAll(arguments[0])].map((e) => getComputedStyle(e).fill)",
        marks("phase/kernel", "rect"),
    )
    shades = {}
    for i, label in cell_marks(opened, "phase/kernel").items():
        change = float(re.search(r"kernel change: ([-+\d.e]+)", label.replace("−", "-"))[1])
        if fills[i] != "rgba(0, 0, 0, 0)":  # the frame of the chosen cell
            red, _, blue = map(float, re.findall(r"[\d.]+", fills[i])[:3])
            shades[abs(math.log10(change))] = abs(red - blue)
            assert (red > blue) == (change > 1), label
    # The nearer to 1, the whiter: the scale goes as far below 1 as above.
    assert shades[min(shades)] < shades[sorted(shades)[len(shades) // 2]]


def test_laws_that_are_decided_are_drawn_beside_what_is_expected(opened, page):
    table = read(page.parent)
    decided = [row for row in laws(table) if row.verdict != CANNOT_TELL and math.isfinite(row.target)]
    assert len(decided) > 5
    assert opened.count(marks("laws", "symbol")) == opened.count(marks("laws", "rect")) == len(decided)
    heard = labels(opened, "laws", "symbol")
    assert all(f"measured: {row.measured}" in label for row, label in zip(decided, heard, strict=True))


@pytest.mark.parametrize("width", [420, 1400])
def test_no_table_is_wider_than_the_page(opened, width):
    opened.driver.set_window_size(width, 900)
    try:
        assert opened.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        outside = (
            "[...document.querySelectorAll('table')].filter((t) => !t.closest('.scroll, #vg-tooltip-element')).length"
        )
        assert opened.value(outside) == 0
    finally:
        opened.driver.set_window_size(1400, 1000)


def test_a_click_on_a_cell_shows_its_curves(opened):
    before = opened.value("document.querySelector('#cell-title').textContent")
    pick(opened, 30, XS[1])
    opened.until("document.querySelector('#cell-title').textContent.startsWith('h = 30, √h·α = 0.01 ')")
    assert "feature training" in opened.text("#cell-title")
    assert opened.text("#cell-title") != before
    assert opened.count("#members tr") == 1 + 3
    for seed in range(3):
        assert name(columns(30, XS[1], seed)) in opened.text("#members")
    # Three members and their mean; three norms of each.
    opened.until(f'document.querySelectorAll("{marks("curves/kernel/change", "line")}").length === 4')
    assert opened.count(marks("outputs", "line")) == 12
    label = labels(opened, "curves/kernel/change", "line")[0]
    assert "width h: 30" in label
    assert "√h·α: 0.01" in label


def test_lists_choose_a_cell_too(opened):
    opened.choose("#pick-h", "100")
    opened.choose("#pick-x", "1000")
    opened.until("document.querySelector('#cell-title').textContent.startsWith('h = 100, √h·α = 1000 ')")
    assert "lazy training" in opened.text("#cell-title")


def test_curves_over_time_can_be_chosen(opened):
    assert opened.count(marks("chosen", "line")) == len(XS)
    opened.choose("#quantity", "output/df_rms")
    opened.choose("#unit", "half")
    opened.until("document.querySelector(\"[data-chart='chosen']\").textContent.includes('output change')")
    opened.until("document.querySelector(\"[data-chart='chosen']\").textContent.includes('t/t½')")
    assert opened.count(marks("chosen", "line")) == len(XS)
    assert opened.messages() == []


def test_alpha_instead_of_sqrt_h_alpha(opened):
    def boundary():
        path = opened.find(marks("phase/kernel", "line"))[0].get_attribute("d")
        return [float(point.split(",")[0]) for point in re.findall(r"[-\d.]+,[-\d.]+", path)]

    def left_ends():
        return {
            float(label.split(";")[0].removeprefix("left: ")) for label in cell_marks(opened, "phase/best").values()
        }

    assert len(left_ends()) == len(XS)  # the same for both widths
    at_x = boundary()
    assert max(at_x) - min(at_x) < 2  # pixels: one √h·α for both widths
    opened.find("[data-axis=a]")[0].click()
    opened.until("document.querySelector(\"[data-chart='phase/kernel']\").textContent.includes('output scale α')")
    at_alpha = boundary()
    assert max(at_alpha) - min(at_alpha) > 5  # α* ~ 1/√h
    assert len(left_ends()) == 2 * len(XS)
    assert len(cell_marks(opened, "phase/kernel")) == len(WIDTHS) * len(XS) + 1


def test_a_pointer_on_a_cell_is_told_what_it_is(opened):
    from selenium.webdriver import ActionChains

    ActionChains(opened.driver).move_to_element(opened.find(marks("phase/error", "rect"))[0]).perform()
    opened.until("document.querySelector('#vg-tooltip-element.visible')")
    shown = opened.text("#vg-tooltip-element")
    assert "kernel change" in shown
    assert f"{planted_error(XS[0]):.0%}"[:2] in shown


def test_light_and_dark(browser, page):
    def ink():
        label = "document.querySelector(\"[data-chart='phase/kernel'] .role-axis-label text\")"
        return browser.value(f"[getComputedStyle(document.body).backgroundColor, getComputedStyle({label}).fill]")

    browser.open(page, theme="light")
    light = ink()
    browser.find("#theme")[0].click()
    toggled = ink()
    browser.open(page, theme="dark")
    dark = ink()
    assert light[0] == "rgb(255, 255, 255)"
    assert dark == toggled
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    browser.find("#theme")[0].click()
    assert ink() == light


def test_it_prints_light_without_its_switches(browser, page):
    browser.open(page)
    browser.find("#theme")[0].click()
    assert browser.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not browser.find("#theme")[0].is_displayed()
    assert not browser.find("#quantity")[0].is_displayed()
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 5


def test_texts_of_stored_files_are_texts(browser, tmp_path):
    plant(tmp_path, xs=XS[3:6], seeds=2, dataset=HOSTILE, outcome=HOSTILE)
    failed = columns(30, 1e7, 0, dataset=HOSTILE)
    ask(tmp_path, [failed])
    (tmp_path / "runs" / name(failed)).mkdir()
    (tmp_path / "runs" / name(failed) / ERROR).write_text(f"ValueError: {HOSTILE}\n")
    browser.open(write_report(tmp_path))
    assert browser.value("window.taken === undefined")
    assert browser.messages() == []
    assert browser.count("#what img") == 0
    assert f"ValueError: {HOSTILE}" in browser.text(".reasons")
    assert HOSTILE in browser.text("#members")


def test_each_part_of_a_mixed_folder_by_itself(browser, tmp_path):
    plant(tmp_path, xs=XS[2:7])
    plant(tmp_path, xs=XS[3:6], widths=(50,), seeds=1, P=40)
    browser.open(write_report(tmp_path))
    assert "They differ in P." in browser.text("main")
    assert len(cell_marks(browser, "phase/kernel")) == 2 * 5 + 1
    browser.choose("#group", "1")
    browser.until("document.querySelector('#pick-h').value === '50'")
    browser.until(f'document.querySelectorAll("{marks("against/error", "symbol")}").length === 3')
    assert len(cell_marks(browser, "phase/kernel")) == 3 + 1
    assert "There is one seed: no value has an error" in browser.text("main")
    assert not browser.find("[data-chart='against/variance']")[0].is_displayed()
    assert browser.messages() == []


def test_a_sweep_without_a_complete_run_shows_how_it_stands(browser, tmp_path):
    ask(tmp_path, [columns(30, x, 0) for x in XS])
    browser.open(write_report(tmp_path))
    assert "No run is complete yet (9 queued)" in browser.text("main")
    assert not browser.find("#figures")[0].is_displayed()
    assert browser.messages() == []


def test_an_empty_folder_says_so(browser, tmp_path):
    (tmp_path / "runs").mkdir()
    browser.open(write_report(tmp_path))
    assert "There is nothing to show yet" in browser.text("main")
    assert browser.messages() == []


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        ({"xs": XS[2:7], "seeds": 1}, "There is one seed: no value has an error"),
        ({"xs": XS[2:7], "seeds": 2, "kernel": False}, "The kernel change was not measured"),
        ({"xs": (BOUNDARY,), "widths": (30,), "seeds": 1}, "There is one width"),
    ],
    ids=["one seed", "no kernel", "one run"],
)
def test_small_sweeps_show_what_they_can(browser, tmp_path, sweep, sentence):
    browser.open(write_report(plant(tmp_path, **sweep)))
    assert sentence in browser.text("main")
    assert len(cell_marks(browser, "phase/error")) == len(sweep.get("xs", XS)) * len(sweep.get("widths", WIDTHS)) + 1
    assert browser.count(marks("curves/train/loss", "line")) == sweep.get("seeds", 3) + 1
    assert browser.messages() == []
