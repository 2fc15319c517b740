"""What a document may hold. Said in `run`, asked inside the jail."""

MEGABYTE = 1024**2  # as sizes are told (tenants.files.limits)
MOST_BYTES = 200 * MEGABYTE
MOST_UNPACKED_BYTES = 300 * MEGABYTE
MOST_ENTRIES = 20_000  # of a zip archive, which an office file is
MOST_PAGES = 5_000
MOST_PAGES_RECOGNISED = 300  # of those that are pictures: each takes seconds
MOST_CHARACTERS = 20_000_000
MOST_BLOCKS = 400_000
MOST_ATTACHMENTS = 100
MOST_ATTACHED_BYTES = 40 * MEGABYTE
MOST_HEADINGS = 6
LONGEST_HEADING = 300
ROWS_OF_A_TABLE = 30
MOST_CELLS = 4_000_000  # of tables, the empty ones too
MOST_COLUMNS = 16_384  # as in Excel
DEEPEST = 2_000  # elements of a page in each other, with those that are never closed
DEEPEST_TABLES = 50
DEEPEST_PARTS = 30  # of a mail
