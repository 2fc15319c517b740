"""The kinds of this room's work, by the names under which it is ordered."""

QUEUE = "knowledge"
READ = "rag.read"  # object: a document
TRANSCRIBE = "rag.transcribe"  # object: a document whose scanned pages a model reads
RECRAWL = "rag.recrawl"  # object: a document
EMBED = "rag.embed"  # object: a generation
REBUILD = "rag.rebuild"  # object: a collection
HAND_OVER = "rag.hand_over"  # object: a document that RAGFlow reads
FORGET = "rag.forget"  # object: a dataset or document at RAGFlow, by its id there
WATCH = "rag.watch"  # object: the account at RAGFlow, while its server is away
RELATE = "rag.relate"  # object: a collection
FILE_BATCH = "rag.file_batch"  # object: a collection into which files came together
GUIDE = "rag.guide"  # object: the guide's collection
READING = (READ, TRANSCRIBE, HAND_OVER)  # of a document: the newest of these says how far it is
OF_DOCUMENT = (*READING, RECRAWL)
