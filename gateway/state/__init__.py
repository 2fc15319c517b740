"""What a gateway process remembers: snapshots of tenants, limits, calls in flight, failing endpoints."""
