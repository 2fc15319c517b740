"""What the two administrations are built of: the sites, their menu, the base of every ModelAdmin,
questions before actions, and history.

Rooms import from here in their `admin.py`, `cards.py` and `audit.py`; `config.admin_sites` hands the sites to
the URLs.
"""
