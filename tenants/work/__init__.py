"""What is done later: duties that tenants note, and tasks that carry their tenant."""
