"""What every room needs and no room owns: errors, identifiers, commands, the way out of the house, error
pages, the server's bounds.

Stands at the bottom: knows no tenant and no table.
"""
