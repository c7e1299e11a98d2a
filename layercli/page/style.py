"""The style of all pages: light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

from typing import Final

SERIES_COLORS: Final = tuple(f"var(--c{number})" for number in range(1, 9))
"""Colors of series of a chart, in their order; they are readable on both backgrounds."""

_LIGHT: Final = """\
  --paper: #ffffff; --panel: #f8fafc; --ink: #0f172a; --muted: #526075; --line: #d8dee8; --accent: #1d4ed8;
  --good: #15803d; --bad: #b91c1c; --heat: #2563eb; --heat-ink: #0f172a; --shade: #64748b99;
  --c1: #2563eb; --c2: #d9480f; --c3: #0f766e; --c4: #a21caf; --c5: #a16207; --c6: #be123c; --c7: #4d7c0f; --c8: #475569;
"""
_DARK: Final = """\
  --paper: #0b1120; --panel: #131c31; --ink: #e6ecf5; --muted: #9fb0c7; --line: #2c3a54; --accent: #7cb0ff;
  --good: #4ade80; --bad: #f87171; --heat: #3b82f6; --heat-ink: #e6ecf5; --shade: #cbd5e199;
  --c1: #60a5fa; --c2: #fb923c; --c3: #2dd4bf; --c4: #e879f9; --c5: #facc15; --c6: #fb7185; --c7: #a3e635; --c8: #94a3b8;
"""

COLOR_STYLE: Final = f":root {{ {_LIGHT} }} @media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}"
"""The colors only, for a picture without a page."""
STYLE: Final = f"""\
:root {{
  color-scheme: light dark;
{_LIGHT}}}
.dark-only {{ display: none; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{
{_DARK}  }}
  .dark-only {{ display: block; }}
  .light-only {{ display: none; }}
}}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; }}
body {{
  margin: 0 auto; padding: 1rem clamp(0.9rem, 3vw, 2rem) 4rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: anywhere;
}}
h1 {{ font-size: 1.7rem; line-height: 1.2; margin: 0.6rem 0 0.2rem; }}
h2 {{ font-size: 1.3rem; margin: 2.4rem 0 0.6rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }}
h3 {{ font-size: 1.05rem; margin: 1.6rem 0 0.4rem; }}
p {{ margin: 0.5rem 0; max-width: 46rem; }}
a {{ color: var(--accent); }}
code, pre {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.86em; }}
pre {{
  background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 0.8rem; overflow: auto;
  margin: 0.5rem 0; max-height: 32rem;
}}
.muted, figcaption .note {{ color: var(--muted); }}
nav {{ margin: 0.8rem 0; font-size: 0.92rem; }}
nav ul {{ list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; }}
.summary {{
  background: var(--panel); border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: 6px;
  padding: 0.6rem 1rem; margin: 1rem 0;
}}
.summary ul {{ padding-left: 1.1rem; margin: 0.4rem 0; }}
.summary li {{ margin: 0.3rem 0; max-width: 46rem; }}
.notice {{
  border-left: 4px solid var(--c5); padding: 0.3rem 0.8rem; margin: 0.6rem 0; background: var(--panel);
  max-width: 46rem;
}}
.charts {{
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem 1.6rem;
  align-items: start;
}}
.charts > figure:only-child {{ max-width: 36rem; }}
figure {{ margin: 0.6rem 0; min-width: 0; }}
figcaption {{ font-weight: 600; margin-bottom: 0.2rem; }}
figcaption .note {{ font-weight: 400; font-size: 0.9rem; display: block; }}
.chart > svg {{ width: 100%; height: auto; display: block; }}
.chart svg text {{ font-family: inherit !important; }}
.chart svg * {{ stroke-linejoin: round; stroke-linecap: butt; }}
.legend {{
  list-style: none; padding: 0; margin: 0.2rem 0; display: flex; flex-wrap: wrap; gap: 0.1rem 1rem;
  font-size: 0.86rem;
}}
.legend svg {{ width: 1.7em; height: 0.7em; margin-right: 0.35em; vertical-align: baseline; }}
.scroll {{
  overflow-x: auto; margin: 0.5rem 0; max-width: 100%; scrollbar-color: var(--muted) var(--line);
  background:
    linear-gradient(to right, var(--paper) 1rem, transparent) left / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--paper) 1rem, transparent) right / 2.5rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 0.9rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 0.9rem 100% no-repeat scroll;
}}
@supports (animation-timeline: scroll(self inline)) {{
  /* The animation runs only if the area can scroll, so the sentence appears only then. */
  .scroll::before {{
    content: "Scroll sideways to see all columns →"; display: block; position: sticky; left: 0; width: max-content;
    max-width: 100%; height: 0; overflow: hidden; color: var(--muted); font-size: 0.8rem; font-weight: 600;
    animation: show-scroll-sign linear both; animation-timeline: --sideways;
  }}
  .scroll {{ scroll-timeline: --sideways inline; }}
  @keyframes show-scroll-sign {{ from, to {{ height: 1.5em; }} }}
}}
.scroll > svg {{ max-width: none; }}
table {{ border-collapse: collapse; font-size: 0.9rem; overflow-wrap: break-word; }}
th, td {{
  padding: 0.25rem 0.7rem 0.25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-weight: 400;
}}
thead th {{ color: var(--muted); border-bottom: 1.5px solid var(--muted); white-space: nowrap; }}
th.number, td.number {{
  text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  padding: 0.25rem 0 0.25rem 0.9rem;
}}
td.number + td, th.number + th:not(.number) {{ padding-left: 0.9rem; }}
tbody th {{ min-width: 9rem; max-width: 22rem; }}
tr.total > * {{ border-top: 1.5px solid var(--muted); }}
table.matrix td, table.matrix th {{
  padding: 0.2rem 0.45rem; text-align: right; border: 1px solid var(--line); white-space: nowrap;
}}
table.matrix td.number + td, th.number + th:not(.number) {{ padding-left: 0.9rem; }}
table.matrix tbody th {{ min-width: 0; text-align: left; max-width: 12rem; overflow: hidden; text-overflow: ellipsis; }}
table.matrix thead th {{ max-width: 8rem; overflow: hidden; text-overflow: ellipsis; }}
table.matrix td {{
  min-width: 2.4em; font-variant-numeric: tabular-nums; color: var(--heat-ink);
  background: color-mix(in srgb, var(--heat) calc(var(--share) * 55%), transparent);
}}
table.matrix td.diagonal {{ outline: 1.5px solid var(--muted); outline-offset: -1.5px; }}
details {{ margin: 0.4rem 0; }}
summary {{ cursor: pointer; color: var(--accent); font-size: 0.9rem; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.8rem; }}
.cards.wide {{ grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }}
.card {{
  border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem; font-size: 0.84rem;
  background: var(--panel); min-width: 0;
}}
.card dl {{ margin: 0.3rem 0 0; }}
.card dl > div {{ display: flex; flex-wrap: wrap; gap: 0 0.4rem; }}
.card dt {{ color: var(--muted); }}
.card dd {{ margin: 0; }}
.card blockquote {{ margin: 0.2rem 0; padding-left: 0.6rem; border-left: 3px solid var(--line); white-space: pre-line; }}
.pictures {{ display: flex; flex-wrap: wrap; gap: 0.4rem; }}
.pictures span {{ display: flex; flex-direction: column; font-size: 0.74rem; color: var(--muted); }}
.pictures img {{ width: 6.2rem; height: auto; image-rendering: pixelated; border: 1px solid var(--line); background: #fff; }}
.key {{ display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; margin-right: 0.3em; }}
.keys span {{ margin-right: 0.7em; }}
.sparkline {{ width: 100%; height: 4.5rem; }}
.sparkline polyline {{ fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }}
:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
@media (max-width: 36rem) {{
  table {{ font-size: 0.8rem; }}
  tbody th {{ min-width: 5rem; }}
  th, td {{ padding-right: 0.45rem; }}
  th.number, td.number {{ padding-left: 0.45rem; }}
  .cards {{ grid-template-columns: 1fr 1fr; }}
  .cards.wide {{ grid-template-columns: 1fr; }}
}}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 10.5pt; }}
  nav {{ display: none; }}
  h2, h3, figcaption {{ break-after: avoid; }}
  figure, .card, tr, .summary {{ break-inside: avoid; }}
  .charts {{ grid-template-columns: 1fr 1fr; }}
  .scroll, pre {{ overflow: visible; max-height: none; white-space: pre-wrap; background: none; }}
  .scroll::before {{ display: none; }}
  details.printed::details-content {{ content-visibility: visible; height: auto; }}
  details:not([open]):not(.printed) {{ display: none; }}
  table.matrix td {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
