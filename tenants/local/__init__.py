"""The tables of the lowest room that every schema has, `public` included: the wrapped data key, work
and web origins.
"""
