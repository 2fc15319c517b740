"""The kinds of this room's work, by the names under which it is ordered."""

QUEUE = "knowledge"
READ = "rag.read"  # object: a document
RECRAWL = "rag.recrawl"  # object: a document
EMBED = "rag.embed"  # object: a generation
REBUILD = "rag.rebuild"  # object: a collection
GUIDE = "rag.guide"  # object: the guide's collection
OF_DOCUMENT = (READ, RECRAWL)
