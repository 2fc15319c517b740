"""All that is known of each kind of provider: one folder per kind, of one shape, registered in `table.py`.

A folder says where its servers are, how the key travels, what a request may hold, and how answers, errors,
usage reports and catalogues read. `openai_compatible` is what most servers speak, read as tolerantly as they
write; the other kinds say only how they differ.
"""
