import pytest

from radiocard.report.text import css_string, interval, number, p_value, percent, quantity, signed, visible

NB = "\u00a0"


BIDI = [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200f"]


@pytest.mark.parametrize("char", [*BIDI, "\0", "\x1b", "\u2028", "\ufeff"])
def test_deceiving_characters_become_visible(char):
    assert visible(f"a{char}b") == f"a[U+{ord(char):04X}]b"


def test_other_scripts_stay():
    assert visible("Müller שלום 心\n") == "Müller שלום 心\n"


@pytest.mark.parametrize("text", ['"; } body { display:none', "</style><script>", "\\", "a\nb", "é\u202e"])
def test_css_string_holds_nothing_but_escapes(text):
    assert all(c.isascii() and (c.isalnum() or c == "\\") for c in css_string(text))


@pytest.mark.parametrize(
    ("value", "text"),
    [(212.4, "212"), (28.34, "28.3"), (1.534, "1.53"), (26.0, "26"), (0.0, "0"), (-3.25, "\u22123.25"), (None, "–"),
     (4.2e-5, "4.2e\u221205")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_quantity_keeps_tenths_of_contour_measures():
    assert quantity(8.934, "mm") == f"8.9{NB}mm"
    assert quantity(7.314, "bit") == f"7.31{NB}bit"
    assert quantity(None, "mm") == "–"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.812, "81"), (0.125, "13"), (0.0, "0"), (1.0, "100"), (0.0049, f"<{NB}1"), (0.9951, f">{NB}99")],
)
def test_a_share_is_never_rounded_to_certainty(share, text):
    assert percent(share) == f"{text}{NB}%"


def test_percent_of_the_unknown():
    assert percent(None) == "–"


def test_signs_intervals_and_p_values():
    assert (signed(0.5), signed(-0.5), signed(0.001)) == ("+0.50", "\u22120.50", "0.00")
    assert interval(60, 105) == f"60{NB}to{NB}105"
    assert interval(55, None) == f"from{NB}55"
    assert interval(None, 12) == f"up{NB}to{NB}12"
    assert interval(None, None) == ""
    assert (p_value(0.0432), p_value(1e-9)) == ("0.043", f"<{NB}0.001")
