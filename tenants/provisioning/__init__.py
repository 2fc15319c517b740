"""Making tenants: ordered or at once, on a plan, with their first owner."""
