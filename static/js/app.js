/* Starts what the page has. Each module looks for its own data- attributes and does nothing without them.
   What the chat's first message does without: later.js; what only other pages have: pages.js. */
import "./notices.js";
import "./dialogs.js";
import "./toasts.js";
import "./tooltips.js";
import "./menus.js";
import "./panel.js";
import "./rail.js";
import "./preferences.js";
import "./conversations.js";
import "./copy.js";
import "./folding.js";
import "./figures.js";
import "./scrolling.js";
import "./model-picker.js";
import "./composer.js";
import "./editing.js";
import "./branches.js";
import "./answer-stream.js";
import "./tabs.js";
import "./shortcuts.js";
import "./later.js";
import "./printing.js";
import "./scrollers.js";
