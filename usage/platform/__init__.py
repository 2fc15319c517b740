"""The platform's share of usage: which processes live, and sums over tenants without any of their content.

Nouns: process, tenant sum. Written by usage.ledger.heartbeat and usage.sums, read by the system
administration; tenants may read the processes.
"""
