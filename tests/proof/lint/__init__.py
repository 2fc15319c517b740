"""Own lint of forbidden constructs (S44 of docs/proofs.md): rules with a planted bug each, and a short
registry of exceptions.

`engine` parses files and applies rules, `rules_*` hold the rules by subject, `registry.toml` the exceptions,
each with its reason.
"""
