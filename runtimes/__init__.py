"""Model runtimes: the embedded runtime server, the demo model that comes with it, and how both were made.

Main nouns: runtime server, model folder, engine (one loaded model with its batch). The server is a process of
its own (`python -m runtimes.ml.server`) that speaks OpenAI's HTTP; the gateway calls it like any other
provider.
"""
