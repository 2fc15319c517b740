"""Who may do what: users, roles, projects, API keys and sessions.

Nouns: user, role (a group), permission, project, membership, API key. In `public` its users are the
platform's operators.
Called by every room above; `accounts.keys` and `accounts.selectors` are what the gateway uses.
"""
