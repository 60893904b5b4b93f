import re
from pathlib import Path

import pytest

from radiocard.errors import CODES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_issue_code_is_documented_with_its_severity():
    text = (ROOT / "docs" / "reference" / "outputs.md").read_text(encoding="utf-8")
    assert re.findall(r"\| `([EW]_\w+)` \| (\w+) \|", text) == [(c, s) for c, (s, _) in CODES.items()]
