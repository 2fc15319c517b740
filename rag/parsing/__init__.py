"""Reading documents of strangers: `run.parse` gives what stands in one, `result` says in which shape. What
`inside` holds runs in the jail and knows no Django; `ocr` lets the machine's tesseract read pictures.
"""
