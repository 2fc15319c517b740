"""What takes longer than a request: reading documents, vectors, another index, pages looked at again."""
