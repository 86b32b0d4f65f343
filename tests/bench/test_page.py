"""The page of figures is made of the figures: bars that are missed stand first, and what was written by hand stays."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.page import MARK, write_page
from bench.picture import lines
from bench.results import FILE, Part, Results, read, write
from bench.table import Row, Table


def to_results(cost: float) -> Results:
    part = Part(
        "turn", "A turn", "make bench", "2026-01-02", "a machine", 0.5, 3, False, {"floor": "floor", "sqlite": "ours"},
        ["sqlite"], "", "Notes.",
    )  # fmt: skip
    table: Table[str] = Table(part.titles, part.ours, apart="", notes=part.notes)
    table.add(Row("stored turn, CPU ms, 1 at once", {"floor": 0.2, "sqlite": cost}, most=0.8))
    table.add(Row("done, %", {"sqlite": 93.0}, least=90, digits=0))
    return [(part, table)]


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(to_results(0.7), tmp_path / "figures.json")
    [(part, table)] = read(tmp_path / "figures.json")
    assert (part, table.rows) == (to_results(0.7)[0][0], to_results(0.7)[0][1].rows)


def test_page_begins_with_the_bars_that_are_missed_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    write_page(to_results(0.9), page, tmp_path / "images")
    text = page.read_text()
    assert "1 of 2 bars of the design are met." in text
    assert text.index("- stored turn, CPU ms, 1 at once, ours: 0.90 (≤ 0.8).") < text.index("## A turn")
    assert "`make bench` on 2026-01-02, in 3 minutes, on a machine." in text
    page.write_text(text + "Words of people.\n")
    write_page(to_results(0.8), page, tmp_path / "images")
    text = page.read_text()
    assert "2 of 2 bars of the design are met." in text
    assert "Not met" not in text
    assert text.partition(MARK)[2] == "\nWords of people.\n"


def test_pictures_are_whole_and_can_be_drawn(tmp_path: Path) -> None:
    write_page(to_results(0.9), tmp_path / "performance.md", tmp_path / "images")
    picture = ElementTree.fromstring((tmp_path / "images" / "performance-turn.svg").read_text())
    bars = [float(part.attrib["width"]) for part in picture.iter() if part.attrib.get("height") == "11"]
    assert bars[0] / bars[1] == pytest.approx(0.2 / 0.9, abs=0.01)
    assert (
        ElementTree.fromstring(lines("two <things>", {"one": [(0, 1), (1, 2)], "other": [(0, 0), (1, 0)]})) is not None
    )


def test_page_in_the_docs_is_made_of_the_figures_beside_it(tmp_path: Path) -> None:
    there = FILE.with_name("performance.md")
    page = tmp_path / "performance.md"
    page.write_text(there.read_text())
    write_page(read(FILE), page, tmp_path / "images")
    assert page.read_text() == there.read_text()
