"""A document as values (sections of paragraphs, lists and tables), and as Markdown and HTML. Both say the same.

Everything may come from data, logs or people: what stands in a document is never taken for markup.
"""

from __future__ import annotations

import html as escaping
import re
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as the head has; a head of empty texts is not shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Points:
    """A list."""

    items: tuple[str, ...]


Block = str | Table | Points


@dataclass(frozen=True)
class Section:
    """A heading and what is under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A title, a sentence, sections."""

    title: str
    lead: str
    sections: tuple[Section, ...]


def markdown(document: Document) -> str:
    """The document as Markdown with tables (GitHub's)."""
    parts = [f"# {_plain(document.title)}", _plain(document.lead)]
    for section in document.sections:
        parts += [f"## {_plain(section.title)}", *map(_markdown, section.blocks)]
    return "\n\n".join(parts) + "\n"


def html(document: Document) -> str:
    """The document as one HTML file that fetches nothing."""
    title = escaping.escape(document.title)
    body = [f"<h1>{title}</h1>", f"<p>{escaping.escape(document.lead)}</p>"]
    for section in document.sections:
        body += [f"<h2>{escaping.escape(section.title)}</h2>", *map(_html, section.blocks)]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>\n{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def figure(value: float | None) -> str:
    """A figure as documents show it."""
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def when(value: datetime) -> str:
    """A time as documents show it."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _markdown(block: Block) -> str:
    match block:
        case Table():
            lines = [
                tuple(map(_plain, block.head)),
                ("---",) * len(block.head),
                *(tuple(map(_plain, row)) for row in block.rows),
            ]
            return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        case Points():
            return "\n".join(f"- {_plain(item)}" for item in block.items)
        case _:
            return _plain(block)


def _plain(text: str) -> str:
    """One line, without what Markdown would take for markup."""
    return re.sub(r"([\\`*\[\]<>|~])", r"\\\1", " ".join(text.split()))


def _html(block: Block) -> str:
    match block:
        case Table():
            head = f"<tr>{''.join(f'<th>{escaping.escape(cell)}</th>' for cell in block.head)}</tr>\n"
            rows = "".join(
                f"<tr>{''.join(f'<td>{escaping.escape(cell)}</td>' for cell in row)}</tr>\n" for row in block.rows
            )
            return f"<table>\n{head if any(block.head) else ''}{rows}</table>"
        case Points():
            return "<ul>\n" + "".join(f"<li>{escaping.escape(item)}</li>\n" for item in block.items) + "</ul>"
        case _:
            return f"<p>{escaping.escape(block)}</p>"


_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { padding: .2rem .8rem .2rem 0; text-align: left; }
th { font-weight: 600; } td, th { border-bottom: 1px solid #eee; vertical-align: top; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } h2, td, th { border-color: #333; } }
"""
