"""How a request finds its tenant: its host, its key, and whether the tenant is open."""
