"""The endpoints of `/v1` that call a model: one folder each, of one shape (`gateway.calls.Operation`). Copy
one and give it a route in `gateway/v1.py`.
"""
