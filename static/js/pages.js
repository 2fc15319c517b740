/* What the pages around the chat need beyond app.js: lists, forms, and documents with their sources. */
import "./filtering.js";
import "./choosing.js";
import "./source.js";
import "./knowledge.js";
import "./tab-strip.js";
