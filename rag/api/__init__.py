"""`/api/v1`: collections with their documents, searches and saved questions."""
