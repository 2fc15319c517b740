"""Making tenants, ordered or at once, with their first owner; and what operators change about them later."""
