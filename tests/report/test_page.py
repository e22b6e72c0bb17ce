"""The HTML page and the figures: what they hold, and how the page behaves in a real browser where there is one."""

import html.parser
import json
import re

import pytest
from browser import needs_browser, noted
from synthetic import record, references, sample, trajectory

from bench.analysis.leaderboard import build
from bench.cli.plot import Kind
from bench.report import charts, plots
from bench.report.page import html_page

WICKED = '</script><img src=x onerror="alert(1)">$x$ & \'"'


@pytest.fixture(scope="module")
def board():
    runs = sample({"good": 0.8, "fair": 0.5, WICKED: 0.1}, tasks=("t", "u"), seeds=5, grids=(10, 20))
    runs += sample({"good": 0.2, "other": 0.9}, tasks=("t",), seeds=2, suite="second")
    runs.append(record("broken", 0, None))
    own = runs[0].curve[-1]["cost"]
    runs[0].rescored.update(adaptive=1.2 * own, finer=own, end_error=0.0)
    return build(runs, references(runs), find=trajectory)


@pytest.fixture(scope="module")
def text(board):
    return html_page(board)


class Tags(html.parser.HTMLParser):
    """Every tag with its attributes, and the values in scripts: the values of charts, and the list of runs."""

    def __init__(self):
        super().__init__()
        self.tags, self.data, self.inside = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("type", "") if tag == "script" else ""

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "application/json":
            self.data.append(json.loads(data))


def parsed(text):
    found = Tags()
    found.feed(text)
    return found


def test_names_are_escaped_everywhere(text):
    tags = parsed(text).tags
    assert WICKED not in text
    assert not [tag for tag, _ in tags if tag == "img"]
    assert not [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)]
    assert any(attrs.get("data-method") == WICKED for _, attrs in tags)


def test_the_page_fetches_nothing(text):
    tags = parsed(text).tags
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert not [a for t, a in tags if t in ("script", "iframe", "img", "object") and "src" in a]
    targets = [v for _, a in tags for name, v in a.items() if name in ("href", "xlink:href")]
    assert all(value.startswith(("#", "data:,")) for value in targets)
    assert not re.search(r"url\((?!#)", text)


def test_every_chart_carries_its_values(text, board):
    *data, runs = parsed(text).data
    assert len(runs) == len(board.runs)
    expected = [chart for make in charts.KINDS.values() for chart in make(board)]
    assert len(data) == len(expected) > 0
    for values in data:
        for series in values["series"]:
            assert len(series.get("x", values["xs"])) == len(series["y"]) > 0


def test_every_id_is_there_once_and_every_reference_has_one(text):
    ids = re.findall(r'<[^>]* id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'(?:href="#|url\(#)([\w-]+)', text)) <= set(ids)


def test_a_page_without_any_score_is_still_a_page():
    text = html_page(build([record(), record("failed", 0, None)], {}))
    assert "no reference, so no scores" in text
    assert [[line[3] for line in runs] for runs in parsed(text).data] == [["m", "failed"]]  # only the list of runs
    assert "This task has no scores, and no weight" in text
    assert text.count("<tr data-method=") == 2


def test_the_kinds_offered_are_those_that_exist():
    assert list(Kind) == list(charts.KINDS)


@pytest.mark.parametrize(
    ("kind", "ending"), [("curves", "pdf"), ("profiles", "svg"), ("targets", "png"), ("horizon", "svg")]
)
def test_figures_for_papers(board, kind, ending, tmp_path):
    found = list(charts.KINDS[kind](board))
    figure = plots.panels(found, charts.methods(board))
    figure.savefig(tmp_path / f"figure.{ending}")
    starts = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}
    assert (tmp_path / f"figure.{ending}").read_bytes().startswith(starts[ending])
    lines = [line for axis in figure.axes for line in axis.get_lines()]
    assert len(lines) == sum(len(chart.series) for chart in found)


def test_a_method_that_spends_nothing_is_a_level_line():
    still = record("still", 0, 0.0)
    del still.curve[1:]
    (chart,) = charts.curves(build([record(), still], references([still])))
    line = next(s for s in chart.series if s.method == "still")
    assert list(line.x) == [0, 500]
    assert list(line.y) == [0, 0]


def test_the_horizon_chart_has_the_mean_score_of_each_grid(board):
    chart = next(c for c in charts.horizon(board) if c.task == "u")
    good = next(s for s in chart.series if s.method == "good")
    runs = board.runs[(board.runs["task"] == "u") & (board.runs["method"] == "good")]
    assert list(good.x) == [10, 20]
    assert list(good.y) == pytest.approx([runs[runs["num_steps"] == n]["score"].clip(-1, 1).mean() for n in (10, 20)])
    assert good.low is not None
    assert all(good.low < good.y)
    assert all(good.y < good.high)


# Tests in a browser. A script at the end of the page does what a reader would do, and writes what it saw into the page.

VISIT = """
<script>
const seen = {};
const table = (selector) => document.querySelector(selector + " table:not(.overview)");
const shown = (t) => [...t.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.querySelector("th").dataset.v);
const heading = (t, text) => [...t.tHead.rows[0].cells].find((h) => h.textContent.trim() === text);
const set = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById("filters").dispatchEvent(new Event("change"));
};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
addEventListener("load", async () => {
  const totals = table("[data-suite=s]");
  seen.before = shown(totals);
  heading(totals, "IQM").querySelector("button").click();
  seen.highest = shown(totals);
  heading(totals, "IQM").querySelector("button").click();
  seen.lowest = shown(totals);
  seen.sorted = heading(totals, "IQM").getAttribute("aria-sort");
  heading(totals, "method").querySelector("button").click();
  seen.names = shown(totals);
  const overview = document.querySelector("[data-suite=s] table.overview");
  heading(overview, "u, 20 steps").querySelector("button").click();
  seen.overview = shown(overview);
  set("suite", "second");
  seen.suites = [...document.querySelectorAll("main > section[data-suite]")].filter((s) => !s.hidden).length;
  set("suite", "");
  set("task", "u");
  const tasks = [...document.querySelectorAll("[data-suite=s] > section[data-task]")];
  seen.tasks = tasks.filter((s) => !s.hidden).map((s) => s.dataset.task);
  seen.across = [...overview.tHead.rows[0].cells].filter((h) => !h.hidden).map((h) => h.textContent.trim());
  set("task", "");
  set("metric", "cost");
  const heads = [...document.querySelectorAll("[data-suite=s] [data-task=t] thead th")];
  seen.metric = heads.filter((h) => !h.hidden).map((h) => h.textContent.trim());
  set("metric", "");
  const box = document.querySelector("#methods input[value=fair]");
  const curves = [...document.querySelectorAll(`svg .m${box.dataset.i}`)];
  const drawn = () => curves.filter((g) => getComputedStyle(g).display !== "none").length;
  seen.drawn = drawn();
  box.click();
  seen.without = shown(totals);
  seen.undrawn = drawn();
  seen.address = decodeURIComponent(location.hash);
  box.click();
  const chart = document.querySelector("[data-suite=s] .charts [data-task=t] .chart");
  chart.focus();
  chart.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
  seen.values = [...chart.querySelectorAll("output div")].map((d) => d.textContent);
  seen.inside = chart.querySelector("output").getBoundingClientRect().right <= innerWidth;
  chart.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  seen.hidden = getComputedStyle(chart.querySelector("output")).display;
  const press = document.querySelector("[data-suite=s] .legend button[data-method=fair]");
  const isFaint = (part) => Number(getComputedStyle(part).opacity) < 0.2;
  const faint = () => [...chart.querySelectorAll("svg .line")].filter(isFaint).length;
  seen.faint = [faint()];
  press.click();
  seen.faint.push(faint());
  seen.pressed = document.querySelectorAll(".legend button[aria-pressed=true]").length;
  press.click();
  seen.faint.push(faint());
  seen.dots = document.querySelectorAll("[data-suite=s] svg .dotted").length;
  await wait(100);
  const goesOn = (box) => box.scrollWidth - box.clientWidth > 2;
  seen.cut = [...document.querySelectorAll(".wide")].map((b) => goesOn(b) === b.classList.contains("cut"));
  const later = document.querySelector("[data-suite=s] section[data-task=t] .later");
  const outside = (svg) => {
    const whole = svg.getBoundingClientRect();
    const over = (b) => b.left < whole.left || b.right > whole.right || b.top < whole.top || b.bottom > whole.bottom;
    const parts = [...svg.querySelectorAll("text, path")];
    return parts.filter((part) => over(part.getBoundingClientRect())).map((part) => part.outerHTML);
  };
  const charts = [...document.querySelectorAll(".chart:not(.later .chart)")];
  seen.charts = charts.map((c) => c.querySelectorAll("svg").length);
  seen.outside = [...document.querySelectorAll(".chart svg")].flatMap(outside);
  seen.bands = chart.querySelectorAll("svg .band").length;
  seen.closed = later.querySelectorAll("svg").length;
  later.open = true;
  await wait(100);
  const episodes = [...later.querySelectorAll(".chart")];
  seen.captions = episodes.map((c) => c.querySelector("figcaption").textContent);
  seen.lines = episodes.map((c) => c.querySelectorAll("svg .line").length);
  seen.targets = episodes.map((c) => c.querySelectorAll("svg .target").length);
  episodes[1].dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
  seen.held = [...episodes[1].querySelectorAll("output div")].map((d) => d.textContent);
  box.click();
  const lines = [...episodes[0].querySelectorAll("svg .line")];
  seen.left = lines.filter((p) => getComputedStyle(p).display !== "none").length;
  box.click();
  const runs = document.getElementById("runs");
  seen.listed = runs.tBodies[0].rows.length;
  runs.closest("details").open = true;
  await wait(100);
  const listed = () => [...runs.tBodies[0].rows].filter((r) => !r.hidden);
  seen.runs = listed().length;
  heading(runs, "score").querySelector("button").click();
  seen.first = [...listed()[0].cells].map((c) => c.textContent);
  heading(runs, "gap").querySelector("button").click();
  seen.gap = [...listed()[0].cells].slice(8, 9).map((c) => [c.textContent, c.className]);
  set("suite", "second");
  seen.second = listed().length;
  set("suite", "");
  scrollTo(0, 900);
  seen.filters = document.getElementById("filters").getBoundingClientRect().top;
  seen.width = document.documentElement.scrollWidth <= innerWidth;
  seen.fetched = performance.getEntriesByType("resource").map((entry) => entry.name);
  seen.errors = errors;
  const result = document.createElement("pre");
  result.id = "seen";
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
});
</script></body>"""
WATCH = """<head><script>
const errors = [];
addEventListener("error", (event) => errors.push(String(event.message)), true);
addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective + " " + event.blockedURI));
console.error = console.warn = (...words) => errors.push(words.join(" "));
</script>"""


def browse(text, folder, width):
    path = folder / "page.html"
    path.write_text(text.replace("<head>", WATCH, 1).replace("</body>", VISIT, 1), encoding="utf-8")
    return json.loads(html.unescape(noted(path, folder / "profile", width)))


@needs_browser
@pytest.mark.parametrize("width", [1300, 500])
def test_the_page_in_a_browser(text, board, tmp_path, width):
    seen = browse(text, tmp_path, width)
    totals = board.aggregate[board.aggregate["suite"] == "s"]
    by_score = list(totals.sort_values("score", ascending=False)["method"])
    assert seen["before"] == list(totals["method"])
    assert seen["highest"] == by_score
    assert seen["lowest"] == by_score[::-1]
    assert seen["sorted"] == "ascending"
    assert sorted(seen["names"]) == sorted(by_score)
    assert [name for name in seen["names"] if name.isalpha()] == ["broken", "fair", "good"]
    on_u = board.rows[(board.rows["suite"] == "s") & (board.rows["task"] == "u") & (board.rows["num_steps"] == 20)]
    assert seen["overview"][:3] == list(on_u.sort_values("clipped", ascending=False)["method"])
    assert seen["across"] == ["method", "u, 10 steps", "u, 20 steps"]
    assert seen["suites"] == 1
    assert set(seen["tasks"]) == {"u"}
    assert seen["metric"][:2] == ["method", "cost"]
    assert "unclipped" not in seen["metric"]
    assert seen["drawn"] > 0
    assert seen["undrawn"] == 0
    assert "fair" not in seen["without"]
    assert len(seen["without"]) == len(by_score) - 1
    assert 'without=["fair"]' in seen["address"]
    steps, *values = seen["values"]
    assert steps == "500"
    assert [value.split()[0] for value in values if value.split()[0].isalpha()] == ["good", "fair"]
    assert seen["inside"]
    assert set(seen["charts"]) == {1}
    assert seen["outside"] == []
    assert seen["bands"] == 3  # one for each method with several seeds
    assert seen["faint"] == [0, 2, 0]  # while one of three methods is pressed, the others are faint
    assert seen["pressed"] == len(re.findall(r'<button [^>]*data-method="fair"', text))
    assert seen["dots"] == 4  # quality against cost: one for each method that spends anything
    assert all(seen["cut"])  # tables that go on beyond the edge show it, and no others
    assert seen["closed"] == 0
    assert seen["captions"] == ["mass (kg)", "force", "accumulated cost"]
    assert seen["lines"] == [4, 4, 4]  # good, fair, the wicked one and the best known
    assert seen["targets"] == [1, 0, 0]
    assert seen["held"][0] == "0"
    assert sorted(line.split()[-1] for line in seen["held"][1:]) == ["-1"] * 4
    assert any(line.startswith("best known") for line in seen["held"])
    assert seen["left"] == 3
    assert seen["listed"] == 0  # until it is opened
    assert seen["runs"] == len(board.runs)
    best = board.runs.loc[board.runs["score"].idxmax()]
    assert seen["first"][:5] == [str(best[name]) for name in ("suite", "task", "num_steps", "method", "seed")]
    assert float(seen["first"][7]) == pytest.approx(best["score"], rel=1e-3)  # four digits
    assert seen["gap"] == [["! 20 %", "n bad"]]
    assert seen["second"] == (board.runs["suite"] == "second").sum()
    assert seen["hidden"] == "none"
    assert seen["filters"] == 0  # they stay in view
    assert seen["width"]  # nothing sticks out of the window
    assert seen["fetched"] == []
    assert seen["errors"] == []
