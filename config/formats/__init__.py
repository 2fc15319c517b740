"""How numbers are written, where Django has no custom of the language."""
