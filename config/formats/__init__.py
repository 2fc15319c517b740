"""How numbers, dates and times are written: one way in each language, short enough for a column of a list,
with the month in letters where figures could be read in two orders. `static/js/figures.js` writes the same.
"""
