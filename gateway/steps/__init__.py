"""The steps of `gateway.pipeline` in its order, and `attempts` between them; each changes a `Call`."""
