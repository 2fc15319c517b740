"""What the view sets of `/api/v1` are built of. Rooms import `views`, `serializers` and `permissions` in
their `api.py`; `config.urls_api` puts the routes together. This file imports nothing: the settings name
`permissions`, and views read the settings.
"""
