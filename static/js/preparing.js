/* While the embedded runtime makes models ready, the start page looks for them every few seconds and takes
   what it finds into the picker. What the person has chosen stays chosen; a picker that is being used is left
   alone. */
import { showChosen } from "./model-picker.js";
import { goToLogIn, on } from "./page.js";
import { parsePage } from "./trusted-fragments.js";

const PAUSE_MS = 4000;
const note = document.getElementById("preparing");
let chosen = "";

function takeModels(fresh) {
  const picker = document.getElementById("composer-model"); // another project may have brought it
  if (!fresh || fresh.options.length === picker.options.length) return;
  const wanted = [...fresh.options].some((option) => option.value === chosen) ? chosen : fresh.value;
  for (const option of [...picker.options]) option.remove();
  picker.append(...fresh.options);
  picker.value = wanted;
  showChosen();
}

async function look() {
  try {
    if (document.visibilityState === "visible" && !document.querySelector("#model-chooser:popover-open")) {
      const response = await fetch(window.location.pathname);
      if (goToLogIn(response.url)) return;
      const page = parsePage(await response.text());
      takeModels(page.getElementById("composer-model"));
      note.textContent = page.getElementById("preparing")?.textContent.trim() ?? "";
    }
  } catch {
    // Out of reach: the next look comes anyway.
  }
  lookLater();
}

function lookLater() {
  // Once a conversation has begun, the page is no longer the start page.
  if (note.textContent.trim() && !document.querySelector(".message")) setTimeout(look, PAUSE_MS);
  else note.replaceChildren();
}

if (note && document.getElementById("composer-model")) {
  const picker = document.getElementById("composer-model");
  // chosen before this module was there
  if (picker.selectedOptions[0] && !picker.selectedOptions[0].defaultSelected) chosen = picker.value;
  on("change", "#composer-model", (event, changed) => (chosen = changed.value));
  lookLater();
}
