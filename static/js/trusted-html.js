/* The only door through which strings become HTML.

   Covers: every HTML sink of the page. htmx and our modules hand over strings; the browser sends each through
   the one default policy below (require-trusted-types-for 'script'), which cleans it with DOMPurify. There is
   no policy for scripts or script addresses, so strings can never become code.

   Does not cover: what the server renders into the page itself. Answers of models are cleaned there too
   (prompts/rendering.py).

   Loaded before htmx. */
import { cleanPage } from "./trusted-fragments.js";

window.trustedTypes?.createPolicy("default", { createHTML: cleanPage });
