"""The pages of knowledge; fragments answer htmx, and plain forms get a redirect."""
