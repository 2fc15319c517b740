"""English, for readers of any country: the month in letters, times in 24 hours."""

DATE_FORMAT = SHORT_DATE_FORMAT = "M j, Y"  # Nov 2, 2026
TIME_FORMAT = "H:i"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "M j, Y, H:i"
MONTH_DAY_FORMAT = "M j"
