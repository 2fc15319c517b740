"""The chat: conversations and their messages, the answers that are being written, and the pages that show
them.

Nouns: conversation, message, answer (a task that writes one message), event (what a page is told of it).
Called by `config` only; calls the gateway's pipeline, never a model server.
"""
