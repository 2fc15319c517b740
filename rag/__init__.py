"""Knowledge: collections of documents, their index, and the search in them.

Nouns: collection, document, block, chunk, generation of an index, engine. Called by the rooms above (chat,
agents) and by the vector stores of `/v1`. Calls gateway (embeddings), accounts (rights of use), tenants.
"""
