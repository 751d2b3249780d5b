"""The frame of a page that stands alone: head, style for light, dark and paper, landmarks, table of contents."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --soft: rgba(128,128,128,.35); --quiet: light-dark(#555, #b0b0b0);
  --good: light-dark(#17643c, #7fd6a4); --bad: light-dark(#a3261d, #ff9d92) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.5rem 3rem; line-height: 1.5; background: Canvas;
  color: CanvasText; font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 1rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .8rem 0 .4rem; overflow-wrap: anywhere }
h1 code { font-size: inherit; font-weight: 600 }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--soft) }
h3 { font-size: 1.08rem; margin: 1.6rem 0 .4rem }
h4 { font-size: 1rem; margin: 1.1rem 0 .2rem }
section { scroll-margin-top: 1rem }
.wide { overflow-x: auto; padding-bottom: .2rem }
table { font-size: .92rem }
code, pre { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; font-size: .88rem }
pre { overflow-x: auto; margin: .5rem 0; padding: .6rem .8rem; border: 1px solid var(--soft); border-radius: .4rem }
math { font-size: 1.08rem }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: .8rem 0 0; padding: 0 }
a { color: LinkText }
summary { cursor: pointer; margin: .3rem 0 }
.steps { list-style: none; margin: 0; padding: 0 }
.steps li { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem 1.6rem; padding: .2rem 0 }
.steps .is { flex: 0 1 auto; overflow-x: auto; overflow-y: hidden; max-width: 100%; padding: .15rem 0 }
.why, .note { color: var(--quiet); font-size: .92rem }
.formula { font-size: 1.1rem; margin: .5rem 0; overflow-x: auto; overflow-y: hidden; padding: .2rem 0 }
.verdict { font-weight: 600; margin: .4rem 0 }
.good { color: var(--good) } .bad { color: var(--bad) }
footer { margin-top: 3rem; border-top: 1px solid var(--soft); padding-top: .6rem }
@media (prefers-contrast: more) { :root { --quiet: CanvasText } }
@media print {
  :root { color-scheme: light }
  body { max-width: none; padding: 0; font-size: 10pt }
  nav { display: none }
  h2, h3, h4, caption, figcaption { break-after: avoid }
  tr, figure, pre, .steps li { break-inside: avoid }
  .wide, pre, .steps .is, .formula { overflow: visible }
  pre, code { white-space: pre-wrap !important; overflow-wrap: anywhere }
  table { font-size: 8pt } table code { font-size: 1em } td, th { padding-right: .5em !important }
  figure img { max-width: 100% !important; height: auto }
  figure div { max-height: none !important; overflow: visible !important }
  details::details-content { content-visibility: visible; block-size: auto }
}
"""


class Section(NamedTuple):
    """A part of the page: its heading, the fragment by which it is found, its inside as HTML."""

    title: str
    anchor: str
    inside: str


def frame(title: str, summary: str, sections: Sequence[Section], foot: str) -> str:
    r"""The whole page; `summary` and the insides are HTML, the rest is text.

    >>> frame("y = 2 * x", "", [Section("Value", "value", "<p>4</p>")], "")[:38]
    '<!DOCTYPE html>\n<html lang="en">\n<head'
    """
    links = "".join(f'<li><a href="#{part.anchor}">{escape(part.title)}</a></li>' for part in sections)
    body = "\n".join(
        f'<section id="{part.anchor}" aria-labelledby="{part.anchor}-title">'
        f'<h2 id="{part.anchor}-title">{escape(part.title)}</h2>{part.inside}</section>'
        for part in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1><code>{escape(title)}</code></h1>{summary}</header>
<nav aria-label="On this page"><ul>{links}</ul></nav>
<main>
{body}
</main>
<footer class="note">{foot}</footer>
</body>
</html>
"""
