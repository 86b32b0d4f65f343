"""The page about settings says what the code does, and the code reads its environment in one place."""

import re
from pathlib import Path

from palaver.settings import SETTINGS, to_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
SOURCE = ROOT / "src" / "palaver"

# Click can read it too.
READS = re.compile(r"\b(?:environb?|getenvb?|envvar|auto_envvar_prefix)\b")

# Not the server's: what tests, `make prove` and the build of the web app are told.
OTHERS = {"PALAVER_TEST_FSYNC", "PALAVER_PROVE", "PALAVER_SEED", "PALAVER_WEB_APP"}


def test_page_holds_the_table_that_the_code_gives() -> None:
    found = re.search(r"^\| name \|.*\n(?:\|.*\n)*", PAGE, re.MULTILINE)
    assert found is not None
    assert found[0] == to_table(), "Put what `palaver settings` prints into docs/settings.md"


def test_nothing_but_settings_reads_the_environment() -> None:
    readers = {file.relative_to(SOURCE) for file in SOURCE.rglob("*.py") if READS.search(file.read_text())}
    assert readers == {Path("settings.py")}


def test_no_page_names_a_setting_that_is_none() -> None:
    known = {setting.env for setting in SETTINGS.values()} | OTHERS
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    named = {name for page in pages for name in re.findall(r"\bPALAVER_[A-Z_]+[A-Z]\b", page.read_text())}
    assert named - known == set()
