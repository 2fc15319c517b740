/* The pages of a collection: files are sent one by one with their progress, documents are chosen and acted on. */
import "./arrivals.js";
import "./picking.js";
