"""How the bytes of an answer are read: events, deltas, the estimate where nobody counted, silence."""
