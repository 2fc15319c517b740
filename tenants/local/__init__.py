"""The tables of the lowest room that every schema has, `public` included: the wrapped data key and the
outbox.
"""
