"""A tenant's files: the same content is stored once, streamed in and out, hashed while it comes.

Nouns: Blob (bytes), File (what somebody calls them), Upload and its parts (a file that comes in pieces). The
gateway serves them at `/v1`; other rooms' rows point at a File (`services.store_file`).
"""
