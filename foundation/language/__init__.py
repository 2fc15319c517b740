"""Which language a text is written in, and the words so frequent that they tell. No Django."""
