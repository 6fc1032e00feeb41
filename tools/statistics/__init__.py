"""docs/statistics.md: one section a method, each with a seeded simulation of the project's own code and its plot.

    .venv/bin/python -m tools.statistics                 # simulate everything anew (minutes), then the page
    .venv/bin/python -m tools.statistics --only looks    # one section anew
    .venv/bin/python -m tools.statistics --page          # the page and its plots from the figures that are kept

What lives here: simulations and plots. What does not: the methods themselves (`serinus/stats`, `serinus/decide`), and
the promises that tests hold (`tests/simulation`). The text is page.md.j2; figures are in docs/statistics/figures.json.
"""
