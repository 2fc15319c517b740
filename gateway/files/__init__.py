"""`/v1/files` and `/v1/uploads`: a person's own files, as OpenAI's clients bring and fetch them."""
