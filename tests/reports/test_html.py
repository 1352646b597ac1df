"""The HTML report as text: one closed file, escaped, equal for equal input, its numbers those of analysis.json."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from llmprof.analyzers.diagnosis import RankSummary
from llmprof.reports.html import render_html
from llmprof.reports.html.markup import esc, island
from llmprof.reports.html.page import _ink
from llmprof.reports.html.svg import interval, meter, sparkline
from llmprof.reports.labels import CLASS_LABELS, PART_LABELS
from tests.reports.samples import HOSTILE_NAMES, SAMPLES, communication_bound, hostile, input_starved, no_verdict

VOID = {"meta", "link", "br", "input", "line", "polyline", "rect", "path"}


class Outline(HTMLParser):
    """Every tag with its attributes, and whether tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
            self.open.pop()


@pytest.mark.parametrize("name", SAMPLES)
def test_tags_close_in_order(name: str) -> None:
    assert Outline(render_html(SAMPLES[name]())).open == []


@pytest.mark.parametrize("name", SAMPLES)
def test_equal_diagnoses_give_equal_pages(name: str) -> None:
    assert render_html(SAMPLES[name]()) == render_html(SAMPLES[name]())


@pytest.mark.parametrize("name", SAMPLES)
def test_no_id_stands_twice_and_every_inner_link_has_its_target(name: str) -> None:
    tags = Outline(render_html(SAMPLES[name]())).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    links = [str(attributes["href"])[1:] for tag, attributes in tags if tag == "a"]
    assert len(ids) == len(set(ids))
    assert set(links) <= set(ids)


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_refers_to_the_outside(name: str) -> None:
    tags = Outline(render_html(SAMPLES[name]())).tags
    targets = [v for _, a in tags for k, v in a.items() if k in ("src", "href", "srcset", "action", "data", "poster")]
    assert [target for target in targets if not str(target).startswith(("#", "data:"))] == []
    assert [tag for tag, _ in tags if tag in ("iframe", "object", "embed", "base", "form", "img")] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_no_inline_style_or_handler_that_the_policy_would_refuse(name: str) -> None:
    tags = Outline(render_html(SAMPLES[name]())).tags
    assert [(tag, key) for tag, a in tags for key in a if key == "style" or key.startswith("on")] == []


def test_the_policy_forbids_every_request_and_its_nonce_follows_the_content() -> None:
    pages = [render_html(input_starved()), render_html(communication_bound())]
    nonces = set()
    for page in pages:
        tags = Outline(page).tags
        policy = str(next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy"))
        nonce = next(a["nonce"] for tag, a in tags if tag == "script" and "nonce" in a)
        assert policy.startswith("default-src 'none';")
        assert f"script-src 'nonce-{nonce}'" in policy
        nonces.add(nonce)
    assert len(nonces) == 2


def test_hostile_names_open_no_tag() -> None:
    honest = [tag for tag, _ in Outline(render_html(input_starved())).tags]
    tags = Outline(render_html(hostile())).tags
    assert [tag for tag, _ in tags].count("script") == honest.count("script")
    assert {"img", "b onload"}.isdisjoint({tag for tag, _ in tags})
    assert [key for _, attributes in tags for key in attributes if key.startswith("on")] == []


def test_hostile_names_stay_readable_as_text() -> None:
    page = render_html(hostile())
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in page
    assert "\\u202egpj.exe" in page and "\u202e" not in page
    page.encode("utf-8")


def test_long_names_do_not_swell_the_page() -> None:
    body = render_html(hostile()).split('<script type="application/json"')[0]
    assert max(len(run) for run in re.findall(r"k+", body)) < 1000


def test_the_data_island_is_the_document_and_holds_no_tag() -> None:
    page = render_html(hostile())
    text = page.split('id="analysis">')[1].split("</script>")[0]
    assert json.loads(text) == json.loads(json.dumps(hostile().to_dict()))
    assert not set("<>&\u2028\u2029") & set(text)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_escaped_text_holds_no_character_of_markup(name: str) -> None:
    assert not set("<>\"'") & set(esc(name))
    assert not set("<>&") & set(island({"name": name}))


def test_the_page_has_one_h1_and_landmarks() -> None:
    tags = [tag for tag, _ in Outline(render_html(input_starved())).tags]
    assert [tags.count(tag) for tag in ("h1", "main", "header", "nav")][:2] == [1, 1]
    assert {"header", "nav", "footer"} <= set(tags)


def test_table_headers_say_what_they_head() -> None:
    tags = Outline(render_html(communication_bound())).tags
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tags if tag == "th")


def test_unknown_numbers_have_no_value() -> None:
    page = render_html(no_verdict())
    numbers = page.split('class="numbers"')[1].split("</section>")[0]
    assert "<data" not in numbers
    assert numbers.count('<span class="unknown">unknown</span>') == 4


def test_values_in_the_page_are_those_of_the_document() -> None:
    diagnosis = communication_bound()
    step = diagnosis.to_dict()["step"]
    page = render_html(diagnosis)
    for field in ("mean_ms", "tokens_per_s", "mfu", "peak_memory_bytes"):
        tile = page.split(f'data-field="{field}"')[1].split("</div>")[0]
        assert json.loads(re.search(r'<data value="([^"]+)">', tile).group(1)) == step[field]  # type: ignore[union-attr]


def test_ranks_are_shown_when_there_are_several() -> None:
    assert 'class="ranks"' in render_html(communication_bound())
    assert 'class="ranks"' not in render_html(input_starved())


@pytest.mark.parametrize("colour", [label.colour for label in (*PART_LABELS.values(), *CLASS_LABELS.values())])
def test_text_on_a_part_is_readable(colour: str) -> None:
    def luminance(hexed: str) -> float:
        values = [int(hexed[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(colour), luminance(_ink(colour))))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_pictures_of_nothing_are_empty() -> None:
    assert (sparkline(()), sparkline((1.0, 2.0)), meter(None, "x"), interval(1.0, 2.0, None)) == ("", "", "", "")


def test_a_steady_history_looks_steady() -> None:
    points = re.search(r'points="([^"]+)"', sparkline([100.0, 100.2, 99.9, 100.1]))
    assert points is not None
    heights = [float(point.split(",")[1]) for point in points.group(1).split()]
    assert max(heights) - min(heights) < 1.0


def test_of_many_ranks_the_worst_are_shown_and_all_can_be_searched() -> None:
    """Rank n has n ms of its own work in a step of 1000 ms; the critical rank is shown wherever it stands."""
    ranks = tuple(
        RankSummary(rank=n, step_ms=1000.0, partition={"compute": float(n), "skew": 1000.0 - n}) for n in range(512)
    )
    diagnosis = dataclasses.replace(communication_bound(), ranks=ranks, partition_rank=100)
    text = render_html(diagnosis)
    part = text[text.index('id="ranks"') : text.index('id="input"')]
    shown = [int(number) for number in re.findall(r'<th scope="row">(\d+)', part)]
    assert shown[:9] == [*range(511, 503, -1), 100]
    assert shown[9:] == list(range(512))
    assert 'class="filter"' in part
    counts = [int(count) for count in re.findall(r'class="end">(\d+) ranks?<', part)]
    assert sum(counts) == 512
    assert len(text) < 1_000_000
