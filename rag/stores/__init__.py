"""`/v1/vector_stores`: collections as OpenAI's clients know them. A store is a collection, a file of it a
document; what a key may see and do is what its person may.
"""
