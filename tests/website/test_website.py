"""The site's pages: formulas, links, a page for each suite, task, method and claim; and the whole site in a browser."""

import json
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import needs_browser, noted
from synthetic import record, references

import bench
from baselines import METHODS
from bench.claims import verdicts
from bench.claims.claim import Claim, Experiment
from bench.claims.effects import Evidence
from bench.records.references import References
from bench.website import build as whole
from bench.website import claims, command_line, methods, python_api, suites, tasks
from bench.website.docstrings import paragraph, title_of, to_markdown, without
from bench.website.formulas import mathml
from bench.website.links import rewritten
from tasks import TASKS

ROOT = Path(__file__).parents[2]


def text_of(html):
    """What a reader sees of MathML."""
    return re.sub(r"<[^>]+>", "", html.replace("&#8289;", "").replace("<mspace width='0.2em'/>", " "))


@pytest.mark.parametrize(
    ("plain", "typeset"),
    [
        ("x' = r x", "<msup><mrow><mi>x</mi></mrow><mrow><mo>′</mo></mrow></msup><mo>=</mo><mi>r</mi>"),
        ("u_p²", "<msubsup><mrow><mi>u</mi></mrow><mrow><mi>p</mi></mrow><mrow><mn>2</mn></mrow></msubsup>"),
        ("∫₀ᵀ", "<msubsup><mrow><mo>∫</mo></mrow><mrow><mn>0</mn></mrow><mrow><mi>T</mi></mrow></msubsup>"),
        ("e^(-r t)", "<msup><mrow><mi>e</mi></mrow><mrow><mo>−</mo><mi>r</mi>"),
        ("√(β ρ)", "<msqrt><mi>β</mi><mspace width='0.2em'/><mi>ρ</mi></msqrt>"),
        ("0 <= u", "<mn>0</mn><mo>≤</mo><mi>u</mi>"),
        ("x* = 1", "<msup><mrow><mi>x</mi></mrow><mrow><mo>*</mo></mrow></msup>"),
        ("healthy cells", "<mtext>healthy cells</mtext>"),
        ("T_max", "<msub><mrow><mi>T</mi></mrow><mrow><mtext>max</mtext></mrow></msub>"),
        ("a < b & c", "<mo>&lt;</mo>"),
    ],
)
def test_a_formula_is_typeset(plain, typeset):
    assert typeset.replace("<mtext>max</mtext>", "<mi>max</mi><mo>&#8289;</mo>") in mathml(plain)


@pytest.mark.parametrize("plain", ["x' = (", "_", "^", "²", "x_{", "√", "'''", "|u| <= 20°", "½ Δt"])
def test_no_formula_fails(plain):
    assert mathml(plain).count("<math") == 1


def test_no_character_of_a_formula_is_lost():
    line = "q'' = (l m₂ sin θ θ'² + u) / (m₁ + m₂ sin² θ)"
    assert text_of(mathml(line)).replace(" ", "") == "q′′=(lm2sinθθ′2+u)/(m1+m2sin2θ)"


def test_a_docstring_keeps_its_parts():
    text = "Bee: it flies. Fast.\n\n    x' = u\n\nSource: A, *B*\n(1990).\n\nEnd <x>."
    assert title_of(text) == "Bee"
    assert paragraph(text, "Source") == "Source: A, *B* (1990)."
    shown = to_markdown(without(text, "Source"))
    assert "<math" in shown
    assert "Source" not in shown
    assert r"End \<x>." in shown


def test_links_lead_to_pages_and_code_is_left_alone():
    code = "```\n[e](f)\n```\n[g](h.md#i)\n`````{raw} html\n[j](k)\n`````\n"
    text = f"[a](../x.py) [b](https://e.org) [c](#d)\n{code}[l](../x.py)"
    homes = {"x.py": "source/x.md", "docs/h.md": "h.md"}
    shown = rewritten(text, "docs/p.md", "q/p.md", lambda path, words: homes.get(path))
    assert shown == text.replace("../x.py", "../source/x.md").replace("h.md#i", "../h.md#i")
    with pytest.raises(LookupError, match=r"docs/p\.md: the link to no\.md leads"):
        rewritten("[a](no.md)", "docs/p.md", "p.md", lambda path, words: None)


@pytest.fixture(scope="module")
def site():
    return whole.with_documents()


@pytest.fixture(scope="module")
def smoke():
    """The suite with the fewest published records, as one with a page."""
    (found,) = suites.published(ROOT / "results" / "published", {}, {"how": "../judging.html"}, only="smoke")
    return found


def test_every_page_of_docs_is_a_page_in_the_navigation(site):
    shown = {page for entry in whole.documentation(site) for page in entry.pages}
    assert {site.homes[f"docs/{path.name}"] for path in (ROOT / "docs").glob("*.md")} - shown == {"docs.md"}


def test_links_between_pages_lead_to_pages(site):
    made = {*site.pages, *site.homes.values(), *site.named.values(), *site.files}
    for page, text in site.pages.items():
        prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", prose):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) in made, f"{page}: {target}"


def test_a_suites_page_has_its_parts_and_its_data(site, smoke):
    suites.add_suite(site, smoke)
    text = site.pages["results/smoke.md"]
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles[:4] == ["Every task", "Ranks", "Learning curves", "Quality against cost"]
    assert titles[-2:] == ["Download", "Provenance"]
    assert text.count('class="ranks"') == sum(row.rank is not None for row in smoke.aggregate)
    for name in ("leaderboard.csv", "aggregate.csv", "leaderboard.json", "leaderboard.tex"):
        assert f'href="data/smoke/{name}"' in text
        assert site.files[f"_extra/results/data/smoke/{name}"]


def test_a_tasks_page_says_what_it_is_and_who_solves_it(site, smoke):
    tasks.add_task(site, "cancer_treatment", [smoke])
    text = site.pages["tasks/cancer_treatment.md"]
    assert text.count('class="formula"') == 1
    for words in (
        "Lenhart & Workman",
        "tumour density",
        "grade | B: two independent routes",
        "one_step_model",
        "0.975",
    ):
        assert words in text
    assert text.count('<figure class="chart"') == 3 + 1  # a state, a control, the cost; and the learning curves
    assert "[All results of smoke](../results/smoke.md)" in text


def test_a_methods_page_says_how_it_learns_and_where_it_is_good(site, smoke):
    methods.add_method(site, "awm_gru", [smoke])
    text = site.pages["methods/awm_gru.md"]
    assert "## Its model: ActionsRecurrent" in text
    assert "| [cancer_treatment](../tasks/cancer_treatment.md) | 100 |" in text
    assert "| `policy_learning_rate` | `0.00411` |" in text
    assert f'class="dot m{[*METHODS].index("awm_gru")}"' in smoke.part("suite_ranking", s=smoke.context["suites"][0])


def test_a_claim_has_a_page_before_and_after_it_is_judged(site):
    pages = claims.add_claims(site, {})
    assert len(pages) == len(set(pages)) > 5
    assert all("not published yet" in site.pages[page] for page in pages)
    runs = [record(m, seed, s + 0.01 * seed) for m, s in {"a": 0.9, "b": 0.5}.items() for seed in range(5)]
    claim = Claim("a1", "a beats b", "section 5", "e", "regret", "a", ("b",))
    found = verdicts.judge(claim, Experiment("runs", ("t",)), Evidence({"e": runs}, references(runs), [], []))
    claims.add_claims(site, {"a1": found})
    text = site.pages["claims/a1.md"]
    assert text.startswith("# Claim a1: holds")
    assert text.count("<svg") == 1
    assert ".svg" not in text
    assert re.search(r"\[a1\]\(a1.md\) \| .* \| holds \(1 task only\) \|", site.pages["claims/index.md"])


def test_the_references_have_every_command_and_every_public_name():
    shown = command_line.page()
    assert re.findall(r"^## (\w+)$", shown, re.MULTILINE) == [*command_line.COMMANDS]
    for words in ("`--json`", "`--task TEXT`", r"`--kind curves\|quality", "Default: `curves`"):
        assert words in shown
    text = python_api.page()
    assert sorted(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == sorted(bench.PUBLIC)
    assert "rollout(task: AbstractTask" in text


def test_a_thumbnail_is_of_todays_reference():
    image = pytest.importorskip("PIL.Image", reason="thumbnails are drawn with Pillow")
    stored: dict[str, set[str]] = {}
    for reference in References.shipped().by_fingerprint().values():
        stored.setdefault(reference.task, set()).add(reference.digest)
    for name in TASKS:
        with image.open(ROOT / "results" / "published" / "thumbnails" / f"{name}.png") as found:
            assert found.text["reference"] in stored[name], f"{name}: run `python -m bench gallery`"


# The whole site, built by the generator.


class Targets(HTMLParser):
    """The ids of a page, its links, and what it loads."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id"))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        loaded = found.get("href") if tag == "link" and found.get("rel") != "canonical" else found.get("src")
        if loaded and not loaded.startswith("data:"):
            self.loaded.append(loaded)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    pages, html = str(folder / "source"), str(folder / "html")
    for arguments in (["bench.website", pages], ["sphinx", "-q", "-W", "--keep-going", pages, html]):
        subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=True, timeout=600)
    return folder / "html"


@pytest.mark.slow
def test_all_links_of_the_built_site_resolve_and_it_loads_nothing_from_elsewhere(built):
    pages = {}
    for path in built.rglob("*.html"):
        pages[path] = Targets()
        pages[path].feed(path.read_text(encoding="utf-8"))
    for path, found in pages.items():
        for target in found.loaded:
            assert "//" not in target, f"{path.name} loads {target}"
            assert (path.parent / unquote(urlsplit(target).path)).exists(), f"{path.name}: no {target}"
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert to.exists(), f"{path.name}: {link}"
            if parts.fragment and to in pages:
                assert unquote(parts.fragment) in pages[to].ids, f"{path.name}: {link}"
    names = {path.relative_to(built).as_posix() for path in pages}
    assert {f"tasks/{name}.html" for name in TASKS} | {f"methods/{name}.html" for name in METHODS} <= names


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("page", ["index", "results/paper", "tasks/cartpole", "methods/awm_gru", "claims/a1", "api"])
def test_a_page_of_the_site_in_a_browser(built, page, tmp_path):
    """No error in the console, every chart drawn, nothing beyond the edge of a phone."""
    path = built / f"{page}.html"
    watched = path.with_name(f"watched-{path.name}")
    text = path.read_text(encoding="utf-8").replace("<head>", WATCH, 1).replace("</body>", SEEN, 1)
    watched.write_text(text, encoding="utf-8")
    seen = json.loads(noted(watched, tmp_path, 500))
    assert seen["errors"] == []
    assert set(seen["charts"]) <= {1}
    assert bool(seen["charts"]) == (page.partition("/")[0] in ("results", "tasks", "methods"))
    assert seen["width"]


WATCH = """<head><script>
const errors = [];
addEventListener("error", (event) => errors.push(String(event.message)), true);
console.error = console.warn = (...words) => errors.push(words.join(" "));
</script>"""
SEEN = """<script>
addEventListener("load", () => {
  const shown = [...document.querySelectorAll(".chart:not(.later .chart)")];
  const charts = shown.map((chart) => chart.querySelectorAll("svg").length);
  const width = document.documentElement.scrollWidth <= innerWidth;
  const result = document.createElement("pre");
  result.id = "seen";
  result.textContent = JSON.stringify({ errors, charts, width });
  document.body.append(result);
});
</script></body>"""
