"""A risk report as one page: gathered, drawn as SVG, and written as HTML that loads nothing."""
