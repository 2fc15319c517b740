"""Makes model folders of our own (safetensors, tokenizer, manifest, card) of the first models' files, once.

A recipe (`runtimes/recipes/<model id>/`) has the manifest and the card; its `origin` names file, sha256 and
format. A child process of the runtime converts one recipe at a time: `python -m runtimes.ml.conversion`.

Covers: a file with another sha256 is refused; a folder appears whole or not at all, whatever is killed when;
two at once wait for each other; what was made of another file is made anew.
Does not cover: fetching the files (requirements/fetch_models.py).
"""
