"""report.html in a browser: what a person clicks, sorts, searches and reads. `make test-browser`."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tuner.importance.measure import measure_importance
from tuner.records import ConfirmedRun, append_run, read_search
from tuner.results.headline import State
from tuner.results.samples import Confusion, Judgement, Sample, Samples, write_samples
from tuner.samples.drawing import as_uri
from tuner.views.html.content import read_result
from tuner.views.html.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not all(map(find_spec, ("playwright", "axe_playwright_python"))),
        reason="playwright and axe are an extra: pip install '.[browser]'",
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(finished_folder, tmp_path_factory) -> Path:
    """A finished, confirmed search with its page."""
    copied = Path(shutil.copytree(finished_folder, tmp_path_factory.mktemp("browser") / "moe" / "finished"))
    search = read_search(copied)
    for trial, values in {
        search.default_trial.name: (0.80, 0.81, 0.82),
        search.leader.name: (0.85, 0.86, 0.88),
    }.items():
        for seed, value in enumerate(values):
            append_run(copied, ConfirmedRun(trial=trial, seed=seed, objective=value, validation=value, test={}))
    write_samples(copied, drawn(search.leader.name))
    write_page(read_result(copied, search, State.OVER, importance=measure_importance(search)), copied)
    return copied


def drawn(trial):
    """Samples of one image with a confusion matrix."""
    picture = as_uri(torch.rand(3, 8, 8))
    said = Judgement(picture=picture, caption="rust (0.90)", score=0.9)
    sample = Sample(number=3, picture=picture, truth="rust", default=said, exported=said)
    counts = [[3, 1], [0, 4]]
    confusion = Confusion(title="", classes=["rust", "healthy"], default=counts, exported=counts)
    return Samples(
        trial=trial,
        score="probability of the true class",
        num_judged=8,
        shown=[sample],
        worst_default=[sample],
        worst_exported=[sample],
        confusions=[confusion],
        num_poor={"default": 1, "exported": 1},
    )


@pytest.fixture
def opened(browser, folder):
    """A function that opens the page in a new window; afterwards nothing was fetched, and nothing went wrong."""
    contexts, problems, requests = [], [], []

    def open_page(path=folder / "report.html", **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("typeof Plotly !== 'undefined'")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}


def shown_trials(page):
    return page.locator("#table tbody tr:visible").evaluate_all("rows => rows.map(row => row.dataset.trial)")


def draw_all(page):
    for place in page.locator(".plot").all():
        place.scroll_into_view_if_needed()
        page.wait_for_function("place => place.dataset.drawn === 'yes'", arg=place.element_handle())


def test_the_first_screen_says_what_was_won(opened, folder):
    page = opened(viewport={"width": 1200, "height": 800})
    winner = read_search(folder).leader.name
    assert page.locator("h1").inner_text().startswith(f"Trial {winner}")
    numbers = page.locator(".numbers")
    assert re.sub(r"\s+", " ", numbers.inner_text()).endswith("0.810 → to 0.863 on the test split")
    assert numbers.bounding_box()["y"] < 300


def test_the_failures_of_the_model_are_described_above_its_pictures(opened):
    page = opened()
    pictures = page.locator("#pictures")
    assert pictures.locator("p").first.inner_text() == (
        "With the exported trial, the probability of the true class is below 0.5 on 1 of 8 images; with the default, "
        "on 1. Its most frequent mistake: rust taken for healthy, 1 of 4."
    )
    pictures.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('#pictures img')].every(one => one.naturalWidth > 0)")


def test_a_class_stands_above_its_numbers_in_a_confusion_matrix(opened):
    cells = opened().locator(".confusion").first.locator("thead th, tbody td")
    assert set(cells.evaluate_all("all => all.map(one => getComputedStyle(one).textAlign)")) == {"right"}


def test_every_figure_is_drawn_when_it_comes_into_sight(opened):
    page = opened()
    draw_all(page)
    assert page.locator(".plot .main-svg").count() > 0
    empty = page.locator(".plot").evaluate_all("all => all.filter(one => !one.querySelector('svg')).length")
    assert empty == 0


def test_a_click_on_a_heading_sorts_and_a_second_one_reverses(opened, folder):
    page, search = opened(), read_search(folder)
    heading = page.get_by_role("button", name="last s_measure")
    heading.click()
    by_value = sorted(search.trials, key=lambda trial: trial.last.objective)
    assert shown_trials(page) == [trial.name for trial in by_value]
    heading.click()
    assert shown_trials(page) == [trial.name for trial in reversed(by_value)]
    assert page.locator("#table th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_words_in_the_search_box_leave_the_trials_that_have_all_of_them(opened, folder):
    page, search = opened(), read_search(folder)
    page.get_by_label("Search trials").fill("diverged epoch 2")
    assert shown_trials(page) == [trial.name for trial in search.trials if trial.outcome == "diverged"]
    assert page.locator("#count").inner_text() == f"{len(shown_trials(page))} of 40 trials"
    page.get_by_label("Search trials").fill("no such trial")
    assert shown_trials(page) == []


def test_a_click_on_a_row_marks_its_curve_and_says_how_it_ended(opened, folder):
    page, trial = opened(), read_search(folder).trials[5]
    page.locator("#plot-learning-curves").scroll_into_view_if_needed()
    page.wait_for_selector("#plot-learning-curves[data-drawn]")
    page.locator(f"tr[data-trial='{trial.name}'] th").click()
    assert page.locator("#chosen").inner_text().startswith(f"Trial {trial.name}: ")
    marked = "document.getElementById('plot-learning-curves').data.find(trace => trace.isMark).y"
    assert page.evaluate(marked) == [trial.results[epoch].objective for epoch in sorted(trial.results)]


def test_a_click_on_a_dot_chooses_its_trial_and_leads_to_its_row(opened, folder):
    page = opened(viewport={"width": 1200, "height": 900})
    names = [trial.name for trial in read_search(folder).trials]
    page.locator("#plot-best-so-far-epochs").scroll_into_view_if_needed()
    page.wait_for_selector("#plot-best-so-far-epochs[data-drawn]")
    page.locator("#plot-best-so-far-epochs .points path.point").last.click(force=True)
    page.wait_for_selector("#chosen:not([hidden])", state="attached")
    chosen = page.locator("#chosen").inner_text().split()[1].rstrip(":")
    assert chosen in names
    page.get_by_role("button", name="Show it in the table").click()
    assert shown_trials(page) == [chosen]


def test_a_command_is_copied(opened, folder):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Explain the result").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"python -m tuner.explain {folder}"
    assert "Copied" in page.locator("#copied").inner_text()


@pytest.mark.parametrize("width", [360, 414, 768])
def test_nothing_sticks_out_on_a_narrow_screen(opened, width):
    page = opened(viewport={"width": width, "height": 740}, has_touch=True)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


OUT_OF_THEIR_CARDS = """() =>
  [...document.querySelectorAll('section p, section span, section dd, section li, header p')]
  .filter((one) => one.offsetParent && !one.closest('.scroll, .visually-hidden, code'))
  .filter((one) => {
    const card = one.closest('section, header').getBoundingClientRect();
    return [...one.getClientRects()].some((text) => text.right > card.right + 0.5 || text.left < card.left - 0.5);
  }).map((one) => one.textContent.trim())"""


@pytest.mark.parametrize("width", [360, 390, 768, 1200])
def test_no_text_sticks_out_of_its_card_where_it_is_undecided_and_interrupted(opened, folder, tmp_path, width):
    undecided = Path(shutil.copytree(folder, tmp_path / "results" / "moe" / "a-name-of-a-run-that-is-rather-long"))
    search = read_search(undecided)
    (undecided / "confirm.jsonl").unlink()
    for trial, values in ((search.default_trial, (0.80, 0.81, 0.82)), (search.leader, (0.805, 0.86, 0.83))):
        for seed, value in enumerate(values):
            append_run(undecided, ConfirmedRun(trial=trial.name, seed=seed, objective=value, validation=value, test={}))
    for state in (State.OVER, State.INTERRUPTED):
        page = opened(
            write_page(read_result(undecided, search, state), tmp_path), viewport={"width": width, "height": 740}
        )
        assert page.evaluate(OUT_OF_THEIR_CARDS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_reading_needs(opened, scheme):
    page = opened(color_scheme=scheme)
    draw_all(page)
    selectors = "h1, h2, h3, p, dt, dd, td, th, a, button, code, figcaption, .badge, .quiet, .default-value, strong"
    low = page.locator(selectors).evaluate_all(CONTRAST)
    assert low == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_axe_finds_nothing_that_keeps_anybody_from_reading(opened, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    draw_all(page)
    found = Axe().run(page).response
    assert len(found["passes"]) > 20
    assert [(one["impact"], one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def test_a_live_page_comes_back_where_it_was_left(opened, folder, tmp_path):
    search = read_search(folder)
    path = write_page(read_result(folder, search, State.RUNNING), tmp_path)
    page = opened(path)
    page.evaluate("document.getElementById('search').value = 'diverged'; filter(); sortBy(1, 'descending')")
    page.evaluate("remembered.write({scroll: 700, words: 'diverged', ...sorting()})")
    page.reload()
    page.wait_for_function("typeof Plotly !== 'undefined'")
    assert page.get_by_label("Search trials").input_value() == "diverged"
    assert page.locator("#table th[aria-sort]").inner_text().startswith("epochs")
    assert page.evaluate("scrollY") == 700


CONTRAST = """elements => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => part / 255)
      .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return elements.filter((element) => element.offsetParent && element.textContent.trim()).map((element) => {
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [ratio, element.tagName, element.textContent.trim().slice(0, 30)];
  }).filter(([ratio]) => ratio < 4.5);
}"""
"""Elements whose text has less than 4.5 times the light of its background, or the reverse."""
