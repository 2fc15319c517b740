/* Starts what the page has. Each module looks for its own data- attributes and does nothing without them. */
import "./notices.js";
import "./dialogs.js";
import "./menus.js";
import "./rail.js";
import "./preferences.js";
import "./conversations.js";
import "./palette.js";
import "./copy.js";
import "./diagrams.js";
import "./filtering.js";
import "./figures.js";
import "./scrolling.js";
import "./composer.js";
import "./preparing.js";
import "./editing.js";
import "./answer-stream.js";
