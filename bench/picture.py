"""Pictures of figures, as SVG: bars beside each other, and lines over time. Readable on white and on black."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 720
NAME_WIDTH = 300
BAR_WIDTH = 330
BAR = 14
LINE_HEIGHT = 240

COLOURS = ("#8a94a6", "#2f7ed8", "#12a594", "#e5843d", "#9b59b6")
GREY = "#808080"


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, float]], limits: Mapping[str, float] = {}) -> str:
    """Each group's bars are on a scale of its own; `limits` draws a group's bar of design.md."""
    parts = [_text(0, 16, title, weight="bold")]
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    top = 34
    for group, figures in groups.items():
        limit = limits.get(group)
        largest = max([*figures.values(), limit or 0.0]) or 1.0
        parts.append(_text(0, top + 12, group))
        first = top
        for name, value in figures.items():
            width = value / largest * BAR_WIDTH
            colour = COLOURS[series.index(name) % len(COLOURS)]
            parts.append(f'<rect x="{NAME_WIDTH}" y="{top}" width="{width:.1f}" height="{BAR - 3}" fill="{colour}"/>')
            parts.append(_text(NAME_WIDTH + width + 5, top + 10, _short(value), size=11))
            top += BAR
        if limit is not None:
            x = NAME_WIDTH + limit / largest * BAR_WIDTH
            parts.append(f'<path d="M{x:.1f} {first - 3}V{top}" stroke="#d33" stroke-dasharray="3 2"/>')
        top += 8
    for place, name in enumerate(series):
        x = place * WIDTH / max(len(series), 1)
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<rect x="{x:.0f}" y="{top + 6}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, top + 15, name, size=11))
    parts.append(_text(0, top + 36, f"{unit}; the dashed line is the bar", size=11))
    return _svg(top + 46, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Each on a scale of its own from 0 to its largest value: whether it stays is what is shown."""
    parts = [_text(0, 16, title, weight="bold")]
    longest = max(x for points in series.values() for x, _ in points) or 1.0
    for place, (name, points) in enumerate(series.items()):
        largest = max(y for _, y in points) or 1.0
        path = " ".join(
            f"{x / longest * (WIDTH - 10):.1f},{26 + LINE_HEIGHT * (1 - 0.95 * y / largest):.1f}" for x, y in points
        )
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x, y = place % 3 * WIDTH / 3, LINE_HEIGHT + 44 + place // 3 * 18
        parts.append(f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, y, f"{name}: at most {_short(largest)}", size=11))
    parts.append(f'<path d="M0 {26 + LINE_HEIGHT}H{WIDTH}" stroke="{GREY}"/>')
    return _svg(LINE_HEIGHT + 90, parts)


def _text(x: float, y: float, text: str, *, size: int = 12, weight: str = "normal") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}">{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 0 {WIDTH + 16} {height:.0f}" font-family="sans-serif" '
        f'fill="{GREY}">\n' + "\n".join(parts) + "\n</svg>\n"
    )
