"""The ledger: what every call cost, what budgets allow, and who used how much.

Nouns: price, usage, hold, usage event, budget, overrun, hourly sum, process. Called by the gateway
(usage.ledger.ledger, usage.pricing, usage.ledger.heartbeat), by pages and commands (services, selectors).
Calls accounts and tenants.
"""
