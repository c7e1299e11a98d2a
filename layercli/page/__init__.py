"""Building blocks of HTML pages that are one file: escaped elements, charts as SVG, and one style."""
